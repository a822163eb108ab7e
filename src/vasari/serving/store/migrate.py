"""Bring a database up to today's tables, with Alembic; safe when several processes start at once."""

from __future__ import annotations

import math
from pathlib import Path

from alembic import command
from alembic.config import Config

from vasari.serving.store.engine import connect, writing

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(url: str, revision: str = "head") -> None:
    """Run the migrations that this database has not seen, in one transaction, however long they take."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    engine = connect(url, patience=math.inf)
    try:
        with writing(engine) as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()
