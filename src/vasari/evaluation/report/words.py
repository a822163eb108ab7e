"""Numbers and names as people write them."""

from __future__ import annotations

import math
import re
from datetime import datetime

_NAMES = {
    "auc": "AUC",
    "rr": "RR",
    "mrr": "MRR",
    "ndcg": "nDCG",
    "map": "MAP",
    "ap": "AP",
    "recall": "Recall",
    "precision": "Precision",
    "hit_rate": "Hit rate",
    "hit": "Hit rate",
    "hr": "Hit rate",
    "diversity": "Visual diversity",
    "originals": "Originals shown",
    "artist_gini": "Artist Gini",
}


def metric_name(key: str) -> str:
    """``ndcg@20`` as ``nDCG@20``."""
    stem, at, k = key.partition("@")
    return _NAMES.get(stem, stem.replace("_", " ").capitalize()) + at + k


def count(value: float) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{int(value):,}".replace(",", "\u202f")


def decimal(value: float | None, places: int = 3) -> str:
    """A number without its leading zero, as statistics are set; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    written = f"{value:.{places}f}"
    return re.sub(r"^(-?)0\.", r"\1.", written).replace("-", "\u2212")


def probability(value: float | None) -> str:
    """A p-value: three places, or the bound it lies below."""
    if value is None or not math.isfinite(value):
        return "–"
    return "< .001" if value < 0.001 else decimal(value)


def plural(value: int, one: str, many: str | None = None) -> str:
    """Count and noun."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def day(moment: datetime) -> str:
    """A date as ``4 March 2025``."""
    return f"{moment.day} {moment:%B %Y}"


def duration(seconds: float) -> str:
    """A length of time in the unit one would say it in."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
