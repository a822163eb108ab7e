"""`vasari serve`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from vasari.cli.output import say
from vasari.core.errors import NotFoundError, UsageError

NEEDED = ("fastapi", "uvicorn", "httptools", "sqlalchemy", "alembic", "prometheus_client", "multipart")


def serve(
    run: Annotated[Path, typer.Argument(help="A folder that `vasari demo` wrote, or a model's folder.")],
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that share the store.")] = 1,
    database: Annotated[
        str | None,
        typer.Option(help="URL of a database; SQLite in RUN/live by default.", envvar="VASARI_DATABASE"),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="The data set, where RUN holds none.")] = None,
    features: Annotated[
        Path | None, typer.Option(help="The feature table; that of the data set by default.")
    ] = None,
    share: Annotated[
        list[str] | None,
        typer.Option(help="MODEL=SHARE of the visitors, for example curatornet=0.5; repeatable."),
    ] = None,
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second of one address; 0: no limit.")
    ] = 100.0,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="Origin whose pages may call the API; repeatable.")
    ] = None,
) -> None:
    """Serve a gallery, a page for visitors and an HTTP API, until interrupted."""
    need_extra()
    from vasari.serving.run_folder import RunFolder
    from vasari.serving.serve import Options
    from vasari.serving.serve import serve as listen

    RunFolder.find(run, data, features)  # says what is missing before anything is started
    options = Options(
        run=str(run),
        database=database,
        data=None if data is None else str(data),
        features=None if features is None else str(features),
        shares=parse_shares(share or []),
        host=host,
        port=port,
        workers=workers,
        rate=rate,
        origins=tuple(allow_origin or ()),
    )
    listen(options, lambda: say(f"serving {run} on http://{host}:{port} (stop with Ctrl-C)"))


def key(
    run: Annotated[Path, typer.Argument(help="The folder that is served.")],
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    revoke: Annotated[bool, typer.Option("--revoke", help="Forget this key instead of making it.")] = False,
    database: Annotated[
        str | None, typer.Option(help="As for `vasari serve`.", envvar="VASARI_DATABASE")
    ] = None,
) -> None:
    """Make an API key and print it, this once; or revoke one."""
    need_extra()
    from vasari.serving.gallery import open_store
    from vasari.serving.store.keys import new_key, revoke_key

    store = open_store(run, database)
    try:
        if not revoke:
            sys.stdout.write(new_key(store, name) + "\n")
        elif not revoke_key(store, name):
            raise NotFoundError(f"there is no key named {name!r}")
    finally:
        store.close()


def parse_shares(pairs: list[str]) -> dict[str, float]:
    """``["a=0.5", "b=0.5"]`` to {name: share}.

    Raises
    ------
    UsageError
        A pair without ``=``, or without a number behind it.
    """
    shares = {}
    for pair in pairs:
        name, _, share = pair.rpartition("=")
        try:
            shares[name] = float(share)
        except ValueError:
            name = ""
        if not name:
            raise UsageError(f"--share {pair!r} must read MODEL=SHARE, for example curatornet=0.5")
    return shares


def need_extra() -> None:
    """Refuse to serve without the packages for it.

    Raises
    ------
    NotFoundError
        One is not installed; the message says how to get it.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise NotFoundError(
            f"serving needs {', '.join(missing)}; install them with: pip install 'vasari[serve]'"
        )
