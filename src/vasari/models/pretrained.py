"""A model on disk: config.json, model.safetensors, items.parquet, users.parquet, README.md, checksums.json.

Numbers lie in safetensors, ids in Parquet, settings in JSON: reading a model can run no code.
"""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import save_file
from safetensors.torch import load_file

from vasari._version import __version__
from vasari.core.errors import DataError, NotFoundError
from vasari.core.files import (
    atomic_folder,
    read_json,
    recover_folder,
    verify_checksums,
    write_json,
    write_text,
)
from vasari.data.ids import Ids
from vasari.data.ragged import Ragged
from vasari.models.base import Recommender
from vasari.models.registry import model_class

FORMAT = 1


def save(model: Recommender[Any], folder: Path) -> Path:
    """Write a fitted model; an existing folder is replaced only once the new one is whole."""
    arrays = {name: np.ascontiguousarray(value) for name, value in model._arrays().items()}
    with atomic_folder(folder) as temporary:
        save_file(arrays, temporary / "model.safetensors")
        pl.DataFrame(
            {
                "item_id": list(model.item_ids),
                "scorable": model.scorable,
                "available": model.available,
                "popularity": model.popularity,
            }
        ).write_parquet(temporary / "items.parquet")
        pl.DataFrame(
            {"user_id": list(model.user_ids), "profile": [model.item_ids.take(p) for p in model.profiles]},
            schema={"user_id": pl.String, "profile": pl.List(pl.String)},
        ).write_parquet(temporary / "users.parquet")
        write_json(
            temporary / "config.json",
            {
                "format": FORMAT,
                "vasari": __version__,
                "model": model.name,
                "settings": model.config(),
                "trained_on": model.trained_on,
                "features": model.fingerprint,
                "history": model.history,
            },
        )
        write_text(temporary / "README.md", model_card(model))
    return folder


def load(folder: str | Path) -> Recommender[Any]:
    """Read a model that `save_pretrained` wrote.

    Raises
    ------
    NotFoundError
        No such folder, or the model's class is not known here.
    CorruptFileError
        A file is missing or differs from its checksum.
    DataError
        The folder was written by a newer Vasari.
    """
    folder = recover_folder(Path(folder))
    if not (folder / "config.json").is_file():
        raise NotFoundError(
            f"{folder} holds no model (no config.json); train one with: vasari train DATA --out DIR"
        )
    verify_checksums(folder)
    config = read_json(folder / "config.json")
    if config["format"] > FORMAT:
        raise DataError(f"{folder} was written by Vasari {config['vasari']}; update Vasari to read it")
    model = model_class(config["model"])(**config["settings"])
    items = pl.read_parquet(folder / "items.parquet")
    users = pl.read_parquet(folder / "users.parquet")
    model.item_ids = Ids(items["item_id"])
    model.scorable = items["scorable"].to_numpy()
    model.available = items["available"].to_numpy()
    model.popularity = items["popularity"].to_numpy()
    model.user_ids = Ids(users["user_id"], what="user_id")
    lengths = users["profile"].list.len().to_numpy()
    model.profiles = Ragged.from_lengths(
        model.item_ids.rows(users["profile"].explode().drop_nulls()), lengths
    )
    model.trained_on, model.fingerprint = config["trained_on"], config["features"]
    model.history = config["history"]
    # Mapped by torch and copied by NumPy, into large pages and without holding Python up, as the reader of
    # NumPy arrays would: a gallery goes on.
    tensors = load_file(folder / "model.safetensors")
    model._restore({name: np.array(tensor.numpy()) for name, tensor in tensors.items()})
    return model


def model_card(model: Recommender[Any]) -> str:
    """A Markdown card with a YAML header, filled from the run itself."""
    header = "---\nlibrary_name: vasari\ntags:\n- recommender-system\n- visual-recommendation\n---\n"
    settings = "\n".join(f"| {name} | `{value}` |" for name, value in model.config().items())
    lines = [
        f"# {model.name}",
        (type(model).__doc__ or model.name).strip().splitlines()[0],
        "## Trained on",
        f"{len(model.item_ids):,} works, {len(model.user_ids):,} users, "
        f"{int(model.profiles.lengths.sum()):,} distinct (user, work) pairs; data fingerprint "
        f"`{model.trained_on}`.",
        f"Vasari {__version__}, Python {platform.python_version()}, {platform.machine()}.",
        "## Settings",
        f"| setting | value |\n|---|---|\n{settings}" if settings else "None.",
    ]
    if model.history:
        names = [n for n in ("loss", "auc", "ndcg@20", "accuracy") if n in model.history[-1]]
        rows = "\n".join(
            f"| {entry['epoch']} | "
            + " | ".join(f"{entry[n]:.4f}" if n in entry else "" for n in names)
            + " |"
            for entry in model.history
        )
        lines += [
            "## Training",
            "Validation metrics are those of baskets hidden from training.",
            f"| epoch | {' | '.join(names)} |\n|---|{'---|' * len(names)}\n{rows}",
        ]
    lines += ["## Use", '```python\nimport vasari as vs\nmodel = vs.load("this-folder")\n```']
    return header + "\n" + "\n\n".join(lines) + "\n"
