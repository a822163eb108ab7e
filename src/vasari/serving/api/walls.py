"""Routes that hang walls and say why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from vasari.serving.api.access import TheGallery
from vasari.serving.api.patience import timeout
from vasari.serving.api.problems import documented
from vasari.serving.api.schemas import (
    AnswerOut,
    AskIn,
    ExplainIn,
    ExplanationOut,
    FilterQuery,
    HeatMapOut,
    ItemPath,
    KQuery,
    Name,
    UserPath,
    answer_json,
)
from vasari.serving.asks import Answer, Ask, Busy
from vasari.serving.encoder import admit_all
from vasari.serving.filters import Filters
from vasari.serving.gallery import Gallery

PATIENCE = 10.0  # seconds for an answer
PICTURES = 8  # in one request
MOST_ERRORS = 1000  # in a body that are told one by one


class AskRoute(APIRoute):
    """A route whose body is an ask: documented as any, read by pydantic alone.

    What FastAPI does for routes of any form is work that every ask, and all that wait behind it, would pay.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers."""

        async def handle(request: Request) -> Response:
            answer: Response = await self.endpoint(
                request, request.app.state.gallery, await read_ask(request)
            )
            return answer

        return handle


router = APIRouter(prefix="/v1", tags=["walls"], responses=documented(404))
asked = APIRouter(prefix="/v1", tags=["walls"], responses=documented(404), route_class=AskRoute)


async def read_ask(request: Request) -> AskIn:
    """The ask in the body of a request.

    Raises
    ------
    RequestValidationError
        It is none.
    HTTPException
        It did not come to its end.
    """
    try:
        body = await request.body()
    except ClientDisconnect:
        raise HTTPException(400, "the body ended too soon") from None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise RequestValidationError([{"type": "type", "loc": ("body",), "msg": "send application/json"}])
    if (encoding := json.detect_encoding(body)) != "utf-8":  # a mark at the start, or UTF-16
        body = body.decode(encoding, "replace").encode()
    try:
        return AskIn.model_validate_json(body)
    except ValidationError as error:
        if error.error_count() > MOST_ERRORS:  # to write them down takes longer than to find them
            error_count = f"{error.error_count()} things are wrong with it"
            raise RequestValidationError([{"type": "many", "loc": ("body",), "msg": error_count}]) from None
        found = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in found]) from None


async def _answer(request: Request, gallery: Gallery, ask: Ask) -> Response:
    # Pictures are looked at on the way, which takes its time; everything else only waits for the next batch.
    try:
        async with timeout(PATIENCE):
            if ask.images:
                submitted = await to_thread.run_sync(gallery.submit, ask, abandon_on_cancel=True)
            else:
                submitted = gallery.submit(ask)
            answer = await asyncio.wrap_future(submitted)
    except asyncio.TimeoutError:
        raise Busy("the gallery is busy; ask again in a moment") from None
    return _respond(request, answer)


def _respond(request: Request, answer: Answer) -> Response:
    request.app.state.metrics.answered(answer)
    return Response(to_json(answer_json(answer)), media_type="application/json")


@asked.post("/recommend", response_model=AnswerOut)
async def recommend(request: Request, gallery: TheGallery, ask: AskIn) -> Any:
    """Hang a wall for a known user, for a list of works, or for both."""
    return await _answer(request, gallery, ask.ask())


@router.get("/users/{user_id:path}/recommendations", response_model=AnswerOut)
async def recommend_to_user(
    request: Request,
    gallery: TheGallery,
    user_id: UserPath,
    k: KQuery = 20,
    filters: FilterQuery = [],  # noqa: B006  # FastAPI copies it
) -> Any:
    """Hang a wall for a user; an unknown one gets a cold start."""
    return await _answer(request, gallery, Ask(user_id=user_id, k=k, filters=Filters.parse(filters)))


@router.post("/recommend/pictures", response_model=AnswerOut)
async def recommend_from_pictures(
    request: Request,
    gallery: TheGallery,
    pictures: Annotated[list[UploadFile], File(min_length=1, max_length=PICTURES)],
    ask: Annotated[str, Form(max_length=100_000, description="JSON as for /v1/recommend.")] = "{}",
) -> Any:
    """Hang a wall for uploaded pictures, with or without a user and works beside them."""
    try:
        wanted = AskIn.model_validate_json(ask)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise HTTPException(422, f"ask: {where}: {first['msg']}"[:300]) from None
    images = await run_in_threadpool(admit_all, [await picture.read() for picture in pictures])
    return await _answer(request, gallery, wanted.ask(images))


@router.post("/explain", response_model=list[ExplanationOut])
def explain(gallery: TheGallery, wanted: ExplainIn) -> Any:
    """Which works of the profile speak for some works, and how much."""
    found = gallery.explain_all(wanted.ask(), list(dict.fromkeys(wanted.items)))
    return [{"item_id": item, "reasons": [vars(one) for one in reasons]} for item, reasons in found.items()]


@router.post("/heat-maps", response_model=list[HeatMapOut])
def heat_maps(gallery: TheGallery, wanted: AskIn) -> Any:
    """Where in the pictures of the profile the model looked; empty if it has no attention over positions."""
    return [vars(one) for one in gallery.heat_maps(wanted.ask()).values()]


@router.get("/works/{item_id:path}/similar", response_model=AnswerOut)
def similar(
    request: Request,
    gallery: TheGallery,
    item_id: ItemPath,
    k: KQuery = 12,
    filters: FilterQuery = [],  # noqa: B006  # as above
) -> Any:
    """Works that look most like one."""
    return _respond(request, gallery.similar(item_id, k, Filters.parse(filters)))


@router.get("/between", response_model=AnswerOut)
def between(
    request: Request,
    gallery: TheGallery,
    first: Annotated[Name, Query()],
    second: Annotated[Name, Query()],
    k: KQuery = 12,
) -> Any:
    """Works that look like both of two."""
    return _respond(request, gallery.between(first, second, k))


@router.get("/surprise", response_model=AnswerOut)
def surprise(
    request: Request,
    gallery: TheGallery,
    start: Annotated[Name | None, Query()] = None,
    k: KQuery = 12,
    seed: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
) -> Any:
    """A random walk among works that look alike."""
    return _respond(request, gallery.surprise(start, k, seed))
