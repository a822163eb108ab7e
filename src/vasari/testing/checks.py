"""What every recommender must do, whatever it is: one function a rule.

Each check takes a function that makes an unfitted model with quick settings, and raises AssertionError with a
sentence that says what is wrong. Whether a rule applies is read off the class: rules about pictures hold with
`needs_features` or `needs_pictures`, the fallback for empty profiles where it is `personal`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import torch

from vasari.core.errors import DataError, NotFittedError, NotFoundError, UsageError
from vasari.data.dataset import Dataset
from vasari.data.ragged import Ragged
from vasari.features.table import FeatureTable
from vasari.models.base import Recommender
from vasari.models.pretrained import load
from vasari.testing.fits import (
    COLD,
    ORIGINALS,
    PEOPLE,
    PROFILES,
    REMOVED,
    SEED,
    UNSEEN,
    Make,
    at_market,
    fit,
    fitted,
    looks,
    repeats,
    usual,
)
from vasari.testing.galleries import ITEMS, style_gallery
from vasari.testing.say import equal, refuses, require

Check = Callable[[Make], None]

CHECKS: dict[str, Check] = {}

ROUNDING = 1e-4  # between the same sums in another order
THREADS = 1e-2  # between fits on 1 and 2 threads: rounding, as training amplifies it


def _check(function: Check) -> Check:
    CHECKS[function.__name__.removeprefix("check_")] = function
    return function


# ---------------------------------------------------------------------- scores


@_check
def check_rows_are_independent(make: Make) -> None:
    """A batch of profiles scores as each alone, and the order of users does not matter."""
    model = fitted(make).model
    together = model.score(PROFILES, PEOPLE)
    require(together.shape == (5, ITEMS), f"score gave shape {together.shape} instead of (5, {ITEMS})")
    require(together.dtype == np.float32, f"score gave {together.dtype} instead of float32")
    alone = [model.score(PROFILES.take([row]), [PEOPLE[row]])[0] for row in range(5)]
    equal(together, np.stack(alone), "a batch of profiles scores otherwise than each alone", ROUNDING)
    order = [3, 0, 4, 2, 1]
    shuffled = model.score(PROFILES.take(order), [PEOPLE[row] for row in order])
    equal(shuffled, together[order], "scores depend on the order of the users", ROUNDING)


@_check
def check_scoring_leaves_the_model(make: Make) -> None:
    """The same question gets the same answer, whatever was asked in between."""
    model = fitted(make).model
    before = model.score(PROFILES, PEOPLE)
    model.score(Ragged.from_rows([[], [5], [60, 61]]))[:] = 7.0  # the answer belongs to the caller
    equal(model.score(PROFILES, PEOPLE), before, "the same question, asked twice, has two answers")


@_check
def check_profile_is_a_set(make: Make) -> None:
    """A work that occurs twice in a profile counts once, at its last place."""
    model = fitted(make).model
    once = model.score(Ragged.from_rows([[3, 1, 2]]))
    twice = model.score(Ragged.from_rows([[3, 1, 3, 2, 1, 2, 3, 1, 2]]))
    equal(twice, once, "a work that is repeated in a profile counts more than once", ROUNDING)


@_check
def check_empty_profile(make: Make) -> None:
    """A visitor without any work gets an answer, by popularity if the profile would decide."""
    model = fitted(make).model
    require(
        len(model.recommend(profile=[], k=4)) == 4, "an empty profile with k=4 does not get 4 recommendations"
    )
    empty, unseen = model.score(Ragged.from_rows([[], [5]]))
    if model.personal:
        expected = np.where(model.scorable, model.popularity, -np.inf)
        equal(empty, expected, "an empty profile is not answered with popularity")
    if looks(model):
        equal(unseen, empty, "a profile of works without pictures is not answered as an empty one")


@_check
def check_cold_user(make: Make) -> None:
    """A profile is answered, also when nobody or somebody unknown stands behind it."""
    model = fitted(make).model
    profile = Ragged.from_rows([[13, 14]])
    for people in (None, [None], ["somebody new"]):
        scores = model.score(profile, people)[0, model.scorable]
        require(not np.isnan(scores).any(), f"a user unknown to fit (user_ids={people}) gets NaN for a score")
        require(not np.isposinf(scores).any(), f"a user unknown to fit (user_ids={people}) gets +inf")
    answer = model.recommend(profile=["w013", "w014"], k=5)
    require(len(answer) == 5, f"a visitor with two works and k=5 gets {len(answer)} recommendations")


@_check
def check_cold_item(make: Make) -> None:
    """A work that nobody took has a number for a score; for a model that sees it, a finite one."""
    model = at_market(make).model
    scores = model.score(PROFILES, PEOPLE)[:, model.item_ids.rows([COLD])[0]]
    require(not np.isnan(scores).any(), "a work that nobody took yet is scored NaN")
    require(not np.isposinf(scores).any(), "a work that nobody took yet is scored +inf")
    if looks(model):
        require(np.isfinite(scores).all(), "a work with a picture is scored -inf because nobody took it yet")


@_check
def check_missing_pictures(make: Make) -> None:
    """A model that looks at pictures masks works without one, and only these."""
    model = fitted(make).model
    if not looks(model):
        return
    scores = model.score(PROFILES, PEOPLE)
    unseen = model.item_ids.rows(UNSEEN)
    require(np.isneginf(scores[:, unseen]).all(), "a work without a picture is not scored -inf")
    seen = np.delete(scores, unseen, axis=1)
    require(not np.isinf(seen).any(), "a work with a picture is scored as infinite")
    answer = set(model.recommend(profile=["w000"], k=ITEMS)["item_id"])
    require(not answer & set(UNSEEN), "a work without a picture is recommended")


@_check
def check_guests(make: Make) -> None:
    """A model with features answers for a picture outside the catalogue, or refuses in its name."""
    model, features = fitted(make).model, fitted(make).features
    if not model.needs_features:
        return
    guests = np.asarray(features.matrix[:2], dtype=np.float32)
    try:
        scores = model.score(Ragged.from_rows([[ITEMS], [13, ITEMS + 1]]), guests=guests)
    except UsageError as refusal:
        require(model.name in str(refusal), f"the refusal of pictures does not name the model: {refusal}")
        return
    require(
        np.isfinite(scores[:, model.scorable]).all(),
        "profiles with a picture from outside the catalogue are not scored by finite numbers",
    )


# ---------------------------------------------------------------------- answers


@_check
def check_recommend_table(make: Make) -> None:
    """`recommend` gives one long table, users in the order asked, best first, equal scores by item order."""
    model = fitted(make).model
    table = model.recommend(users=["u03", "u01"], k=5)
    columns = ["user_id", "item_id", "score", "rank"]
    require(table.columns == columns, f"the columns are {table.columns} instead of {columns}")
    users = table["user_id"].unique(maintain_order=True).to_list()
    require(users == ["u03", "u01"], f"users u03 and u01 were asked for, {users} came")
    for (user,), mine in table.group_by("user_id", maintain_order=True):
        ranks = mine["rank"].to_list()
        require(ranks == [1, 2, 3, 4, 5], f"the ranks of {user} are {ranks} for k=5")
        require(mine["score"].is_sorted(descending=True), f"the scores of {user} are not sorted")
        alone = model.recommend(users=[str(user)], k=5)["item_id"]
        require(alone.equals(mine["item_id"]), f"{user} is answered otherwise alone than with others")
        longer = model.recommend(users=[str(user)], k=ITEMS)
        require(
            longer["item_id"].head(5).equals(alone),
            f"the first 5 of {user} change with k",
        )
        place = pl.Series(model.item_ids.rows(longer["item_id"]))
        ties = (longer["score"].diff() == 0).fill_null(False)
        require(not ((place.diff() < 0) & ties).any(), "works of equal score do not come in catalogue order")


@_check
def check_profile_left_out(make: Make) -> None:
    """What a user has is not recommended, unless it is asked for."""
    model, data = fitted(make)[:2]
    for user in ("u03", "u01"):
        owned = set(data.interactions.frame.filter(pl.col("user_id") == user)["item_id"])
        answer = set(model.recommend(users=[user], k=ITEMS)["item_id"])
        require(not answer & owned, f"{user} is recommended works that {user} has: {sorted(answer & owned)}")
    answer = set(model.recommend(profile=["w000"], k=ITEMS)["item_id"])
    require("w000" not in answer, "a visitor is recommended the work the visitor came with")
    whole = set(model.recommend(profile=["w000"], k=ITEMS, exclude_profile=False)["item_id"])
    require("w000" in whole, "exclude_profile=False leaves the profile out all the same")


@_check
def check_filters(make: Make) -> None:
    """Candidates and exclusions are kept to, and k may be larger than what is left."""
    model = fitted(make).model
    few = model.recommend(profile=["w000"], candidates=["w001", "w002", "w003"], exclude=["w002"], k=50)
    got = sorted(few["item_id"])
    require(got == ["w001", "w003"], f"of candidates w001 to w003 without w002, {got} came for k=50")
    require(few["rank"].to_list() == [1, 2], f"two works are ranked {few['rank'].to_list()}")
    require(not len(model.recommend(profile=["w000"], candidates=[], k=3)), "no candidates give works")
    require(not len(model.recommend(users=[], k=3)), "no users give works")


@_check
def check_stock(make: Make) -> None:
    """Sold originals and removed works are not recommended, unless asked for with ``candidates="all"``."""
    model, data = at_market(make)[:2]
    gone = set(data.interactions.frame["item_id"]) & set(ORIGINALS) | set(REMOVED)
    available = set(model.recommend(profile=["w060"], k=ITEMS, exclude=[COLD])["item_id"])
    require(not available & gone, f"works that are gone are recommended: {sorted(available & gone)}")
    everything = set(model.recommend(profile=["w060"], k=ITEMS, candidates="all", exclude=[COLD])["item_id"])
    require(gone <= everything, f'candidates="all" leaves out {sorted(gone - everything)}')


@_check
def check_similar_items(make: Make) -> None:
    """Models with a notion of likeness rank other works by it; the others refuse."""
    model = fitted(make).model
    if type(model)._similarity is Recommender._similarity:
        refuses(UsageError, model.name, lambda: model.similar_items("w020"), "a model without likeness")
        return
    table = model.similar_items("w020", k=5)
    require(table.columns == ["item_id", "score", "rank"], f"similar_items has the columns {table.columns}")
    require(len(table) == 5, f"5 similar works were asked for, {len(table)} came")
    require("w020" not in set(table["item_id"]), "a work is similar to itself")
    require(table["score"].is_sorted(descending=True), "similar works are not sorted by likeness")
    if looks(model):
        refuses(
            UsageError, "w005", lambda: model.similar_items("w005"), "likeness of a work without a picture"
        )


@_check
def check_explain(make: Make) -> None:
    """`explain` has one finite contribution for each distinct work of the profile, strongest first."""
    table = fitted(make).model.explain(profile=["w000", "w030", "w000"], item="w001")
    got = sorted(table["item_id"])
    require(got == ["w000", "w030"], f"a profile of w000 and w030 is explained by {got}")
    require(table["contribution"].is_finite().all(), "a contribution is not a finite number")
    require(table["contribution"].is_sorted(descending=True), "contributions are not sorted")


# ---------------------------------------------------------------------- fits and files


@_check
def check_same_seed(make: Make) -> None:
    """Two fits with the same seed score bit-identically."""
    require(repeats(make), f"two fits with seed={SEED} give different scores")


@_check
def check_refit(make: Make) -> None:
    """A second `fit` forgets the first."""
    if not repeats(make):
        return
    model = fit(make(), lambda pictures: style_gallery(seed=9, pictures=pictures), seed=5).model
    again = fit(model)
    equal(again.scores, fitted(make).scores, "a model fitted twice differs from one fitted once")
    require(model.trained_on == again.data.fingerprint, "trained_on does not name the data of the last fit")


@_check
def check_threads(make: Make) -> None:
    """One thread and two learn the same up to rounding; each the same bit for bit as before."""
    if not repeats(make):
        return
    with _threads(1):
        one = fit(make()).scores
    with _threads(2):
        two, again = (fit(make()).scores for _ in range(2))
    equal(again, two, "two fits with the same seed on 2 threads differ")
    equal(two, one, "the number of threads decides what is learnt", THREADS)


@_check
def check_save_and_load(make: Make) -> None:
    """A model read from its files is the model that was written."""
    model = fitted(make).model
    with tempfile.TemporaryDirectory() as folder:
        loaded = load(model.save_pretrained(Path(folder) / "model"))
        require(type(loaded) is type(model), f"a {type(model).__name__} was read as {type(loaded).__name__}")
        require(loaded.config() == model.config(), "the settings differ after save_pretrained and load")
        require(loaded.history == model.history, "the history differs after save_pretrained and load")
        scores = model.score(PROFILES, PEOPLE)
        equal(loaded.score(PROFILES, PEOPLE), scores, "scores differ after save_pretrained and load")
        users = ["u07", "u00"]
        before, after = model.recommend(users=users, k=7), loaded.recommend(users=users, k=7)
        require(after.equals(before), "recommendations differ after save_pretrained and load")


@_check
def check_memory_map(make: Make) -> None:
    """Features may be a read-only memory map, and then teach what they teach in memory."""
    if not (make().needs_features and repeats(make)):
        return
    with tempfile.TemporaryDirectory() as folder:

        def mapped(pictures: Path | None) -> tuple[Dataset, FeatureTable]:
            data, features = usual(pictures)
            return data, FeatureTable.load(features.save(Path(folder) / "features"))

        scores = fit(make(), mapped).scores
        equal(scores, fitted(make).scores, "a memory-mapped table teaches something else")


@_check
def check_inputs_stay(make: Make) -> None:
    """Neither `fit` nor `score` nor `recommend` changes what it is given."""
    model = make()
    fresh, untouched = fit(model), usual(None)
    profiles, people = Ragged(PROFILES.values.copy(), PROFILES.offsets.copy()), list(PEOPLE)
    model.score(profiles, people)
    model.recommend(profile=["w000"], k=5)
    equal(fresh.features.matrix, untouched[1].matrix, "the feature matrix was changed")
    frame, histories = fresh.data.interactions.frame, fresh.data.histories
    require(frame.equals(untouched[0].interactions.frame), "the log was changed")
    equal(histories.items.values, untouched[0].histories.items.values, "the histories were changed")
    equal(histories.times, untouched[0].histories.times, "the times of the histories were changed")
    equal(profiles.values, PROFILES.values, "the profiles given to score were changed")
    require(people == list(PEOPLE), "the user_ids given to score were changed")


# ---------------------------------------------------------------------- refusals


@_check
def check_refusals(make: Make) -> None:
    """What cannot be answered is refused by an error that names it."""
    model, data, features, _ = fitted(make)
    cases: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (NotFittedError, model.name, lambda: make().recommend(profile=["w000"])),
        (NotFoundError, "nobody", lambda: model.recommend(users=["nobody"])),
        (NotFoundError, "w999", lambda: model.recommend(profile=["w999"])),
        (UsageError, "k=0", lambda: model.recommend(profile=["w000"], k=0)),
        (UsageError, "either", model.recommend),
        (UsageError, "list", lambda: model.recommend(users="u01")),
        (UsageError, "not_a_setting", lambda: type(model)(not_a_setting=1)),
        (
            DataError,
            "0 users",
            lambda: make().fit(data.with_interactions(data.interactions.frame.clear()), features),
        ),
    ]
    if model.needs_features:
        foreign = FeatureTable.from_arrays(["x1"], np.ones((1, features.dim), np.float32), source="elsewhere")
        cases += [
            (UsageError, "features", lambda: make().fit(data)),
            (DataError, "another catalogue", lambda: make().fit(data, foreign)),
        ]
    if model.needs_pictures:
        cases += [(UsageError, "picture", lambda: make().fit(usual(None)[0], features))]
    for error, naming, call in cases:
        refuses(error, naming, call, f"{model.name} must refuse {naming!r}")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
