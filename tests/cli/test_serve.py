"""`vasari serve` says what is wrong before it says that it serves."""

import socket

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi", reason="the extra `serve` is not installed")

from vasari.cli.main import app
from vasari.core.errors import NotFoundError, UsageError
from vasari.serving.run_folder import RunFolder
from vasari.serving.serve import check_address


def test_a_port_that_is_taken_is_said_before_the_run_is_opened():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1 port {port} .* pass another --port"):
            check_address("127.0.0.1", port)
    check_address("127.0.0.1", port)
    check_address("0.0.0.0", port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_a_host_that_is_elsewhere_is_said(host):
    with pytest.raises(UsageError, match="pass another --host"):
        check_address(host, 8000)


def test_a_demo_that_could_not_be_served_does_not_begin(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        found = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "demo"), "--port", port])
    assert found.exit_code != 0
    assert isinstance(found.exception, UsageError)
    assert not (tmp_path / "demo").exists()


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "x").write_text("x")
    with pytest.raises(NotFoundError, match="is a file"):
        RunFolder.find(tmp_path / "x")
