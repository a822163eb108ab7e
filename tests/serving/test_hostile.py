"""Hostile input: always a clear 4xx, never a 5xx, a hang, or memory that grows."""

import asyncio
import io
import json
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.responses import Response
from starlette.testclient import TestClient

from vasari.serving.api.app import create_app
from vasari.serving.api.guard import Guard, Limits
from vasari.serving.api.watch import Metrics, Watch

HUGE = 10**9
JSON = {"Content-Type": "application/json"}
STRINGS = [
    "",
    " ",
    "\x00",
    "a\x00b",
    "\n",
    "../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/passwd",
    "%2e%2e%2f",
    "' OR 1=1 --",
    "w001'; DROP TABLE events; --",
    '"; SELECT pg_sleep(10); --',
    "${jndi:ldap://x}",
    "{{7*7}}",
    "<script>alert(1)</script>",
    "\u202e\u0000",
    "\ud800",
    "\udfff\ud800",
    "💥" * 50,
    "a" * 201,
    "a" * 100_000,
    "NaN",
    "null",
    "\u0301" * 150,
    "İ" * 150,
]
THINGS = [
    None,
    True,
    -1,
    0,
    HUGE,
    10**30,
    1e308,
    -1e308,
    0.5,
    [],
    {},
    [[]],
    {"a": {"b": {}}},
    "x",
    ["x"] * 501,
    [None],
]


def fields():
    """Every field of an ask with everything that does not belong there."""
    for name in (
        "user_id",
        "likes",
        "dislikes",
        "k",
        "filters",
        "exclude",
        "diversity",
        "per_artist",
        "novelty",
        "model",
    ):
        for thing in THINGS + STRINGS:
            yield {name: thing}
            if name in ("likes", "dislikes", "exclude"):
                yield {name: [thing]}
    for column in STRINGS:
        yield {"filters": {column: "x"}}
        yield {"filters": {"style": column}}
        yield {"filters": {"style": [column]}}
    for thing in THINGS:
        yield {"filters": {"price": thing}}
        yield {"filters": {"price": {"min": thing}}}
        yield {"filters": {"price": {"min": 1, "max": thing}}}
        yield {"filters": {"title": {"min": thing}}}
        yield {"filters": {"available": thing}}
    yield {"filters": {f"c{n}": "x" for n in range(30)}}
    yield {"filters": {"style": ["x"] * 1000}}
    yield {"unknown": 1}
    yield {"__class__": "x", "__proto__": {}}


def refused(response):
    """Answered, or refused as a problem that says why."""
    if response.status_code in (200, 201, 204):
        return False
    assert 400 <= response.status_code < 500, (response.status_code, response.text)
    body = response.json()
    assert response.headers["content-type"] == "application/problem+json"
    assert body["status"] == response.status_code
    assert body["detail"]
    assert len(response.content) < 10_000
    return True


def post_json(client, path, value):
    content = json.dumps(
        value
    ).encode()  # NaN and lone halves of characters pass, as an attacker would send them
    return client.post(path, content=content, headers={"Content-Type": "application/json"})


def test_every_field_with_everything(client):
    asked, answered = 0, 0
    for ask in fields():
        response = post_json(client, "/v1/recommend", ask)
        answered += not refused(response)
        asked += 1
    assert asked > 500
    assert answered < asked / 3  # what is answered is odd, but means something: null, an unknown user


@pytest.mark.parametrize("k", [0, -1, HUGE, 10**30, "20", 20.5, True, None, [20], float("nan"), float("inf")])
def test_k_is_a_small_number(client, k):
    assert refused(post_json(client, "/v1/recommend", {"k": k}))
    assert refused(client.get("/v1/works/w001/similar", params={"k": str(k)})) == (k not in ("20",))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe\x00",
        b'{"k": 1' + b"0" * 5000 + b"}",
        b"[" * 50_000,
        b'{"a":' * 20_000,
        b'{"likes": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"k": NaN}',
        b'{"diversity": Infinity}',
        b'{"likes": ["\\ud800"]}',
        b'{"k": 1, "k": 0}',
        b"user_id=1",
    ],
)
def test_bodies_that_are_no_ask(client, body):
    assert refused(client.post("/v1/recommend", content=body, headers={"Content-Type": "application/json"}))


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data", "application/json; charset=utf-7", ""]
)
def test_bodies_of_another_type(client, kind):
    response = client.post("/v1/recommend", content=b"\x00\x01", headers={"Content-Type": kind})
    assert refused(response)


@pytest.mark.parametrize(
    "text", [text for text in STRINGS if len(text) < 5_000 and "\ud800" not in text and "\udfff" not in text]
)
def test_ids_in_addresses(client, embedded, text):
    from urllib.parse import quote

    before = embedded.counts()
    for path in ("/v1/works/{}", "/v1/works/{}/picture", "/v1/works/{}/similar", "/v1/artists/{}/works"):
        assert refused(client.get(path.format(quote(text, safe="")))) or text in ("", " ")
    refused(client.get("/v1/works", params={"filter": text}))
    refused(client.get("/v1/works", params={"filter": f"style:{text}"}))
    refused(client.get("/v1/works", params={"order": text}))
    assert refused(client.put("/v1/models/curatornet", json={"folder": text}))
    body = {"user_id": text, "item_id": "w001"}
    refused(post_json(client, "/v1/interactions", body))
    refused(
        client.post(
            "/v1/works/w031/sale", json={"buyer": text}, headers={"Idempotency-Key": text.encode()[:300]}
        )
    )
    assert embedded.counts() == before


@pytest.mark.parametrize(
    "path",
    [
        "/v1/works/../../../etc/passwd",
        "/v1/works/%2e%2e%2f%2e%2e%2fetc%2fpasswd/picture",
        "//etc/passwd",
        "/static/../../x",
        "/v1/works/..%5c..%5cx/picture",
    ],
)
def test_no_path_leads_to_the_file_system(client, path):
    response = client.get(path)
    assert response.status_code in (404, 422)
    assert b"root:" not in response.content


def test_filters_are_no_sql_and_no_code(client, embedded):
    for text in (
        "price:1..1e400",
        "price:nan..nan",
        "price:..",
        "style:" + "|".join("ab" for _ in range(500)),
        ":x",
        "x:",
        "style",
    ):
        assert refused(client.get("/v1/works", params={"filter": text})), text
    found = client.get("/v1/works", params={"filter": "style:s0' OR '1'='1"})
    assert found.json()["total"] == 0


# ---------------------------------------------------------------- pictures


def png(width, height, rows=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


def pictures():
    yield "empty", b""
    yield "text", b"GIF or not"
    yield "bomb by header", png(60_000, 60_000)
    yield "bomb by content", png(50_000, 2_000, b"\0" * 50_001 * 400)
    yield "no size", png(0, 0)
    yield "one wide line", png(2**31 - 1, 1)
    yield "no pixels", png(300, 300)
    whole = io.BytesIO()
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(whole, "JPEG")
    yield "cut short", whole.getvalue()[:200]
    yield "svg", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'
    yield "postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(/etc/passwd) run\n"
    yield "zip", b"PK\x03\x04" + b"\0" * 100
    rng = np.random.default_rng(0)
    for number in range(60):
        broken = bytearray(whole.getvalue())
        for place in rng.integers(0, len(broken), 12):
            broken[place] = rng.integers(0, 256)
        yield f"broken {number}", bytes(broken)


def test_pictures_of_every_kind(client, embedded):
    sure = 0
    for name, content in pictures():
        for method, path, field in (
            ("POST", "/v1/recommend/pictures", "pictures"),
            ("PUT", "/v1/works/w001/picture", "picture"),
        ):
            response = client.request(method, path, files={field: (f"../{name}.png", content)})
            was = refused(response)
            assert was or name.startswith("broken"), name
            sure += was
    assert sure > 20
    assert len(list(embedded.pictures.iterdir())) <= 60 if embedded.pictures.exists() else True


def test_forms_that_are_none(client):
    for content, kind in (
        (b"--x\r\n", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data; name=pictures\r\n\r\nx", "multipart/form-data; boundary=x"),
        (b"x" * 1000, "multipart/form-data; boundary=" + "y" * 500),
        (b"", "multipart/form-data"),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n' * 2000 + b"--x--",
            "multipart/form-data; boundary=x",
        ),
    ):
        assert refused(client.post("/v1/recommend/pictures", content=content, headers={"Content-Type": kind}))
    files = [("pictures", (f"{n}", b"x")) for n in range(300)]
    assert refused(client.post("/v1/recommend/pictures", files=files))
    for columns in (
        "[]",
        "{",
        "NaN",
        '{"price": NaN}',
        '{"style": [1]}',
        '{"style": {"a": 1}}',
        '{"image": "/etc/passwd"}',
        '{"nothing": 1}',
        "[" * 10_000,
    ):
        form = {"item_id": "n", "columns": columns}
        content = png(8, 8, b"\0" * 9 * 8)
        assert refused(client.post("/v1/works", data=form, files={"picture": ("x", content)})), columns


# ---------------------------------------------------------------- bodies without end, clients without haste


def test_large_bodies_are_refused_before_they_are_read(embedded):
    app = create_app(embedded, Limits(rate=0, body_bytes=10_000))
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
        assert client.post("/v1/recommend", content=b" " * 10_001).status_code == 413

        def endless():
            for _ in range(100):
                yield b" " * 1000

        assert client.post("/v1/recommend", content=endless()).status_code == 413
        assert refused(client.get("/v1/works", params={"filter": "x" * 20_000}))
        assert refused(client.get("/v1/works", headers={"X-Long": "x" * 40_000}))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_bodies_come_in_any_encoding_of_json(client, encoding):
    body = '{"likes": ["w001"], "k": 3}'.encode(encoding)
    answer = client.post("/v1/recommend", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    assert len(answer.json()["works"]) == 3


def run_app(app, scope, receive, send):
    """In a thread of its own: this one may hold the loop of a browser."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, app(scope, receive, send)).result()


def test_headers_of_one_answer_are_not_those_of_another(embedded):
    """A response that is sent twice stays as it was."""

    shared, sent = Response("x"), []
    app = Watch(Guard(shared, Limits(rate=0)), Metrics(embedded))

    async def send(message):
        sent.append(message)

    for number in (b"r0", b"r1"):
        scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b""}
        run_app(app, scope | {"headers": [(b"x-request-id", number)]}, None, send)
    starts = [message for message in sent if message["type"] == "http.response.start"]
    numbers = [[value for name, value in start["headers"] if name == b"x-request-id"] for start in starts]
    assert numbers == [[b"r0"], [b"r1"]]


def test_a_visitor_who_leaves_in_the_middle_of_a_body_is_no_defect_of_ours(embedded, caplog):

    app = create_app(embedded, Limits(rate=0))
    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/json"), (b"content-length", b"90")]
    scope = {"type": "http", "method": "POST", "path": "/v1/recommend", "raw_path": b"/v1/recommend"}
    scope |= {
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    scope |= {"http_version": "1.1", "scheme": "http", "root_path": "", "asgi": {"version": "3.0"}}
    scope["server"] = ("127.0.0.1", 80)
    messages = [{"type": "http.request", "body": b'{"likes"', "more_body": True}, {"type": "http.disconnect"}]
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    run_app(app, scope, receive, send)
    assert 400 <= sent[0]["status"] < 500
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def memory(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def exchange(port, *parts, pause=0.0, limit=30):
    """Send bytes as they are; gives what comes back until the server hangs up or nothing more comes."""
    with socket.create_connection(("127.0.0.1", port), timeout=limit) as line:
        answer = b""
        try:
            for part in parts:
                line.sendall(part)
                time.sleep(pause)
            while chunk := line.recv(65536):
                answer += chunk
                if b"\r\n\r\n" in answer:
                    break
        except (ConnectionError, BrokenPipeError):
            pass
        return answer


def test_a_real_server_stands_bad_manners(served):
    port, pid = served.port, served.process.pid
    head = b"POST /v1/recommend HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    exchange(port, head + b"Content-Length: 2\r\n\r\n{}")
    before = memory(pid)
    # 100 MB, announced and not
    assert exchange(port, head + b"Content-Length: 104857600\r\n\r\n" + b" " * 1_000_000).startswith(
        b"HTTP/1.1 413"
    )
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    answer = exchange(port, head + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 100)
    assert answer.startswith(b"HTTP/1.1 413") or answer == b""  # hung up on while still sending
    for bad in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 100,
        b"GET / HTTP/9.9\r\n\r\n",
        b"NONSENSE\r\n\r\n",
        b"GET /v1/works HTTP/1.1\r\n\r\n",
        b"GET /v1/works HTTP/1.1\r\nHost: a\r\nHost: b\r\nX: \x00\r\n\r\n",
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
        head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        answer = exchange(port, bad, limit=20)
        assert not answer.startswith(b"HTTP/1.1 5"), (bad[:60], answer[:200])
    # a hundred who never finish do not keep others from being answered
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    for line in slow:
        line.sendall(head + b"Content-Length: 100\r\n\r\n{")
    started = time.monotonic()
    assert exchange(port, head + b"Content-Length: 2\r\n\r\n{}").startswith(b"HTTP/1.1 200")
    assert time.monotonic() - started < 5
    for line in slow:
        line.close()
    assert memory(pid) - before < 150
    assert served.process.poll() is None


ENDLESS = {
    "headers": b"GET / HTTP/1.1\r\nHost: a\r\n",
    "trailers": b"POST /v1/recommend HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
    "sizes": b"POST /v1/recommend HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;",
}


@pytest.mark.parametrize("line", [b"X: " + b"a" * 1000 + b"\r\n", b"a" * 1000])
def test_what_is_no_body_has_an_end(served, line):
    """Many lines, and one that never ends."""
    before = memory(served.process.pid)
    for name, start in ENDLESS.items():
        prefix = b"X: " if line[:1] == b"a" and name != "sizes" else b""
        taken = 0
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as connection:
            connection.sendall(start + prefix)
            try:
                for _ in range(100):
                    connection.sendall(line * 1000)
                    taken += 1
            except (ConnectionError, BrokenPipeError):
                pass
        assert taken < 50, (name, taken)
    assert memory(served.process.pid) - before < 30
    assert served.process.poll() is None


def test_a_large_body_in_small_chunks_is_still_a_body(served):
    head = b"POST /v1/recommend/pictures HTTP/1.1\r\nHost: a\r\n"
    head += b"Content-Type: multipart/form-data; boundary=b\r\n"
    field = b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n\r\n'
    body = field + b" " * 3_000_000 + b"\r\n--b--\r\n"
    pieces = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    answer = exchange(served.port, head + b"Transfer-Encoding: chunked\r\n\r\n", chunks + b"0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 422")  # it is no picture, and was read to its end


@pytest.mark.slow
def test_who_does_not_finish_is_hung_up_on(served):
    half_head = socket.create_connection(("127.0.0.1", served.port), timeout=60)
    half_head.sendall(b"GET /v1/works HTTP/1.1\r\nHost:")
    half_body = socket.create_connection(("127.0.0.1", served.port), timeout=60)
    head = b"POST /v1/recommend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    half_body.sendall(head + b"Content-Length: 9\r\n\r\n{")
    assert half_head.recv(100) == b""
    assert half_body.recv(100).startswith(b"HTTP/1.1 408")


@pytest.mark.slow
def test_memory_does_not_grow_with_refusals(served):
    head = (
        b"POST /v1/recommend HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    )
    sizes = []
    for turn in range(4):
        for number in range(300):
            body = json.dumps({"user_id": f"{turn}-{number}" * 20, "likes": [f"x{number}"] * 100}).encode()
            exchange(served.port, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        sizes.append(memory(served.process.pid))
    assert max(after - before for before, after in pairwise(sizes[1:])) < 20, sizes


def test_what_is_no_address_is_no_address_of_ours(client):
    for headers in ({"Host": "[::1"}, {"Origin": "http://[::1"}):
        body = {"user_id": "u", "item_id": "w001"}
        assert refused(client.post("/v1/interactions", json=body, headers=headers))
        liked = client.post("/taste", data={"like": "w001"}, headers=headers, follow_redirects=False)
        assert liked.status_code in (303, 403)


@pytest.mark.parametrize("value", ["yesterday", 10**17, -(10**18), 1.5, True, "9999999-01-01"])
def test_what_is_no_date_is_no_date(client, value):
    assert refused(client.patch("/v1/works/w001", json={"changes": {"added_at": value}}))


def test_a_thread_of_millions_of_pixels_is_not_decoded(client):
    for size in ((1, 30_000_000), (30_000_000, 1)):
        picture = png(*size, b"\0" * 1000)
        assert refused(client.post("/v1/recommend/pictures", files={"pictures": ("a", picture)}))
        assert refused(client.put("/v1/works/w001/picture", files={"picture": ("a", picture)}))
        started = time.monotonic()
        page = client.post("/", files={"photograph": ("a", picture)}, headers={"Origin": "http://127.0.0.1"})
        assert page.status_code == 422
        assert time.monotonic() - started < 2


def test_only_forms_may_be_large(client):
    assert client.post("/v1/recommend", content=b" " * (1 << 20) + b"{}", headers=JSON).status_code == 413
    wrong = {f"x{number}": 1 for number in range(30_000)}
    refused(answer := client.post("/v1/recommend", json=wrong))
    assert "30000 things" in answer.json()["detail"]
    refused(answer := client.post("/v1/recommend", json={"likes": [1] * 60}))
    assert len(answer.json()["errors"]) == 20


def icon():
    """A picture whose directory says 16 x 16 and in which lies a larger one."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "ICO", sizes=[(64, 64)])
    content = bytearray(buffer.getvalue())
    content[6:8] = 16, 16
    return bytes(content)


def scans():
    """A progressive JPEG whose last scan comes a thousand times."""
    buffer = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    last = content.rindex(b"\xff\xda")
    return content[:-2] + content[last:-2] * 1000 + content[-2:]


def test_pictures_that_are_more_than_they_say(client):
    for content in (icon(), scans()):
        refused(client.post("/v1/recommend/pictures", files={"pictures": ("a.jpg", content)}))
        page = client.post("/", files={"photograph": ("a.jpg", content)}, headers={"Sec-Fetch-Site": "none"})
        assert page.status_code == 422


def test_pictures_of_one_request_have_a_limit_together(client):
    picture = png(6000, 6000)
    refused(client.post("/v1/recommend/pictures", files=[("pictures", ("a.png", picture))] * 3))
    assert (
        "108000000"
        in client.post("/v1/recommend/pictures", files=[("pictures", ("a.png", picture))] * 3).json()[
            "detail"
        ]
    )


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0000-01-01", "10000-01-01"]
)
def test_dates_that_nobody_can_read_are_not_kept(client, value):
    refused(client.patch("/v1/works/w010", json={"changes": {"added_at": value}}))
    assert client.patch("/v1/works/w010", json={"changes": {"title": "T"}}).status_code == 200
    assert client.get("/v1/works/w010").json()["title"] == "T"
