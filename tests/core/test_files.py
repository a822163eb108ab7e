import errno
import multiprocessing
import os
import resource
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from safetensors.numpy import save_file

from vasari.core import files
from vasari.core.errors import CorruptFileError, DataError, NotFoundError, UsageError, WriteError
from vasari.core.files import (
    atomic_folder,
    atomic_path,
    exclusive,
    read_json,
    recover_folder,
    refuse_foreign,
    remove_leftovers,
    sha256_file,
    verify_checksums,
    write_checksums,
    write_json,
    write_text,
)


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------------------------------- one file


def test_a_file_appears_whole_and_leaves_nothing_beside_it(tmp_path):
    with atomic_path(tmp_path / "new" / "a.txt") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "whole"
    assert names(tmp_path / "new") == {"a.txt"}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failed_block_changes_nothing(tmp_path, error):
    write_text(tmp_path / "a.txt", "old")

    def fail() -> None:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == {"a.txt"}


@pytest.mark.parametrize("writer", ["text", "parquet", "safetensors", "npy"])
def test_a_new_file_has_the_permissions_of_any_other_new_file(tmp_path, writer):
    (tmp_path / "plain").touch()
    with atomic_path(tmp_path / "a") as temporary:
        match writer:
            case "text":
                temporary.write_text("x")
            case "parquet":
                pl.DataFrame({"x": [1]}).write_parquet(temporary)
            case "safetensors":
                save_file({"x": np.zeros(3)}, temporary)
            case "npy":
                with open(temporary, "wb") as stream:
                    np.save(stream, np.zeros(3))
    assert mode(tmp_path / "a") == mode(tmp_path / "plain")
    with atomic_folder(tmp_path / "f") as folder:
        os.rename(tmp_path / "a", folder / "a")
        (folder / "a").chmod(0o600)
    (tmp_path / "plain folder").mkdir()
    assert mode(tmp_path / "f" / "a") == mode(tmp_path / "plain")
    assert mode(tmp_path / "f") == mode(tmp_path / "plain folder")


def test_a_replaced_file_and_a_replaced_folder_keep_their_permissions(tmp_path):
    write_text(tmp_path / "a", "old").chmod(0o640)
    write_text(tmp_path / "a", "new")
    assert mode(tmp_path / "a") == 0o640
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "f") as temporary:
            write_text(temporary / "a", text)
        if text == "old":
            (tmp_path / "f").chmod(0o750)
    assert mode(tmp_path / "f") == 0o750


def test_links_are_written_through(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "file").symlink_to(tmp_path / "real" / "a")
    write_text(tmp_path / "file", "x")
    (tmp_path / "folder").symlink_to(tmp_path / "real" / "f")
    for text in ("one", "two"):
        with atomic_folder(tmp_path / "folder") as temporary:
            write_text(temporary / "b", text)
    assert (tmp_path / "real" / "a").read_text() == "x"
    assert (tmp_path / "real" / "f" / "b").read_text() == "two"
    assert (tmp_path / "file").is_symlink()
    assert (tmp_path / "folder").is_symlink()
    assert names(tmp_path / "real") == {"a", "f"}


def test_names_near_the_limit_of_the_file_system(tmp_path):
    name = "ä" * 120 + ".txt"
    write_text(tmp_path / name, "x")
    with atomic_folder(tmp_path / ("b" * 255)) as temporary:
        write_text(temporary / "x", "x")
    assert names(tmp_path) == {name, "b" * 255}


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    write_text(tmp_path / "file", "x")
    with pytest.raises(UsageError, match="is a folder"), atomic_path(tmp_path):
        pass
    with pytest.raises(UsageError, match="is a file"), atomic_folder(tmp_path / "file"):
        pass
    with pytest.raises(WriteError, match="in the way"), atomic_path(tmp_path / "file" / "below"):
        pass


# ---------------------------------------------------------------- places that refuse


@pytest.mark.parametrize("write", [atomic_path, atomic_folder])
def test_a_place_that_may_not_be_written_is_named(tmp_path, write):
    parent = tmp_path / "closed"
    parent.mkdir()
    parent.chmod(0o555)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)  # root may write anywhere
    try:
        with pytest.raises(WriteError, match="not writable") as caught, write(parent / "a"):
            pass
        assert str(parent) in str(caught.value)
    finally:
        os.seteuid(before)
        parent.chmod(0o755)
    assert names(parent) == set()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("write", [atomic_path, atomic_folder])
def test_a_full_disk_is_said_and_changes_nothing(tmp_path, write, code):
    with atomic_folder(tmp_path / "a") as temporary:
        write_text(temporary / "x", "old")
    target = tmp_path / "a" if write is atomic_folder else tmp_path / "a" / "x"
    with pytest.raises(WriteError, match="no room is left"), write(target):
        raise OSError(code, os.strerror(code))
    assert (tmp_path / "a" / "x").read_text() == "old"
    assert names(tmp_path) == {"a"}


def test_a_write_that_the_system_really_refuses(tmp_path):
    write_text(tmp_path / "a", "old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(WriteError, match="no room is left"):
            write_text(tmp_path / "a", "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == {"a"}


def test_an_error_of_the_block_itself_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        (tmp_path / "an input that is absent").read_text()
    with pytest.raises(PermissionError), atomic_folder(tmp_path / "f"):
        raise PermissionError(errno.EACCES, "denied", str(tmp_path / "an input"))
    assert names(tmp_path) == set()


# ---------------------------------------------------------------- one folder


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    for text in ("old", "new"):
        with atomic_folder(tmp_path / "f") as temporary:
            write_text(temporary / f"{text}.txt", text)
            write_text(temporary / "sub" / "b", text)
    assert names(tmp_path / "f") == {"new.txt", "sub", "checksums.json"}
    assert names(tmp_path) == {"f"}
    verify_checksums(tmp_path / "f")


def test_a_folder_with_somebodys_files_is_never_replaced(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UsageError, match=r"thesis\.tex"), atomic_folder(tmp_path / "mine"):
        pass
    with atomic_folder(tmp_path / "ours") as temporary:
        write_text(temporary / "a", "x")
    write_text(tmp_path / "ours" / "pictures" / "holiday.jpg", "x")
    with pytest.raises(UsageError, match=r"pictures/holiday\.jpg"), atomic_folder(tmp_path / "ours"):
        pass
    assert (tmp_path / "mine" / "thesis.tex").exists()
    assert (tmp_path / "ours" / "pictures" / "holiday.jpg").exists()


def test_an_empty_folder_is_taken(tmp_path):
    with atomic_folder(tmp_path) as temporary:
        write_text(temporary / "a", "x")
    assert (tmp_path / "a").read_text() == "x"


def test_a_failed_block_leaves_the_old_folder(tmp_path):
    with atomic_folder(tmp_path / "f") as temporary:
        write_text(temporary / "a", "old")

    def fail() -> None:
        with atomic_folder(tmp_path / "f") as temporary:
            write_text(temporary / "a", "new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "f" / "a").read_text() == "old"
    assert names(tmp_path) == {"f"}


def test_a_kill_between_the_two_moves_is_undone(tmp_path):
    with atomic_folder(tmp_path / "f") as temporary:
        write_text(temporary / "a", "old")
    os.rename(tmp_path / "f", files._beside(tmp_path / "f", ".old"))
    (tmp_path / ".f.notes.old").mkdir()  # somebody's own
    assert recover_folder(tmp_path / "f") == tmp_path / "f"
    assert (tmp_path / "f" / "a").read_text() == "old"
    assert names(tmp_path) == {"f", ".f.notes.old"}
    assert recover_folder(tmp_path / "nowhere" / "f") == tmp_path / "nowhere" / "f"


def test_leftovers_of_dead_processes_are_removed_and_of_live_ones_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    alive = files._beside(tmp_path / "f", ".tmp")
    left = alive.with_name(alive.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-"))
    elsewhere = left.with_name(left.name.replace(files._HOST, "another"))
    for folder in (alive, left, elsewhere, tmp_path / ".f.mine.tmp"):
        folder.mkdir()
        (folder / "a").touch()
    left_file = left.with_name(left.name.replace(".f.", ".g."))
    left_file.touch()
    remove_leftovers(tmp_path)
    assert names(tmp_path) == {alive.name, elsewhere.name, ".f.mine.tmp"}


WRITER = """
import sys, itertools
from pathlib import Path
from vasari.core.files import atomic_folder, atomic_path
root = Path(sys.argv[1])
print("go", flush=True)
for n in itertools.count():
    with atomic_path(root / "file") as temporary:
        temporary.write_bytes(b"%d " % n * 20_000)
    with atomic_folder(root / "folder") as temporary:
        for part in range(4):
            (temporary / f"part{part}").write_text(f"{n} " * 2_000)
"""


def check_whole(root: Path) -> None:
    assert len(set((root / "file").read_text().split())) == 1
    assert (root / "file").stat().st_size > 20_000
    folder = recover_folder(root / "folder")
    verify_checksums(folder)
    words = [(folder / f"part{part}").read_text().split() for part in range(4)]
    assert {len(part) for part in words} == {2_000}
    assert len({word for part in words for word in part}) == 1


def test_kills_at_random_moments_leave_the_old_or_the_new(tmp_path):
    random = np.random.default_rng(0)
    for text in range(2):  # something stands from the beginning
        write_text(tmp_path / "file", f"{text} " * 20_000)
        with atomic_folder(tmp_path / "folder") as temporary:
            for part in range(4):
                write_text(temporary / f"part{part}", f"{text} " * 2_000)
    for _ in range(12):
        process = subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.uniform(0, 0.06))
        process.kill()
        process.wait()
        process.stdout.close()
        check_whole(tmp_path)
    remove_leftovers(tmp_path)
    assert names(tmp_path) - {"file", "folder"} == {n for n in names(tmp_path) if n.endswith(".old")}


def test_a_kill_before_any_system_call_of_the_swap_leaves_the_old_or_the_new(tmp_path, monkeypatch):
    real = {name: getattr(os, name) for name in ("rename", "fsync", "unlink", "rmdir")}

    def stop_at(limit: int):
        calls = 0

        def wrap(function):
            def counted(*args, **kwargs):
                nonlocal calls
                calls += 1
                if calls > limit:
                    os._exit(9)
                return function(*args, **kwargs)

            return counted

        for name, function in real.items():
            setattr(os, name, wrap(function))

    finished = False
    for limit in range(60):
        root = tmp_path / str(limit)
        with atomic_folder(root / "f") as temporary:
            for part in ("a", "b"):
                write_text(temporary / part, "old")
        child = os.fork()
        if child == 0:
            stop_at(limit)
            with atomic_folder(root / "f") as temporary:
                for part in ("a", "b"):
                    (temporary / part).write_text("new")
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        recover_folder(root / "f")
        verify_checksums(root / "f")
        texts = {(root / "f" / part).read_text() for part in ("a", "b")}
        assert len(texts) == 1
        remove_leftovers(root)
        with atomic_folder(root / "f") as temporary:
            write_text(temporary / "a", "newer")
        if finished := status == 0:
            assert texts == {"new"}
            break
    assert finished


def _write_many(root: str, number: int, rounds: int) -> None:
    for n in range(rounds):
        with atomic_path(Path(root) / "file") as temporary:
            temporary.write_text(f"{number}-{n} " * 20_000)
        with atomic_folder(Path(root) / "folder") as temporary:
            for part in range(4):
                (temporary / f"part{part}").write_text(f"{number}-{n} " * 2_000)


def test_several_writers_of_one_path_do_not_disturb_each_other(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), n, 40)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    check_whole(tmp_path)
    assert names(tmp_path) == {"file", "folder"}


@pytest.mark.parametrize("there_again", [True, False])
def test_a_folder_that_is_replaced_while_it_is_looked_at_is_looked_at_again(
    tmp_path, monkeypatch, there_again
):
    folder, walk = tmp_path / "folder", Path.rglob
    with atomic_folder(folder) as temporary:
        (temporary / "old").write_text("1")

    def replaced(self, pattern):
        monkeypatch.undo()  # once
        os.rename(folder, tmp_path / "aside")
        if there_again:
            with atomic_folder(folder) as temporary:
                (temporary / "new").write_text("2")
        return walk(self, pattern) if there_again else iter(os.scandir(folder))

    monkeypatch.setattr(Path, "rglob", replaced)
    refuse_foreign(folder)
    if there_again:
        (folder / "mine").write_text("3")
        with pytest.raises(UsageError, match="mine"):
            refuse_foreign(folder)


def test_a_folder_is_held_by_one_process_and_let_go_by_a_kill(tmp_path):
    code = "import sys, time\nfrom vasari.core.files import exclusive\n"
    code += "with exclusive(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(UsageError, match="another process is at work"), exclusive(tmp_path):
        pass
    process.kill()
    process.wait()
    process.stdout.close()
    with exclusive(tmp_path):
        pass
    with exclusive(tmp_path):
        pass


# ---------------------------------------------------------------- JSON and checksums


def test_json_goes_there_and_back(tmp_path):
    value = {"naïve": [1, 2.5, None, "\u2028"], "b": {}}
    assert read_json(write_json(tmp_path / "a.json", value)) == value
    (tmp_path / "bom.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "bom.json") == [1]
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", [float("nan")])
    assert read_json(tmp_path / "a.json") == value


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"NaN", b"[-Infinity]", b"[" * 100_000, b"9" * 10_000],
    ids=["empty", "cut", "bytes", "nan", "infinity", "deep", "long"],
)
def test_what_is_no_json_is_refused_by_name(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=r"a\.json is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_an_absent_json_file_and_a_folder_are_said_to_be_so(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        read_json(tmp_path / "a.json")
    with pytest.raises(DataError, match="is a folder"):
        read_json(tmp_path)


def test_checksums_notice_a_change_and_an_absence_in_any_file(tmp_path):
    write_text(tmp_path / "a", "abc")
    write_text(tmp_path / "sub" / "b", "def")
    write_checksums(tmp_path)
    verify_checksums(tmp_path)
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    write_text(tmp_path / "sub" / "b", "dEf")
    with pytest.raises(CorruptFileError, match="differs"):
        verify_checksums(tmp_path)
    (tmp_path / "sub" / "b").unlink()
    with pytest.raises(CorruptFileError, match="missing"):
        verify_checksums(tmp_path)


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', "null"])
def test_a_broken_table_of_checksums_is_a_broken_folder(tmp_path, content):
    write_text(tmp_path / "checksums.json", content)
    with pytest.raises(CorruptFileError, match=r"checksums\.json"):
        verify_checksums(tmp_path)
