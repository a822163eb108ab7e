"""What goes over the wire, checked at the door; the OpenAPI document is made from it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from fastapi import Header, Path, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from vasari.serving.asks import MOST, Answer, Ask, Work
from vasari.serving.filters import MOST_CONDITIONS, MOST_LETTERS, MOST_VALUES, Filters

NAME = r"^[^\x00-\x1f\x7f]+$"  # ids and names hold no control characters
LONGEST_NAME = 200
MOST_COLUMNS = 50  # in one request

Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=NAME)]
Names = Annotated[list[Name], Field(max_length=MOST)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(max_length=MOST_LETTERS, pattern=r"^[^\x00]*$")]
Value = bool | int | Number | Text
K = Annotated[int, Field(ge=1, le=MOST)]

ItemPath = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME, pattern=NAME, examples=["w017"])]
UserPath = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME, pattern=NAME, examples=["u1"])]
KQuery = Annotated[int, Query(ge=1, le=MOST, description="How many works.")]
FilterQuery = Annotated[
    list[Annotated[str, StringConstraints(max_length=MOST_VALUES * MOST_LETTERS, pattern=r"^[^\x00]*$")]],
    Query(
        alias="filter",
        max_length=MOST_CONDITIONS,
        description="`column:value`, `column:one|another` or `column:low..high`; repeatable, all must hold.",
        examples=[["style:landscape|garden", "width:100..300"]],
    ),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST_NAME,
        description="The same key with the same request is done once and answered alike.",
    ),
]


class Body(BaseModel):
    """A request: nothing but the fields that are named, of the types that are named."""

    model_config = ConfigDict(extra="forbid", strict=True)


class RangeIn(Body):
    """A range; either end may be left out."""

    min: Number | None = None
    max: Number | None = None


def _few(given: Any) -> Any:
    """Refuse what is far too much before each part of it is looked at, and the error of each written down."""
    if isinstance(given, dict) and len(given) > MOST_COLUMNS:
        raise ValueError(f"{len(given)} columns are more than {MOST_COLUMNS}")
    if isinstance(given, dict) and any(
        isinstance(one, list | dict) and len(one) > MOST_VALUES for one in given.values()
    ):
        raise ValueError(f"a column has more than {MOST_VALUES} values")
    return given


FiltersIn = Annotated[
    dict[Name, Value | Annotated[list[Value], Field(min_length=1, max_length=MOST_VALUES)] | RangeIn],
    BeforeValidator(_few),
    Field(max_length=MOST_CONDITIONS, examples=[{"style": ["landscape", "garden"], "width": {"min": 100}}]),
]


class AskIn(Body):
    """For whom, and how, a wall is to be hung; everything may be left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"user_id": "u1", "k": 12},
                {"likes": ["w017", "w023"], "dislikes": ["w004"], "k": 12, "diversity": 0.3, "per_artist": 2},
                {"likes": ["w017"], "filters": {"style": ["landscape"], "width": {"max": 300}}},
            ]
        }
    )

    user_id: Name | None = Field(None, description="Whose history counts; an unknown id is a cold start.")
    likes: Names = []
    dislikes: Names = []
    k: K = 20
    filters: FiltersIn = {}
    exclude: Names = []
    diversity: Share = 0.0
    per_artist: Annotated[int, Field(ge=1, le=MOST)] | None = None
    novelty: Share = 0.0
    model: Name | None = Field(None, description="Which model; else the one this user is assigned to.")

    def ask(self, images: tuple[Any, ...] = ()) -> Ask:
        """The ask, with pictures if any came along."""
        return Ask(
            user_id=self.user_id,
            likes=tuple(self.likes),
            dislikes=tuple(self.dislikes),
            images=images,
            k=self.k,
            filters=Filters.from_json(self.model_dump(include={"filters"}, exclude_none=True)["filters"]),
            exclude=tuple(self.exclude),
            diversity=self.diversity,
            per_artist=self.per_artist,
            novelty=self.novelty,
            model=self.model,
        )


class ExplainIn(AskIn):
    """A visitor, as for a recommendation, and the works to explain."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"likes": ["w017", "w023"], "items": ["w099"]}]}
    )

    items: Annotated[list[Name], Field(min_length=1, max_length=100)]


class InteractionIn(Body):
    """What a user did."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"user_id": "u1", "item_id": "w017", "kind": "like"}]}
    )

    user_id: Name
    item_id: Name
    kind: Literal["like", "dislike", "view"] = "like"
    value: Number = 1.0


class SaleIn(Body):
    """Who buys."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"buyer": "u1"}]})

    buyer: Name


class ChangesIn(Body):
    """Values by column; `removed` takes a work off the walls."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"changes": {"title": "Morning", "removed": True}}]}
    )

    changes: Annotated[
        dict[Name, Value | None], BeforeValidator(_few), Field(min_length=1, max_length=MOST_COLUMNS)
    ]


class SwapIn(Body):
    """Which folder of the run holds the model."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"folder": "curatornet-2"}]})

    folder: Name


class HungOut(BaseModel):
    """One work of an answer."""

    item_id: str
    score: float
    rank: int


class AnswerOut(BaseModel):
    """A wall. `fallback` says what answered in place of the model, `cold` that nothing was known."""

    works: list[HungOut]
    model: str
    version: str
    cold: bool
    fallback: Literal["popularity", "looks"] | None


class ReasonOut(BaseModel):
    """How much a work of the profile (or ``image:0``, an uploaded picture) speaks for a work."""

    item_id: str
    contribution: float
    exact: bool


class ExplanationOut(BaseModel):
    """Reasons of one work, strongest first."""

    item_id: str
    reasons: list[ReasonOut]


class HeatMapOut(BaseModel):
    """Where in a picture of the profile the model looked: `rows` of positions, which sum to 1.

    They share out a square in the middle of the picture, whose side is `cover` times the picture's shorter
    side or, if `padded`, its longer one. `weight` is how much the model looked at this work at all.
    """

    item_id: str
    weight: float
    rows: list[list[float]]
    cover: float
    padded: bool


class WorkOut(BaseModel):
    """An artwork."""

    item_id: str
    title: str | None
    artist_id: str | None
    columns: dict[str, Any]
    original: bool
    available: bool
    picture: str | None = Field(description="Where its picture can be had.")


class PageOut(BaseModel):
    """Some works of a longer list."""

    works: list[WorkOut]
    total: int


class SaleOut(BaseModel):
    """A sale that is safely on disk."""

    sale_id: int
    item_id: str
    buyer: str
    sold_at: str


class ProfileOut(BaseModel):
    """What a user took or likes, and dislikes, oldest first."""

    likes: list[str]
    dislikes: list[str]


class IntervalOut(BaseModel):
    """A mean over `n` users and its 95% interval."""

    mean: float
    low: float
    high: float
    n: int


class ModelOut(BaseModel):
    """A model that answers."""

    name: str
    kind: str
    version: str
    age_seconds: float
    share: float
    evaluation: dict[str, IntervalOut] = Field(description="Of the last evaluation: means over users.")


def answer_json(answer: Answer) -> dict[str, Any]:
    """As `AnswerOut`."""
    works = [{"item_id": one.item_id, "score": _finite(one.score), "rank": one.rank} for one in answer.works]
    return {
        "works": works,
        "model": answer.model,
        "version": answer.version,
        "cold": answer.cold,
        "fallback": answer.fallback,
    }


def work_out(work: Work) -> WorkOut:
    """What a visitor may see: not where the file lies."""
    from urllib.parse import quote

    address = None if work.picture is None else f"/v1/works/{quote(work.item_id, safe='')}/picture"
    columns = {name: _plain(value) for name, value in work.columns.items()}
    return WorkOut(
        item_id=work.item_id,
        title=work.title,
        artist_id=work.artist_id,
        columns=columns,
        original=work.original,
        available=work.available,
        picture=address,
    )


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return _finite(value)
    return value if value is None or isinstance(value, (str, int, bool)) else str(value)


def _finite(value: float) -> float | None:
    """JSON has no infinities."""
    return value if math.isfinite(value) else None
