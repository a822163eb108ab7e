"""Ranking metrics as pure functions of ranks, and how sure one can be of their means."""

from vasari.metrics.intervals import Comparison, Interval, bootstrap, compare, effect_size, holm
from vasari.metrics.measures import measure, metric_names
from vasari.metrics.ranks import Ranks, Score, Tile, rank, rank_cases, scored_tiles

__all__ = [
    "Comparison",
    "Interval",
    "Ranks",
    "Score",
    "Tile",
    "bootstrap",
    "compare",
    "effect_size",
    "holm",
    "measure",
    "metric_names",
    "rank",
    "rank_cases",
    "scored_tiles",
]
