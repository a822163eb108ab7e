import subprocess
import sys

import pytest

from vasari.core.progress import bar


def test_a_shown_bar_writes_to_standard_error_only(capsys):
    with bar("work", 3, show=True) as progress:
        for n in range(3):
            progress.advance(note=f"loss {n}")
    output = capsys.readouterr()
    assert output.out == ""
    assert "work" in output.err
    assert "3/3" in output.err
    assert "loss 2" in output.err


def test_brackets_in_a_title_or_note_are_text(capsys):
    with bar("[crop] of [/b]", 1, show=True) as progress:
        progress.advance(note="a[/red].jpg")
    output = capsys.readouterr().err
    assert "[crop] of [/b]" in output
    assert "a[/red].jpg" in output


def test_no_bar_where_nobody_looks():
    code = "from vasari.core.progress import bar\nwith bar('work', 1) as b: b.advance()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stderr == done.stdout == b""


def test_an_error_goes_through_the_bar():
    with pytest.raises(RuntimeError), bar("work", 1, show=True):
        raise RuntimeError
