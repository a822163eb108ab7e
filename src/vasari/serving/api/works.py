"""Routes about works: looking, hanging, changing, selling."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Query, UploadFile
from pydantic import Field, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from vasari.serving.api.access import TheGallery, Writer
from vasari.serving.api.problems import documented
from vasari.serving.api.schemas import (
    MOST_COLUMNS,
    ChangesIn,
    FilterQuery,
    IdempotencyKey,
    ItemPath,
    Name,
    PageOut,
    SaleIn,
    SaleOut,
    Value,
    WorkOut,
    work_out,
)
from vasari.serving.asks import Artist, Page
from vasari.serving.filters import Filters

TYPES = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".gif": "image/gif",
    ".webp": "image/webp", ".avif": "image/avif", ".tif": "image/tiff", ".tiff": "image/tiff",
    ".bmp": "image/bmp", ".mpo": "image/jpeg", ".heif": "image/heif",
}  # fmt: skip

IdsQuery = Annotated[list[Name], Query(alias="id", max_length=200, description="These works only.")]

Columns = TypeAdapter(Annotated[dict[Name, Value | None], Field(max_length=MOST_COLUMNS)])

# Ids may hold slashes, so addresses that go on behind an id come before the one that ends with it.
router = APIRouter(prefix="/v1", tags=["works"], responses=documented(404))
_write = documented(401, 404, 409)


@router.get("/works", response_model=PageOut)
def browse(
    gallery: TheGallery,
    ids: IdsQuery = [],  # noqa: B006  # FastAPI copies it
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 60,
    filters: FilterQuery = [],  # noqa: B006  # as above
    order: Annotated[
        Name, Query(description="`catalogue`, a column, or `-column` for descending.")
    ] = "catalogue",
) -> Any:
    """Page through the works."""
    if ids:
        works = gallery.works(ids)
        page = Page(tuple(works), len(works))
    else:
        page = gallery.browse(offset, limit, Filters.parse(filters), order)
    return PageOut(works=[work_out(work) for work in page.works], total=page.total)


@router.get(
    "/works/{item_id:path}/picture",
    response_class=Response,
    responses={200: {"content": {"image/*": {"schema": {"type": "string", "format": "binary"}}}}},
)
def picture(gallery: TheGallery, item_id: ItemPath) -> Response:
    """The picture of a work, as it was given."""
    # The path stands in the catalogue, whose door lets none lead out of the image root; no request names one.
    path = gallery.work(item_id).picture
    if path is None or not path.is_file() or path.suffix.lower() not in TYPES:
        raise HTTPException(404, f"item_id {item_id!r} has no picture that can be shown")
    return FileResponse(
        path, media_type=TYPES[path.suffix.lower()], headers={"Cache-Control": "max-age=3600"}
    )


@router.get("/works/{item_id:path}", response_model=WorkOut)
def work(gallery: TheGallery, item_id: ItemPath) -> Any:
    """One work."""
    return work_out(gallery.work(item_id))


@router.get("/artists", response_model=list[Artist])
def artists(gallery: TheGallery) -> Any:
    """All artists, those with most works first."""
    return gallery.artists()


@router.get("/artists/{artist_id:path}/works", response_model=list[WorkOut])
def of_artist(gallery: TheGallery, artist_id: ItemPath) -> Any:
    """All works of one artist."""
    return [work_out(one) for one in gallery.of_artist(artist_id)]


@router.post("/works", response_model=WorkOut, status_code=201, responses=_write)
def add_work(
    gallery: TheGallery,
    _: Writer,
    item_id: Annotated[Name, Form()],
    picture: Annotated[UploadFile, File()],
    title: Annotated[Name | None, Form()] = None,
    artist_id: Annotated[Name | None, Form()] = None,
    original: Annotated[bool, Form()] = False,
    columns: Annotated[str, Form(max_length=100_000, description="JSON: further columns to values.")] = "{}",
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Hang a new work; it is found from now on."""
    content = picture.file.read()
    values = _columns(columns)
    added = gallery.add_work(item_id, content, title, artist_id, original, values, idempotency_key)
    return work_out(added)


@router.patch("/works/{item_id:path}", response_model=WorkOut, responses=_write)
def change_work(
    gallery: TheGallery,
    _: Writer,
    item_id: ItemPath,
    wanted: ChangesIn,
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Change a work, or take it off the walls."""
    return work_out(gallery.update_work(item_id, wanted.changes, None, idempotency_key))


@router.put("/works/{item_id:path}/picture", response_model=WorkOut, responses=_write)
def change_picture(
    gallery: TheGallery,
    _: Writer,
    item_id: ItemPath,
    picture: Annotated[UploadFile, File()],
    idempotency_key: IdempotencyKey = None,
) -> Any:
    """Give a work another picture; it is found by that from now on."""
    return work_out(gallery.update_work(item_id, {}, picture.file.read(), idempotency_key))


@router.post("/works/{item_id:path}/sale", response_model=SaleOut, status_code=201, responses=_write)
def sell(
    gallery: TheGallery, _: Writer, item_id: ItemPath, wanted: SaleIn, idempotency_key: IdempotencyKey = None
) -> Any:
    """Sell a work: of two buyers of one original exactly one wins, the other is told 409."""
    sale = gallery.sell(item_id, wanted.buyer, idempotency_key)
    return {**vars(sale), "sold_at": sale.sold_at.isoformat()}


def _columns(text: str) -> dict[str, Any]:
    """Further columns from a form's JSON, as strict as those of a change."""
    try:
        return Columns.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise HTTPException(422, f"columns: {where}: {first['msg']}"[:300]) from None
