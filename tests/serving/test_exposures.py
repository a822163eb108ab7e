"""What was shown reaches the store, also when the store is slow or gone for a while."""

import threading

import pytest
from sqlalchemy.exc import DataError, OperationalError

from vasari.serving import exposures
from vasari.serving.asks import Answer, Hung
from vasari.serving.exposures import ExposureLog

ANSWER = Answer((Hung("w1", 1.0, 1),), "visrank", "v1")


class Store:
    """Keeps what it is given, unless told to wait or to fail."""

    def __init__(self):
        self.kept, self.fails = [], None
        self.entered, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def expose(self, shown):
        self.entered.set()
        assert self.go_on.wait(30)
        if self.fails:
            raise self.fails
        self.kept += [one.user_id for one in shown]


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setattr(exposures, "FLUSH", 0.01)
    return Store()


def test_a_flush_waits_for_what_another_thread_is_writing(store):
    store.go_on.clear()
    log = ExposureLog(store)
    log.add("ann", ANSWER)
    assert store.entered.wait(30)  # the log's own thread took it, and hangs in the store
    flushing = threading.Thread(target=log.flush)
    flushing.start()
    flushing.join(0.1)
    assert flushing.is_alive()
    store.go_on.set()
    flushing.join(30)
    assert store.kept == ["ann"]
    log.close()


def test_a_store_that_stands_still_does_not_keep_the_gallery_from_stopping(store, monkeypatch, caplog):
    monkeypatch.setattr(exposures, "PATIENCE", 0.1)
    store.go_on.clear()
    log = ExposureLog(store)
    log.add("ann", ANSWER)
    log.close()
    assert "not written" in caplog.text
    assert store.kept == []
    store.go_on.set()


def test_a_store_that_is_gone_for_a_while_loses_nothing(store):
    store.fails = OperationalError("INSERT", {}, Exception("gone"))
    log = ExposureLog(store)
    log.add("ann", ANSWER)
    assert store.entered.wait(30)
    log.add("bob", ANSWER)
    with pytest.raises(OperationalError):
        log.flush()
    store.fails = None
    log.close()
    assert store.kept == ["ann", "bob"]


@pytest.mark.parametrize(
    "refusal", [DataError("INSERT", {}, Exception("NUL")), UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no")]
)
def test_rows_that_the_database_refuses_do_not_stop_those_behind_them(store, refusal):
    store.fails = refusal
    log = ExposureLog(store)
    log.add("bad", ANSWER)
    assert store.entered.wait(30)
    with log._one_writer:
        store.fails = None
    log.add("ann", ANSWER)
    log.close()
    assert store.kept == ["ann"]
