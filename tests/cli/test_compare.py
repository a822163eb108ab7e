"""`vasari compare` and what it says about mistakes; killed at random moments it ends in the same files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import vasari as vs
from vasari.cli.comparison import _named
from vasari.cli.main import app

RECIPE = """
data: data
seeds: [0, 1]
trials: 3
metric: ndcg@5
ks: [5]
models:
  - model: CuratorNet
    settings: {epochs: 1, triples_per_epoch: 300, batch_size: 100}
    grid:
      learning_rate: {low: 1e-4, high: 1e-2, log: true}
  - {model: VisRank, grid: {similarity: [mean, max]}}
  - model: Popularity
"""


def run(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def vasari(*arguments):
    return [sys.executable, "-c", "from vasari.cli.main import main; main()", *map(str, arguments)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Forty-eight works in four styles, collectors of one style each, three visits a collector."""
    folder = tmp_path_factory.mktemp("compare")
    random = np.random.default_rng(0)
    names = [f"w{n:02d}" for n in range(48)]
    catalogue = pl.DataFrame(
        {"item_id": names, "artist_id": [f"p{n // 6}" for n in range(48)], "original": [False] * 48}
    )
    rows = []
    for user in range(40):
        works = random.permutation(12)[:6] + 12 * (user % 4)
        rows += [
            (f"u{user}", names[w], 1_600_000_000 + user * 50 + n // 2 * 86_400) for n, w in enumerate(works)
        ]
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    vs.Dataset.from_frames(catalogue, log, name="styles").save(folder / "data")
    centres = np.repeat(random.normal(size=(4, 8)) * 2, 12, axis=0)
    table = vs.FeatureTable.from_arrays(names, centres + random.normal(size=(48, 8)), "test")
    table.save(folder / "data" / "features")
    (folder / "recipe.yaml").write_text(RECIPE)
    return folder


def test_compare_prints_a_table_or_one_json_line_and_writes_a_report(shop):
    out = shop / "results"
    printed = run("compare", shop / "recipe.yaml", "--out", out).stdout
    for word in ("CuratorNet", "VisRank", "Popularity", "2 seeds", "report.html"):
        assert word in printed
    facts = json.loads(
        run("compare", shop / "recipe.yaml", "--out", out, "--json").stdout.strip().splitlines()[-1]
    )
    saved = json.loads((out / "comparison.json").read_text())
    assert facts["summary"] == saved["summary"]
    assert facts["best"] in ("CuratorNet", "VisRank")
    assert [len(one["trials"]) for one in facts["competitors"]] == [3, 2, 0]
    assert {row["measure"] for row in facts["beyond"]} == {
        f"{name}@5" for name in ("diversity", "novelty", "originals", "coverage", "artist_gini")
    }
    assert "CuratorNet" in (out / "report.html").read_text()
    assert vs.compare(shop / "recipe.yaml").to_json()["summary"] == saved["summary"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("seeds:", "sedes:"), "sedes"),
        (("data: data", "data: data\nprotocol: magic"), "magic"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_and_exit_status_2(shop, tmp_path, change, words):
    recipe = shop / f"wrong-{change[1].split()[-1]}.yaml"
    recipe.write_text(RECIPE.replace(*change))
    result = subprocess.run(
        vasari("compare", recipe, "--out", tmp_path / "out"), capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_in_the_same_files(shop, tmp_path):
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("data: data", f"data: {shop / 'data'}"))
    command = vasari("compare", "recipe.yaml", "--out", "results")
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "recipe.yaml").write_bytes((tmp_path / "recipe.yaml").read_bytes())
    started = time.perf_counter()
    subprocess.run(command, cwd=tmp_path / "whole", check=True, capture_output=True)
    whole = time.perf_counter() - started
    for share in (0.4, 0.6, 0.8):
        process = subprocess.Popen(command, cwd=tmp_path / "killed", stdout=subprocess.DEVNULL)
        try:
            process.wait(timeout=share * whole)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    subprocess.run(command, cwd=tmp_path / "killed", check=True, capture_output=True)
    for name in ("comparison.json", "users.parquet"):
        content = [(tmp_path / f / "results" / name).read_bytes() for f in ("whole", "killed")]
        assert content[0] == content[1]


def test_tables_are_named_before_their_path():
    given = ["deep=runs/epochs=3/table", "runs/epochs=3/lbp", "plain"]
    assert {name: str(path) for name, path in _named(given).items()} == {
        "deep": "runs/epochs=3/table",
        "lbp": "runs/epochs=3/lbp",
        "plain": "plain",
    }


def test_ablate_names_its_groups_and_tables(shop):
    table = vs.FeatureTable.load(shop / "data" / "features")
    table.shuffled(0).save(shop / "shuffled")
    quick = ["--set", "epochs=1", "--set", "triples_per_epoch=200", "--set", "batch_size=100", "--seed", 0]
    options = ["--features", shop / "data" / "features", "--features", f"wrong={shop / 'shuffled'}", *quick]
    out = shop / "ablation"
    result = run("ablate", shop / "data", "--out", out, "--only", "features", *options, "--json")
    facts = json.loads(result.stdout.strip().splitlines()[-1])
    assert [one["name"] for one in facts["competitors"]] == ["full", "features wrong"]
    assert facts["standard"] == "full"
    assert "Against full" in (out / "report.html").read_text()
    twice = CliRunner().invoke(
        app, ["ablate", str(shop / "data"), "--out", "x", "--features", "a/t", "--features", "b/t"]
    )
    assert "'t'" in str(twice.exception)
