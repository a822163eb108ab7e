"""The gallery: answers are those of the model, live state is seen at once, by every process."""

import threading
import time

import numpy as np
import pytest
from PIL import Image

import vasari as vs
from vasari.core.errors import UsageError
from vasari.data.dataset import Dataset
from vasari.features.table import FeatureTable
from vasari.serving.asks import Ask, Conflict, NotFound
from vasari.serving.exposures import _difference
from vasari.serving.filters import Filters
from vasari.serving.gallery import Gallery
from vasari.serving.store.store import StoredWork
from vasari.testing.galleries import style_of

LIKES = ("w001", "w003")


def ids(answer):
    return [work.item_id for work in answer.works]


def _alike(gallery, new, old):
    """Whether two works stand for the same taste, to the model that embeds them."""
    walls = [
        gallery.recommend(Ask(likes=(item,), exclude=(new, old), k=20, model="curatornet"))
        for item in (new, old)
    ]
    return ids(walls[0]) == ids(walls[1])


def picture_of(gallery, item_id):
    return gallery.work(item_id).picture.read_bytes()


# ---------------------------------------------------------------- answers


def test_a_wall_is_what_the_model_recommends(embedded, run):
    model = vs.load(run / "curatornet")
    wall = embedded.recommend(Ask(likes=LIKES, k=10, model="curatornet"))
    expected = model.recommend(profile=LIKES, k=10)
    assert ids(wall) == expected["item_id"].to_list()
    np.testing.assert_allclose([w.score for w in wall.works], expected["score"].to_numpy(), rtol=1e-4)
    assert [w.rank for w in wall.works] == list(range(1, 11))
    assert not wall.cold
    assert wall.fallback is None


@pytest.mark.parametrize("name", ["visrank", "bpr", "curatornet"])
def test_a_known_user_gets_what_the_model_gives_them(embedded, run, name):
    model = vs.load(run / name)
    user = next(iter(model.user_ids))
    wall = embedded.recommend(Ask(user_id=user, k=8, model=name))
    assert ids(wall) == model.recommend(users=[user], k=8)["item_id"].to_list()


def test_asks_that_wait_together_get_what_each_would_get_alone(embedded):
    asks = [Ask(likes=(f"w{n:03d}",), k=5 + n % 3, model=("curatornet", "visrank")[n % 2]) for n in range(24)]
    asks.append(Ask(user_id="nobody", k=4))
    asks += [
        Ask(likes=(f"w{n:03d}",), k=6, diversity=0.4, per_artist=2, model=("curatornet", "visrank")[n % 2])
        for n in range(4)
    ]
    futures = [embedded.submit(ask) for ask in asks]
    together = [future.result() for future in futures]
    alone = [embedded.recommend(ask) for ask in asks]
    assert [ids(one) for one in together] == [ids(one) for one in alone]


def test_one_bad_ask_does_not_spoil_the_others(embedded):
    futures = [embedded.submit(Ask(likes=(item,))) for item in ("w001", "nowhere", "w002")]
    assert futures[0].result().works
    assert futures[2].result().works
    with pytest.raises(NotFound, match="nowhere"):
        futures[1].result()


def test_somebody_unknown_is_cold_and_gets_what_is_known(embedded):
    wall = embedded.recommend(Ask(user_id="stranger", k=5))
    assert wall.cold
    assert wall.fallback == "popularity"
    assert len(wall.works) == 5


def test_who_is_known_only_by_what_the_model_does_not_see_gets_answers_by_looks(embedded):
    with Image.open(embedded.work("w030").picture) as image:
        wall = embedded.recommend(Ask(images=(image.copy(),), model="bpr", k=5))
    assert wall.fallback == "looks"
    assert not wall.cold
    assert {style_of(item) for item in ids(wall)[:3]} == {2}


def test_a_picture_is_worth_as_much_as_the_work_it_shows(embedded):
    with Image.open(embedded.work("w030").picture) as image:
        by_picture = Ask(images=(image.copy(),), exclude=("w030",), k=8, model="curatornet")
    by_work = Ask(likes=("w030",), k=8, model="curatornet")
    assert ids(embedded.recommend(by_picture)) == ids(embedded.recommend(by_work))


def test_dislikes_stay_away_and_take_their_like_along(embedded):
    both = Ask(likes=("w001", "w013"), k=20)
    against = Ask(likes=("w001", "w013"), dislikes=("w014",), k=20)
    share = [
        sum(style_of(item) == 1 for item in ids(embedded.recommend(ask))[:10]) for ask in (both, against)
    ]
    assert "w014" not in ids(embedded.recommend(against))
    assert share[1] <= share[0]
    scores = {w.item_id: w.score for w in embedded.recommend(against).works}
    plain = {w.item_id: w.score for w in embedded.recommend(both).works}
    assert any(scores[item] != plain[item] for item in scores.keys() & plain.keys())


def test_filters_exclude_and_availability_hold(embedded):
    wall = embedded.recommend(
        Ask(likes=LIKES, k=70, filters=Filters.parse(["style:s1|s2", "price:100..300"]))
    )
    works = embedded.works(ids(wall))
    assert works
    assert all(w.columns["style"] in ("s1", "s2") and 100 <= w.columns["price"] <= 300 for w in works)
    without = embedded.recommend(Ask(likes=LIKES, k=70, exclude=(ids(wall)[0],)))
    assert ids(wall)[0] not in ids(without)
    for text, truth in (("framed:true", True), ("framed:false", False)):
        found = embedded.browse(limit=500, filters=Filters.parse([text, "available:any"]))
        assert found.works
        assert all(w.columns["framed"] is truth for w in found.works)


def test_a_filter_on_no_column_says_which_there_are(embedded):
    with pytest.raises(UsageError, match="price"):
        embedded.recommend(Ask(likes=LIKES, filters=Filters.parse(["colour:red"])))


def test_the_cap_per_artist_holds_even_where_the_pool_must_grow(embedded):
    wall = embedded.recommend(Ask(likes=LIKES, k=12, per_artist=1))
    artists = [work.artist_id for work in embedded.works(ids(wall))]
    assert len(artists) == len(set(artists)) == 12


def test_diversity_lets_others_in(embedded):
    def alike(diversity):
        wall = embedded.recommend(Ask(likes=LIKES, k=8, diversity=diversity, model="visrank"))
        return len({style_of(item) for item in ids(wall)})

    assert alike(0.9) > alike(0.0)


def test_novelty_prefers_what_few_took(embedded):
    def taken(novelty):
        wall = embedded.recommend(Ask(likes=LIKES, k=8, novelty=novelty))
        popularity = vs.load(embedded.run.models["curatornet"])
        rows = popularity.item_ids.rows(ids(wall))
        return popularity.popularity[rows].sum()

    assert taken(1.0) < taken(0.0)


def test_likeness(embedded):
    assert {style_of(item) for item in ids(embedded.similar("w030", 6))} == {2}
    assert "w030" not in ids(embedded.similar("w030", 72))
    both = ids(embedded.between("w001", "w071", 6))
    assert not {"w001", "w071"} & set(both)
    neighbours = embedded.cluster_neighbours("w030", 5)
    assert {style_of(work.item_id) for work in neighbours} == {2}


def test_whoever_looks_at_the_first_work_does_not_wait_for_clusters(embedded, monkeypatch):
    from sklearn.cluster import MiniBatchKMeans

    def late(*_):
        raise AssertionError("clusters are learnt while somebody waits")

    monkeypatch.setattr(MiniBatchKMeans, "fit", late)
    assert embedded.cluster_neighbours("w030", 5)


def test_a_walk_is_repeated_by_its_seed_and_repeats_nothing(embedded):
    walk = ids(embedded.surprise("w001", 20, seed=3))
    assert walk == ids(embedded.surprise("w001", 20, seed=3))
    assert walk != ids(embedded.surprise("w001", 20, seed=4))
    assert len(set(walk)) == 20
    assert "w001" not in walk
    assert len(ids(embedded.surprise(None, 500, seed=1))) == 72


# ---------------------------------------------------------------- reasons


def test_reasons_are_the_models_own_where_they_are_exact(embedded, run):
    model = vs.load(run / "visrank")
    reasons = embedded.explain(Ask(likes=LIKES, model="visrank"), "w010")
    expected = model.explain(LIKES, "w010")
    assert [r.item_id for r in reasons] == expected["item_id"].to_list()
    np.testing.assert_allclose([r.contribution for r in reasons], expected["contribution"], rtol=1e-5)
    assert all(r.exact for r in reasons)


def test_reasons_by_leaving_out_are_those_of_the_model(embedded, run):
    model = vs.load(run / "curatornet")
    likes = ("w001", "w003", "w030")
    reasons = {r.item_id: r for r in embedded.explain(Ask(likes=likes, model="curatornet"), "w010")}
    expected = dict(model.explain(likes, "w010").iter_rows())
    assert {name: pytest.approx(value, abs=1e-3) for name, value in expected.items()} == {
        name: r.contribution for name, r in reasons.items()
    }
    assert not any(r.exact for r in reasons.values())


def test_pictures_and_dislikes_have_their_part_in_the_reasons(embedded):
    with Image.open(embedded.work("w030").picture) as image:
        ask = Ask(likes=("w001",), dislikes=("w050",), images=(image.copy(),), model="curatornet")
    found = embedded.explain_all(ask, ["w031", "w002"])
    assert list(found) == ["w031", "w002"]
    assert {r.item_id for r in found["w031"]} == {"w001", "w050", "image:0"}


def test_a_cold_visitor_has_no_reasons(embedded):
    assert embedded.explain(Ask(user_id="stranger"), "w001") == []


def test_heat_maps_are_where_the_model_looked(attentive, tmp_path):
    gallery = Gallery.open(attentive, f"sqlite:///{tmp_path / 'gallery.db'}")
    seen = gallery.heat_maps(Ask(likes=LIKES))
    expected = vs.load(attentive / "acf").attention(LIKES)
    assert list(seen) == expected["item_id"].to_list()
    for one, weight, positions in expected.iter_rows():
        assert seen[one].weight == pytest.approx(weight)
        np.testing.assert_allclose(np.concatenate(seen[one].rows), positions, rtol=1e-5)
        assert len(seen[one].rows) == 7
        assert (seen[one].cover, seen[one].padded) == (pytest.approx(0.875), False)
    assert gallery.heat_maps(Ask(user_id="stranger")) == {}
    gallery.close()


def test_a_model_without_attention_has_no_heat_maps(embedded):
    assert embedded.heat_maps(Ask(likes=LIKES)) == {}


# ---------------------------------------------------------------- live state, on both kinds of database


def test_the_next_wall_reflects_the_click(gallery):
    before = gallery.recommend(Ask(user_id="new", k=5))
    gallery.record("new", "w030")
    after = gallery.recommend(Ask(user_id="new", k=5))
    assert before.cold
    assert not after.cold
    assert ids(after) == ids(gallery.recommend(Ask(likes=("w030",), k=5)))
    assert gallery.profile("new") == ["w030"]
    gallery.take_back("new", "w030")
    assert gallery.recommend(Ask(user_id="new", k=5)) == before


def test_a_known_user_moves_on_by_clicks(gallery):
    user = vs.Dataset.load(gallery.run.data).histories.user_ids[0]
    known = gallery.profile(user)
    assert known
    gallery.record(user, "w071")
    gallery.record(user, known[0], "dislike")
    assert gallery.profile(user) == [*known[1:], "w071"]
    assert gallery.dislikes(user) == [known[0]]
    wall = gallery.recommend(Ask(user_id=user, k=72, model="bpr"))
    assert not {"w071", *known} & set(ids(wall))


def test_an_original_that_is_sold_is_gone_everywhere(gallery):
    ask = Ask(likes=LIKES, k=72)
    assert "w030" in ids(gallery.recommend(ask))
    sale = gallery.sell("w030", "bob", "key")
    assert gallery.sell("w030", "bob", "key") == sale
    for wall in (
        gallery.recommend(ask),
        gallery.similar("w031", 72),
        gallery.between("w029", "w031", 72),
        gallery.surprise("w031", 72, seed=0),
        gallery.recommend(Ask(user_id="stranger", k=72)),
    ):
        assert "w030" not in ids(wall)
    assert not gallery.work("w030").available
    assert "w030" in gallery.profile("bob")
    with pytest.raises(Conflict, match="w030"):
        gallery.sell("w030", "eve")


def test_a_print_sells_again_and_stays(gallery):
    assert not gallery.work("w031").original
    gallery.sell("w031", "bob")
    gallery.sell("w031", "eve")
    assert gallery.work("w031").available


def test_a_new_work_is_found_at_once_like_the_one_it_copies(gallery):
    content = picture_of(gallery, "w030")
    work = gallery.add_work("new", content, "Copy", "a9", True, {"style": "s2", "price": 77}, "key")
    assert gallery.add_work("new", content, "Copy", "a9", True, {"style": "s2", "price": 77}, "key") == work
    assert (work.title, work.artist_id, work.original, work.columns["price"]) == ("Copy", "a9", True, 77)
    assert ids(gallery.similar("w030", 1)) == ["new"]
    for model in ("curatornet", "visrank"):
        wall = gallery.recommend(Ask(likes=("w001",), k=73, model=model)).works
        scores = {work.item_id: work.score for work in wall}
        assert scores["new"] == pytest.approx(scores["w030"], rel=1e-3)
    assert _alike(gallery, "new", "w030")
    assert "new" in ids(
        gallery.recommend(Ask(likes=("w001",), k=73, filters=Filters.parse(["price:77..77"])))
    )
    assert gallery.explain(Ask(likes=("new",), model="curatornet"), "w001")[0].item_id == "new"
    with pytest.raises(Conflict, match="'new'"):
        gallery.add_work("new", content)
    with pytest.raises(Conflict, match="'w001'"):
        gallery.add_work("w001", content)


def test_changes_hold_and_what_is_removed_is_gone(gallery):
    gallery.update_work("w030", {"title": "Other", "price": 9})
    work = gallery.update_work("w030", {"removed": True})
    assert (work.title, work.columns["price"], work.available) == ("Other", 9, False)
    assert "w030" not in ids(gallery.recommend(Ask(likes=LIKES, k=72)))
    with pytest.raises(Conflict):
        gallery.sell("w030", "bob")
    gallery.update_work("w030", {"removed": False})
    assert "w030" in ids(gallery.recommend(Ask(likes=LIKES, k=72)))


def test_an_artist_has_their_works_before_and_after_clicks_and_changes(gallery):
    before = {one.artist_id: one.works for one in gallery.artists()}
    gallery.record("new", "w030")
    assert {one.artist_id: one.works for one in gallery.artists()} == before
    artist = gallery.work("w030").artist_id
    gallery.update_work("w030", {"artist_id": "somebody else"})
    after = {one.artist_id: one.works for one in gallery.artists()}
    assert after["somebody else"] == 1
    assert after.get(artist, 0) == before[artist] - 1
    gallery.record("new", "w031")
    assert {one.artist_id: one.works for one in gallery.artists()} == after


def test_another_picture_gives_another_place(gallery):
    gallery.update_work("w001", {}, picture_of(gallery, "w071"))
    assert ids(gallery.similar("w071", 1)) == ["w001"]
    scores = {
        w.item_id: w.score for w in gallery.recommend(Ask(likes=("w040",), k=72, model="curatornet")).works
    }
    assert scores["w001"] == pytest.approx(scores["w071"], rel=1e-3)


@pytest.mark.parametrize(
    "changes", [{"colour": "red"}, {"price": "much"}, {"original": True}, {"image": "/etc/passwd"}]
)
def test_a_change_that_a_column_cannot_hold_is_refused(embedded, changes):
    with pytest.raises(UsageError):
        embedded.update_work("w001", changes)


def test_two_galleries_on_one_store_see_each_others_writes_at_once(run, database):
    one, two = Gallery.open(run, database), Gallery.open(run, database)
    one.record("new", "w030")
    assert two.profile("new") == ["w030"]
    one.add_work("fresh", picture_of(one, "w030"))
    assert ids(two.similar("w030", 1)) == ["fresh"]
    two.sell("w040", "bob")
    assert not one.work("w040").available
    for each in (one, two):
        each.close()


def test_everything_is_there_after_a_restart(run, database):
    gallery = Gallery.open(run, database)
    gallery.record("new", "w030")
    gallery.sell("w040", "bob")
    gallery.add_work("fresh", picture_of(gallery, "w030"), title="Fresh")
    gallery.update_work("fresh", {"price": 5})
    gallery.update_work("w001", {}, picture_of(gallery, "w071"))
    gallery.swap("curatornet", run / "curatornet-2")
    walls = [ids(gallery.recommend(Ask(likes=(item,), k=20))) for item in ("w001", "fresh", "w050")]
    version = gallery.recommend(Ask()).version
    gallery.close()
    again = Gallery.open(run, database)
    assert again.profile("new") == ["w030"]
    assert not again.work("w040").available
    assert (again.work("fresh").title, again.work("fresh").columns["price"]) == ("Fresh", 5)
    assert [ids(again.recommend(Ask(likes=(item,), k=20))) for item in ("w001", "fresh", "w050")] == walls
    assert again.recommend(Ask()).version == version
    again.close()


# ---------------------------------------------------------------- models and the owner


def test_a_swap_changes_answers_and_versions_in_every_process(run, database):
    one, two = Gallery.open(run, database), Gallery.open(run, database)
    ask = Ask(likes=LIKES, k=10, model="curatornet")
    before = one.recommend(ask)
    one.swap("curatornet", run / "curatornet-2")
    after = one.recommend(ask)
    assert after.version != before.version
    expected = vs.load(run / "curatornet-2").recommend(profile=LIKES, k=10)["item_id"].to_list()
    assert ids(after) == expected
    two.recommend(ask)  # takes notice, and reads the model beside
    two.settle()
    assert two.recommend(ask) == after
    for each in (one, two):
        each.close()


def test_the_last_swap_of_the_log_stands_however_long_the_others_take_to_read(run, database, monkeypatch):
    one, two = Gallery.open(run, database), Gallery.open(run, database)
    started, go_on, read = threading.Event(), threading.Event(), Gallery._read

    def slow(self, name, folder):
        snapshot = read(self, name, folder)
        if self is two and folder.name == "curatornet-2":
            started.set()
            assert go_on.wait(60)
        return snapshot

    monkeypatch.setattr(Gallery, "_read", slow)
    ask = Ask(likes=LIKES, k=5, model="curatornet")
    one.swap("curatornet", run / "curatornet-2")
    two.recommend(ask)
    assert started.wait(60)  # the second process reads the first swap, and takes its time
    one.swap("curatornet", run / "visrank")
    two.recommend(ask)
    deadline = time.monotonic() + 60
    while two.recommend(ask) != one.recommend(ask) and time.monotonic() < deadline:
        time.sleep(0.05)
    go_on.set()
    two.settle()
    assert two.recommend(ask) == one.recommend(ask)
    for each in (one, two):
        each.close()


def test_features_that_are_no_numbers_hide_one_work_and_stop_nobody(embedded):
    before = embedded.recommend(Ask(likes=LIKES, k=5, model="curatornet"))
    dim = len(embedded._table.matrix[0])
    for item, value in (("broken", np.nan), ("empty", np.inf)):
        features = np.full(dim, value, np.float32)
        work = StoredWork(item, True, False, {}, "p.png", embedded._extractor, features)
        embedded.store.add_work(work, {"do": item}, None)
    assert embedded.work("broken").item_id == "broken"
    assert embedded.recommend(Ask(likes=LIKES, k=5, model="curatornet")) == before


def test_a_swap_keeps_works_that_came_since(embedded, run):
    embedded.add_work("new", picture_of(embedded, "w030"))
    embedded.swap("curatornet", run / "curatornet-2")
    assert _alike(embedded, "new", "w030")


def test_a_folder_without_a_model_is_refused_and_the_old_one_goes_on(embedded, run):
    before = embedded.models()
    with pytest.raises(NotFound):
        embedded.swap("curatornet", run / "gallery")
    assert [m.version for m in embedded.models()] == [m.version for m in before]


def test_visitors_keep_their_model_in_proportion_to_the_shares(run, tmp_path):
    url = f"sqlite:///{tmp_path / 'x.db'}"
    gallery = Gallery.open(run, url, shares={"curatornet": 3, "visrank": 1})
    given = [gallery.variant_of(f"u{n}") for n in range(2000)]
    assert given.count("visrank") / 2000 == pytest.approx(0.25, abs=0.04)
    assert set(given) == {"curatornet", "visrank"}
    assert given == [gallery.variant_of(f"u{n}") for n in range(2000)]
    assert gallery.recommend(Ask(user_id="u5")).model == given[5]
    gallery.close()
    with pytest.raises(UsageError, match="nothing"):
        Gallery.open(run, url, shares={"nothing": 1})


def test_a_model_older_than_the_catalogue_answers_for_works_it_never_saw(painted, tmp_path):
    """The catalogue has grown since training: works are embedded from the table."""
    import shutil

    run = shutil.copytree(painted, tmp_path / "run")
    data, table = vs.Dataset.load(run / "gallery"), FeatureTable.load(run / "gallery" / "features")
    log = data.interactions.frame
    known = set(log["item_id"])
    old = vs.Dataset.from_frames(
        data.catalogue.frame.filter(data.catalogue.frame["item_id"].is_in(list(known))),
        log,
        image_root=data.catalogue.image_root,
    )
    vs.CuratorNet(epochs=1, triples_per_epoch=500).fit(old, table).save_pretrained(run / "old")
    gallery = Gallery.open(run)
    wall = gallery.recommend(Ask(likes=("w001",), k=72, model="old"))
    assert {"w000", "w030"} <= set(ids(wall))
    assert not known >= set(ids(wall))
    gallery.close()


def test_the_last_evaluation_is_told_with_its_intervals(painted, tmp_path):
    import shutil

    run = shutil.copytree(painted, tmp_path / "run")
    data, table = vs.Dataset.load(run / "gallery"), FeatureTable.load(run / "gallery" / "features")
    results = vs.evaluate([vs.VisRank()], data, table, protocol="last-basket", progress=False)
    results.save(run / "evaluation")
    gallery = Gallery.open(run)
    told = {model.name: model.evaluation for model in gallery.models()}
    assert gallery.overview().evaluation == results.title
    gallery.close()
    assert told["curatornet"] == {}
    for _, metric, *numbers in results.summary().iter_rows():
        one = told["visrank"][metric]
        assert [one.mean, one.low, one.high, one.n] == pytest.approx(numbers)


def test_a_damaged_evaluation_does_not_keep_the_gallery_shut(run):
    (run / "evaluation").mkdir()
    (run / "evaluation" / "evaluation.json").write_text("{")
    gallery = Gallery.open(run)
    assert gallery.overview().evaluation is None
    gallery.close()


def test_the_interval_of_a_difference_is_that_of_many_repetitions():
    rng = np.random.default_rng(0)
    first, second = rng.normal(1, 1, 80), rng.normal(0, 2, 50)
    mean, low, high = _difference(first.tolist(), second.tolist(), seed=0)
    drawn = [rng.choice(first, 80).mean() - rng.choice(second, 50).mean() for _ in range(4000)]
    assert mean == pytest.approx(first.mean() - second.mean())
    np.testing.assert_allclose([low, high], np.percentile(drawn, [2.5, 97.5]), atol=0.05)


def test_the_overview_counts_what_happened(embedded):
    log = vs.Dataset.load(embedded.run.data).interactions
    before = sum(count for _, count in embedded.overview().sales)
    assert before == len(log)
    shown = ids(embedded.recommend(Ask(user_id="stranger", k=10)))
    embedded.sell("w030", "bob")
    found = embedded.overview()
    assert sum(count for _, count in found.sales) == before + 1
    assert found.cold_visitors == ("stranger",)
    assert found.available == found.works - 1
    assert found.shown == len(set(shown) - {"w030"})
    assert set(found.never_shown).isdisjoint(shown)
    assert len(found.map) == 72
    assert all(0 <= x <= 1 and 0 <= y <= 1 for _, x, y in found.map)
    assert found.answers == {embedded.variant_of("stranger"): 1}


def test_browsing_pages_through_everything_in_order(embedded):
    order = "-price"
    pages = [
        embedded.browse(offset, 20, Filters.parse(["available:any"]), order) for offset in (0, 20, 40, 60)
    ]
    prices = [work.columns["price"] for page in pages for work in page.works]
    assert len(prices) == pages[0].total == 72
    assert prices == sorted(prices, reverse=True)
    artists = embedded.artists()
    assert sum(artist.works for artist in artists) == 72
    assert len(embedded.of_artist(artists[0].artist_id)) == artists[0].works
    with pytest.raises(NotFound):
        embedded.of_artist("nobody")


def test_dates_are_changed_as_iso_writes_them(embedded):
    for text in ("2024-05-01T12:00:00+02:00", "2024-05-01T10:00:00Z", "2024-05-01 10:00"):
        work = embedded.update_work("w001", {"added_at": text})
        assert work.columns["added_at"].isoformat() == "2024-05-01T10:00:00+00:00"


@pytest.mark.parametrize("changes", [{"removed": "false"}, {"removed": 1}, {"title": True}, {"artist_id": 5}])
def test_changes_have_the_type_of_what_they_change(client, embedded, changes):
    before = embedded.work("w010")
    assert client.patch("/v1/works/w010", json={"changes": changes}).status_code == 422
    assert embedded.work("w010") == before


def test_a_new_work_is_not_taken_off(client, embedded_pictures):
    given = {"item_id": "new", "columns": '{"removed": true}'}
    picture = {"picture": ("a.png", embedded_pictures["w030"])}
    assert client.post("/v1/works", data=given, files=picture).status_code == 422


def test_reasons_of_a_visitor_whom_attention_has_learnt_are_no_exact_terms(attentive, tmp_path):
    gallery = Gallery.open(attentive, f"sqlite:///{tmp_path / 'gallery.db'}")
    user = next(iter(Dataset.load(attentive / "gallery").histories.user_ids))
    learnt = gallery.explain(Ask(user_id=user), "w001")
    assert learnt
    assert not any(reason.exact for reason in learnt)
    assert all(reason.exact for reason in gallery.explain(Ask(likes=("w002", "w003")), "w001"))
    gallery.close()
