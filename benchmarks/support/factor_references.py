"""What Cornac's VBPR and implicit's BPR learn from a log, trained in an interpreter that has them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmarks.support import collaborative_reference

import vasari as vs
from vasari.data.cases import Cases
from vasari.metrics import measure, rank_cases
from vasari.models.bank import FeatureBank

Run = tuple[str, int, dict[str, Any]]


@dataclass(frozen=True)
class Vectors:
    """A score is the product of a user's and an item's; rows as in the log and the catalogue."""

    seconds: float
    users: np.ndarray
    items: np.ndarray


def references(data: vs.Dataset, table: vs.FeatureTable, python: str, runs: list[Run]) -> list[Vectors]:
    """Train each of `runs`, (vbpr or bpr, seed, settings), with the interpreter `python`.

    Features reach Cornac standardised and divided by the root of their number, as Vasari scales them itself.
    """
    bank = FeatureBank.fit(table.matrix, table.align(data.catalogue.ids), "zscore")
    features = (bank.take(torch.arange(len(bank))) / bank.dim**0.5).numpy()
    histories = data.histories
    with tempfile.TemporaryDirectory() as folder:
        given, found = Path(folder) / "given.npz", Path(folder) / "found.npz"
        np.savez(given, users=histories.users, items=histories.items.values, features=features)
        packages = Path(torch.__file__).parent.parent
        script = collaborative_reference.__file__
        command = [python, script, given, found, json.dumps(runs), packages]
        subprocess.run(command, check=True, stdout=sys.stderr)
        with np.load(found) as kept:
            return [
                Vectors(float(kept[f"seconds {n}"]), kept[f"users {n}"], kept[f"items {n}"])
                for n in range(len(runs))
            ]


def judge(data: vs.Dataset, cases: Cases, users: np.ndarray, items: np.ndarray) -> dict[str, np.ndarray]:
    """AUC and nDCG@20 of every case, all candidates ranked."""
    rows = data.histories.user_ids.find(cases.user_ids)
    by_name = dict(zip(cases.user_ids, users[rows], strict=True))
    ranks = rank_cases(lambda _, names: np.stack([by_name[name] for name in names]) @ items.T, cases)
    found = measure(ranks, ks=(20,))
    return {metric: found[metric] for metric in ("auc", "ndcg@20")}
