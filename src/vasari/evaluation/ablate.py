"""What each part of CuratorNet is worth: one thing changed at a time, everything else as in the full model.

==============  ==========================================================================================
group           variants
==============  ==========================================================================================
``guidelines``  without each guideline, with each alone, and uniform triples instead of them
``pooling``     the other ways to pool a profile: mean, max, both
``scale``       features z-scored or as they come
``profile``     other caps on the length of a profile; the positive of guideline 4 in its profile or not
``features``    every further feature table
==============  ==========================================================================================

Messina et al. 2020 report the model with all its guidelines only. The settings are not tuned anew for a
variant: the question is what the part is worth to this model, not how good another model could be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vasari.core.errors import UsageError
from vasari.data.dataset import Dataset
from vasari.evaluation import protocols
from vasari.evaluation.compare import run
from vasari.evaluation.comparison import ModelComparison
from vasari.evaluation.recipe import ModelSpec, Plan, checked_plan
from vasari.features.table import FeatureTable
from vasari.models.curatornet import CuratorNetSettings
from vasari.models.drawing import triple_sampler
from vasari.models.validation import hold_out
from vasari.sampling.sampler import Sampler

FULL = "full"
GROUPS = ("guidelines", "pooling", "scale", "profile", "features")
POOLINGS = (("mean",), ("max",), ("mean", "max"))
CAPS = (5, 20, None)

Variant = tuple[str, dict[str, Any]]


def ablate(
    data: Dataset,
    features: FeatureTable | Mapping[str, FeatureTable],
    out: str | Path | None = None,
    *,
    groups: Sequence[str] = GROUPS,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    protocol: str = "replay",
    seeds: Sequence[int] = (0, 1, 2),
    metric: str = "ndcg@20",
    ks: Sequence[int] = (20, 100),
    device: str = "auto",
    progress: bool | None = None,
) -> ModelComparison:
    """Change one part of CuratorNet at a time and compare every variant with the full model.

    Parameters
    ----------
    features
        One table, or several by name: the first is the full model's, every other a variant.
    out
        As for `vasari.compare`: an ablation that was interrupted goes on.
    groups
        Which of `GROUPS` to run.
    preset, settings
        The full model: CuratorNet's `paper`, `tuned` or `tutorial`, with single settings changed.
    protocol, seeds, metric, ks
        As in a recipe (`vasari.evaluation.recipe.Plan`).

    Returns
    -------
    The comparison, with ``"full"`` as its reference. Variants that this data cannot serve are left out;
    its notes name them.

    Raises
    ------
    UsageError
        An unknown group, or a setting that does not exist or is out of range.
    DataError
        The protocol hides nothing.
    """
    tables = dict(features) if isinstance(features, Mapping) else {"features": features}
    plan = ablation(
        data,
        tables,
        groups=groups,
        preset=preset,
        settings=settings,
        protocol=protocol,
        seeds=seeds,
        metric=metric,
        ks=ks,
    )
    return run(plan, data, tables, out, device, progress)


def ablation(
    data: Dataset,
    tables: Mapping[str, FeatureTable],
    *,
    groups: Sequence[str] = GROUPS,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    protocol: str = "replay",
    seeds: Sequence[int] = (0, 1, 2),
    metric: str = "ndcg@20",
    ks: Sequence[int] = (20, 100),
) -> Plan:
    """The plan of an ablation: the full model and its variants; arguments as for `ablate`."""
    if unknown := [name for name in groups if name not in GROUPS]:
        raise UsageError(f"there is no group {unknown[0]!r} of variants; choose from {', '.join(GROUPS)}")
    if not tables:
        raise UsageError("an ablation needs at least one feature table")
    full = ModelSpec(model="CuratorNet", name=FULL, preset=preset, settings=dict(settings or {}))
    base: CuratorNetSettings = full.build().settings
    notes: list[str] = []
    variants: dict[str, list[Variant]] = {
        "pooling": [(f"pooling {'+'.join(p)}", {"pooling": list(p)}) for p in POOLINGS if p != base.pooling],
        "scale": [(f"scale {name}", {"scale": name}) for name in ("zscore", "none") if name != base.scale],
        "profile": list(_profiles(base)),
    }
    if "guidelines" in groups:
        train = protocols.split(data, protocol).train
        variants["guidelines"] = list(_mixtures(base, train, next(iter(tables.values())), seeds, notes))
    specs = [full]
    for group in groups:
        for title, change in variants.get(group, []):
            specs.append(full.model_copy(update={"name": title, "settings": full.settings | change}))
    if "features" in groups:
        specs += [full.model_copy(update={"name": f"features {n}", "features": n}) for n in list(tables)[1:]]
    content = {"protocol": protocol, "seeds": list(seeds), "metric": metric, "ks": list(ks), "notes": notes}
    models = [spec.model_dump() for spec in specs]
    return checked_plan(content | {"models": models, "reference": FULL}, "ablation")


def _mixtures(
    base: CuratorNetSettings, train: Dataset, table: FeatureTable, seeds: Sequence[int], notes: list[str]
) -> Iterator[Variant]:
    """Other shares of the guidelines; names in `notes` what this data cannot serve."""
    samplers = [_sampler(base, train, table, seed) for seed in seeds]
    left_out = {name: reason for sampler in samplers for name, reason in sampler.left_out.items()}
    notes += [f"left out: without {name}, and {name} alone ({reason})" for name, reason in left_out.items()]
    shares = {name: share for name, share in samplers[0].weights.items() if name not in left_out}
    for name in shares if len(shares) > 2 else ():  # of two, one alone is the other left out
        yield f"without {name}", {"sampling": {n: share for n, share in shares.items() if n != name}}
    for name in shares if len(shares) > 1 else ():
        yield f"{name} alone", {"sampling": {name: 1.0}}
    if "uniform" not in shares:
        yield "uniform", {"sampling": "uniform"}


def _sampler(base: CuratorNetSettings, train: Dataset, table: FeatureTable, seed: int) -> Sampler:
    """The sampler that the full model trains with, so that it is known what can be drawn."""
    rows = table.align(train.catalogue.ids)
    histories, hidden = hold_out(train, rows >= 0, base.validation_share, seed)
    return triple_sampler(train, histories, hidden, table, rows, base.sampling, base.profile_cap, seed)


def _profiles(base: CuratorNetSettings) -> Iterator[Variant]:
    for cap in CAPS:
        if cap != base.profile_cap:
            yield f"profile cap {cap}" if cap else "no profile cap", {"profile_cap": cap}
    inside = base.positive_in_profile
    yield f"positive {'out of' if inside else 'in'} profile", {"positive_in_profile": not inside}
