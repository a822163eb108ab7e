"""Drawing triples: Python loops and Cornac's iterator, against Vasari's sampler.

    python -m benchmarks.sampling [--batch 65536] [--repeats 5] [--json]

Synthetic data of UGallery's size: 13,297 works of 573 artists in 100 clusters, 2,378 users with 1 to 10
works. All sides verify every negative against the user's history. The references are the published
notebooks' samplers, loops with hash sets, and Cornac's ``Dataset.uij_iter``, which takes (u, i) from the
shuffled log and looks (u, j) up in a dictionary of keys; it makes no profiles. The floor is what nobody can
avoid: two random numbers a triple for uniform sampling, five for the guidelines.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict

import numpy as np
import scipy.sparse
from benchmarks.timing import bar, compared, medians, report

from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.sampling import Sampler, SamplingContext, stream

ITEMS, ARTISTS, CLUSTERS, USERS, LONGEST, DIM = 13_297, 573, 100, 2_378, 10, 200
FINE_GRAINED, MARGIN = 0.6, 0.1
BATCHES = 4
REFERENCE_TRIPLES = 8192


def make(seed: int = 0) -> tuple[Histories, np.ndarray, np.ndarray, np.ndarray]:
    """Artists keep to a main cluster and a style; half of the purchases stay with the artist before."""
    rng = np.random.default_rng(seed)
    artist = (rng.random(ITEMS) ** 1.5 * ARTISTS).astype(np.int64)
    main = rng.integers(0, CLUSTERS, ARTISTS)
    cluster = np.where(rng.random(ITEMS) < 0.4, main[artist], rng.integers(0, CLUSTERS, ITEMS))
    look = (
        0.5 * rng.standard_normal((CLUSTERS, DIM))[cluster]
        + 0.5 * rng.standard_normal((ARTISTS, DIM))[artist]
    )
    space = (look + 0.7 * rng.standard_normal((ITEMS, DIM))).astype(np.float32)
    lengths = np.minimum(rng.geometric(0.45, USERS), LONGEST)
    users = np.repeat(np.arange(USERS), lengths)
    items = rng.integers(0, ITEMS, len(users))
    works = [np.flatnonzero(artist == a) for a in range(ARTISTS)]
    again = np.flatnonzero((rng.random(len(users)) < 0.5) & (np.diff(users, prepend=-1) == 0))
    for place in again.tolist():
        items[place] = rng.choice(works[artist[items[place - 1]]])
    times = np.cumsum(rng.random(len(users)) < 0.6)
    names = Ids([f"u{u}" for u in range(USERS)], what="user_id"), Ids([f"i{i}" for i in range(ITEMS)])
    return Histories.from_sorted(*names, users, items, times), artist, cluster, space


class Loop:
    """The samplers of the CuratorNet notebook and of the tutorial, one triple at a time."""

    def __init__(
        self, histories: Histories, artist: np.ndarray, cluster: np.ndarray, space: np.ndarray
    ) -> None:
        self.artist, self.cluster = artist.tolist(), cluster.tolist()
        self.space = space / np.linalg.norm(space, axis=1, keepdims=True)
        self.by_artist, self.by_cluster = defaultdict(list), defaultdict(list)
        for item, (a, c) in enumerate(zip(self.artist, self.cluster, strict=True)):
            self.by_artist[a].append(item)
            self.by_cluster[c].append(item)
        self.history, self.baskets = [], []
        for user, row in enumerate(histories.items):
            baskets, seen = defaultdict(list), set()
            start = histories.items.offsets[user]
            for item, basket in zip(row.tolist(), histories.baskets[start:].tolist(), strict=False):
                if item not in seen:
                    baskets[basket].append(item)
                    seen.add(item)
            self.history.append([item for basket in baskets.values() for item in basket])
            self.baskets.append(list(baskets.values()))
        self.owned = [set(row) for row in self.history]
        self.artists = [{self.artist[i] for i in row} for row in self.history]
        self.clusters = [{self.cluster[i] for i in row} for row in self.history]
        self.others = [[c for c in range(CLUSTERS) if c not in liked] for liked in self.clusters]
        self.big = [u for u, baskets in enumerate(self.baskets) if any(len(b) > 1 for b in baskets)]
        self.returning = [u for u, baskets in enumerate(self.baskets) if len(baskets) > 1]
        self.with_company = [i for i in range(ITEMS) if len(self.by_artist[self.artist[i]]) > 1]

    def same(self, a: int, b: int) -> bool:
        return self.cluster[a] == self.cluster[b] and abs(self.space[a] @ self.space[b] - 1) < 1e-7

    def near(self, item: int) -> int:
        fine = random.random() <= FINE_GRAINED
        return random.choice(self.by_cluster[self.cluster[item] if fine else random.randrange(CLUSTERS)])

    def beyond(self, user: int) -> int:
        while True:
            item = random.choice(self.by_cluster[random.choice(self.others[user])])
            if self.artist[item] not in self.artists[user]:
                return item

    def g1(self):
        user = random.choice(self.big)
        k = random.choice([k for k, basket in enumerate(self.baskets[user]) if len(basket) > 1])
        positive = random.choice(self.baskets[user][k])
        profile = [i for basket in self.baskets[user][: k + 1] for i in basket if i != positive]
        return profile, positive, self.beyond(user), user

    def g2(self):
        user = random.choice(self.returning)
        k = random.randrange(1, len(self.baskets[user]))
        profile = [i for basket in self.baskets[user][:k] for i in basket]
        return profile, random.choice(self.baskets[user][k]), self.beyond(user), user

    def g3(self):
        user = random.randrange(USERS)
        for _ in range(20):
            item = random.choice(self.by_artist[random.choice(list(self.artists[user]))])
            if self.cluster[item] in self.clusters[user] and item not in self.owned[user]:
                return self.history[user], item, self.beyond(user), user
        return None

    def g4(self):
        user = random.randrange(USERS)
        positive = random.choice(self.history[user])
        while (negative := self.near(positive)) in self.owned[user] or self.same(positive, negative):
            pass
        return self.history[user], positive, negative, user

    def g5(self):
        item = random.randrange(ITEMS)
        while (negative := self.near(item)) == item or self.same(item, negative):
            pass
        return [item], item, negative, -1

    def g6(self):
        item = random.choice(self.with_company)
        while (positive := random.choice(self.by_artist[self.artist[item]])) == item:
            pass
        for _ in range(20):
            negative = self.near(item)
            if self.artist[negative] == self.artist[item] or self.same(positive, negative):
                continue
            q, p, n = (self.cluster[i] for i in (item, positive, negative))
            if q == p != n:
                return [item], positive, negative, -1
            if q == n != p:
                continue
            if self.space[item] @ self.space[positive] > self.space[item] @ self.space[negative] + MARGIN:
                return [item], positive, negative, -1
        return None

    def guidelines(self, count: int) -> list:
        drawn: list = []
        draws = (self.g1, self.g2, self.g3, self.g4, self.g5, self.g6)
        while len(drawn) < count:
            if (triple := draws[len(drawn) % 6]()) is not None:
                drawn.append(triple)
        return drawn

    def uniform(self, count: int) -> list:
        drawn = []
        while len(drawn) < count:
            user = random.randrange(USERS)
            place = random.randrange(len(self.history[user]))
            while (negative := random.randrange(ITEMS)) in self.owned[user]:
                pass
            profile = self.history[user][max(0, place - 9) : place + 1]
            drawn.append((profile, self.history[user][place], negative, user))
        return drawn


class Cornac:
    """Cornac's ``Dataset.uij_iter`` with uniform negatives."""

    def __init__(self, histories: Histories) -> None:
        self.users, self.items = histories.users, histories.items.values
        self.ratings = np.ones(len(self.users), dtype=np.float32)
        shape = len(histories.user_ids), len(histories.item_ids)
        self.taken = scipy.sparse.dok_matrix(
            scipy.sparse.csr_matrix((self.ratings, (self.users, self.items)), shape)
        )
        self.population = np.arange(shape[1])
        self.random = np.random.RandomState(0)

    def batches(self, count: int, size: int = 256) -> list:
        """Triples (users, positives, negatives) in batches until there are `count`, epoch after epoch."""
        drawn: list = []
        while True:
            order = self.random.permutation(len(self.users))
            for start in range(0, len(order), size):
                chosen = order[start : start + size]
                users, ratings = self.users[chosen], self.ratings[chosen]
                negatives = np.empty_like(users)
                for row, (user, rating) in enumerate(zip(users, ratings, strict=True)):
                    negative = self.random.choice(self.population)
                    while self.taken[user, negative] >= rating:
                        negative = self.random.choice(self.population)
                    negatives[row] = negative
                drawn.append((users, self.items[chosen], negatives))
                if (count := count - len(chosen)) <= 0:
                    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=65_536)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    size, data = arguments.batch, make()
    context, loop, cornac = SamplingContext(*data), Loop(*data), Cornac(data[0])
    rng = np.random.default_rng(0)
    comparisons, bars, rates = [], [], {}
    for name, mixture, references, numbers, least in (
        ("uniform", "tutorial", {"loop": loop.uniform, "Cornac": cornac.batches}, 2, 8e6),
        ("six guidelines", "guidelines", {"loop": loop.guidelines}, 5, 3e6),
    ):
        sampler = Sampler(context, mixture)
        seconds = medians(
            {
                **{side: lambda draw=draw: draw(REFERENCE_TRIPLES) for side, draw in references.items()},
                "vasari": lambda sampler=sampler: [sampler.batch(0, 0, i, size) for i in range(BATCHES)],
                "stream": lambda sampler=sampler: list(stream(sampler, 0, 0, BATCHES, size, workers=2)),
                "floor": lambda numbers=numbers: [rng.random(size * numbers) for _ in range(BATCHES)],
            },
            arguments.repeats,
        )
        a_million = {
            side: taken / (REFERENCE_TRIPLES if side in references else size * BATCHES) * 1e6
            for side, taken in seconds.items()
        }
        rates[name] = {side: round(1e6 / taken) for side, taken in a_million.items()}
        for side in references:
            what = f"1,000,000 triples, {name}, against {side}"
            comparisons.append(compared(what, a_million[side], a_million["vasari"], a_million["floor"]))
        bars.append(bar(name, rates[name]["vasari"], "triples/s", ">=", least))
    report("sampling", comparisons, bars, arguments.json, batch=size, triples_per_second=rates)


if __name__ == "__main__":
    main()
