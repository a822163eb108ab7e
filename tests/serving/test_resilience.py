"""What goes wrong inside, is kept too long or never ends harms nobody else."""

import gc
import io
import socket
import threading
import time
import weakref

import uvicorn
from PIL import Image

from vasari.core.errors import WriteError
from vasari.serving import serve as serve_module
from vasari.serving.api.app import create_app
from vasari.serving.api.guard import Limits
from vasari.serving.encoder import admit_all
from vasari.serving.shelf import Shelf


def test_an_event_that_nobody_foresaw_does_not_stop_those_behind_it(client, embedded, monkeypatch, caplog):
    plain = Shelf.changed

    def changed(self, item_id, changes):
        if item_id == "w010":
            raise ValueError("year 0 is out of range")
        return plain(self, item_id, changes)

    monkeypatch.setattr(Shelf, "changed", changed)
    new = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(new, "PNG")
    for item in ("one", "two"):
        # Both reach the gallery in one piece with the event that fails.
        embedded.store.change_work("w010", {"title": item}, False, {}, {"do": item}, None)
        added = client.post("/v1/works", data={"item_id": item}, files={"picture": ("a.png", new.getvalue())})
        assert added.status_code == 201
    assert client.patch("/v1/works/w011", json={"changes": {"title": "T"}}).json()["title"] == "T"
    assert client.get("/health/ready").status_code == 200
    assert client.get("/v1/works/two/picture").status_code == 200
    assert "w010" in caplog.text
    wall = client.post("/v1/recommend", json={"likes": ["two"], "k": 100}).json()["works"]
    assert "one" in {work["item_id"] for work in wall}
    assert len(wall) == len({work["item_id"] for work in wall})


def test_who_does_not_read_is_hung_up_on(embedded, monkeypatch):
    monkeypatch.setattr(serve_module, "READ_SECONDS", 3)
    app = create_app(embedded, Limits(rate=0))
    config = uvicorn.Config(app, port=0, http=serve_module.PatientProtocol, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    idle = []
    for _ in range(6):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        one.connect(("127.0.0.1", port))
        one.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 100)
        idle.append(one)
    for wanted in (6, 0):  # each holds a request, until it is hung up on
        deadline = time.monotonic() + 30
        while app.state.metrics.in_flight._value.get() != wanted and time.monotonic() < deadline:
            time.sleep(0.02)
        assert app.state.metrics.in_flight._value.get() == wanted
    for one in idle:
        one.close()
    server.should_exit = True
    thread.join(30)


def test_pictures_that_were_looked_at_are_not_kept(embedded, embedded_pictures):
    images = admit_all([embedded_pictures["w030"]])
    first = embedded._encoder.encode(images)
    assert (embedded._encoder.encode(images) == first).all()
    gone = weakref.ref(images[0])
    del images
    gc.collect()
    assert gone() is None
    other = admit_all([embedded_pictures["w031"]])
    assert (embedded._encoder.encode(other) != first).any()


def test_a_disk_that_is_full_is_no_defect_of_ours(client, embedded, embedded_pictures, monkeypatch):
    def full(*_):
        raise WriteError("the disk is full")

    monkeypatch.setattr(type(embedded), "_keep", full)
    picture = {"picture": ("a.png", embedded_pictures["w030"])}
    answer = client.post("/v1/works", data={"item_id": "new"}, files=picture)
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
