"""What stands before every route: limits on bodies, time and rate, back-pressure, and security headers."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vasari.serving.api.patience import timeout
from vasari.serving.api.problems import RETRY_AFTER, problem

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
FREE = ("/health/", "/metrics")  # asked by machines that watch, also when all is busy
VISITORS = 20_000  # addresses whose rate is kept in mind


@dataclass(frozen=True)
class Limits:
    """What one request, and one visitor, may take.

    Attributes
    ----------
    body_bytes, form_bytes
        Of a request; those of a form, in which pictures are uploaded, may be larger.
    body_seconds
        Until the whole body must be there.
    url_bytes, header_bytes
        Of the address with its query, and of all headers.
    in_flight
        Requests answered at a time; more are told to come again.
    rate, burst
        Requests a second of one address in the long run, and at once; a rate of 0 means no limit.
    """

    body_bytes: int = 512 << 10
    form_bytes: int = 12 << 20
    body_seconds: float = 20.0
    url_bytes: int = 16 << 10
    header_bytes: int = 32 << 10
    in_flight: int = 256
    rate: float = 100.0
    burst: float = 300.0


class Guard:
    """Refuses what goes beyond the limits before any route sees it.

    Parameters
    ----------
    app
        What is guarded.
    limits
        See `Limits`.
    clock
        Seconds, for tests.
    """

    def __init__(self, app: ASGIApp, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._limits, self._clock = app, limits, clock
        self._in_flight = 0
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address to tokens, when

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                missing = [one for one in _RAW_HEADERS if one[0] not in given]
                message = {**message, "headers": [*message["headers"], *missing]}
            await send(message)

        refused = self._refuse(scope)
        if refused is not None:
            await refused(scope, receive, send_with_headers)
            return
        self._in_flight += 1
        try:
            await self._app(scope, self._bounded(receive, self._most_bytes(scope)), send_with_headers)
        finally:
            self._in_flight -= 1

    def _refuse(self, scope: Scope) -> ASGIApp | None:
        """Why a request is not answered, as the response to it; None if it is."""
        if (refused := self._too_large(scope)) is not None or scope["path"].startswith(FREE):
            return refused
        limits = self._limits
        if self._in_flight >= limits.in_flight:
            return problem(503, "the gallery is busy; ask again in a moment", {"Retry-After": RETRY_AFTER})
        if limits.rate > 0 and (wait := self._too_often(scope)) > 0:
            detail = f"at most {limits.rate:g} requests a second come from one address"
            return problem(429, detail, {"Retry-After": str(max(1, round(wait)))})
        return None

    def _most_bytes(self, scope: Scope) -> int:
        form = Headers(scope=scope).get("content-type", "").lower().startswith("multipart/form-data")
        return self._limits.form_bytes if form else self._limits.body_bytes

    def _too_large(self, scope: Scope) -> ASGIApp | None:
        limits, length = self._limits, Headers(scope=scope).get("content-length", "0")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > limits.url_bytes:
            return problem(413, f"the address is longer than {limits.url_bytes} bytes", CLOSE)
        if sum(len(name) + len(value) for name, value in scope["headers"]) > limits.header_bytes:
            return problem(431, f"the headers are longer than {limits.header_bytes} bytes", CLOSE)
        if not length.isascii() or not length.isdigit():
            return problem(400, "Content-Length must be a number", CLOSE)
        if len(length) > 18 or int(length) > (most := self._most_bytes(scope)):
            return problem(413, f"the body is larger than {most} bytes", CLOSE)
        return None

    def _too_often(self, scope: Scope) -> float:
        """Seconds until this address may ask again, 0 if it may now: a bucket that fills at the rate."""
        client = scope.get("client")
        address = client[0] if client else ""
        rate, burst, now = self._limits.rate, self._limits.burst, self._clock()
        tokens, before = self._buckets.pop(address, (burst, now))
        tokens = min(burst, tokens + (now - before) * rate)
        allowed = tokens >= 1
        self._buckets[address] = (tokens - allowed, now)
        while len(self._buckets) > VISITORS:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / rate

    def _bounded(self, receive: Receive, most: int) -> Receive:
        """`receive` that counts bytes and seconds until the body has ended."""
        limits = self._limits
        deadline: float | None = None
        total, ended = 0, False

        async def bounded() -> Message:
            nonlocal deadline, total, ended
            if ended:
                return await receive()
            deadline = deadline or time.monotonic() + limits.body_seconds
            try:
                async with timeout(max(0.001, deadline - time.monotonic())):
                    message = await receive()
            except asyncio.TimeoutError:
                ended = True
                raise HTTPException(
                    408, f"the body took longer than {limits.body_seconds:g} s", CLOSE
                ) from None
            total += len(message.get("body", b""))
            if total > most:
                ended = True
                raise HTTPException(413, f"the body is larger than {most} bytes", CLOSE)
            ended = not message.get("more_body", False)
            return message

        return bounded


CLOSE = {"Connection": "close"}  # the rest of an unread body is not waited for
