"""The page without a browser: what forms, addresses and files from strangers may do."""

from __future__ import annotations

import base64
import io
import re
from importlib.resources import files

import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy.exc import OperationalError

from vasari.data.dataset import Dataset
from vasari.serving.api.app import create_app
from vasari.serving.api.guard import Limits

HERE = {"Origin": "http://testserver"}


@pytest.fixture
def client(gallery):
    with TestClient(create_app(gallery, Limits(rate=0)), client=("127.0.0.1", 50000)) as opened:
        yield opened


def items(text, region="hung"):
    inside = text.split(f'id="{region}"', 1)[1].split("</section>", 1)[0]
    return re.findall(r'class="piece"[^>]*data-item="([^"]+)"', inside)


def jpeg(size=(300, 200), colour=(200, 40, 40)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "JPEG")
    return buffer.getvalue()


def test_a_wall_without_script(client):
    first = client.get("/")
    wanted = items(first.text)[3]
    after = client.post("/taste", data={"like": wanted, "surprise": "50"}, headers=HERE)
    assert str(after.url).endswith("/?surprise=50")
    assert items(after.text, "chosen") == [wanted]
    assert wanted not in items(after.text)
    again = client.post("/taste", data={"back": wanted}, headers=HERE)
    assert items(again.text, "chosen") == []


def test_a_dislike_stays_away(client):
    wanted = items(client.get("/").text)[0]
    assert wanted not in items(client.post("/taste", data={"dislike": wanted}, headers=HERE).text)


def test_who_has_only_looked_is_a_cold_visitor(client, gallery):
    client.get("/")
    seen = gallery.overview().cold_visitors
    assert len(seen) == 1
    client.get("/")
    assert gallery.overview().cold_visitors == seen  # the same visitor again
    client.post("/taste", data={"like": "w02"}, headers=HERE)
    assert gallery.overview().cold_visitors == ()


def test_a_wall_that_cannot_grow_offers_no_more(client, gallery):
    everything = len(items(client.get("/?show=240&sold=1").text))
    assert 'name="more"' in client.get(f"/?show={everything - 1}&sold=1").text
    assert 'name="more"' not in client.get(f"/?show={everything}&sold=1").text


def test_an_empty_wall_says_why(client, gallery):
    assert "No work fits" in client.get("/?to.price=1").text
    for work in gallery.browse(limit=500).works:
        client.post("/taste", data={"like": work.item_id}, headers=HERE)
    text = client.get("/").text
    assert items(text) == []
    assert "everything that can be had" in text
    assert "No work fits" not in text


def test_a_work_s_cluster_is_shown_also_where_all_of_it_is_alike(client, gallery):
    shown = 0
    for work in gallery.browse(limit=500).works:
        nearest = gallery.cluster_neighbours(work.item_id, 24)
        text = client.get("/work", params={"id": work.item_id}).text
        assert ("same corner" in text) == bool(nearest), work.item_id
        shown += bool(nearest)
    assert shown > 20


def test_heights_in_templates_are_those_of_the_style_sheet():
    package = files("vasari.serving.page")
    sheet = package.joinpath("static/gallery.css").read_text()
    told = [
        height
        for template in package.joinpath("templates").iterdir()
        for height in re.findall(r"clamp\([^)]+\)", template.read_text())
    ]
    assert len(told) >= 4
    assert [height for height in told if height not in sheet] == []


def test_text_is_sent_small(client):
    for path in ("/", re.search(r'href="(/page/gallery.css[^"]+)"', client.get("/").text)[1]):
        small = client.get(path, headers={"Accept-Encoding": "gzip, br"})
        plain = client.get(path, headers={"Accept-Encoding": "identity"})
        assert small.headers["content-encoding"] == "gzip"
        assert int(small.headers["content-length"]) < int(plain.headers["content-length"]) / 3
        assert "Accept-Encoding" in small.headers["vary"]
        assert "content-encoding" not in plain.headers
        assert small.text[:500] == plain.text[:500]


def test_where_nothing_is_browsers_get_a_page_and_programs_a_problem(client):
    page = client.get("/nowhere", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 404
    assert "<h1>Nothing hangs here</h1>" in page.text
    for path, accept in (("/nowhere", "*/*"), ("/v1/nowhere", "text/html")):
        answer = client.get(path, headers={"Accept": accept})
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_visitor_is_told_that_the_database_is_gone(client, gallery, monkeypatch):
    def gone(self):
        raise OperationalError("SELECT", {}, Exception("no connection to 10.0.0.7"))

    monkeypatch.setattr(type(gallery.store), "newest", gone)
    answer = client.get("/")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert "<h1>One moment, please</h1>" in answer.text
    assert "10.0.0.7" not in answer.text


def test_visitors_are_strangers_to_each_other(client, gallery):
    wanted = items(client.get("/").text)[0]
    client.post("/taste", data={"like": wanted}, headers=HERE)
    client.cookies.clear()
    assert items(client.get("/").text, "chosen") == []


def test_the_cookie_is_opaque_and_closed(client):
    given = client.get("/").headers["set-cookie"]
    assert "HttpOnly" in given
    assert "SameSite=lax" in given
    assert re.match(r"vasari_visitor=[A-Za-z0-9_-]{24};", given)


def test_no_customer_can_be_impersonated(client, gallery, run):
    users = Dataset.load(run / "data").interactions.frame["user_id"]
    customer = next(user for user in users if gallery.profile(user))
    for cookie in (customer, f"visitor-{customer}", customer.ljust(24, "x")):
        client.cookies.set("vasari_visitor", cookie)
        assert items(client.get("/").text, "chosen") == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_forms_of_other_sites_change_nothing(client, headers):
    wanted = items(client.get("/").text)[0]
    assert client.post("/taste", data={"like": wanted}, headers=headers).status_code == 403
    assert items(client.get("/").text, "chosen") == []


@pytest.mark.parametrize(
    "place", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "/a\nb"]
)
def test_no_form_leads_elsewhere(client, place):
    answer = client.post("/taste", data={"like": "w02", "next": place}, headers=HERE, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_titles_are_text(client, gallery):
    assert "<script>" in gallery.work("w11").title
    for path in (
        "/work?id=w11",
        "/walk?seed=1",
        "/?sold=1&show=240",
        "/owner",
        "/artist?id=<script>window.hacked</script>",
    ):
        text = client.get(path).text
        assert "<script>window.hacked" not in text
        assert "onerror='" not in text
        assert "49" not in re.findall(r"<h1[^>]*>.*?</h1>", text, re.S)[0]


CANNOT_BE_SHOWN = (
    ("/work?id=nobody", 404),
    ("/work", 400),
    ("/artist?id=nobody", 404),
    ("/beside?left=nobody", 404),
    ("/walk?start=nobody&seed=1", 404),
    ("/walk?seed=one", 400),
    ("/between?first=w02", 400),
    ("/between?first=w02&second=nobody", 404),
    ("/?surprise=nan", 400),
    ("/?surprise=101", 400),
    ("/?show=1000000000", 400),
    ("/?from.price=inf", 400),
    ("/?from.price=drop", 400),
    ("/?is.nothing=1", 400),
    ("/picture?id=w01&side=241&as=avif", 404),
    ("/picture?id=w01&side=240&as=exe", 404),
    ("/picture?id=../../etc/passwd&side=240&as=avif", 404),
    ("/picture?id=w30&side=240&as=avif", 404),
    ("/picture?id=w01%00&side=240&as=avif", 404),
    ("/page/../rendering.py", 404),
    ("/page/..%2Frendering.py", 404),
)


def test_what_cannot_be_shown_says_so(client):
    for path, status in CANNOT_BE_SHOWN:
        answer = client.get(path)
        assert answer.status_code == status, path
        assert "Traceback" not in answer.text


def test_a_script_s_request_is_told_without_losing_the_wall(client):
    answer = client.get("/?surprise=nan", headers={"HX-Request": "true"})
    assert answer.headers["hx-reswap"] == "none"
    assert re.search(r'id="notice" role="alert"><p>.+</p>', answer.text)


def test_a_photograph_without_script(client):
    answer = client.post("/", files={"photograph": ("a.jpg", jpeg())}, data={"surprise": "0"}, headers=HERE)
    assert answer.status_code == 200
    assert items(answer.text, "chosen") == ["image:0"]
    assert "data:image/webp;base64," in answer.text


@pytest.mark.parametrize(
    "data",
    [b"no picture", jpeg()[:200], b"GIF89a" + b"\0" * 20, b"<svg xmlns='http://www.w3.org/2000/svg'/>"],
)
def test_what_is_no_photograph(client, data):
    answer = client.post("/", files={"photograph": ("a.jpg", data)}, headers=HERE)
    assert answer.status_code == 422


def test_a_bomb_is_not_decoded(client):
    import struct
    import zlib

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    answer = client.post("/", files={"photograph": ("a.png", png)}, headers=HERE)
    assert answer.status_code == 422
    assert "more than 50000000" in answer.text


def test_the_owner_s_page_is_the_owner_s(gallery):
    from vasari.serving.store import keys

    def asked(client, **headers):
        return client.get("/owner", headers=headers).status_code, client.get(
            "/owner/map", headers=headers
        ).status_code

    app = create_app(gallery, Limits(rate=0))
    near, far = (
        TestClient(app, base_url="http://127.0.0.1", client=(address, 1))
        for address in ("127.0.0.1", "203.0.113.9")
    )
    assert asked(near) == (200, 200)
    assert asked(far) == (401, 401)
    assert asked(near, **{"X-Forwarded-For": "203.0.113.9"}) == (401, 401)
    assert asked(near, Host="gallery.example") == (401, 401)  # a name that points to this machine
    key = keys.new_key(gallery.store, "owner")

    def basic(text):
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    assert asked(near) == (401, 401)
    assert asked(far, **basic(f"anybody:{key}")) == (200, 200)
    for wrong in (f"{key}:anybody", "owner:", key, f"owner:{key}x"):
        assert asked(far, **basic(wrong)) == (401, 401)
    assert asked(far, Authorization="Basic §§§".encode()) == (401, 401)


def test_headers(client):
    for path in ("/", "/work?id=w02", "/owner", "/work?id=nobody"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self';" in policy
        assert "unsafe-eval" not in policy
        assert "no-cache" in headers["cache-control"]
    picture = re.search(r'src="(/picture[^"]+)"', client.get("/").text)[1].replace("&amp;", "&")
    answer = client.get(picture)
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    assert "immutable" not in client.get(picture.split("&v=")[0]).headers["cache-control"]


def test_no_page_names_another_origin(client):
    for path in ("/", "/work?id=w02", "/owner", "/beside", "/walk?seed=1"):
        text = client.get(path).text
        assert re.findall(r'(?:src|href|action)="(?:https?:)?//', text) == []
        assert "<style" not in text
        assert re.findall(r"<script(?![^>]*src=)", text) == []


def test_between_two_works(client, gallery):
    text = client.get("/between", params={"first": "w02", "second": "w05"}).text
    assert items(text) == [work.item_id for work in gallery.between("w02", "w05", 24).works]
    for item in ("w02", "w05"):
        client.post("/taste", data={"like": item}, headers=HERE)
    assert "/between?first=w05&amp;second=w02" in client.get("/").text
    assert "/between?first=w09&amp;second=w05" in client.get("/work?id=w09").text
