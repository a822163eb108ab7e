"""Who is visiting: an opaque cookie, and no forms from other sites."""

from __future__ import annotations

import re
import secrets

from fastapi import Request, Response

from vasari.serving.api.access import is_of_host

COOKIE = "vasari_visitor"
YEAR = 365 * 24 * 3600
# Nobody can write a customer's id into the cookie and read that customer's wall.
PREFIX = "visitor-"
_TOKEN = re.compile(r"[A-Za-z0-9_-]{24}")


def visitor(request: Request) -> str | None:
    """User id of the visitor; None for one whose browser brings no cookie of ours."""
    token = request.cookies.get(COOKIE, "")
    return PREFIX + token if _TOKEN.fullmatch(token) else None


def new_visitor() -> str:
    """A user id that nobody can guess."""
    return PREFIX + secrets.token_urlsafe(18)


def remember(response: Response, user_id: str, request: Request) -> None:
    """Let the visitor's browser bring the id along; scripts cannot read it and other sites cannot use it."""
    response.set_cookie(
        COOKIE,
        user_id.removeprefix(PREFIX),
        max_age=YEAR,
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def from_here(request: Request) -> bool:
    """Whether a form was sent by one of our own pages.

    Browsers say so themselves (Sec-Fetch-Site); older ones name the origin, which must be the host asked.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    return is_of_host(request)
