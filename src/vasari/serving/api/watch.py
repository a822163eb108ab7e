"""What is seen of every request from outside: metrics for Prometheus and one line of JSON in the log."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vasari.serving.asks import Answer
from vasari.serving.gallery import Gallery

access = logging.getLogger("vasari.access")

SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Metrics:
    """Counts and times of one app, and what its gallery says of itself when asked.

    Parameters
    ----------
    gallery
        Whose models are watched.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self.registry = CollectorRegistry()
        self.seconds = Histogram(
            "vasari_request_seconds",
            "Time of a request",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.answers = Counter(
            "vasari_answers",
            "Walls, by model and by what answered instead",
            ["model", "fallback"],
            registry=self.registry,
        )
        self.in_flight = Gauge("vasari_requests_in_flight", "Requests being answered", registry=self.registry)
        self._age = Gauge(
            "vasari_model_age_seconds", "Since a model was written", ["model"], registry=self.registry
        )
        self._works = Gauge(
            "vasari_works", "Works, all and those that can be had", ["state"], registry=self.registry
        )

    def answered(self, answer: Answer) -> None:
        """Count a wall."""
        self.answers.labels(answer.model, answer.fallback or "none").inc()

    def page(self) -> bytes:
        """Everything, in Prometheus' text format."""
        for name, seconds in self._gallery.ages().items():
            self._age.labels(name).set(seconds)
        total, available = self._gallery.counts()
        self._works.labels("all").set(total)
        self._works.labels("available").set(available)
        return generate_latest(self.registry)


class Watch:
    """Times every request, numbers it, and writes it down.

    Parameters
    ----------
    app
        What is watched.
    metrics
        Where times go.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        number = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        status, started = 500, time.perf_counter()

        async def send_numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", number.encode())]}
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_numbered)
        finally:
            self._metrics.in_flight.dec()
            seconds = time.perf_counter() - started
            # The route's pattern, never the address: that would make a series of every work.
            route = getattr(scope.get("route"), "path", "none").replace(":path}", "}")
            self._metrics.seconds.labels(scope["method"], route, status).observe(seconds)
            if access.isEnabledFor(logging.INFO):
                client = scope.get("client")
                line = {
                    "time": round(time.time(), 3),
                    "method": scope["method"],
                    "path": scope["path"][:300],
                    "status": status,
                    "ms": round(1000 * seconds, 2),
                    "client": client[0] if client else None,
                    "request_id": number,
                }
                access.info(json.dumps(line))
