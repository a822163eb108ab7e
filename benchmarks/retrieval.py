"""Top 20 among 200,000 works with 200 dimensions: NumPy as everybody writes it, against Vasari's indexes.

    python -m benchmarks.retrieval [--items 200000] [--queries 512] [--no-ann] [--json]

The reference is a product and `argpartition`. Vectors have a spectrum like that of pictures' features after
PCA, variance of direction i in proportion to i^-1.5, and lengths that vary by a tenth; exact search does not
care, a graph does: with as much variance in every direction nothing is near anything. One query takes the
bandwidth of memory at best, many take the operations. The graph needs usearch (vasari[ann]) and is built by
all cores; recall is measured against exact search.
"""

from __future__ import annotations

import argparse

import numpy as np
from benchmarks.timing import bar, compared, medians, peak_bandwidth, peak_operations, report, seconds

from vasari.core.errors import NotFoundError
from vasari.core.machine import usable_cores
from vasari.retrieval import ApproximateIndex, ExactIndex

K, DIM, IN_A_ROW = 20, 200, 32


def make(items: int, queries: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    spread = (1 + np.arange(DIM, dtype=np.float32)) ** -0.75
    vectors = rng.standard_normal((items + queries, DIM), dtype=np.float32) * spread
    vectors *= rng.lognormal(0, 0.1, (len(vectors), 1)).astype(np.float32)
    return vectors[queries:], vectors[:queries]


def numpy_top_k(query: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    scores = vectors @ query
    best = np.argpartition(-scores, K)[:K]
    return best[np.argsort(-scores[best])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--queries", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument(
        "--no-ann", action="store_true", help="leave out the graph, whose building takes a minute"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    vectors, queries = make(options.items, options.queries)
    exact = ExactIndex(vectors)
    truth, _ = exact.search(queries, K)
    for row in range(20):
        if set(truth[row]) != set(numpy_top_k(queries[row], vectors)):
            raise SystemExit(f"the two sides differ for query {row}")

    # One by one, some in a row: the other sides read all vectors in between and empty the graph's caches.
    in_a_row = queries[:IN_A_ROW, None]  # (queries, 1, dim)
    sides = {
        "numpy": lambda: [numpy_top_k(query[0], vectors) for query in in_a_row],
        "exact": lambda: [exact.search(query, K) for query in in_a_row],
    }
    graph, built, recall = None, 0.0, 0.0
    if not options.no_ann:
        try:
            built = seconds(lambda: ApproximateIndex(vectors[:1000]))  # without usearch: an error, at once
        except NotFoundError as error:
            print(error)
        else:
            made: list[ApproximateIndex] = []
            built = seconds(lambda: made.append(ApproximateIndex(vectors, threads=usable_cores())))
            graph = made[0]
            found, _ = graph.search(queries, K)
            recall = float(np.mean([len(set(a) & set(b)) / K for a, b in zip(found, truth, strict=True)]))
            sides["graph"] = lambda: [graph.search(query, K) for query in in_a_row]
    single = {side: taken / len(in_a_row) for side, taken in medians(sides, options.repeats).items()}
    many = medians(
        {
            "numpy": lambda: [numpy_top_k(query, vectors) for query in queries[:32]],
            "exact": lambda: exact.search(queries, K),
        },
        3,
    )
    per_query = many["exact"] / len(queries)
    read, summed = vectors.nbytes / peak_bandwidth(), 2 * vectors.size / peak_operations()
    comparisons = [
        compared("one query, exact", single["numpy"], single["exact"], read),
        compared(f"one of {len(queries)} queries, exact", many["numpy"] / 32, per_query, summed),
    ]
    bars = [
        bar("one query, exact", 1e3 * single["exact"], "ms", "<=", 8),
        bar("many queries, exact", 1 / per_query, "queries/s", ">=", 1000),
    ]
    measured = {}
    if graph is not None:
        loop = medians({"graph": lambda: [graph.search(query[None], K) for query in queries]}, 3)
        warm = loop["graph"] / len(queries)
        comparisons.append(compared("one query, graph", single["numpy"], single["graph"]))
        bars += [
            bar("one query, graph", 1e3 * single["graph"], "ms", "<=", 0.2),
            bar("one query, graph, when nobody else uses the caches", 1e3 * warm, "ms", "<=", 0.2),
            bar("recall of the graph", recall, f"of {K}", ">=", 0.97),
        ]
        measured["seconds_to_build_the_graph"] = built
    report("retrieval", comparisons, bars, options.json, **measured)


if __name__ == "__main__":
    main()
