"""Routes for the owner and for machines that watch: models, experiment, overview, health, metrics."""

from __future__ import annotations

import math
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from vasari.serving.api.access import TheGallery, Writer
from vasari.serving.api.problems import documented, problem
from vasari.serving.api.schemas import ItemPath, ModelOut, SwapIn
from vasari.serving.asks import ModelInfo, NotFound
from vasari.serving.run_folder import is_model

router = APIRouter(prefix="/v1", tags=["owner"], responses=documented(401, 404))
watched = APIRouter(tags=["health"])


@router.get("/models", response_model=list[ModelOut])
def models(gallery: TheGallery) -> Any:
    """The models that answer."""
    return list(map(_model, gallery.models()))


@router.put("/models/{name}", response_model=ModelOut)
def swap(gallery: TheGallery, _: Writer, name: ItemPath, wanted: SwapIn) -> Any:
    """Put the model in a folder of the run in place of one that answers, or beside them."""
    # Looked up among the folders there are: the request's text never becomes part of a path.
    folders = {one.name: one for one in gallery.run.root.iterdir() if is_model(one)}
    if wanted.folder not in folders:
        raise NotFound(f"the run has no model folder {wanted.folder!r}; it has {', '.join(sorted(folders))}")
    return _model(gallery.swap(name, folders[wanted.folder]))


@router.get("/experiment", response_model=dict[str, Any])
def experiment(gallery: TheGallery, _: Writer) -> Any:
    """Which model does better: works taken of ten shown, and tests of the differences."""
    variants, contests = gallery.experiment()
    return {
        "variants": [
            {**vars(one), "taken_of_ten": {n: _finite(v) for n, v in vars(one.taken_of_ten).items()}}
            for one in variants
        ],
        "contests": [
            {n: _finite(v) if isinstance(v, float) else v for n, v in vars(one).items()} for one in contests
        ],
    }


@router.get("/overview", response_model=dict[str, Any])
def overview(gallery: TheGallery, _: Writer) -> Any:
    """What an owner wants to see."""
    found = gallery.overview()
    return {**vars(found), "models": list(map(_model, found.models))}


@watched.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers; async, so that it does so while all threads are busy."""
    return {"status": "live"}


@watched.get("/health/ready", response_model=dict[str, str])
def ready(gallery: TheGallery) -> Any:
    """The store can be reached: answers are up to date."""
    if not gallery.ready():
        return problem(503, "the store cannot be reached", {"Retry-After": "5"})
    return {"status": "ready"}


@watched.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus; async as `live` is."""
    return Response(request.app.state.metrics.page(), media_type=request.app.state.metrics.content_type)


def _model(info: ModelInfo) -> dict[str, Any]:
    return {**vars(info), "evaluation": {name: vars(one) for name, one in info.evaluation.items()}}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
