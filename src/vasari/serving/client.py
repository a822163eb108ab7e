"""A small client for programs: typed answers, errors as exceptions, writes that may be tried again safely."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

import httpx
from typing_extensions import Self

from vasari.core.errors import VasariError
from vasari.serving.asks import Answer, Hung, Reason, Sale

AGAIN = (429, 503)  # come again later
TRIES = 4
LONGEST_WAIT = 5.0


class ProblemError(VasariError):
    """The gallery refused; `status` is the HTTP status, `detail` says why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status, self.detail = status, detail


@dataclass(frozen=True)
class RemoteWork:
    """A work as the API describes it; `picture` is the address of its picture."""

    item_id: str
    title: str | None
    artist_id: str | None
    columns: Mapping[str, Any]
    original: bool
    available: bool
    picture: str | None


class GalleryClient:
    """Talks to a gallery.

    What is busy, or out of reach, is asked again up to three times. A write carries a key of its own, so that
    one whose answer was lost on the way is done once all the same.

    Parameters
    ----------
    address
        For example ``"http://127.0.0.1:8000"``.
    key
        An API key, needed for writes.
    timeout
        Seconds for one try.

    Examples
    --------
    >>> with GalleryClient("http://127.0.0.1:8000") as gallery:  # doctest: +SKIP
    ...     wall = gallery.recommend(likes=["w017"], k=12)
    """

    def __init__(
        self,
        address: str,
        key: str | None = None,
        timeout: float = 10.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {} if key is None else {"X-API-Key": key}
        self._http = httpx.Client(base_url=address, headers=headers, timeout=timeout, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    # ------------------------------------------------------------------ answers

    def recommend(
        self,
        user_id: str | None = None,
        *,
        likes: Sequence[str] = (),
        dislikes: Sequence[str] = (),
        pictures: Sequence[bytes] = (),
        k: int = 20,
        **more: Any,
    ) -> Answer:
        """Hang a wall; `more` are the other fields of ``POST /v1/recommend``, filters among them."""
        ask = {"user_id": user_id, "likes": list(likes), "dislikes": list(dislikes), "k": k, **more}
        if not pictures:
            return _answer(self._call("POST", "/v1/recommend", json=ask))
        files = [("pictures", (f"{number}", one)) for number, one in enumerate(pictures)]
        return _answer(
            self._call("POST", "/v1/recommend/pictures", files=files, data={"ask": json.dumps(ask)})
        )

    def similar(self, item_id: str, k: int = 12) -> Answer:
        """Works most like one."""
        return _answer(self._call("GET", f"{_work(item_id)}/similar", params={"k": k}))

    def between(self, first: str, second: str, k: int = 12) -> Answer:
        """Works like both of two."""
        return _answer(self._call("GET", "/v1/between", params={"first": first, "second": second, "k": k}))

    def surprise(self, start: str | None = None, k: int = 12, seed: int | None = None) -> Answer:
        """A random walk among works that are alike, from `start` or from anywhere."""
        given = {"start": start, "k": k, "seed": seed}
        params = {name: value for name, value in given.items() if value is not None}
        return _answer(self._call("GET", "/v1/surprise", params=params))

    def explain(
        self, items: Sequence[str], user_id: str | None = None, **more: Any
    ) -> dict[str, list[Reason]]:
        """Which works of the profile speak for each of some works."""
        body = {"items": list(items), "user_id": user_id, **more}
        found = self._call("POST", "/v1/explain", json=body)
        return {one["item_id"]: [Reason(**reason) for reason in one["reasons"]] for one in found}

    def work(self, item_id: str) -> RemoteWork:
        """One work."""
        return RemoteWork(**self._call("GET", _work(item_id)))

    def browse(
        self, offset: int = 0, limit: int = 60, filters: Sequence[str] = (), order: str = "catalogue"
    ) -> tuple[list[RemoteWork], int]:
        """Some works of all that fit the filters, such as ``"style:ink|rain"``, and how many those are."""
        params = {"offset": offset, "limit": limit, "filter": list(filters), "order": order}
        page = self._call("GET", "/v1/works", params=params)
        return [RemoteWork(**work) for work in page["works"]], page["total"]

    def profile(self, user_id: str) -> tuple[list[str], list[str]]:
        """What a user took or likes, and what they dislike, oldest first."""
        found = self._call("GET", f"/v1/users/{quote(user_id, safe='')}/profile")
        return found["likes"], found["dislikes"]

    # ------------------------------------------------------------------ writes

    def record(
        self,
        user_id: str,
        item_id: str,
        kind: Literal["like", "dislike", "view"] = "like",
        value: float = 1.0,
    ) -> None:
        """Keep what a user did; on disk when this returns."""
        body = {"user_id": user_id, "item_id": item_id, "kind": kind, "value": value}
        self._write("POST", "/v1/interactions", json=body)

    def take_back(self, user_id: str, item_id: str) -> None:
        """Forget a like or dislike."""
        self._write("DELETE", f"/v1/users/{quote(user_id, safe='')}/interactions/{quote(item_id, safe='')}")

    def sell(self, item_id: str, buyer: str) -> Sale:
        """Sell a work; `ProblemError` with status 409 if it is an original and sold."""
        sale = self._write("POST", f"{_work(item_id)}/sale", json={"buyer": buyer})
        return Sale(**{**sale, "sold_at": datetime.fromisoformat(sale["sold_at"])})

    def add_work(
        self,
        item_id: str,
        picture: bytes,
        title: str | None = None,
        artist_id: str | None = None,
        original: bool = False,
        columns: Mapping[str, Any] | None = None,
    ) -> RemoteWork:
        """Hang a new work."""
        given = {"item_id": item_id, "title": title, "artist_id": artist_id}
        data = {name: value for name, value in given.items() if value is not None}
        data |= {"original": str(original).lower(), "columns": json.dumps(dict(columns or {}))}
        return RemoteWork(
            **self._write("POST", "/v1/works", data=data, files={"picture": ("picture", picture)})
        )

    def change_work(self, item_id: str, **changes: Any) -> RemoteWork:
        """Change columns of a work; ``removed=True`` takes it off the walls."""
        return RemoteWork(**self._write("PATCH", _work(item_id), json={"changes": changes}))

    # ------------------------------------------------------------------ the way there

    def _write(self, method: str, path: str, **request: Any) -> Any:
        return self._call(method, path, headers={"Idempotency-Key": uuid.uuid4().hex}, **request)

    def _call(self, method: str, path: str, **request: Any) -> Any:
        for left in reversed(range(TRIES)):
            wait = 0.5
            try:
                response = self._http.request(method, path, **request)
                if response.status_code not in AGAIN or not left:
                    return _content(response)
                wait = float(response.headers.get("Retry-After", wait))
            except httpx.TransportError as error:
                if not left:
                    raise ProblemError(0, f"the gallery cannot be reached: {error}") from None
            time.sleep(min(wait, LONGEST_WAIT))
        raise AssertionError("the last try returns or raises")


def _work(item_id: str) -> str:
    return f"/v1/works/{quote(item_id, safe='')}"


def _answer(found: Mapping[str, Any]) -> Answer:
    return Answer(**{**found, "works": tuple(Hung(**work) for work in found["works"])})


def _content(response: httpx.Response) -> Any:
    if response.is_success:
        return response.json() if response.content else None
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = response.reason_phrase
    raise ProblemError(response.status_code, detail)
