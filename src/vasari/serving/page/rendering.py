"""Templates into responses, and the few files that pages need beside them."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from vasari.core.errors import NotFoundError
from vasari.evaluation.report import words

# The report's style sheet is the base of this one: Vasari has one visual language.
_FILES = {
    "report.css": ("vasari.evaluation.report", "templates/report.css", "text/css"),
    "gallery.css": ("vasari.serving.page", "static/gallery.css", "text/css"),
    "gallery.js": ("vasari.serving.page", "static/gallery.js", "text/javascript"),
    "map.js": ("vasari.serving.page", "static/map.js", "text/javascript"),
    "htmx.min.js": ("vasari.serving.page", "static/htmx.min.js", "text/javascript"),
    "mark.svg": ("vasari.serving.page", "static/mark.svg", "image/svg+xml"),
}
ZIPPED = 5  # of 9: more takes longer and saves little
FOREVER = "public, max-age=31536000, immutable"  # for what is addressed by its content

# Scripts and styles from here alone. A style attribute carries a picture's proportions: they must be known
# before any script runs, or the wall would jump. Attributes cannot load or run anything.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "private, no-cache",
    "Vary": "Accept-Encoding, Cookie, HX-Request",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_HTMX = {
    "allowEval": False,
    "allowScriptTags": False,
    "includeIndicatorStyles": False,
    "selfRequestsOnly": True,
    "historyCacheSize": 0,
    "responseHandling": [
        {"code": "[23]..", "swap": True},
        {"code": "4(0[0134]|13|22)", "swap": True},  # our own messages, which leave the wall alone
        {"code": "...", "swap": False, "error": True},
    ],
}


@dataclass(frozen=True)
class StaticFile:
    """One of the page's own files; `version` changes with its content."""

    content: bytes
    media_type: str
    version: str

    @cached_property
    def zipped(self) -> bytes:
        """The content for browsers that take gzip, which all do."""
        return gzip.compress(self.content)

    def response(self, request: Request) -> Response:
        """The file, to be kept by browsers: its address names its version."""
        headers = {"Cache-Control": FOREVER, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
        content = self.content
        if takes_gzip(request):
            content, headers["Content-Encoding"] = self.zipped, "gzip"
        return Response(content, media_type=self.media_type, headers=headers)


def takes_gzip(request: Request) -> bool:
    """Whether a browser wants text small."""
    return "gzip" in request.headers.get("accept-encoding", "")


@cache
def static_file(name: str) -> StaticFile:
    """Read one of the page's own files.

    Raises
    ------
    NotFoundError
        There is none of that name.
    """
    if name not in _FILES:
        raise NotFoundError(f"the page has no file {name[:80]!r}")
    package, path, media_type = _FILES[name]
    content = files(package).joinpath(path).read_bytes()
    return StaticFile(content, media_type, hashlib.sha256(content).hexdigest()[:12])


class Renderer:
    """Renders the templates with what all pages of one gallery share.

    Parameters
    ----------
    name
        What the gallery is called.
    places
        Address and name of what the masthead leads to.
    footing
        What stands at the foot of every page.
    """

    def __init__(self, name: str, places: tuple[tuple[str, str], ...], footing: str) -> None:
        self.environment = Environment(
            loader=PackageLoader("vasari.serving.page"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        for word in ("metric_name", "count", "decimal", "plural", "duration", "probability"):
            self.environment.filters[word] = getattr(words, word)
        self.environment.filters["age"] = age
        self.environment.globals.update(
            static=lambda file: f"/page/{file}?v={static_file(file).version}",
            name=name,
            places=places,
            footing=footing,
            htmx_config=json.dumps(_HTMX),
            said="",
            notice="",
        )

    def page(
        self, request: Request, template: str, content: Mapping[str, Any], status: int = 200
    ) -> HTMLResponse:
        """Fill one page."""
        theme = request.cookies.get("theme")
        here = request.url.path
        known = {
            "theme": theme if theme in {"light", "dark"} else "",
            "here": here,
            "address": f"{here}?{request.url.query}" if request.url.query else here,
        }
        html = self.environment.get_template(template).render(known, **content)
        text = (html.strip() + "\n").encode()
        if takes_gzip(request):
            return HTMLResponse(gzip.compress(text, ZIPPED), status, HEADERS | {"Content-Encoding": "gzip"})
        return HTMLResponse(text, status, HEADERS)

    def message(self, request: Request, status: int, text: str) -> HTMLResponse:
        """Say why there is no such page; to a script's request, without touching what it shows."""
        scripted = "HX-Request" in request.headers
        content = {"title": MESSAGES.get(status, "That did not work"), "text": text}
        content["notice"] = text if scripted else ""
        response = self.page(request, "message.html.j2", content, status)
        if scripted:
            response.headers["HX-Reswap"] = "none"
        return response


def age(seconds: float) -> str:
    """How old something is, in the unit one would say it in."""
    days = seconds / 86_400
    return words.plural(int(days), "day") if days >= 2 else words.duration(seconds)


MESSAGES = {
    401: "For the owner",
    400: "That cannot be shown",
    403: "Not from here",
    404: "Nothing hangs here",
    413: "Too large a picture",
    422: "No picture that can be read",
    503: "One moment, please",
}
