"""The addresses of the page. What stands on each is made elsewhere; here it is asked for and sent."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import OperationalError, TimeoutError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from vasari.core.errors import NotFoundError, UsageError, VasariError
from vasari.features.decode import BadImageError
from vasari.serving.api.problems import RETRY_AFTER
from vasari.serving.asks import Busy
from vasari.serving.page.owner import admit, experiment_view, map_points, owner_view
from vasari.serving.page.photographs import MOST_BYTES, Photograph, read_photograph
from vasari.serving.page.rendering import FOREVER, Renderer, static_file
from vasari.serving.page.rooms import artist_view, beside_view, between_view, walk_view, work_view
from vasari.serving.page.thumbnails import Format, Thumbnails
from vasari.serving.page.visitors import from_here, new_visitor, remember, visitor
from vasari.serving.page.walls import wall
from vasari.serving.page.wishes import Fields, Wish

if TYPE_CHECKING:
    from vasari.serving.gallery import Gallery

logger = logging.getLogger("vasari.serving")

Id: TypeAlias = Annotated[str, Query(alias="id")]

PLACES = (("/", "Wall"), ("/walk", "Walk"), ("/beside", "Two models"), ("/owner", "Owner"))
NOWHERE = "This gallery has no such room, work or artist."
_SEEDS = 1_000_000  # different walks
_FIELDS = 200  # fields of a form


class Refused(VasariError):  # noqa: N818  # it is no fault of ours
    """The form was not sent by one of our own pages."""


class Posted(NamedTuple):
    """The body of a form, and the picture in it."""

    fields: FormData
    photograph: Photograph | None


async def posted(request: Request) -> Posted:
    """Read a form that one of our own pages sent.

    Raises
    ------
    Refused
        Another site sent it.
    BadImageError
        There is a file in it that is no picture.
    """
    if not from_here(request):
        raise Refused("This form was sent from another site, so nothing was changed.")
    form = await request.form(max_files=1, max_fields=_FIELDS)
    upload = form.get("photograph")
    if not isinstance(upload, UploadFile) or not upload.size:
        return Posted(form, None)
    data = await upload.read(MOST_BYTES + 1)
    return Posted(form, await run_in_threadpool(read_photograph, data))


def install(app: FastAPI, gallery: Gallery) -> None:
    """Add the pages of a gallery to its app.

    Smaller copies of its pictures are kept in its folder, under ``thumbnails``.
    """
    renderer = Renderer(gallery.name, PLACES, gallery.simulated or "")
    app.include_router(_routes(gallery, renderer))
    in_json = app.exception_handlers[HTTPException]

    def nowhere(request: Request, error: Exception) -> Any:
        path, wanted = request.url.path, request.headers.get("accept", "")
        missing = isinstance(error, HTTPException) and error.status_code == 404
        if missing and "text/html" in wanted and not path.startswith("/v1/"):
            return renderer.message(request, 404, NOWHERE)
        return in_json(request, error)

    app.add_exception_handler(HTTPException, nowhere)


def _routes(gallery: Gallery, renderer: Renderer) -> APIRouter:
    thumbnails = Thumbnails(gallery.folder / "thumbnails")
    router = APIRouter(route_class=_speaking(renderer), include_in_schema=False)

    def show_wall(request: Request, fields: Fields, photograph: Photograph | None, user_id: str) -> Response:
        wish = Wish.read(fields)
        just_refused = fields.get("dislike") or fields.get("refused")
        view = wall(gallery, thumbnails, wish, user_id, photograph, just_refused)
        response = renderer.page(
            request, "wall.html.j2", {"title": gallery.name, "view": view, "said": view.said}
        )
        if "HX-Request" in request.headers:
            response.headers["HX-Replace-Url"] = "false" if photograph else wish.address
        # Before the first click, since two quick ones would make two visitors.
        remember(response, user_id, request)
        return response

    @router.get("/")
    def show(request: Request) -> Response:
        return show_wall(request, request.query_params, None, visitor(request) or new_visitor())

    @router.post("/")
    def show_with_photograph(request: Request, form: Annotated[Posted, Depends(posted)]) -> Response:
        return show_wall(request, form.fields, form.photograph, visitor(request) or new_visitor())

    @router.post("/taste")
    def taste(request: Request, form: Annotated[Posted, Depends(posted)]) -> Response:
        user_id = visitor(request) or new_visitor()
        _record(gallery, user_id, form.fields)
        if form.photograph:
            return show_wall(request, form.fields, form.photograph, user_id)
        response = RedirectResponse(_back(form.fields), 303)
        remember(response, user_id, request)
        return response

    @router.get("/work")
    def work(request: Request, item_id: Id) -> Response:
        view = work_view(gallery, thumbnails, item_id, visitor(request))
        return renderer.page(
            request, "work.html.j2", {"title": view.work.title, "view": view, "said": view.said}
        )

    @router.get("/artist")
    def artist(request: Request, artist_id: Id) -> Response:
        view = artist_view(gallery, thumbnails, artist_id, visitor(request))
        return renderer.page(request, "artist.html.j2", {"title": view.name, "view": view})

    @router.get("/walk")
    def walk(request: Request, start: str | None = None, seed: int | None = None) -> Response:
        if seed is None:  # so that the walk has an address and stays when one comes back to it
            there = request.url.include_query_params(seed=secrets.randbelow(_SEEDS))
            return RedirectResponse(f"{there.path}?{there.query}", 303)
        works = walk_view(gallery, thumbnails, start, seed, visitor(request))
        return renderer.page(request, "walk.html.j2", {"title": "A walk", "works": works, "seed": seed})

    @router.get("/between")
    def between(request: Request, first: str, second: str) -> Response:
        view = between_view(gallery, thumbnails, first, second, visitor(request))
        return renderer.page(request, "between.html.j2", {"title": "Between two works", "view": view})

    @router.get("/beside")
    def beside(request: Request, left: str | None = None, right: str | None = None) -> Response:
        view = beside_view(gallery, thumbnails, left, right, visitor(request))
        return renderer.page(request, "beside.html.j2", {"title": "Two models", "view": view})

    @router.get("/owner")
    def owner(request: Request) -> Response:
        if not admit(request, gallery):
            return _ask_for_key(renderer, request)
        return renderer.page(
            request, "owner.html.j2", {"title": "Owner", "view": owner_view(gallery, thumbnails)}
        )

    @router.get("/owner/experiment")
    def experiment(request: Request) -> Response:
        if not admit(request, gallery):
            return _ask_for_key(renderer, request)
        content = {"title": "Which model does better", "view": experiment_view(gallery)}
        return renderer.page(request, "experiment.html.j2", content)

    @router.get("/owner/map")
    def collection_map(request: Request) -> Response:
        if not admit(request, gallery):
            return _ask_for_key(renderer, request)
        return JSONResponse(map_points(gallery, thumbnails), headers={"Cache-Control": "private, no-cache"})

    @router.get("/picture")
    async def picture(
        item_id: Id,
        side: int,
        format_: Annotated[str, Query(alias="as")],
        v: str = "",
    ) -> Response:
        path = (await run_in_threadpool(gallery.work, item_id)).picture
        if path is None:
            raise NotFoundError(f"work {item_id[:80]!r} has no picture")
        made = await asyncio.wrap_future(thumbnails.copy(path, side, cast(Format, format_)))
        kept = FOREVER if v == thumbnails.version(path) else "no-cache"
        headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
        return FileResponse(made, media_type=f"image/{format_}", headers=headers)

    @router.get("/page/{name}")
    def static(request: Request, name: str) -> Response:
        return static_file(name).response(request)

    return router


def _record(gallery: Gallery, user_id: str, fields: Fields) -> None:
    """Keep what a visitor said of a work."""
    if item_id := fields.get("like"):
        gallery.record(user_id, str(item_id), "like")
    elif item_id := fields.get("dislike"):
        gallery.record(user_id, str(item_id), "dislike")
    elif item_id := fields.get("back"):
        gallery.take_back(user_id, str(item_id))
    else:
        raise UsageError("the form names no work")


def _back(fields: Fields) -> str:
    """Where the visitor was: the page named by the form, if it is one of ours, or the wall."""
    here = str(fields.get("next") or "")
    if here.startswith("/") and not here.startswith(("//", "/\\")) and here.isprintable():
        return here
    wall = Wish.read(fields).address
    if refused := fields.get("dislike"):  # so that the wall can offer to take that back
        wall += ("&" if "?" in wall else "?") + urlencode({"refused": str(refused)})
    return wall


def _ask_for_key(renderer: Renderer, request: Request) -> Response:
    response = renderer.message(
        request, 401, "This room is the owner's. Its password is an API key of this gallery."
    )
    response.headers["WWW-Authenticate"] = 'Basic realm="owner", charset="UTF-8"'
    return response


_STATUS: tuple[tuple[type[VasariError], int], ...] = (
    (BadImageError, 422),
    (NotFoundError, 404),
    (UsageError, 400),
    (Refused, 403),
)


def _speaking(renderer: Renderer) -> type[APIRoute]:
    """Routes whose errors are pages."""

    class SpeakingRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            plain = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await plain(request)
                except (Busy, OperationalError, TimeoutError) as error:
                    logger.error("no page: %s", error)
                    busy = renderer.message(request, 503, "The gallery is very busy; please come back soon.")
                    busy.headers["Retry-After"] = RETRY_AFTER
                    return busy
                except RequestValidationError:
                    return renderer.message(request, 400, "Something is missing from this address.")
                except VasariError as error:
                    status = next((code for kind, code in _STATUS if isinstance(error, kind)), None)
                    if status is None:
                        raise
                    text = f"The picture {error}." if isinstance(error, BadImageError) else f"{error}."
                    if isinstance(error, NotFoundError):
                        text = NOWHERE
                    return renderer.message(request, status, text[:1].upper() + text[1:])

            return handle

    return SpeakingRoute
