"""From asks to walls: who asks, which works may be answered, which model scores, in which order they hang."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vasari.retrieval import rerank, top_k
from vasari.serving.asks import Answer, Ask, Hung
from vasari.serving.live import Live, State
from vasari.serving.shelf import Shelf
from vasari.serving.snapshot import Snapshot, Taste, fewer

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

POOL, LEAST_POOL = 10, 200  # works that are re-ranked: so many times k, and at least so many
POPULARITY, LOOKS = "popularity", "looks"


@dataclass(frozen=True, eq=False)
class Question:
    """An ask, the raw features of its pictures, and the model that is to answer."""

    ask: Ask
    pictures: FloatArray | None
    model: str


@dataclass(eq=False)
class _Job:
    """A question in rows of the shelf."""

    ask: Ask
    taste: Taste
    mask: BoolArray  # which works may be answered, shared with others' jobs
    without: list[int]  # which of them may not all the same
    snapshot: Snapshot
    fallback: str | None
    cold: bool

    @property
    def pool(self) -> int:
        """How many of the best works are needed."""
        ask = self.ask
        if ask.diversity or ask.novelty or ask.per_artist is not None:
            return max(POOL * ask.k, LEAST_POOL)
        return ask.k


def taste_of(live: Live, state: State, ask: Ask, pictures: FloatArray | None) -> Taste:
    """Everything that stands for whoever asks: their history, and what the ask adds.

    Raises
    ------
    NotFound
        A work of the ask is unknown.
    """
    roster = state.shelf.roster
    mine, against, user_id = [], [], None
    if ask.user_id is not None:
        mine, against = live.visitors.likes(ask.user_id), live.visitors.dislikes(ask.user_id)
        if not (live.visitors.moved_on(ask.user_id) or ask.likes or ask.dislikes or pictures is not None):
            user_id = ask.user_id
    now, refused = roster.rows(ask.likes).tolist(), roster.rows(ask.dislikes).tolist()
    dislikes = [row for row in dict.fromkeys([*against, *refused]) if row not in now]
    likes = [row for row in dict.fromkeys([*mine, *now]) if row not in dislikes]
    # A visitor may have seen a work that this state, taken a moment earlier, does not hold yet.
    size = len(roster)
    return Taste(
        [row for row in likes if row < size], [row for row in dislikes if row < size], pictures, user_id
    )


def answer_all(live: Live, questions: Sequence[Question]) -> list[Answer | Exception]:
    """Answer some questions from one state, those of one model by one product.

    An error about one question stands in its place.
    """
    state = live.catch_up()
    answers: list[Answer | Exception | None] = [None] * len(questions)
    waiting: dict[str, list[tuple[int, _Job]]] = {}
    for place, question in enumerate(questions):
        try:
            job = _job(live, state, question)
            if job.fallback is None:
                waiting.setdefault(question.model, []).append((place, job))
            else:
                answers[place] = _hang(state.shelf, job, *_instead(state.shelf, job, job.pool))
        except Exception as error:  # whoever asks beside has nothing to do with it
            answers[place] = error
    for jobs in waiting.values():
        snapshot = jobs[0][1].snapshot
        those = [job for _, job in jobs]
        rows, scores = snapshot.search(
            [job.taste for job in those],
            [job.pool for job in those],
            [job.mask for job in those],
            [job.without for job in those],
        )
        for (place, job), mine, values in zip(jobs, rows, scores, strict=True):
            answers[place] = _hang(state.shelf, job, mine[: job.pool], values[: job.pool])
    return [answer for answer in answers if answer is not None]


def _job(live: Live, state: State, question: Question) -> _Job:
    ask, shelf = question.ask, state.shelf
    snapshot = state.snapshot(question.model)
    taste = taste_of(live, state, ask, question.pictures)
    filters = ask.filters
    mask = filters.mask(shelf.frame, shelf.available) if filters.conditions else shelf.available
    without = [*taste.likes, *taste.dislikes, *shelf.roster.find(ask.exclude)]
    cold = not taste.likes and taste.pictures is None
    fallback = None
    if not snapshot.knows(taste):
        fallback = LOOKS if not cold and shelf.looks is not None else POPULARITY
    return _Job(ask, taste, mask, without, snapshot, fallback, cold)


def _instead(shelf: Shelf, job: _Job, pool: int) -> tuple[IntArray, npt.NDArray[np.floating]]:
    """The best works where the model knows nothing of the visitor."""
    if job.fallback == LOOKS and shelf.looks is not None:
        vectors = shelf.looks.vectors(np.array(job.taste.likes, dtype=np.int64))
        if job.taste.pictures is not None:
            vectors = np.concatenate([vectors, shelf.looks.project(job.taste.pictures)])
        mean = vectors.mean(0, keepdims=True)
        rows, scores = shelf.looks.index.search(mean, pool, job.mask, [job.without])
    else:
        rows, scores = top_k(shelf.standing[None], pool, fewer([job.mask], [job.without]))
    return rows[0], scores[0]


def _hang(shelf: Shelf, job: _Job, rows: IntArray, scores: npt.NDArray[np.floating]) -> Answer:
    ask = job.ask
    found = rows >= 0
    rows, scores = rows[found], scores[found]
    if job.pool != ask.k:
        rows, scores = _reranked(shelf, job, rows, scores)
    works = tuple(
        Hung(item, score, rank)
        for rank, (item, score) in enumerate(
            zip(shelf.roster.take(rows[: ask.k].tolist()), scores[: ask.k].tolist(), strict=True), start=1
        )
    )
    return Answer(works, job.snapshot.name, job.snapshot.version, job.cold, job.fallback)


def _reranked(
    shelf: Shelf, job: _Job, rows: IntArray, scores: npt.NDArray[np.floating]
) -> tuple[IntArray, npt.NDArray[np.floating]]:
    """The pool in its new order; a cap that leaves too few looks at a larger pool."""
    ask, pool = job.ask, job.pool
    while True:
        order = rerank(
            scores,
            ask.k,
            looks=shelf.looks.vectors(rows) if shelf.looks is not None else np.zeros((len(rows), 1)),
            artists=shelf.artist_of[rows],
            popularity=shelf.popularity[rows],
            diversity=ask.diversity,
            per_artist=ask.per_artist,
            novelty=ask.novelty,
        )
        if len(order) >= ask.k or len(rows) < pool or pool >= len(shelf):
            return rows[order], scores[order]
        pool *= 4
        if job.fallback is None:
            wanted = min(pool, len(shelf))
            more = job.snapshot.search([job.taste], [wanted], [job.mask], [job.without])
            rows, scores = more[0][0], more[1][0]
        else:
            rows, scores = _instead(shelf, job, min(pool, len(shelf)))
        found = rows >= 0
        rows, scores = rows[found], scores[found]
