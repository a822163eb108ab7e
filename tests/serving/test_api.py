"""The API: what it answers, to whom, and what it says when it does not."""

import asyncio
import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
from sqlalchemy.exc import OperationalError
from starlette.testclient import TestClient

from vasari.serving.api.app import create_app
from vasari.serving.api.guard import Guard, Limits
from vasari.serving.store.keys import new_key

LOCAL = ("127.0.0.1", 50000)


@pytest.fixture
def api(gallery):
    """The app on either kind of database."""
    with TestClient(create_app(gallery, Limits(rate=0)), base_url="http://127.0.0.1", client=LOCAL) as client:
        yield client


def names(response):
    assert response.status_code == 200, response.text
    return [work["item_id"] for work in response.json()["works"]]


def is_problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status
    assert body["detail"]
    assert body["title"]
    return body["detail"]


def test_the_journey_from_nothing_to_a_sale(api, gallery):
    cold = api.post("/v1/recommend", json={"user_id": "me", "k": 5}).json()
    assert (cold["cold"], cold["fallback"], len(cold["works"])) == (True, "popularity", 5)
    assert api.post("/v1/interactions", json={"user_id": "me", "item_id": "w030"}).status_code == 204
    warm = api.post("/v1/recommend", json={"user_id": "me", "k": 5, "model": "curatornet"}).json()
    assert (warm["cold"], warm["fallback"], warm["model"]) == (False, None, "curatornet")
    best = warm["works"][0]["item_id"]
    why = api.post("/v1/explain", json={"user_id": "me", "items": [best], "model": "curatornet"}).json()
    assert [reason["item_id"] for reason in why[0]["reasons"]] == ["w030"]
    original = next(w["item_id"] for w in warm["works"] if gallery.work(w["item_id"]).original)
    sale = api.post(f"/v1/works/{original}/sale", json={"buyer": "me"})
    assert sale.status_code == 201
    assert sale.json()["item_id"] == original
    assert original in is_problem(api.post(f"/v1/works/{original}/sale", json={"buyer": "you"}), 409)
    assert original not in names(
        api.post("/v1/recommend", json={"user_id": "you", "likes": ["w030"], "k": 72})
    )
    assert api.get("/v1/users/me/profile").json() == {"likes": ["w030", original], "dislikes": []}
    assert api.delete("/v1/users/me/interactions/w030").status_code == 204
    assert api.get("/v1/users/me/profile").json()["likes"] == [original]


def test_a_work_is_hung_looked_at_changed_and_taken_down(api, gallery):
    content = gallery.work("w030").picture.read_bytes()
    form = {"item_id": "né/w 1", "title": "N", "original": "true", "columns": json.dumps({"price": 7})}
    added = api.post("/v1/works", data=form, files={"picture": ("../../x.png", content)})
    assert added.status_code == 201, added.text
    assert added.json()["columns"]["price"] == 7
    assert added.json()["picture"] == "/v1/works/n%C3%A9%2Fw%201/picture"
    assert names(api.get("/v1/works/w030/similar", params={"k": 1})) == ["né/w 1"]
    assert api.get("/v1/works", params={"id": "né/w 1"}).json()["works"] == [added.json()]
    plain = {**form, "item_id": "plain"}
    api.post("/v1/works", data=plain, files={"picture": ("x", content)})
    shown = api.get("/v1/works/plain/picture")
    assert shown.content == content
    assert shown.headers["content-type"] == "image/png"
    changed = api.patch("/v1/works/plain", json={"changes": {"title": "M", "removed": True}}).json()
    assert (changed["title"], changed["available"]) == ("M", False)
    other = gallery.work("w071").picture.read_bytes()
    assert api.put("/v1/works/plain/picture", files={"picture": ("x", other)}).status_code == 200
    assert api.get("/v1/works/plain/picture").content == other
    is_problem(api.post("/v1/works", data=plain, files={"picture": ("x", content)}), 409)


def test_walls_from_pictures(client, embedded):
    content = embedded.work("w030").picture.read_bytes()
    ask = json.dumps({"k": 8, "exclude": ["w030"], "model": "curatornet"})
    files = [("pictures", ("a", content))]
    by_picture = client.post("/v1/recommend/pictures", files=files, data={"ask": ask})
    by_work = client.post("/v1/recommend", json={"likes": ["w030"], "k": 8, "model": "curatornet"})
    assert names(by_picture) == names(by_work)
    is_problem(client.post("/v1/recommend/pictures", files=files, data={"ask": '{"k": 0}'}), 422)
    is_problem(client.post("/v1/recommend/pictures", files=[("pictures", ("a", b"no picture"))]), 422)
    is_problem(client.post("/v1/recommend/pictures", data={"ask": "{}"}), 422)


def test_the_other_routes_answer(client):
    assert names(client.get("/v1/between", params={"first": "w001", "second": "w071", "k": 4}))
    walk = client.get("/v1/surprise", params={"start": "w001", "k": 5, "seed": 1})
    assert names(walk) == names(client.get("/v1/surprise", params={"start": "w001", "k": 5, "seed": 1}))
    filters = {"k": 5, "filter": ["style:s1|s2", "price:100..400"]}
    assert names(client.get("/v1/users/nobody/recommendations", params=filters))
    page = client.get("/v1/works", params={"limit": 10, "order": "-price"}).json()
    assert (len(page["works"]), page["total"]) == (10, 72)
    artists = client.get("/v1/artists").json()
    assert client.get(f"/v1/artists/{artists[0]['artist_id']}/works").status_code == 200
    assert client.get("/v1/overview").json()["works"] == 72
    assert {m["name"] for m in client.get("/v1/models").json()} == {
        "bpr",
        "curatornet",
        "curatornet-2",
        "visrank",
    }


def test_a_key_used_again_answers_alike_and_does_it_once(client, embedded):
    headers = {"Idempotency-Key": "abc"}
    first = client.post("/v1/works/w031/sale", json={"buyer": "me"}, headers=headers)
    again = client.post("/v1/works/w031/sale", json={"buyer": "me"}, headers=headers)
    assert first.json() == again.json()
    assert len(embedded.store.sales_times()) == 1
    is_problem(client.post("/v1/works/w031/sale", json={"buyer": "you"}, headers=headers), 409)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/works/nowhere", None),
        ("GET", "/v1/works/nowhere/similar", None),
        ("GET", "/v1/works/nowhere/picture", None),
        ("POST", "/v1/recommend", {"likes": ["nowhere"]}),
        ("POST", "/v1/explain", {"likes": ["w001"], "items": ["nowhere"]}),
        ("POST", "/v1/interactions", {"user_id": "u", "item_id": "nowhere"}),
        ("POST", "/v1/works/nowhere/sale", {"buyer": "u"}),
        ("GET", "/v1/artists/nowhere/works", None),
        ("POST", "/v1/recommend", {"model": "nowhere"}),
        ("PUT", "/v1/models/curatornet", {"folder": "nowhere"}),
    ],
)
def test_what_is_unknown_is_named(client, method, path, body):
    assert "nowhere" in is_problem(client.request(method, path, json=body), 404)


def test_unknown_addresses_and_methods_are_problems_too(client):
    is_problem(client.get("/v1/nothing-here"), 404)
    is_problem(client.delete("/v1/recommend"), 405)


# ---------------------------------------------------------------- who may

WRITES = [
    ("POST", "/v1/interactions", {"user_id": "u", "item_id": "w001"}),
    ("DELETE", "/v1/users/u/interactions/w001", None),
    ("POST", "/v1/works/w001/sale", {"buyer": "u"}),
    ("PATCH", "/v1/works/w001", {"changes": {"title": "T"}}),
    ("PUT", "/v1/models/curatornet", {"folder": "curatornet-2"}),
    ("GET", "/v1/users/u/profile", None),
    ("GET", "/v1/overview", None),
    ("GET", "/v1/experiment", None),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_with_keys_only_their_holders_write(client, embedded, method, path, body):
    key = new_key(embedded.store, "shop")
    for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": b"\xe9"}, {"X-API-Key": key[:-1]}):
        is_problem(client.request(method, path, json=body, headers=headers), 401)
    assert client.request(method, path, json=body, headers={"X-API-Key": key}).is_success


@pytest.mark.parametrize(
    ("client_address", "headers"),
    [
        (("192.0.2.7", 1), {}),
        (LOCAL, {"Origin": "https://evil.example"}),
        (LOCAL, {"Host": "evil.example"}),
        (LOCAL, {"X-Forwarded-For": "192.0.2.7"}),
    ],
)
def test_without_keys_only_this_machine_writes(embedded, client_address, headers):
    app = create_app(embedded, Limits(rate=0))
    with TestClient(app, base_url="http://127.0.0.1", client=client_address) as client:
        for method, path, body in WRITES:
            is_problem(client.request(method, path, json=body, headers=headers), 401)
        assert client.post("/v1/recommend", json={}, headers=headers).status_code == 200


# ---------------------------------------------------------------- limits


def test_rate_is_limited_by_address_and_fills_up_again():
    now = [0.0]

    async def fine(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = Guard(fine, Limits(rate=2, burst=3), clock=lambda: now[0])

    def ask(address, path="/v1/works"):
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [],
            "client": (address, 1),
        }
        with ThreadPoolExecutor(1) as apart:  # a test with a browser leaves a loop running in this thread
            apart.submit(asyncio.run, guard(scope, receive, send)).result()
        return sent[0]["status"], dict(sent[0]["headers"])

    assert [ask("a")[0] for _ in range(4)] == [200, 200, 200, 429]
    assert ask("a")[1][b"retry-after"] == b"1"
    assert ask("b")[0] == 200
    assert ask("a", "/health/live")[0] == 200
    now[0] = 1.0
    assert [ask("a")[0] for _ in range(3)] == [200, 200, 429]


def test_too_many_at_once_are_told_to_come_again(embedded):
    app = create_app(embedded, Limits(rate=0, in_flight=0))
    with TestClient(app) as client:
        response = client.get("/v1/works")
        is_problem(response, 503)
        assert response.headers["retry-after"]
        assert client.get("/health/live").status_code == 200


def test_a_full_queue_answers_503(client, embedded, monkeypatch):
    monkeypatch.setattr(embedded._batcher, "_waiting", 0)
    response = client.post("/v1/recommend", json={})
    is_problem(response, 503)
    assert response.headers["retry-after"]


# ---------------------------------------------------------------- what is seen from outside


def test_health_and_metrics(client, embedded):
    client.post("/v1/recommend", json={"user_id": "stranger"})
    client.get("/v1/works/w001")
    client.get("/v1/works/nowhere")
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready"}
    page = client.get("/metrics").text
    assert 'vasari_answers_total{fallback="popularity",model="curatornet"} 1.0' in page
    assert 'vasari_request_seconds_count{method="GET",route="/v1/works/{item_id}",status="404"} 1.0' in page
    assert 'vasari_model_age_seconds{model="curatornet"}' in page
    assert 'vasari_works{state="available"} 72.0' in page


def test_a_database_that_is_gone_is_no_defect_of_ours(client, embedded, monkeypatch):
    def gone(self, *_):
        raise OperationalError("INSERT", {}, Exception("no connection to 10.0.0.7"))

    monkeypatch.setattr(type(embedded.store), "record", gone)
    answer = client.post("/v1/interactions", json={"user_id": "u1", "item_id": "w001"})
    is_problem(answer, 503)
    assert answer.headers["Retry-After"]
    assert "10.0.0.7" not in answer.text


def test_a_gallery_can_be_watched_while_its_database_is_gone(client, embedded, monkeypatch):
    def gone(self):
        raise OperationalError("SELECT", {}, Exception("gone"))

    assert client.post("/v1/recommend", json={"likes": ["w001"]}).status_code == 200
    monkeypatch.setattr(type(embedded.store), "newest", gone)
    is_problem(client.get("/v1/works"), 503)
    page = client.get("/metrics").text
    assert 'vasari_works{state="all"} 72.0' in page
    assert 'vasari_request_seconds_count{method="GET",route="/v1/works",status="503"} 1.0' in page


def test_readiness_fails_without_the_store(client, embedded, monkeypatch):
    def gone(self):
        raise OperationalError("SELECT", {}, Exception("gone"))

    monkeypatch.setattr(type(embedded.store), "newest", gone)
    is_problem(client.get("/health/ready"), 503)
    assert client.get("/health/live").status_code == 200


def test_every_answer_has_security_headers_and_a_number(client):
    for path in ("/v1/works", "/v1/works/nowhere", "/openapi.json", "/nothing"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-request-id"]
        assert "access-control-allow-origin" not in headers
    assert client.get("/v1/works", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert client.get("/v1/works", headers={"X-Request-Id": "a b"}).headers["x-request-id"] != "a b"


def test_cors_is_off_unless_an_origin_is_named(embedded):
    asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    with TestClient(create_app(embedded, Limits(rate=0), ["https://shop.example"])) as client:
        allowed = client.options("/v1/recommend", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        other = client.options("/v1/recommend", headers={**asked, "Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


def test_the_log_is_one_line_of_json_a_request(client, caplog):
    with caplog.at_level(logging.INFO, logger="vasari.access"):
        client.get("/v1/works/w001%0Aforged", headers={"X-Request-Id": "n-1"})
    (line,) = [record.getMessage() for record in caplog.records if record.name == "vasari.access"]
    assert "\n" not in line
    entry = json.loads(line)
    assert (entry["method"], entry["status"], entry["request_id"]) == ("GET", 404, "n-1")


def test_the_document_names_every_route_with_examples_and_problems(client):
    document = client.get("/openapi.json").json()
    assert {"/v1/recommend", "/v1/works/{item_id}/sale", "/v1/interactions"} <= set(document["paths"])
    assert all(path.startswith(("/v1/", "/health/", "/metrics")) for path in document["paths"])
    schemas = document["components"]["schemas"]
    assert schemas["AskIn"]["examples"]
    assert "HTTPValidationError" not in json.dumps(document)
    for operations in document["paths"].values():
        for operation in operations.values():
            assert "application/problem+json" in operation["responses"]["422"]["content"]


def test_models_side_by_side_are_compared_by_what_was_taken(painted, tmp_path):
    from vasari.serving.gallery import Gallery

    run = shutil.copytree(painted, tmp_path / "run")
    gallery = Gallery.open(run, shares={"curatornet": 1, "visrank": 1})
    with TestClient(create_app(gallery, Limits(rate=0)), base_url="http://127.0.0.1", client=LOCAL) as client:
        for number in range(30):
            user = f"v{number}"
            wall = client.post("/v1/recommend", json={"user_id": user, "k": 4}).json()
            for name in ("curatornet", "visrank"):  # looked at side by side: no evidence
                client.post("/v1/recommend", json={"user_id": user, "k": 4, "model": name})
            if wall["model"] == "visrank":
                for work in wall["works"][:3]:
                    client.post("/v1/interactions", json={"user_id": user, "item_id": work["item_id"]})
        found = client.get("/v1/experiment").json()
        page = client.get("/owner/experiment").text
    means = {one["model"]: one["taken_of_ten"]["mean"] for one in found["variants"]}
    assert means == {"curatornet": 0.0, "visrank": 7.5}
    assert sum(one["users"] for one in found["variants"]) == 30
    (contest,) = found["contests"]
    assert contest["difference"] == contest["low"] == contest["high"] == -7.5
    assert "curatornet less visrank" in page
    assert contest["p_value"] < 0.01


@pytest.mark.parametrize("item", ["museum/12", "x/../y", "similar", "ends/"])
def test_ids_may_hold_slashes(client, embedded, embedded_pictures, item):
    picture = {"picture": ("a.png", embedded_pictures["w030"])}
    added = client.post("/v1/works", data={"item_id": item, "original": "true"}, files=picture).json()
    at = f"/v1/works/{quote(item, safe='')}"
    assert client.get(at).json() == added
    assert client.get(added["picture"]).content == embedded_pictures["w030"]
    assert len(client.get(f"{at}/similar").json()["works"]) == 12
    assert client.patch(at, json={"changes": {"title": "T"}}).json()["title"] == "T"
    client.post("/v1/interactions", json={"user_id": "u/1", "item_id": item})
    assert client.get("/v1/users/u%2F1/profile").json()["likes"] == [item]
    assert client.delete(f"/v1/users/u%2F1/interactions/{quote(item, safe='')}").status_code == 204
    assert client.get("/v1/users/u%2F1/profile").json()["likes"] == []
    assert client.post(f"{at}/sale", json={"buyer": "me"}).status_code == 201


@pytest.mark.parametrize("item", [".", "..", "a/similar", "a/b/picture", "a/sale"])
def test_what_means_something_in_an_address_is_no_id(client, embedded_pictures, item):
    picture = {"picture": ("a.png", embedded_pictures["w030"])}
    assert client.post("/v1/works", data={"item_id": item}, files=picture).status_code == 422
