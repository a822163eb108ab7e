"""The store: atomic, once per key, in the order of commits, alike in SQLite and PostgreSQL."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter

import numpy as np
import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import OperationalError

from vasari.core.errors import UsageError
from vasari.serving import turns
from vasari.serving.asks import Busy, Conflict
from vasari.serving.store import engine
from vasari.serving.store.engine import connect, reading
from vasari.serving.store.keys import any_keys, holder, new_key, revoke_key
from vasari.serving.store.store import Exposure, Store, StoredWork
from vasari.serving.store.tables import metadata


@pytest.mark.filterwarnings("ignore:Did not recognize type 'vector'")
def test_migrations_make_exactly_the_tables_that_the_code_uses(store):
    inspector = inspect(store.engine)
    assert set(inspector.get_table_names()) == {*metadata.tables, "alembic_version"}
    for table in metadata.sorted_tables:
        found = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert set(found) == set(table.columns.keys())
        for column in table.columns:
            assert found[column.name]["nullable"] == column.nullable, (table.name, column.name)


def test_nobody_waits_for_ever_for_another_writer(database, monkeypatch):
    monkeypatch.setattr(engine, "WAIT", 1)
    store = Store(database)
    # As another process that hangs in the middle of a write.
    with engine.writing(connect(database)), pytest.raises(OperationalError):
        store.record("ann", "a", "like", 1.0, None)
    store.record("ann", "b", "like", 1.0, None)
    assert [event.item_id for event in store.events_after(0)] == ["b"]
    store.close()


def test_nobody_waits_for_ever_for_a_postgresql_that_stands_still(postgres):
    name = f"t{time.time_ns()}"
    postgres.psql(f"CREATE DATABASE {name};")
    store = Store(postgres.get_uri(name))
    store.engine.dispose()
    store.engine = connect(postgres.get_uri(name), patience=0.5)
    with store.engine.connect() as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(OperationalError, match="no answer"):
                connection.execute(text("SELECT 1"))
            assert time.monotonic() - started < 10
        finally:
            os.kill(pid, signal.SIGCONT)
    store.record("u", "a", "like", 1.0, None)  # over a new connection
    with store.engine.connect() as connection, pytest.raises(OperationalError, match="no answer"):
        connection.execute(text("SELECT pg_sleep(5)"))
    store.close()


def test_threads_do_not_wait_for_ever_for_one_that_writes(store, monkeypatch):
    monkeypatch.setattr(turns, "SECONDS", 0.1)
    with store._writing(), pytest.raises(Busy):
        store.record("u", "a", "like", 1.0, None)
    store.record("u", "b", "like", 1.0, None)
    assert [event.item_id for event in store.events_after(0)] == ["b"]


def test_opening_again_migrates_nothing_and_keeps_everything(database):
    first = Store(database)
    first.record("u", "a", "like", 1.0, None)
    first.close()
    second = Store(database)
    assert [event.item_id for event in second.events_after(0)] == ["a"]
    second.close()


def test_several_processes_may_migrate_at_once(database):
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: Store(database), range(4)))
    stores[0].record("u", "a", "like", 1.0, None)
    assert all(len(one.events_after(0)) == 1 for one in stores)
    for one in stores:
        one.close()


def test_the_newest_event_is_seen_at_once_also_over_a_connection_that_was_lost(database):
    store, other = Store(database), Store(database)
    assert store.newest() == 0
    other.record("u", "a", "like", 1.0, None)
    assert store.newest() == store.events_after(0)[-1].id
    if store.engine.dialect.name == "postgresql":
        others = "pid <> pg_backend_pid() AND datname = current_database()"
        with reading(other.engine) as connection:
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
    else:
        store._newest._connection.close()
    other.record("u", "b", "like", 1.0, None)
    assert store.newest() == other.events_after(0)[-1].id
    store.close()
    other.close()


def test_sqlite_flushes_every_commit(tmp_path):
    store = Store.embedded(tmp_path / "deep" / "gallery.db")
    with reading(store.engine) as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL
    store.close()


def test_a_key_is_used_once_and_answers_alike(store):
    first = store.sell("a", "bob", True, None, "key")
    assert store.sell("a", "bob", True, None, "key") == first
    assert len(store.events_after(0)) == 1


def test_a_key_used_for_another_request_is_refused(store):
    store.record("u", "a", "like", 1.0, "key")
    with pytest.raises(Conflict, match="key"):
        store.record("u", "b", "like", 1.0, "key")
    assert [event.item_id for event in store.events_after(0)] == ["a"]


def test_what_fails_leaves_nothing_and_does_not_use_up_its_key(store):
    store.sell("a", "bob", True, None, None)
    with pytest.raises(Conflict):
        store.sell("a", "eve", True, None, "key")
    assert len(store.events_after(0)) == 1
    assert store.sell("b", "eve", True, None, "key")["sale_id"]


def test_of_many_buyers_of_one_original_one_wins(store):
    start = threading.Barrier(12)

    def buy(number):
        start.wait()
        try:
            store.sell("a", f"b{number}", True, None, None)
        except Conflict:
            return 0
        return 1

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(buy, range(12))) == 1


def test_what_is_no_original_sells_again(store):
    for buyer in ("bob", "eve"):
        store.sell("print", buyer, False, None, None)
    assert len(store.sales_times()) == 2


def test_readers_never_miss_a_commit_with_a_lower_number(store):
    """Writers in parallel, and a reader that goes on from the last number it saw."""
    seen, last, done = [], 0, threading.Event()

    def write(number):
        for turn in range(5):
            store.record(f"u{number}", f"i{turn}", "like", 1.0, None)

    def read():
        nonlocal last
        while True:
            ended = done.is_set()
            for event in store.events_after(last):
                seen.append(event.id)
                last = event.id
            if ended:
                return

    reader = threading.Thread(target=read)
    reader.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    done.set()
    reader.join()
    assert len(seen) == 30
    assert seen == sorted(set(seen))


def test_vectors_come_back_to_the_last_bit(store):
    vector = np.random.default_rng(0).standard_normal(300).astype(np.float32)
    vector[:3] = [np.finfo(np.float32).tiny, -0.1, 3e38]
    store.add_work(StoredWork("n", True, True, {"title": "é\u200d"}, "p.png", "x", vector), {}, None)
    found = store.stored_works(["n", "m"])
    assert set(found) == {"n"}
    np.testing.assert_array_equal(found["n"].features, vector)
    assert found["n"].changes == {"title": "é\u200d"}


def test_an_id_that_is_taken_is_refused(store):
    work = StoredWork("n", True, False, {}, None, None, None)
    store.add_work(work, {"a": 1}, None)
    with pytest.raises(Conflict, match="'n'"):
        store.add_work(work, {"a": 2}, None)


def test_changes_add_up(store):
    for changes in ({"title": "A", "price": 1}, {"title": "B"}):
        store.change_work("w", changes, False, {}, changes, None)
    assert store.stored_works(["w"])["w"].changes == {"title": "B", "price": 1}


def test_exposures_come_back_in_order(store):
    shown = [Exposure(n, f"u{n}", "m", "v", n == 0, ("a", "b")) for n in range(3)]
    store.expose(shown)
    found = list(store.exposed_after(0))
    assert [one for _, one in found] == shown
    assert [one for _, one in store.exposed_after(found[1][0])] == shown[2:]


def test_what_users_were_shown_and_took(store):
    who = ["u2", None, "u1", "u2", "u10", "u1"]
    store.expose([Exposure(n, user, f"m{n % 2}", "v", False, (f"w{n}",)) for n, user in enumerate(who)])
    seen = [(one.user_id, one.at) for one in store.exposed_to_users()]
    together = {user: [at for other, at in seen if other == user] for user, _ in seen}
    assert together == {"u1": [2, 5], "u2": [0, 3], "u10": [4]}
    assert [user for user, _ in groupby(seen, key=itemgetter(0))] == list(together)
    assert store.answers() == {"m0": 3, "m1": 3}
    for user, item, kind in (("u1", "a", "like"), ("u1", "a", "view"), ("u2", "b", "dislike")):
        store.record(user, item, kind, 1.0, None)
    store.sell("a", "u1", False, None, None)
    ((user, item, at),) = store.last_taken()
    sale = next(event for event in store.events_after(0) if event.kind == "sale")
    assert (user, item, at) == ("u1", "a", sale.at)


def test_keys_are_kept_as_hashes(store):
    assert not any_keys(store)
    key = new_key(store, "shop")
    assert holder(store, key) == "shop"
    assert holder(store, key + "x") is None
    assert holder(store, "\ud800") is None
    with reading(store.engine) as connection:
        assert key not in str(connection.execute(text("SELECT * FROM api_keys")).all())
    with pytest.raises(Conflict):
        new_key(store, "shop")
    assert revoke_key(store, "shop")
    assert not revoke_key(store, "shop")
    assert holder(store, key) is None


@pytest.mark.parametrize(
    "url", ["nonsense", "mysql://a/b", "postgresql+nodriver://a/b", "postgresql+psycopg2://a/b"]
)
def test_a_database_that_cannot_be_used_is_refused(url):
    with pytest.raises(UsageError):
        connect(url)
