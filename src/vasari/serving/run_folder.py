"""What a run is: the folder that `vasari demo` writes, or a model's folder with data and features beside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vasari.core.errors import NotFoundError, VasariError
from vasari.core.files import recover_folder
from vasari.data.dataset import DATASET_FILE

DATA_FOLDERS = ("gallery", "data", ".")
EVALUATION = "evaluation"


@dataclass(frozen=True)
class RunFolder:
    """The parts of a run.

    Attributes
    ----------
    root
        The folder; live state goes to ``root/live``.
    data
        The data set (``gallery/``, ``data/`` or the folder itself).
    features
        The feature table (``features/`` in the data set), None without.
    models
        Name to folder: every sub-folder with a ``config.json`` and a ``model.safetensors``, by name.
    evaluation
        What `vasari evaluate` wrote, None without.
    """

    root: Path
    data: Path
    features: Path | None
    models: dict[str, Path]
    evaluation: Path | None

    @classmethod
    def find(
        cls, root: str | Path, data: str | Path | None = None, features: str | Path | None = None
    ) -> RunFolder:
        """Look for the parts of a run in a folder.

        Raises
        ------
        NotFoundError
            There is no data set or no model; the message says where it was looked for.
        """
        root = recover_folder(Path(root))
        if not root.is_dir():
            raise NotFoundError(f"{root} does not exist; make a run with: vasari demo --out {root}")
        models = {root.name: root} if is_model(root) else {}
        models |= {one.name: one for one in sorted(root.iterdir()) if is_model(one)}
        if not models:
            raise NotFoundError(
                f"{root} holds no model; train one with: vasari train DATA --out {root}/MODEL"
            )
        places = [Path(data)] if data is not None else [root / name for name in DATA_FOLDERS]
        found = next((one for one in places if is_data(one)), None)
        if found is None:
            raise NotFoundError(
                f"no data set in {', '.join(map(str, places))}; pass --data with the folder of the data set"
            )
        table = Path(features) if features is not None else found / "features"
        if features is not None and not table.is_dir():
            raise NotFoundError(f"{table} does not exist; make it with: vasari extract {found}")
        evaluation = root / EVALUATION
        return cls(
            root=root,
            data=found,
            features=table if table.is_dir() else None,
            models=models,
            evaluation=evaluation if (evaluation / "evaluation.json").is_file() else None,
        )

    def evaluated(self) -> dict[str, dict[str, float]]:
        """Class of a model to its metrics, means over users; empty where nothing was evaluated."""
        if self.evaluation is None:
            return {}
        from vasari.evaluation.storage import load_evaluation

        try:
            results = load_evaluation(self.evaluation).results
        except VasariError:
            return {}
        means: dict[str, dict[str, float]] = {}
        for result in results:
            frame = result.per_user()
            numbers = {name: frame[name].mean() for name in frame.columns if "@" in name or name == "auc"}
            means[result.name] = {
                name: float(value)
                for name, value in numbers.items()
                if isinstance(value, float) and np.isfinite(value)
            }
        return means


def is_model(folder: Path) -> bool:
    """Whether a model lies in a folder."""
    return (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()


def is_data(folder: Path) -> bool:
    """Whether a data set lies in a folder."""
    return (folder / DATASET_FILE).is_file() or (folder / "catalogue.csv").is_file()
