"""Routes about visitors: what they did, like, and take back."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from vasari.serving.api.access import TheGallery, Writer
from vasari.serving.api.problems import documented
from vasari.serving.api.schemas import IdempotencyKey, InteractionIn, ItemPath, ProfileOut, UserPath

router = APIRouter(prefix="/v1", tags=["visitors"], responses=documented(401, 404, 409))


@router.post("/interactions", status_code=204, response_class=Response)
def record(
    gallery: TheGallery, _: Writer, done: InteractionIn, idempotency_key: IdempotencyKey = None
) -> Response:
    """Keep what a user did; on disk when this answers, and in their next wall."""
    gallery.record(done.user_id, done.item_id, done.kind, done.value, idempotency_key)
    return Response(status_code=204)


@router.delete("/users/{user_id:path}/interactions/{item_id:path}", status_code=204, response_class=Response)
def take_back(
    gallery: TheGallery,
    _: Writer,
    user_id: UserPath,
    item_id: ItemPath,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Forget a like or dislike; nothing happens if there is none."""
    gallery.take_back(user_id, item_id, idempotency_key)
    return Response(status_code=204)


@router.get("/users/{user_id:path}/profile")
def profile(gallery: TheGallery, _: Writer, user_id: UserPath) -> ProfileOut:
    """What a user took or likes, and dislikes."""
    return ProfileOut(likes=gallery.profile(user_id), dislikes=gallery.dislikes(user_id))
