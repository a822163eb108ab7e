"""A real server: buyers who race, models swapped under load, kills in the middle of writing, a clean stop."""

import random
import re
import shutil
import sqlite3
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

import httpx
import pytest

from vasari.serving.asks import Answer
from vasari.serving.client import GalleryClient, ProblemError


@pytest.fixture
def remote(served):
    with GalleryClient(served.url) as client:
        yield client


def test_the_client_speaks_all_of_it(remote, embedded_pictures):
    wall = remote.recommend(likes=["w001"], k=5, filters={"style": ["s0", "s1"]}, diversity=0.2)
    assert isinstance(wall, Answer)
    assert len(wall.works) == 5
    best = wall.works[0].item_id
    assert remote.explain([best], likes=["w001"])[best][0].item_id == "w001"
    assert remote.recommend(pictures=[embedded_pictures["w030"]], k=3).works
    assert remote.similar("w001", 3).works
    remote.record("me", "w002")
    assert remote.profile("me") == (["w002"], [])
    remote.take_back("me", "w002")
    assert remote.profile("me") == ([], [])
    assert len(remote.between("w001", "w003", 5).works) == 5
    walk = remote.surprise("w001", 5, seed=3)
    assert remote.surprise("w001", 5, seed=3) == walk
    assert len(remote.surprise(k=4).works) == 4
    found, total = remote.browse(limit=5, filters=["style:s0|s1"], order="-price")
    assert total == 24
    assert [work.columns["price"] for work in found] == sorted(
        (work.columns["price"] for work in found), reverse=True
    )
    assert remote.sell("w002", "me").buyer == "me"
    with pytest.raises(ProblemError) as caught:
        remote.sell("w002", "you")
    assert caught.value.status == 409
    work = remote.add_work("né w", embedded_pictures["w030"], title="T", columns={"price": 3})
    assert remote.work("né w") == work
    assert remote.change_work("né w", price=4).columns["price"] == 4


def test_the_client_asks_again_and_writes_once():
    seen = []

    def answer(request):
        seen.append(request.headers.get("idempotency-key"))
        if len(seen) == 1:
            raise httpx.ReadError("the answer was lost")
        return httpx.Response(503 if len(seen) == 2 else 204, headers={"Retry-After": "0"})

    with GalleryClient("http://x", transport=httpx.MockTransport(answer)) as client:
        client.record("u", "w")
    assert len(seen) == 3
    assert len(set(seen)) == 1
    assert seen[0]

    def busy(request):
        return httpx.Response(503, json={"detail": "busy"}, headers={"Retry-After": "0"})

    with (
        GalleryClient("http://x", transport=httpx.MockTransport(busy)) as client,
        pytest.raises(ProblemError, match="busy"),
    ):
        client.work("w")


def everything_shown(http):
    """Ids in every kind of answer about works that can be had."""
    found = set()
    for ask in ({"likes": ["w001"]}, {"user_id": "stranger"}, {"likes": ["w001"], "model": "bpr"}):
        found |= {
            work["item_id"] for work in http.post("/v1/recommend", json={**ask, "k": 500}).json()["works"]
        }
    for path in (
        "works/w001/similar",
        "between?first=w001&second=w003",
        "surprise?start=w001&seed=0",
        "works",
    ):
        params = dict(parse_qsl(path.partition("?")[2])) | {"limit" if path == "works" else "k": 500}
        works = http.get(f"/v1/{path.partition('?')[0]}", params=params).json()["works"]
        found |= {work["item_id"] for work in works}
    for path in ("/?show=240", "/walk?seed=1", "/work?id=w001"):
        found |= set(re.findall(r'class="piece"[^>]*data-item="([^"]+)"', http.get(path).text))
    return found


def test_200_buyers_of_50_originals_make_50_sales(run, serve, database, embedded_pictures):
    """36 originals are in the run, 14 are hung while it is served; four buyers want each at the same time."""
    served = serve(run, "--database", database)
    originals = [f"w{n:03d}" for n in range(0, 72, 2)]
    with GalleryClient(served.url, timeout=60) as client:
        for item in originals[:14]:
            client.add_work(f"new-{item}", embedded_pictures[item], original=True)
    originals += [f"new-{item}" for item in originals[:14]]
    assert len(originals) == 50
    together = threading.Barrier(200)

    def buy(number):
        item = originals[number % 50]
        with httpx.Client(base_url=served.url, timeout=120) as http:
            http.get("/health/live")  # the connection stands before anybody buys
            together.wait(120)
            status = http.post(f"/v1/works/{item}/sale", json={"buyer": f"b{number}"}).status_code
            shown = http.post("/v1/recommend", json={"likes": ["w001"], "k": 500}).json()["works"]
        return item, status, item in {work["item_id"] for work in shown}

    with httpx.Client(base_url=served.url, timeout=60) as http:
        before = everything_shown(http)
    assert set(originals) <= before
    with ThreadPoolExecutor(200) as pool:
        bought = list(pool.map(buy, range(200)))
    statuses = Counter(status for _, status, _ in bought)
    assert statuses == {201: 50, 409: 150}
    assert sorted(item for item, status, _ in bought if status == 201) == sorted(originals)
    assert not any(still_shown for _, _, still_shown in bought)

    def gone(url):
        with httpx.Client(base_url=url, timeout=60) as http:
            assert everything_shown(http) == before - set(originals)
            late = [http.post(f"/v1/works/{item}/sale", json={"buyer": "late"}) for item in originals]
            assert {answer.status_code for answer in late} == {409}
            assert http.get("/v1/overview").json()["available"] == len(before) - 50

    gone(served.url)
    assert served.stop() == 0
    gone(serve(run, "--database", database).url)


def test_no_request_fails_while_models_are_swapped_and_writes_arrive(served):
    stop, failures, versions = threading.Event(), [], set()

    def ask(number):
        with httpx.Client(base_url=served.url, timeout=60) as http:
            while not stop.is_set():
                response = http.post("/v1/recommend", json={"likes": ["w001"], "k": 5, "model": "curatornet"})
                if response.status_code != 200 or len(response.json()["works"]) != 5:
                    failures.append(response.text)
                versions.add(response.json().get("version"))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    with httpx.Client(base_url=served.url, timeout=60) as http:
        for turn in range(6):
            folder = ("curatornet-2", "curatornet")[turn % 2]
            assert http.put("/v1/models/curatornet", json={"folder": folder}).status_code == 200
            assert (
                http.post("/v1/interactions", json={"user_id": "u", "item_id": f"w{turn:03d}"}).status_code
                == 204
            )
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(versions) == 2


def test_a_stop_finishes_what_is_under_way_and_keeps_what_was_shown(served, run):
    answers = []

    def ask():
        with httpx.Client(base_url=served.url, timeout=30) as http:
            while True:
                try:
                    answers.append(http.post("/v1/recommend", json={"user_id": "me"}).status_code)
                except httpx.TransportError:
                    return

    thread = threading.Thread(target=ask)
    thread.start()
    while len(answers) < 10:
        time.sleep(0.01)
    assert served.stop() == 0
    thread.join()
    assert set(answers) == {200}
    with sqlite3.connect(run / "live" / "gallery.db") as database:
        (kept,) = database.execute("SELECT count(*) FROM exposures").fetchone()
    assert kept >= len(answers)


def test_two_workers_share_the_store(run, serve):
    served = serve(run, "--workers", "2")
    with httpx.Client(base_url=served.url, timeout=30) as http:
        assert http.post("/v1/works/w030/sale", json={"buyer": "me"}).status_code == 201
    for _ in range(20):  # each on a connection of its own, so that both processes are asked
        wall = httpx.post(f"{served.url}/v1/recommend", json={"likes": ["w031"], "k": 72}, timeout=30).json()
        assert "w030" not in {work["item_id"] for work in wall["works"]}
    assert served.stop() == 0


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_kill_9(painted, tmp_path, serve):
    """Ten servers, killed at random moments while four clients write."""
    run = shutil.copytree(painted, tmp_path / "run")
    acknowledged, lock = set(), threading.Lock()
    for life in range(10):
        served = serve(run)
        dead = threading.Event()

        def write(writer, life=life, served=served, dead=dead):
            with httpx.Client(base_url=served.url, timeout=10) as http:
                for number in range(100_000):
                    user = f"u{life}-{writer}-{number}"
                    try:
                        response = http.post("/v1/interactions", json={"user_id": user, "item_id": "w001"})
                    except httpx.TransportError:
                        return
                    if response.status_code == 204:
                        with lock:
                            acknowledged.add(user)
                    if dead.is_set():
                        return

        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for writer in writers:
            writer.start()
        time.sleep(random.Random(life).uniform(0.2, 1.5))
        served.kill()
        dead.set()
        for writer in writers:
            writer.join()
    with sqlite3.connect(run / "live" / "gallery.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {user for (user,) in database.execute("SELECT user_id FROM events")}
    assert len(acknowledged) > 100
    assert acknowledged <= kept
    with GalleryClient(serve(run).url) as client:
        assert client.recommend(sorted(acknowledged)[0]).cold is False
