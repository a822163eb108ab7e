"""An evaluation on disk: one folder per finished model, whole or absent, and one file that joins them.

out/
  evaluation.json     names the models' folders; written last
  cases.parquet       user_id, profile, relevant, time, and with sampled candidates shortlist
  items.parquet       item_id, enters, leaves
  models/<name>-<key>/  result.json, per_case.parquet, top.npz, checksums.json
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from vasari.core.errors import CorruptFileError, VasariError
from vasari.core.files import (
    atomic_folder,
    atomic_path,
    read_json,
    recover_folder,
    sha256_file,
    verify_checksums,
    write_json,
)
from vasari.data.cases import Cases
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.data.stock import Stock
from vasari.evaluation.result import Evaluation, ModelResult

EVALUATION_FILE = "evaluation.json"
_PLAIN = ("name", "config", "history", "refitted", "seconds_fit", "seconds_score", "key", "overall")
_FACTS = (
    "data_name", "simulated", "protocol", "counts", "left_out", "seed", "legacy", "fingerprints", "provenance"
)  # fmt: skip


def result_folder(out: Path, name: str, key: str) -> Path:
    """Where the result of one model stands."""
    legible = re.sub(r"[^A-Za-z0-9._=-]+", "_", name)[:100]  # for people; file names end at 255 bytes
    return out / "models" / f"{legible}-{key[:16]}"


def save_result(result: ModelResult, out: Path) -> Path:
    """Write one finished model, all or nothing."""
    folder = result_folder(out, result.name, result.key)
    with atomic_folder(folder) as temporary:
        result.per_case.write_parquet(temporary / "per_case.parquet")
        np.savez(temporary / "top.npz", items=result.top_items, scores=result.top_scores)
        write_json(temporary / "result.json", plain({name: getattr(result, name) for name in _PLAIN}))
    return folder


def load_result(folder: Path) -> ModelResult:
    """Read one model's result.

    Raises
    ------
    CorruptFileError, NotFoundError
        It is damaged or absent.
    """
    folder = recover_folder(folder)
    verify_checksums(folder)
    facts = read_json(folder / "result.json")
    with np.load(folder / "top.npz", allow_pickle=False) as top:
        items, scores = top["items"], top["scores"]
    frame = pl.read_parquet(folder / "per_case.parquet")
    return ModelResult(per_case=frame, top_items=items, top_scores=scores, **facts)


def finished_result(out: Path, name: str, key: str) -> ModelResult | None:
    """Return the result under exactly this key if it stands whole in `out`, else None."""
    try:
        result = load_result(result_folder(out, name, key))
    except VasariError:
        return None
    return result if result.key == key else None


def save_evaluation(evaluation: Evaluation, out: Path) -> Path:
    """Write the cases and every result that is not there yet, and last the file that names them."""
    for result in evaluation.results:
        if finished_result(out, result.name, result.key) is None:
            save_result(result, out)
    tables = dict(zip(("cases.parquet", "items.parquet"), _tables(evaluation.cases), strict=True))
    for name, table in tables.items():
        with atomic_path(out / name) as path:
            table.write_parquet(path)
    facts = {name: getattr(evaluation, name) for name in _FACTS}
    facts |= {
        "ks": list(evaluation.ks),
        "exclude_profile": evaluation.cases.exclude_profile,
        "models": [{"name": r.name, "key": r.key} for r in evaluation.results],
        "sha256": {name: sha256_file(out / name) for name in tables},
    }
    write_json(out / EVALUATION_FILE, plain(facts))
    return out


def load_evaluation(out: Path) -> Evaluation:
    """Read what `save_evaluation` wrote."""
    facts = read_json(out / EVALUATION_FILE)
    for name, expected in facts["sha256"].items():
        if not (out / name).is_file() or sha256_file(out / name) != expected:
            raise CorruptFileError(f"{out / name} is missing or differs from its checksum; evaluate again")
    items = pl.read_parquet(out / "items.parquet")
    rows = pl.read_parquet(out / "cases.parquet")
    cases = Cases(
        rows["user_id"].to_list(),
        Ids(items["item_id"]),
        _ragged(rows["profile"]),
        _ragged(rows["relevant"]),
        rows["time"].to_numpy(),
        Stock(items["enters"].to_numpy(), items["leaves"].to_numpy()),
        facts["exclude_profile"],
        _ragged(rows["shortlist"]) if "shortlist" in rows.columns else None,
    )
    results = [load_result(result_folder(out, entry["name"], entry["key"])) for entry in facts["models"]]
    return Evaluation(
        cases=cases, ks=tuple(facts["ks"]), results=results, **{name: facts[name] for name in _FACTS}
    )


def _tables(cases: Cases) -> tuple[pl.DataFrame, pl.DataFrame]:
    integers = pl.List(pl.Int64)
    rows = pl.DataFrame(
        {
            "user_id": pl.Series(cases.user_ids, dtype=pl.String),
            "profile": pl.Series([row.tolist() for row in cases.profiles], dtype=integers),
            "relevant": pl.Series([row.tolist() for row in cases.relevant], dtype=integers),
            "time": cases.times,
        }
    )
    if cases.shortlist is not None:
        shortlist = pl.Series("shortlist", [row.tolist() for row in cases.shortlist], dtype=integers)
        rows = rows.with_columns(shortlist)
    items = pl.DataFrame(
        {
            "item_id": pl.Series(list(cases.item_ids), dtype=pl.String),
            "enters": cases.stock.enters,
            "leaves": cases.stock.leaves,
        }
    )
    return rows, items


def _ragged(column: pl.Series) -> Ragged:
    values = column.explode().drop_nulls()  # an empty list explodes to one null
    return Ragged.from_lengths(values.to_numpy(), column.list.len().to_numpy())


def plain(value: Any) -> Any:
    """Turn a value into what JSON can hold: no NaN, no infinities, no NumPy numbers, no tuples."""
    if isinstance(value, dict):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return json.loads(json.dumps(value, default=str))
