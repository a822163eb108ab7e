"""What a run is: the folder that `vasari demo` writes, or a model's folder with data and features beside."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vasari.core.errors import NotFoundError, VasariError
from vasari.core.files import recover_folder
from vasari.data.dataset import DATASET_FILE
from vasari.metrics import Interval

logger = logging.getLogger(__name__)

DATA_FOLDERS = ("gallery", "data", ".")
EVALUATION = "evaluation"


@dataclass(frozen=True)
class Evaluated:
    """An evaluation: what it was of; for every class of models, metric to mean over users with interval."""

    title: str | None = None
    means: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)


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
            if root.exists():
                raise NotFoundError(f"{root} is a file; name the folder of a run")
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

    def evaluated(self) -> Evaluated:
        """What the last evaluation found; nothing where there was none, or it cannot be read."""
        if self.evaluation is None:
            return Evaluated()
        from vasari.evaluation.storage import load_evaluation

        try:
            found = load_evaluation(self.evaluation)
        except VasariError as error:
            logger.warning("the evaluation in %s is not shown: %s", self.evaluation, error)
            return Evaluated()
        means: dict[str, dict[str, Interval]] = {}
        for model, metric, *numbers in found.summary().iter_rows():
            if numbers[-1]:  # users who have it
                means.setdefault(model, {})[metric] = Interval(*numbers)
        return Evaluated(found.title, means)


def is_model(folder: Path) -> bool:
    """Whether a model lies in a folder."""
    return (folder / "config.json").is_file() and (folder / "model.safetensors").is_file()


def is_data(folder: Path) -> bool:
    """Whether a data set lies in a folder."""
    return (folder / DATASET_FILE).is_file() or (folder / "catalogue.csv").is_file()
