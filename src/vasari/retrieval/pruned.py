"""Exact top-k that reads a fraction of the vectors: a bound rules out almost all, the rest are scored.

With the vectors turned onto their principal axes, v = [h; t] and q = [g; s], the inequality of Cauchy and
Schwarz bounds every score from a few leading coordinates:

    q . v  =  g . h + s . t  <=  g . h + |s| |t|

which is again an inner product, of [g; |s|] with [h; |t|]. The k works that look best by it are scored in
full; the least of those scores is one that at least k works reach, so whatever is bounded below it cannot be
among the best k. Where much is left, the best of that are scored in turn, which raises the bar. Whoever stays
above it is scored in full. The answer is that of `ExactIndex` (up to rounding where scores are equal but for
their last digits); where the bound rules out too little, all are scored.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from vasari.core.errors import UsageError
from vasari.retrieval.search import FloatArray, check_search
from vasari.retrieval.topk import BoolArray, IntArray, best_places, top_k

REST = 0.1  # share of the squared length that the leading coordinates may leave out
TILE = 64  # works whose leading coordinates lie together: a product so small is done where it lies, uncopied
GROUP = 128  # works of which one stands for all while the bar is looked for
LEADERS = 2  # times k: as many of those above the bar are scored to raise it
AGAIN = 2 * LEADERS  # times k: from so many above the bar on it is worth raising
MANY = 0.1  # share of works above the bar from which on a plain product is quicker
SLACK = 1e-5  # of the longest product: more than rounding can make of a bound
QUERIES = 32  # at a time: the more, the less often the leading coordinates are read
SAMPLE = 8_000  # vectors that tell the axes
AT_ONCE = 1024  # vectors in double precision at a time, whole tiles of them

Axes = npt.NDArray[np.float64]  # (dim, head)


@dataclass(frozen=True, eq=False)
class _Block:
    """Some vectors, shape (n, dim), and their bounding form, transposed and in tiles.

    `tiles` has the shape (n // TILE, head + 1, TILE), `rest` (head + 1, n % TILE); `longest` is the length of
    the longest vector, 0 where there is none.
    """

    vectors: FloatArray
    tiles: FloatArray
    rest: FloatArray
    longest: float

    @classmethod
    def of(cls, vectors: FloatArray, axes: Axes) -> Self:
        """From vectors and the leading axes, some tiles at a time: what is passed on is then in the cache."""
        whole, width = len(vectors) // TILE * TILE, axes.shape[1] + 1
        tiles = np.empty((whole // TILE, width, TILE), dtype=np.float32)
        longest = 0.0
        for start in range(0, whole, AT_ONCE):
            part = _bounding(vectors[start : min(start + AT_ONCE, whole)], axes)
            at = start // TILE
            tiles[at : at + len(part) // TILE] = part.reshape(-1, TILE, width).transpose(0, 2, 1)
            longest = max(longest, _longest(part))
        rest = _bounding(vectors[whole:], axes)
        return cls(vectors, tiles, np.ascontiguousarray(rest.T), max(longest, _longest(rest)))

    def replaced(self, row: int, vector: FloatArray, bounding: FloatArray) -> Self:
        """With another vector, and its bounding form, in one row."""
        vectors, tiles, rest = self.vectors.copy(), self.tiles.copy(), self.rest.copy()
        vectors[row] = vector
        tile, place = divmod(row, TILE)
        column = tiles[tile, :, place] if tile < len(tiles) else rest[:, place]
        column[:] = bounding
        longest = max(self.longest, _longest(bounding[None]))
        return replace(self, vectors=vectors, tiles=tiles, rest=rest, longest=longest)

    def bounds(self, asked: FloatArray, out: FloatArray) -> None:
        """Products of some queries in bounding form with all vectors, into `out`, shape (queries, n)."""
        whole = len(self.tiles) * TILE
        tiled = out[:, :whole].reshape(len(out), -1, TILE).transpose(1, 0, 2)  # (tiles, queries, TILE)
        np.matmul(asked, self.tiles, out=tiled)
        np.matmul(asked, self.rest, out=out[:, whole:])


class PrunedIndex:
    """Vectors in memory, searched exactly; immutable, also when works are added.

    Parameters
    ----------
    vectors
        Shape (items, dim); kept as float32.

    Raises
    ------
    UsageError
        They are no matrix of numbers.
    """

    def __init__(self, vectors: npt.NDArray[np.floating]) -> None:
        if vectors.ndim != 2:
            raise UsageError(f"vectors {vectors.shape} must be a matrix, one row an item")
        kept = _all_numbers(np.ascontiguousarray(vectors, dtype=np.float32))
        self._axes = _leading_axes(kept)
        self._blocks: Sequence[_Block] = (_Block.of(kept, self._axes),)

    def __len__(self) -> int:
        return sum(len(block.vectors) for block in self._blocks)

    @property
    def shape(self) -> tuple[int, int]:
        """(items, dim)."""
        return len(self), len(self._axes)

    @property
    def head(self) -> int:
        """How many leading coordinates the bound looks at."""
        return int(self._axes.shape[1])

    def extended(self, vectors: npt.NDArray[np.floating]) -> Self:
        """An index with more vectors behind these, shape (new, dim); what is large is shared, not copied."""
        grown = object.__new__(type(self))
        new = _all_numbers(np.asarray(vectors, dtype=np.float32))
        first, *added = self._blocks
        grown._axes = self._axes
        behind = np.concatenate([*(block.vectors for block in added), new])
        grown._blocks = (first, _Block.of(behind, self._axes))
        return grown

    def replaced(self, row: int, vector: npt.NDArray[np.floating]) -> Self:
        """An index with another vector in one row; the block that holds it is copied."""
        changed = object.__new__(type(self))
        changed._axes, blocks, start = self._axes, list(self._blocks), 0
        new = _all_numbers(np.asarray(vector, dtype=np.float32))
        for place, block in enumerate(blocks):
            if row - start < len(block.vectors):
                blocks[place] = block.replaced(row - start, new, _bounding(new[None], self._axes)[0])
                break
            start += len(block.vectors)
        changed._blocks = tuple(blocks)
        return changed

    def take(self, rows: IntArray) -> FloatArray:
        """Some vectors, shape (len(rows), dim)."""
        first, *added = self._blocks
        if not added:
            return np.take(first.vectors, rows, axis=0)
        inside = rows < len(first.vectors)
        found = np.empty((len(rows), self.shape[1]), dtype=np.float32)
        found[inside] = first.vectors[rows[inside]]
        found[~inside] = added[0].vectors[rows[~inside] - len(first.vectors)]
        return found

    def scores(self, query: FloatArray) -> FloatArray:
        """Inner products of one query, shape (dim,), with all vectors, shape (items,)."""
        return np.concatenate([block.vectors @ query for block in self._blocks])

    def search(
        self,
        queries: npt.NDArray[np.floating],
        k: int | Sequence[int],
        candidates: BoolArray | Sequence[BoolArray] | None = None,
        without: Sequence[Sequence[int]] | None = None,
    ) -> tuple[IntArray, FloatArray]:
        """Find the k vectors with the highest inner product for each query; see `exact_top_k`.

        Parameters
        ----------
        queries
            Shape (queries, dim).
        k
            One for all or a number a query; the answers are then as long as the largest asks for, -1 and -inf
            behind what the others asked for.
        candidates
            Which items may be found, one array for all or one a query, shape (items,) each. One that several
            queries share is best passed as the same object: it is then made ready once.
        without
            For each query, items that may not be found all the same.
        """
        masks = _one_each(candidates, len(queries))
        for mask in [None, *masks]:  # also where nobody asks
            check_search(queries, self.shape, int(np.min(k, initial=1)), mask)
        each, longest = np.broadcast_to(k, len(queries)).tolist(), int(np.max(k, initial=0))
        asked = np.ascontiguousarray(queries, dtype=np.float32)
        if not np.isfinite(asked).all():
            raise UsageError("a query is not all numbers")
        ceilings = {id(mask): _ceiling(mask) for mask in masks if mask is not None}
        longest_vector = max(block.longest for block in self._blocks)
        items = np.full((len(asked), longest), -1, dtype=np.int64)
        best = np.full((len(asked), longest), -np.inf, dtype=np.float32)
        for start in range(0, len(asked), QUERIES):
            tile = asked[start : start + QUERIES]
            lengths = np.linalg.norm(tile.astype(np.float64), axis=1)
            bounds = self._bounds(tile)
            for row, (query, bound) in enumerate(zip(tile, bounds, strict=True), start):
                if (ceiling := ceilings.get(id(masks[row]))) is not None:
                    np.minimum(bound[: len(self)], ceiling, out=bound[: len(self)])
                if without is not None:
                    bound[list(without[row])] = -np.inf
                mine = slice(each[row])
                slack = SLACK * longest_vector * lengths[row - start]
                items[row, mine], best[row, mine] = self._best(query, bound, each[row], slack)
        return items, best

    def _bounds(self, queries: FloatArray) -> FloatArray:
        """What no score exceeds by more than the slack, shape (queries, items), filled up to whole groups."""
        asked = _bounding(queries, self._axes)
        if len(asked) % 2:  # products with an odd number of rows take up to twice as long as with one more
            asked = np.concatenate([asked, asked[-1:]])
        width = -(-len(self) // GROUP) * GROUP
        bounds = _room(len(asked) * width).reshape(len(asked), width)
        bounds[:, len(self) :] = -np.inf
        start = 0
        for block in self._blocks:
            stop = start + len(block.vectors)
            block.bounds(asked, bounds[:, start:stop])
            start = stop
        return bounds[: len(queries)]

    def _best(
        self, query: FloatArray, bounds: FloatArray, k: int, slack: float
    ) -> tuple[IntArray, FloatArray]:
        rows = self._contenders(query, bounds, k, slack)
        if rows is None:
            out = np.isneginf(bounds[: len(self)])
            scores = np.where(out, np.float32(-np.inf), self.scores(query))
            picked, best = top_k(scores[None], k)
            return picked[0], best[0].astype(np.float32)
        items, best = np.full(k, -1, dtype=np.int64), np.full(k, -np.inf, dtype=np.float32)
        if len(rows):
            scores = self.take(rows) @ query
            places = best_places(scores, min(k, len(rows)))
            items[: len(places)], best[: len(places)] = rows[places], scores[places]
        return items, best

    def _contenders(self, query: FloatArray, bounds: FloatArray, k: int, slack: float) -> IntArray | None:
        """Rows that may be among the best k, ascending; None where there are many."""
        starts = np.arange(0, len(bounds), GROUP)
        if len(starts) <= k:
            return None
        peaks = np.maximum.reduceat(bounds, starts)
        leaders = np.argpartition(peaks, len(peaks) - k)[-k:]
        if np.isneginf(peaks[leaders].min()):  # fewer than k groups hold a candidate
            rows = np.flatnonzero(bounds > -np.inf)
        else:
            standing = starts[leaders] + bounds.reshape(-1, GROUP)[leaders].argmax(axis=1)
            rows = np.flatnonzero(bounds >= self._bar(query, standing, k, slack))
        if len(rows) > AGAIN * k:
            left = bounds[rows]
            leaders = rows[np.argpartition(left, len(left) - LEADERS * k)[-LEADERS * k :]]
            rows = rows[left >= self._bar(query, leaders, k, slack)]
        if len(rows) < k and len(rows) < len(np.flatnonzero(bounds > -np.inf)):
            # Rounding went beyond the slack: no bound can be trusted.
            return None
        return rows if len(rows) <= max(MANY * len(bounds), GROUP) else None

    def _bar(self, query: FloatArray, rows: IntArray, k: int, slack: float) -> float:
        """What the k best of some rows reach, less what rounding may have made of bounds."""
        scores = self.take(rows) @ query
        return float(np.partition(scores, len(scores) - k)[len(scores) - k]) - 2 * slack


def _one_each(candidates: BoolArray | Sequence[BoolArray] | None, queries: int) -> Sequence[BoolArray | None]:
    if candidates is None or (isinstance(candidates, np.ndarray) and candidates.ndim == 1):
        return [candidates] * queries
    if len(candidates) != queries:
        raise UsageError(
            f"candidates are {len(candidates)} arrays for {queries} queries; pass one in all, or one for each"
        )
    return list(candidates)


def _ceiling(mask: BoolArray) -> FloatArray:
    """Infinity where the mask holds, minus infinity elsewhere, without a jump for every item.

    Lowering bounds to it takes a fraction of an assignment where the mask says.
    """
    ceiling: FloatArray = (mask.astype(np.float32) - np.float32(0.5)) * np.float32(np.inf)
    return ceiling


_memory = threading.local()


def _room(size: int) -> FloatArray:
    """Memory for the bounds of one search, the same again for every search of a thread.

    Fresh megabytes for every batch would cost as much as the product that fills them.
    """
    room: FloatArray | None = getattr(_memory, "room", None)
    if room is None or not size <= len(room) <= 4 * size + (1 << 20):
        room = _memory.room = np.empty(size, dtype=np.float32)
    return room[:size]


def _bounding(vectors: FloatArray, axes: Axes) -> FloatArray:
    """[h, |t|] of some vectors, shape (n, head + 1).

    In double precision: of a short rest, the difference of two squares would be nothing but rounding.
    """
    exact = vectors.astype(np.float64)
    head = exact @ axes
    rest = np.sqrt(np.maximum(_squares(exact) - _squares(head), 0))
    return np.concatenate([head, rest[:, None]], axis=1, dtype=np.float32, casting="same_kind")


def _squares(vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Squared lengths, shape (n,), without a second matrix on the way."""
    squares: npt.NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors)
    return squares


def _longest(bounding: FloatArray) -> float:
    """Length of the longest vector, from bounding forms, which are as long as what they bound."""
    return float(np.sqrt(_squares(bounding.astype(np.float64)).max(initial=0)))


def _all_numbers(vectors: FloatArray) -> FloatArray:
    if not np.isfinite([vectors.min(initial=0), vectors.max(initial=0)]).all():
        raise UsageError("a vector is not all numbers; leave it out of the index")
    return vectors


def _leading_axes(vectors: FloatArray) -> Axes:
    """The principal axes that hold all but `REST` of the squared length, shape (dim, head)."""
    dim = vectors.shape[1]
    step = max(1, len(vectors) // SAMPLE)
    some = vectors[::step].astype(np.float64)
    energy, axes = np.linalg.eigh(some.T @ some)  # ascending
    energy, axes = np.maximum(energy[::-1], 0), axes[:, ::-1]
    total = energy.sum()
    if total == 0:
        return np.ascontiguousarray(axes[:, :1])
    head = int(np.searchsorted(np.cumsum(energy) / total, 1 - REST)) + 1
    if head > dim / 2:  # nothing to gain: the bound is then the score itself
        return np.eye(dim)
    return np.ascontiguousarray(axes[:, : max(head, min(dim, 8))])
