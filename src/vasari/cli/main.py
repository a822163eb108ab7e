"""The `vasari` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from vasari._version import __version__
from vasari.cli import comparison, data, demo, doctor, evaluation, features, models, serve
from vasari.cli.output import say
from vasari.core.errors import VasariError

app = typer.Typer(
    name="vasari",
    help="Recommend art by looking at it: from pictures and a log to recommendations one can check.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.command("demo")(demo.demo)
app.command("import")(data.import_)
app.command("simulate")(data.simulate)
app.command("extract")(features.extract)
app.command("train")(models.train)
app.command("evaluate")(evaluation.evaluate)
app.command("compare")(comparison.compare)
app.command("ablate")(comparison.ablate)
app.command("recommend")(models.recommend)
app.command("serve")(serve.serve)
app.command("key")(serve.key)
app.command("doctor")(doctor.doctor)


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"vasari {__version__}\n")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command; an error of ours becomes one sentence and exit status 2."""
    try:
        app()
    except VasariError as error:
        say(f"[red]error:[/red] {_plain(str(error))}")
        sys.exit(2)
    except KeyboardInterrupt:
        say("interrupted; finished work is kept, the same command goes on from there")
        sys.exit(130)


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
