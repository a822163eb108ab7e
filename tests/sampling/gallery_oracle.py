"""A tiny gallery in plain Python, with the rules of the paper written out slowly and obviously."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.sampling import SamplingContext


@dataclass
class Gallery:
    log: list[list[list[int]]]  # user -> baskets -> items, repeats and items without picture included
    artists: list[int]
    clusters: list[int]
    space: list[list[float]]
    margin: float = 0.1
    positive_in_profile: bool = True
    pictured: set[int] = field(init=False)

    def __post_init__(self):
        self.pictured = {i for i, c in enumerate(self.clusters) if c >= 0}

    def histories(self) -> Histories:
        rows = [
            (u, b, i)
            for u, baskets in enumerate(self.log)
            for b, basket in enumerate(baskets)
            for i in basket
        ]
        users, times, items = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
        user_ids = Ids([f"u{u}" for u in range(len(self.log))], what="user_id")
        return Histories.from_sorted(
            user_ids, Ids([f"i{i}" for i in range(len(self.artists))]), users, items, times
        )

    def context(self) -> SamplingContext:
        return SamplingContext(
            self.histories(),
            np.array(self.artists),
            np.array(self.clusters),
            np.array(self.space, np.float32),
        )

    # --- what a user has -------------------------------------------------------------------------------
    def baskets(self, user: int) -> list[list[int]]:
        """Baskets of first purchases of pictured items."""
        seen: set[int] = set()
        out = []
        for basket in self.log[user]:
            new = []
            for item in basket:
                if item in self.pictured and item not in seen:
                    seen.add(item)
                    new.append(item)
            if new:
                out.append(new)
        return out

    def owned(self, user: int) -> list[int]:
        return [item for basket in self.baskets(user) for item in basket]

    def likes_artist_of(self, user: int, item: int) -> bool:
        artist = self.artists[item]
        return artist != -1 and any(self.artists[i] == artist for basket in self.log[user] for i in basket)

    def likes_cluster_of(self, user: int, item: int) -> bool:
        return any(self.clusters[i] == self.clusters[item] for i in self.owned(user))

    # --- how works look --------------------------------------------------------------------------------
    def cosine(self, a: int, b: int) -> float:
        x, y = self.space[a], self.space[b]
        norm = math.hypot(*x) * math.hypot(*y)
        return sum(s * t for s, t in zip(x, y, strict=True)) / norm if norm else math.nan

    def same_image(self, a: int, b: int) -> bool:
        return a == b or (self.clusters[a] == self.clusters[b] and abs(self.cosine(a, b) - 1) < 1e-7)

    def acceptable(self, q: int, p: int, n: int) -> bool:
        cq, cp, cn = self.clusters[q], self.clusters[p], self.clusters[n]
        if cq == cp and cq != cn:
            return True
        if cq == cn and cq != cp:
            return False
        return self.cosine(q, p) > self.cosine(q, n) + self.margin

    # --- the rules -------------------------------------------------------------------------------------
    def allowed(self, rule: str, user: int, profile: tuple[int, ...], p: int, n: int) -> bool:
        if not {p, n, *profile} <= self.pictured or self.same_image(p, n):
            return False
        if rule == "G5":
            return user == -1 and profile == (p,)
        if rule == "G6":
            (q,) = profile if len(profile) == 1 else (None,)
            return (
                user == -1
                and q is not None
                and q != p
                and self.artists[q] != -1
                and self.artists[p] == self.artists[q] != self.artists[n]
                and self.acceptable(q, p, n)
            )
        if user == -1:
            return False
        owned, baskets = self.owned(user), self.baskets(user)
        if n in owned:
            return False
        beyond_taste = not self.likes_artist_of(user, n) and not self.likes_cluster_of(user, n)
        rest = tuple(i for i in owned if i != p)
        if rule == "G1":
            return beyond_taste and any(
                len(basket) >= 2
                and p in basket
                and profile == tuple(i for b in baskets[: k + 1] for i in b if i != p)
                for k, basket in enumerate(baskets)
            )
        if rule == "G2":
            return beyond_taste and any(
                p in baskets[k + 1] and profile == tuple(i for b in baskets[: k + 1] for i in b)
                for k in range(len(baskets) - 1)
            )
        if rule == "G3":
            wanted = p not in owned and self.likes_artist_of(user, p) and self.likes_cluster_of(user, p)
            return beyond_taste and wanted and profile == tuple(owned)
        if rule == "G4":
            return p in owned and profile == (tuple(owned) if self.positive_in_profile else rest or (p,))
        if rule == "uniform":
            return p in owned and profile == (rest or (p,))
        if rule == "tutorial":
            return p in owned and profile == tuple(owned[: owned.index(p) + 1][-10:])
        if rule in ("sequential", "sequential-users"):
            return any(
                p in basket and k > 0 and profile == tuple(i for b in baskets[:k] for i in b)
                for k, basket in enumerate(baskets)
            )
        raise AssertionError(rule)

    def every_triple(self, rule: str) -> set[tuple[int, tuple[int, ...], int, int]]:
        items = range(len(self.artists))
        if rule in ("G5", "G6"):
            candidates = [(-1, (i,)) for i in items]
        else:
            candidates = []
            for user in range(len(self.log)):
                owned = self.owned(user)
                prefixes = {tuple(owned[:k]) for k in range(1, len(owned) + 1)}
                without = {tuple(i for i in prefix if i != p) for prefix in prefixes for p in prefix}
                candidates += [(user, profile) for profile in prefixes | without if profile]
        return {
            (user, profile, p, n)
            for user, profile in candidates
            for p, n in itertools.permutations(items, 2)
            if self.allowed(rule, user, profile, p, n)
        }


def rows(triples):
    """Each triple of a batch as (user, profile, positive, negative)."""
    profiles = [tuple(row.tolist()) for row in triples.profiles]
    columns = (triples.user, triples.profile, triples.positive, triples.negative)
    return [
        (user, profiles[profile], p, n)
        for user, profile, p, n in zip(*(column.tolist() for column in columns), strict=True)
    ]
