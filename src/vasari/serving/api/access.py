"""Who may write: whoever holds an API key or, where there are no keys at all, who sits at this machine."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader
from starlette.exceptions import HTTPException

from vasari.serving.gallery import Gallery

_LOCAL = {"localhost", "127.0.0.1", "::1"}
_header = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="Needed for writes and for the owner's data."
)


async def the_gallery(request: Request) -> Gallery:
    """The gallery that is served; async, since FastAPI would ask a thread otherwise."""
    gallery: Gallery = request.app.state.gallery
    return gallery


def writer(
    request: Request,
    gallery: Annotated[Gallery, Depends(the_gallery)],
    key: Annotated[str | None, Depends(_header)],
) -> str:
    """The name behind the request's API key.

    Raises
    ------
    HTTPException
        401: there is no key, or it is not known.
    """
    if key is not None and (name := gallery.key_holder(key)) is not None:
        return name
    if key is None and not gallery.has_keys and is_local(request):
        return "this machine"
    raise HTTPException(
        401, "send a key of this gallery in the header X-API-Key", {"WWW-Authenticate": "X-API-Key"}
    )


def is_local(request: Request) -> bool:
    """Whether a program on this very machine asks, not a page that its browser happens to show.

    A page from elsewhere gives itself away by its origin; one that lets its name point to this machine, by
    the host it asks for; a proxy, by saying for whom it speaks.
    """
    headers = request.headers
    if "x-forwarded-for" in headers or "forwarded" in headers or request.client is None:
        return False
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        near = ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:  # no address at all
        return False
    return near and host in _LOCAL and is_of_host(request)


def is_of_host(request: Request) -> bool:
    """Whether the page that asks, if one does and says so (Origin), comes from the very host it asks."""
    origin = request.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == request.headers.get("host")
    except ValueError:  # no address at all
        return False


TheGallery = Annotated[Gallery, Depends(the_gallery)]
Writer = Annotated[str, Depends(writer)]
