"""The application: routes, limits and the page, around one gallery."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from vasari._version import __version__
from vasari.serving.api import owner, people, problems, walls, works
from vasari.serving.api.guard import Guard, Limits
from vasari.serving.api.watch import Metrics, Watch
from vasari.serving.gallery import Gallery

DESCRIPTION = """Recommends art by looking at it. Reads are open; writes, profiles and the owner's data need
the header `X-API-Key` (made by `vasari key RUN NAME`). Errors are problem details (RFC 9457)."""


def create_app(gallery: Gallery, limits: Limits | None = None, origins: Sequence[str] = ()) -> FastAPI:
    """An ASGI application; it closes the gallery when it stops.

    Parameters
    ----------
    gallery
        What is served.
    limits
        See `Limits`.
    origins
        Pages from these origins may call the API from a browser; none by default.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        gallery.close()

    metrics = Metrics(gallery)
    middleware = [Middleware(Watch, metrics=metrics), Middleware(Guard, limits=limits or Limits())]
    if origins:
        headers = ["Content-Type", "X-API-Key", "Idempotency-Key"]
        middleware.append(
            Middleware(
                CORSMiddleware, allow_origins=list(origins), allow_methods=["*"], allow_headers=headers
            )
        )
    app = FastAPI(
        title="Vasari gallery",
        version=__version__,
        description=DESCRIPTION,
        redirect_slashes=False,  # it would lead to whatever host the request names
        docs_url=None,  # their scripts come from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        middleware=middleware,
        responses=problems.EVERYWHERE,
    )
    app.state.gallery, app.state.metrics = gallery, metrics
    problems.install(app)
    for router in (walls.asked, walls.router, works.router, people.router, owner.router, owner.watched):
        app.include_router(router)
    if find_spec("vasari.serving.page") is not None:
        from vasari.serving.page.routes import install

        install(app, gallery)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]  # FastAPI's own way to extend the document
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the problem schema that all routes refer to."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problems.SCHEMA
        app.openapi_schema = document
    return app.openapi_schema
