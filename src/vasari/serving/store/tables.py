"""The tables, the same in SQLite and in PostgreSQL."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

# SQLite numbers rows by itself only in a column of exactly this type.
_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


class PgVector(UserDefinedType[str]):
    """The type ``vector`` of the extension pgvector."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Name the type without a length: models differ in theirs."""
        return "vector"


class Vector(TypeDecorator[npt.NDArray[np.float32]]):
    """A float32 vector: bytes in SQLite, pgvector's ``vector`` in PostgreSQL, where SQL can search it."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the type of the column."""
        return dialect.type_descriptor(PgVector() if dialect.name == "postgresql" else LargeBinary())

    def process_bind_param(self, value: npt.NDArray[np.float32] | None, dialect: Dialect) -> Any:
        """To what the driver takes; pgvector reads numbers in brackets, to the last bit."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return "[" + ",".join(repr(float(number)) for number in value) + "]"
        return np.asarray(value, dtype="<f4").tobytes()

    def process_result_value(self, value: Any, dialect: Dialect) -> npt.NDArray[np.float32] | None:
        """From what the driver gives."""
        if value is None:
            return None
        if dialect.name == "postgresql":
            return np.array(str(value).strip("[]").split(","), dtype=np.float32)
        return np.frombuffer(value, dtype="<f4").astype(np.float32)


metadata = MetaData()

# What happened, in the order in which it was committed: whoever has seen number n needs only what follows.
events = Table(
    "events",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),  # microseconds since 1970, UTC, as all times here
    Column("kind", String(20), nullable=False),
    Column("user_id", Text),
    Column("item_id", Text, nullable=False),
    Column("value", Float, nullable=False),
)

# Works hung since the data set was written, and changes to those of the data set.
works = Table(
    "works",
    metadata,
    Column("item_id", Text, primary_key=True),
    Column("added", Boolean, nullable=False),  # False: a work of the data set, `changes` lies over it
    Column("original", Boolean, nullable=False),
    Column("changes", Text, nullable=False),  # JSON: column to value
    Column("picture", Text),  # name of the file among the gallery's own pictures
    Column("extractor", Text),  # fingerprint of what made `features`
    Column("features", Vector),
)

sales = Table(
    "sales",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("item_id", Text, nullable=False),
    Column("buyer", Text, nullable=False),
    # The item of an original, else null: the database itself lets no second sale of an original in.
    Column("original", Text, unique=True),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("key", Text, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("request", String(64), nullable=False),  # SHA-256 of what was asked under the key
    Column("answer", Text, nullable=False),  # JSON
)

exposures = Table(
    "exposures",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("user_id", Text),
    Column("model", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("cold", Boolean, nullable=False),
    Column("items", Text, nullable=False),  # JSON list of item ids, best first
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("digest", String(64), nullable=False),  # SHA-256 of a key of 256 random bits
)

Index("exposures_at", exposures.c.at)
