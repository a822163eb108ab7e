"""The documented way, command by command, on a small painted gallery."""

import json
import shutil
import signal
import subprocess
import sys
import time

import polars as pl
import pytest
from typer.testing import CliRunner

import vasari as vs
from vasari.cli.main import app
from vasari.core.seeds import generator
from vasari.evaluation.result import Evaluation

QUICK = ["--set", "epochs=2", "--set", "triples_per_epoch=2000", "--set", "batch_size=500"]


def run(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def last_json(result):
    return json.loads(result.stdout.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop's own folder: pictures, two CSV files with column names of its own."""
    folder = tmp_path_factory.mktemp("cli")
    gallery = vs.synthetic.gallery(
        folder / "gallery", works=80, artists=8, collectors=60, size=96, progress=False
    )
    source = folder / "shop"
    shutil.copytree(folder / "gallery" / "images", source / "images")
    gallery.catalogue.frame.select(
        "artist_id",
        "title",
        "added_at",
        "original",
        work="item_id",
        image=pl.col("image").str.split("/").list.last(),
    ).write_csv(source / "catalogue.csv")
    gallery.interactions.frame.select("user_id", "timestamp", work="item_id").write_csv(
        source / "interactions.csv"
    )
    return folder


@pytest.fixture(scope="module")
def imported(shop):
    out = shop / "data"
    result = run("import", shop / "shop", "--out", out, "--map", "item_id=work", "--json")
    assert last_json(result)["items"] == 80
    return out


@pytest.fixture(scope="module")
def extracted(imported):
    facts = last_json(run("extract", imported, "--json"))
    assert (facts["items"], facts["dim"], facts["quarantined"]) == (80, 1280, [])
    return imported


@pytest.fixture(scope="module")
def trained(extracted, shop):
    facts = last_json(run("train", extracted, "--out", shop / "curatornet", *QUICK, "--json"))
    assert facts["name"] == "CuratorNet"
    assert [entry["epoch"] for entry in facts["history"]] == [0, 1, 2]
    return shop / "curatornet"


def test_evaluate_ranks_a_trained_model_as_it_is_and_writes_a_report(extracted, trained, shop):
    result = run(
        "evaluate", extracted, trained, "VisRank", "Random", "Oracle", "--out", shop / "results", "--json"
    )
    facts = last_json(result)
    assert list(facts["models"]) == ["CuratorNet", "VisRank", "Random", "Oracle"]
    assert facts["models"]["Oracle"]["auc"] == 1.0
    low, high = facts["models"]["VisRank"]["intervals"]["auc"]
    assert low <= facts["models"]["VisRank"]["auc"] <= high
    page = (shop / "results" / "report.html").read_text()
    assert "CuratorNet" in page
    assert facts["report"] == str(shop / "results" / "report.html")
    assert not Evaluation.load(shop / "results")["CuratorNet"].refitted


def test_evaluate_takes_a_protocol_with_settings_and_says_when_candidates_were_sampled(extracted, shop):
    out, protocol = shop / "cold", "cold-items:share=0.3,seed=1"
    options = ("--protocol", protocol, "--sampled-candidates", 5, "--out", out, "--json")
    facts = last_json(run("evaluate", extracted, "VisRank", "ItemKNN", *options))
    assert facts["protocol"] == f"{protocol} among 5 sampled candidates (biased)"
    assert facts["models"]["ItemKNN"]["auc"] == pytest.approx(0.5)
    page = (out / "report.html").read_text()
    assert "share=0.3,seed=1" in page
    assert "biased" in page.lower()


def test_recommend_answers_users_works_and_pictures(trained, shop):
    user = vs.load(trained).user_ids[0]
    table = last_json(run("recommend", trained, "--user", user, "-k", 3, "--json"))["recommendations"]
    assert [row["rank"] for row in table] == [1, 2, 3]
    assert {row["user_id"] for row in table} == {user}
    picture = next((shop / "shop" / "images").iterdir())
    seen = last_json(run("recommend", trained, "--image", picture, "-k", 3, "--json"))["recommendations"]
    assert len(seen) == 3
    items = vs.load(trained).item_ids[:2]
    why = last_json(
        run("recommend", trained, "--item", items[0], "--item", items[1], "-k", 2, "--explain", "--json")
    )
    assert {row["because_of"] for row in why["recommendations"]} <= set(items)


def test_a_picture_of_the_catalogue_recommends_like_its_work(trained, shop):
    model = vs.load(trained)
    item = model.item_ids[5]
    catalogue = pl.read_csv(shop / "shop" / "catalogue.csv")
    image = catalogue.row(by_predicate=pl.col("work") == item, named=True)["image"]
    by_work = model.recommend(profile=[item], k=5, exclude_profile=False, candidates="all")
    by_picture = model.recommend(images=[shop / "shop" / "images" / image], k=5, candidates="all")
    assert by_picture["item_id"].to_list() == by_work["item_id"].to_list()


def test_shuffled_pictures_and_random_networks_are_called_so(extracted, shop):
    run("evaluate", extracted, "VisRank", "--out", shop / "shuffled", "--shuffle-pictures", "--json")
    found = Evaluation.load(shop / "shuffled")
    assert "shuffled" in found.fingerprints["features"]["extractor"]
    run("extract", extracted, "--weights", "random", "--out", shop / "random", "--json")
    assert vs.FeatureTable.load(shop / "random").fingerprint.weights.startswith("random")


def test_families_of_features_stand_side_by_side(extracted, shop):
    facts = last_json(
        run("extract", extracted, "--features", "explicit,lbp", "--out", shop / "explicit", "--json")
    )
    assert facts["families"] == ["explicit", "lbp"]
    assert vs.FeatureTable.load(shop / "explicit").family("lbp").dim == 59


def test_simulate_says_what_is_simulated(extracted, shop):
    facts = last_json(run("simulate", extracted, "--out", shop / "simulated", "--collectors", 40, "--json"))
    assert "simulated" in facts["simulated"]
    assert vs.Dataset.load(shop / "simulated").preference is not None


def test_demo_ends_with_one_json_line_and_can_be_given_again(tmp_path):
    out = tmp_path / "demo"
    small = ["--works", 60, "--artists", 6, "--collectors", 50, "--json"]
    first = last_json(run("demo", "--out", out, *small))
    assert list(first["models"]) == ["CuratorNet", "VisRank", "Popularity", "Random", "Oracle"]
    assert {"auc", "ndcg@20", "recall@20"} <= set(first["models"]["CuratorNet"])
    page = (out / "report.html").read_text()
    assert "simulated" in page
    again = last_json(run("demo", "--out", out, *small))
    assert again["models"] == first["models"]


def vasari(*arguments):
    return subprocess.run(
        [sys.executable, "-c", "from vasari.cli.main import main; main()", *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["import", "nowhere", "--out", "x"], "nowhere"),
        (["train", "nowhere", "--out", "x"], "nowhere"),
        (["recommend", "nowhere", "--user", "u"], "vasari train"),
        (["train", "{data}", "--out", "{out}", "--set", "epochs"], "name=value"),
        (["train", "{data}", "--out", "{out}", "--model", "NoNet"], "NoNet"),
        (["train", "{data}", "--out", "{out}", "--set", "epochs=0"], "epochs=0"),
        (["train", "{data}", "--out", "{out}", "--set", "epochs=many"], "epochs"),
        (["evaluate", "{data}", "VisRank", "--protocol", "magic", "--out", "{out}"], "magic"),
        (["evaluate", "{data}", "VisRank", "--protocol", "cold-items:part=1", "--out", "{out}"], "part"),
    ],
)
def test_bad_input_is_one_clear_sentence_and_exit_status_2(extracted, tmp_path, arguments, words):
    filled = [a.format(data=extracted, out=tmp_path / "out") for a in arguments]
    result = vasari(*filled)
    assert result.returncode == 2, result.stderr
    assert words in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_training_without_vectors_says_how_to_make_them(imported, tmp_path):
    bare = tmp_path / "bare"
    vs.Dataset.load(imported).save(bare)
    result = vasari("train", bare, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert f"vasari extract {bare}" in result.stderr


@pytest.mark.slow
def test_a_training_killed_at_random_moments_ends_in_the_same_model(extracted, tmp_path):
    command = [
        sys.executable, "-c", "from vasari.cli.main import main; main()", "train", str(extracted),
        "--set", "epochs=6", "--set", "triples_per_epoch=40000", "--set", "batch_size=1000", "--out",
    ]  # fmt: skip
    started = time.perf_counter()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    whole = time.perf_counter() - started
    moments = generator(0, "kills").uniform(0.3, 1.0, 4) * whole
    for moment in moments:
        process = subprocess.Popen([*command, str(tmp_path / "killed")], stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=moment)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
        if (tmp_path / "killed").exists():
            vs.load(tmp_path / "killed")  # whole, or not there at all
    subprocess.run([*command, str(tmp_path / "killed")], check=True, capture_output=True)
    content = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert content[0] == content[1]
