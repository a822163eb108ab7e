"""What a comparison is made of, as one YAML file that says everything and is checked before anything runs.

.. code-block:: yaml

    data: gallery                 # a dataset folder; paths are relative to this file
    features: gallery/features    # or {efficientnet: ..., resnet: ...}; DATA/features by default
    protocol: replay
    seeds: [0, 1, 2]
    trials: 20                    # settings tried for each model that has a grid
    metric: ndcg@20               # what tuning and the tests look at
    models:
      - model: CuratorNet
        preset: tuned
        settings: {epochs: 10}
        grid:
          learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
          pooling: [[mean], [max], [mean, max]]
      - {model: VisRank, name: VisRank max, settings: {similarity: max}}
      - model: Popularity
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    FiniteFloat,
    Tag,
    ValidationError,
    model_validator,
)
from typing_extensions import Self

from vasari.core.errors import DataError, NotFoundError, UsageError
from vasari.metrics import metric_names
from vasari.models import model_class
from vasari.models.base import Recommender
from vasari.models.presets import build_model


class _Strict(BaseModel):
    """Keys that do not exist are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Strict):
    """All numbers between two bounds; whole ones if both bounds are whole."""

    low: int | FiniteFloat
    high: int | FiniteFloat
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low={self.low} must be below high={self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low={self.low} must be above 0 on a logarithmic scale")
        return self


Choice = Annotated[
    Annotated[list[Any], Field(min_length=1), Tag("values")] | Annotated[Range, Tag("range")],
    Discriminator(lambda value: "range" if isinstance(value, Mapping | Range) else "values"),
]


class ModelSpec(_Strict):
    """One competitor.

    Attributes
    ----------
    model
        Name in the registry.
    name
        What it is called in the tables; the model's name by default.
    preset
        CuratorNet's `paper`, `tuned` or `tutorial`; `settings` change it.
    settings
        Fixed settings.
    grid
        Settings to be tuned: a list of values or a range each.
    features
        Name of the feature table that it looks at; the first by default.
    """

    model: str
    name: str = ""
    preset: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    grid: dict[str, Choice] = Field(default_factory=dict)
    features: str | None = None

    @property
    def title(self) -> str:
        """What it is called in the tables."""
        return self.name or self.model

    def build(self, tuned: Mapping[str, Any] | None = None) -> Recommender[Any]:
        """The unfitted model, with settings found by tuning if there are any."""
        return build_model(self.model, self.preset, {**self.settings, **(tuned or {})})


class Plan(_Strict):
    """A comparison without the places of its data.

    Attributes
    ----------
    models
        The competitors.
    protocol
        What is hidden for the test (`vasari.evaluation.protocols`).
    validation
        The protocol that hides validation cases in the training part; the same by default.
    seeds
        Of the fits; each model is fitted once for each.
    trials
        Settings tried for each model with a grid, the same number for all.
    metric
        What tuning maximises and the tests compare.
    ks
        Lengths of the list.
    reference
        The model that the others are compared with; the best by default.
    notes
        Remarks that the results shall carry.
    """

    models: list[ModelSpec] = Field(min_length=1)
    protocol: str = "replay"
    validation: str | None = None
    seeds: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(default=[0, 1, 2], min_length=1)
    trials: int = Field(default=20, ge=1)
    metric: str = "ndcg@20"
    ks: list[Annotated[int, Field(ge=1)]] = Field(default=[20, 100], min_length=1)
    reference: str | None = None
    notes: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds={self.seeds} names one twice")
        if self.metric not in (known := metric_names(self.ks)):
            raise ValueError(f"metric={self.metric!r} is not measured for ks={self.ks}; there are {known}")
        titles = [spec.title for spec in self.models]
        if twice := [title for title in titles if titles.count(title) > 1]:
            raise ValueError(f"two models are called {twice[0]!r}; give each a name of its own")
        if self.reference not in (None, *titles):
            raise ValueError(f"reference={self.reference!r} is none of the models {titles}")
        return self

    def verify(self) -> None:
        """Build every model with its fixed settings and with each value or bound of its grid.

        Raises
        ------
        NotFoundError, UsageError
            A model, preset or setting does not exist or is out of range; names its place.
        """
        for number, spec in enumerate(self.models):
            try:
                if both := set(spec.settings) & set(spec.grid):
                    raise UsageError(f"{sorted(both)[0]!r} stands in settings and in grid; keep one")
                spec.build()
                for setting, choice in spec.grid.items():
                    for value in [choice.low, choice.high] if isinstance(choice, Range) else choice:
                        spec.build({setting: value})
            except (NotFoundError, UsageError) as error:
                raise type(error)(f"models[{number}]: {error}") from None


class Recipe(Plan):
    """A comparison with the places of its data.

    Attributes
    ----------
    data
        A dataset folder.
    features
        A feature table, or several by name; ``DATA/features`` by default, if a model looks at pictures.
    """

    data: Path
    features: Path | dict[str, Path] | None = None

    @property
    def tables(self) -> dict[str, Path]:
        """The feature tables by name."""
        if isinstance(self.features, dict):
            return self.features
        if self.features is None and not any(model_class(s.model).needs_features for s in self.models):
            return {}
        return {"features": self.features or self.data / "features"}


def read_recipe(path: str | Path) -> Recipe:
    """Read and check a recipe; its paths are taken relative to the file.

    Raises
    ------
    NotFoundError
        There is no such file.
    DataError
        It is no YAML, or a key is unknown, missing, given twice or of the wrong kind; names key and place.
    """
    path = Path(path)
    try:
        # A subclass of the safe loader: it makes lists, dictionaries, texts and numbers, nothing else.
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  # see above
    except OSError as error:
        raise NotFoundError(f"the recipe {path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: bytes that are no UTF-8, a 13th month
        raise DataError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    recipe = parse_recipe(content, str(path))
    features = recipe.features
    if isinstance(features, dict):
        features = {name: path.parent / table for name, table in features.items()}
    elif features is not None:
        features = path.parent / features
    return recipe.model_copy(update={"data": path.parent / recipe.data, "features": features})


def parse_recipe(content: Any, where: str = "recipe") -> Recipe:
    """Check a recipe given as a dictionary.

    Raises
    ------
    DataError
        As for `read_recipe`.
    """
    return _checked(Recipe, content, where)


def checked_plan(content: Any, where: str) -> Plan:
    """Check a plan given as a dictionary, as `parse_recipe` does a recipe."""
    return _checked(Plan, content, where)


P = TypeVar("P", bound=Plan)


def _checked(kind: type[P], content: Any, where: str) -> P:
    if not isinstance(content, Mapping):
        raise DataError(f"{where} holds {type(content).__name__}, not keys with values: data, models, ...")
    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        raise DataError(f"{where}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    """The first problem in one sentence: where, what, and what would be right."""
    problem = error.errors()[0]
    # What is left out names a choice between types, not a place: "values", "int", "lax-or-strict[...]".
    choices = re.compile(r"values|range|int|float|path|dict\[.*|lax-or-strict\[.*")
    loc = [part for part in problem["loc"] if not choices.fullmatch(str(part))]
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).lstrip(".")
    if problem["type"] == "extra_forbidden":
        level = Recipe if len(loc) == 1 else ModelSpec if len(loc) == 3 else Range
        return f"{place} is no key that is known here; there are {', '.join(level.model_fields)}"
    if problem["type"] == "missing":
        return f"{place} is missing"
    said = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {said}" if place else said


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as PyYAML reads it, but ``1e-4`` is a number and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":  # ``<<: *other``, whose keys may be given again
                continue
            if (name := self.construct_object(key, deep=True)) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {name!r} is given twice", key.start_mark
                )
            seen.append(name)
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)
