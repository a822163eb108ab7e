"""Tables over users, the same for one evaluation and for several seeds pooled.

Every function takes, by name of the model, one row per user: the same users in the same order for all
models, with the columns user_id, profile_size and one per metric (null where undefined).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from vasari.core.errors import NotFoundError
from vasari.metrics import Comparison, bootstrap, compare, holm

Users = Mapping[str, pl.DataFrame]

PROFILE_SIZES = (0, 1, 2, 3, 5, 10, 20)  # lower ends of the classes of `by_profile_size`


def column(users: Users, model: str, metric: str) -> npt.NDArray[np.float64]:
    """One value per user, NaN where undefined, shape (users,).

    Raises
    ------
    NotFoundError
        There is no such model or metric.
    """
    if model not in users:
        raise NotFoundError(f"no model {model!r} was evaluated; there are {list(users)}")
    if metric not in users[model].columns:
        known = [name for name in users[model].columns if name not in ("user_id", "profile_size")]
        raise NotFoundError(f"no metric {metric!r} was computed; there are {known}")
    values = users[model][metric].cast(pl.Float64).fill_null(np.nan)
    return np.asarray(values.to_numpy(), dtype=np.float64)


def summary(users: Users, metrics: Sequence[str], seed: int) -> pl.DataFrame:
    """Long table: model, metric, mean, low, high (95% bootstrap over users), n (users with a value)."""
    rows = []
    for model in users:
        columns = [column(users, model, metric) for metric in metrics]
        intervals = bootstrap(np.stack(columns, axis=1), seed) if columns else []
        for metric, interval in zip(metrics, intervals, strict=True):
            rows.append((model, metric, interval.mean, interval.low, interval.high, interval.n))
    schema = dict.fromkeys(("model", "metric"), pl.String) | dict.fromkeys(
        ("mean", "low", "high"), pl.Float64
    )
    return pl.DataFrame(rows, schema=schema | {"n": pl.Int64}, orient="row")


def compare_with(users: Users, reference: str, metric: str, seed: int) -> pl.DataFrame:
    """Every other model against one, paired over users; both tests are also Holm-adjusted.

    Returns
    -------
    Table of model, difference (model - reference), low, high, p_permutation, p_wilcoxon, p_holm (of the
    permutation test), p_wilcoxon_holm, effect (Cohen's d_z), better, worse, tied (shares of users).
    """
    others = [name for name in users if name != reference]
    found: list[Comparison] = [
        compare(column(users, name, metric), column(users, reference, metric), seed) for name in others
    ]
    return pl.DataFrame(
        {
            "model": pl.Series(others, dtype=pl.String),
            "difference": [c.difference.mean for c in found],
            "low": [c.difference.low for c in found],
            "high": [c.difference.high for c in found],
            "p_permutation": [c.p_permutation for c in found],
            "p_wilcoxon": [c.p_wilcoxon for c in found],
            "p_holm": holm([c.p_permutation for c in found]),
            "p_wilcoxon_holm": holm([c.p_wilcoxon for c in found]),
            **{name: [getattr(c, name) for c in found] for name in ("effect", "better", "worse", "tied")},
        }
    )


def by_profile_size(users: Users, metric: str, seed: int) -> pl.DataFrame:
    """How a metric grows with what is known about a user.

    Returns
    -------
    Table of model, profile_size (as ``"3-4"``), from (lower end), n, mean, low, high; classes without
    users are left out.
    """
    rows = []
    for model, frame in users.items():
        sizes, values = frame["profile_size"].to_numpy(), column(users, model, metric)
        for low, high in zip(PROFILE_SIZES, (*PROFILE_SIZES[1:], np.inf), strict=True):
            inside = (sizes >= low) & (sizes < high)
            if inside.any():
                interval = bootstrap(values[inside], seed)[0]
                numbers = (interval.n, interval.mean, interval.low, interval.high)
                rows.append((model, _class(low, high), low, *numbers))
    columns = ("model", "profile_size", "from", "n", "mean", "low", "high")
    return pl.DataFrame(rows, schema=columns, orient="row")


def _class(low: int, high: float) -> str:
    if high == np.inf:
        return f"{low}+"
    return str(low) if high == low + 1 else f"{low}-{int(high) - 1}"
