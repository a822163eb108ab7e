"""Connections: SQLite that survives kill -9, or PostgreSQL; either lets one writer in at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from vasari.core.errors import UsageError

WAIT = 10  # seconds for another writer
ANSWER = 15.0  # seconds for an answer of PostgreSQL, which may itself have waited for another writer
_WRITER = 7_218_245_112  # PostgreSQL's advisory lock of writers


def connect(url: str, patience: float = ANSWER) -> Engine:
    """An engine for ``sqlite:///FILE`` or ``postgresql://...``, whose driver is psycopg.

    Parameters
    ----------
    url
        As SQLAlchemy writes it.
    patience
        Seconds that PostgreSQL has for one answer.

    Raises
    ------
    UsageError
        The URL names no database that can be used.
    """
    try:
        parsed = make_url(url)
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.get_backend_name() not in ("sqlite", "postgresql"):
            raise UsageError(f"database {parsed.drivername!r} is not supported; use sqlite or postgresql")
        if parsed.get_backend_name() == "postgresql" and parsed.get_driver_name() != "psycopg":
            raise UsageError(f"database {parsed.drivername!r} is not supported; write postgresql://")
        lite = parsed.get_backend_name() == "sqlite"
        arguments = {"connect_args": {"check_same_thread": False, "timeout": WAIT}} if lite else {}
        engine = create_engine(parsed, pool_size=8, max_overflow=16, pool_pre_ping=not lite, **arguments)
        if not lite:
            _be_patient(engine, patience)
    except ArgumentError:
        raise UsageError("the database must be a URL such as sqlite:///gallery.db") from None
    except (NoSuchModuleError, ImportError) as error:
        raise UsageError(f"the driver of this database is not installed: {error}") from None
    if lite:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


@contextlib.contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that is alone in writing: numbers of rows then follow the order of commits."""
    with engine.connect().execution_options(writing=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_WRITER})"))
        yield connection


@contextlib.contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection to read with."""
    with engine.connect() as connection:
        yield connection


class Watch:
    """One number asked again and again, for a fraction of what a connection from the pool would cost.

    For one thread at a time.

    Parameters
    ----------
    engine
        The database.
    question
        SQL that gives one number or NULL.
    """

    def __init__(self, engine: Engine, question: str) -> None:
        self._engine, self._question = engine, question
        self._connection: DBAPIConnection | None = None

    def __call__(self) -> int:
        """The number now, 0 for NULL; a connection that was lost meanwhile is made anew.

        Raises
        ------
        SQLAlchemyError
            The database cannot be asked.
        """
        try:
            return self._ask()
        except self._engine.dialect.loaded_dbapi.Error:
            self.close()
        with reading(self._engine) as connection:
            return int(connection.exec_driver_sql(self._question).scalar() or 0)

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            with contextlib.suppress(self._engine.dialect.loaded_dbapi.Error):
                self._connection.close()
            self._connection = None

    def _ask(self) -> int:
        """Ask the driver itself: SQLAlchemy's way to it takes longer than the answer."""
        if self._connection is None:
            pooled = self._engine.raw_connection()
            pooled.detach()
            connection = pooled.dbapi_connection
            assert connection is not None
            # Every question sees what was committed until then.
            self._engine.dialect.set_isolation_level(connection, "AUTOCOMMIT")
            self._connection = connection
        cursor = self._connection.cursor()
        cursor.execute(self._question)
        ((number,),) = cursor.fetchall()  # to the end, where a read of SQLite lets go
        cursor.close()
        return int(number or 0)


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, see `_begin`
    for setting in ("journal_mode=WAL", "synchronous=FULL", f"busy_timeout={WAIT * 1000}"):
        connection.execute(f"PRAGMA {setting}").close()


def _be_patient(engine: Engine, patience: float) -> None:
    """Let PostgreSQL wait for another writer as long as SQLite does, and us for PostgreSQL, not for ever."""
    from vasari.serving.store.postgres import PatientConnection  # its driver is an extra

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Any, _record: Any, arguments: Any, settings: Any) -> Any:
        connection = PatientConnection.connect(*arguments, **{"connect_timeout": WAIT} | settings)
        connection.patience = patience
        connection.execute(f"SET lock_timeout = '{WAIT}s'")
        connection.commit()
        return connection


def _begin(connection: Connection) -> None:
    # A reader that becomes a writer can be refused at once; so writers say so first.
    if connection.get_execution_options().get("writing"):
        connection.exec_driver_sql("BEGIN IMMEDIATE")
