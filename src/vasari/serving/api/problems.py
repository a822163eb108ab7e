"""Errors as problem details (RFC 9457): every answer that is not a success has this form."""

from __future__ import annotations

import json
import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError, TimeoutError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from vasari.core.errors import DataError, NotFoundError, UsageError, VasariError, WriteError
from vasari.features.decode import BadImageError
from vasari.serving.asks import Busy, Conflict

logger = logging.getLogger("vasari.serving")

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = "1"

TITLES = {
    400: "The request cannot be read",
    401: "An API key is needed",
    403: "Not allowed",
    404: "Not found",
    405: "This address does not know the method",
    408: "The request came too slowly",
    409: "In conflict with what is",
    413: "The request is too large",
    415: "The body is of another type",
    422: "The request is not as it must be",
    429: "Too many requests",
    431: "The headers are too large",
    500: "A defect of ours",
    503: "Busy",
}

SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
            },
        },
    },
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """`responses` of routes for FastAPI: which problems they may answer with."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": TITLES[status], "content": content} for status in statuses}


EVERYWHERE = documented(400, 408, 413, 422, 429, 431, 500, 503)


def problem(
    status: int,
    detail: str,
    headers: dict[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """One problem as a response."""
    title = TITLES.get(status, "The request failed")
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if errors is not None:
        body["errors"] = errors
    # ASCII alone: what a visitor sent may hold what UTF-8 has no bytes for.
    return Response(json.dumps(body), status, headers, MEDIA_TYPE)


def status_of(error: VasariError) -> int:
    """The HTTP status of an error of ours."""
    for kind, status in (
        (Busy, 503),
        (WriteError, 503),
        (Conflict, 409),
        (NotFoundError, 404),
        (BadImageError, 422),
        (UsageError, 422),
        (DataError, 422),
    ):
        if isinstance(error, kind):
            return status
    return 500


def install(app: FastAPI) -> None:
    """Let every error of an app answer with a problem."""
    app.add_exception_handler(VasariError, _ours)
    for kind in (OperationalError, TimeoutError):  # gone, or held by somebody else for too long
        app.add_exception_handler(kind, _unreachable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _defect)


def _ours(_: Request, error: Exception) -> Response:
    assert isinstance(error, VasariError)
    status = status_of(error)
    if status == 500:
        logger.error("request failed", exc_info=error)
        return problem(500, "the gallery could not do this; its log says why")
    detail = f"the picture {error.reason}" if isinstance(error, BadImageError) else str(error)
    return problem(status, detail, {"Retry-After": RETRY_AFTER} if status == 503 else None)


def _unreachable(_: Request, error: Exception) -> Response:
    logger.error("the database cannot be used: %s", error)
    detail = "the gallery's database cannot be used at this moment; ask again soon"
    return problem(503, detail, {"Retry-After": RETRY_AFTER})


def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    # Without what was given: it may be huge, secret, or no JSON.
    errors = [
        {"where": ".".join(str(step) for step in one["loc"])[:300], "what": str(one["msg"])[:300]}
        for one in error.errors()[:20]
    ]
    unreadable = any(one["type"] == "json_invalid" for one in error.errors())
    first = errors[0] if errors else {"where": "", "what": "invalid"}
    return problem(400 if unreadable else 422, f"{first['where']}: {first['what']}", errors=errors)


def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    return problem(error.status_code, str(error.detail), headers)


def _defect(_: Request, error: Exception) -> Response:
    logger.error("request failed", exc_info=error)
    return problem(500, "the gallery could not do this; its log says why")
