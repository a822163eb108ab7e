"""A sound model passes every check; a model with one defect fails the check that is meant for it."""

import numpy as np
import pytest
from PIL import Image

from vasari.core.errors import UsageError
from vasari.data.ids import Ids
from vasari.models import registry
from vasari.models.base import NoSettings, Recommender
from vasari.testing import CHECKS, check_recommender, failures


class Centroid(Recommender[NoSettings]):
    """Nearness to the mean of the profile."""

    name = "Centroid"
    Settings = NoSettings
    needs_features = True

    def _fit(self, inputs):
        self.vectors = np.zeros((len(inputs.rows), inputs.table.dim), np.float32)
        self.vectors[inputs.rows >= 0] = inputs.table.matrix[inputs.rows[inputs.rows >= 0]]

    def _score(self, profiles, user_ids, guests):
        pool = self.vectors if guests is None else np.concatenate([self.vectors, guests])
        tastes = np.stack([pool[p].sum(0) / max(len(p), 1) for p in profiles]).astype(np.float64)
        return (tastes @ self.vectors.T).astype(np.float32)

    def _arrays(self):
        return {"vectors": self.vectors}

    def _restore(self, arrays):
        self.vectors = arrays["vectors"]


class ReadsPixels(Centroid):
    """Nearness in the colours of a coarse copy of the picture."""

    name = "ReadsPixels"
    needs_features = False
    needs_pictures = True

    def _fit(self, inputs):
        self.vectors = np.zeros((len(inputs.rows), 24), np.float32)
        for row, path in enumerate(inputs.data.catalogue.images()):
            self.scorable[row] = path is not None
            if path is not None:
                pixels = np.asarray(Image.open(path).resize((2, 4), Image.Resampling.BOX), np.float32)
                self.vectors[row] = pixels.reshape(-1) / 128 - 1


class NormalisesInPlace(Centroid):
    def _fit(self, inputs):
        if inputs.table.matrix.flags.writeable:
            inputs.table.matrix[:] /= np.linalg.norm(inputs.table.matrix, axis=1, keepdims=True)
            super()._fit(inputs)
        else:
            super()._fit(inputs)
            self.vectors /= np.maximum(np.linalg.norm(self.vectors, axis=1, keepdims=True), 1e-9)


class SortsTheHistories(Centroid):
    def _fit(self, inputs):
        inputs.data.histories.times.sort()
        super()._fit(inputs)


class ScoresByPlaceInTheBatch(Centroid):
    def _score(self, profiles, user_ids, guests):
        return (
            super()._score(profiles, user_ids, guests) + np.arange(len(profiles), dtype=np.float32)[:, None]
        )


class RanksWithinTheBatch(Centroid):
    """Centres scores over the profiles of the batch."""

    def _score(self, profiles, user_ids, guests):
        scores = super()._score(profiles, user_ids, guests)
        return scores - scores.mean(axis=0) if len(scores) > 2 else scores


class LearnsWhileScoring(Centroid):
    def _score(self, profiles, user_ids, guests):
        scores = super()._score(profiles, user_ids, guests)
        if guests is None and len(profiles) == 3:
            self.vectors = self.vectors * 1.01
        return scores


class CountsRepeats(Centroid):
    def score(self, profiles, user_ids=None, guests=None):
        scores = super().score(profiles, user_ids, guests)
        return scores * profiles.lengths.clip(1)[:, None].astype(np.float32)


class IgnoresTheSeed(Centroid):
    def _fit(self, inputs):
        super()._fit(inputs)
        self.vectors += np.random.default_rng().normal(0, 0.1, self.vectors.shape).astype(np.float32)


class RemembersTheLastFit(Centroid):
    def _fit(self, inputs):
        start = getattr(self, "vectors", 0.0)
        super()._fit(inputs)
        self.vectors = self.vectors + np.float32(0.1) * start


class NotANumberForColdItems(Centroid):
    def _fit(self, inputs):
        super()._fit(inputs)
        self.cold = np.bincount(inputs.data.histories.items.values, minlength=len(inputs.rows)) == 0

    def _score(self, profiles, user_ids, guests):
        scores = super()._score(profiles, user_ids, guests)
        scores[:, self.cold] = np.nan
        return scores

    def _restore(self, arrays):
        super()._restore(arrays)
        self.cold = np.zeros(len(self.vectors), bool)


class StumblesOverStrangers(Centroid):
    def _score(self, profiles, user_ids, guests):
        scores = super()._score(profiles, user_ids, guests)
        strangers = [user is not None and user not in self.user_ids for user in user_ids]
        scores[strangers] = np.nan
        return scores


class ScoresMissingPictures(Centroid):
    def score(self, profiles, user_ids=None, guests=None):
        scores = super().score(profiles, user_ids, guests)
        scores[np.ix_(profiles.lengths > 1, ~self.scorable)] = 0.0
        return scores


class NothingForEmptyProfiles(Centroid):
    def score(self, profiles, user_ids=None, guests=None):
        scores = super().score(profiles, user_ids, guests)
        scores[np.ix_(profiles.lengths == 0, self.scorable)] = 0.0
        return scores


class LeaksTheProfile(Centroid):
    def _answer(self, query, allowed, k, exclude_profile):
        return super()._answer(query, allowed, k, False)


class IgnoresCandidates(Centroid):
    def recommend(self, users=None, *, candidates="available", **other):
        listed = not isinstance(candidates, str) and len(candidates)
        return super().recommend(users, candidates="available" if listed else candidates, **other)


class SellsWhatIsGone(Centroid):
    def _fit(self, inputs):
        super()._fit(inputs)
        self.available[:] = True


class WrongIdsAfterLoad(Centroid):
    def _restore(self, arrays):
        super()._restore(arrays)
        self.item_ids = Ids(list(self.item_ids)[::-1])


class NoArraysInTheFile(Centroid):
    def _restore(self, arrays):
        self.vectors = np.ones_like(arrays["vectors"])


class WritesIntoTheMap(Centroid):
    def _fit(self, inputs):
        if isinstance(inputs.table.matrix, np.memmap):
            inputs.table.matrix += 0
        super()._fit(inputs)


class ExplainsRepeats(Centroid):
    def explain(self, profile, item):
        table = super().explain(profile, item)
        return table.vstack(table)


class NotANumberForGuests(Centroid):
    def _score(self, profiles, user_ids, guests):
        scores = super()._score(profiles, user_ids, guests)
        return scores if guests is None else np.full_like(scores, np.nan)


class SilentAboutUnknownWorks(Centroid):
    def recommend(self, users=None, *, profile=None, **other):
        known = None if profile is None else [item for item in profile if item in self.item_ids]
        return super().recommend(users, profile=known, **other)


class LikesItself(Centroid):
    def _similarity(self, items, guests):
        return self.vectors[items] @ self.vectors.T

    def similar_items(self, item, k=20, *, candidates="available"):
        table = super().similar_items(item, k, candidates=candidates)
        return table.with_columns(item_id=table["item_id"].replace(table["item_id"][0], item))


class UsersInItsOwnOrder(Centroid):
    def recommend(self, users=None, **other):
        return super().recommend(sorted(users) if isinstance(users, list) else users, **other)


class HeedsThreads(Centroid):
    def _fit(self, inputs):
        import torch

        super()._fit(inputs)
        self.vectors = self.vectors * np.float32(torch.get_num_threads())


DEFECTS = {
    NormalisesInPlace: "inputs_stay",
    SortsTheHistories: "inputs_stay",
    ScoresByPlaceInTheBatch: "rows_are_independent",
    RanksWithinTheBatch: "rows_are_independent",
    LearnsWhileScoring: "scoring_leaves_the_model",
    CountsRepeats: "profile_is_a_set",
    IgnoresTheSeed: "same_seed",
    RemembersTheLastFit: "refit",
    NotANumberForColdItems: "cold_item",
    StumblesOverStrangers: "cold_user",
    ScoresMissingPictures: "missing_pictures",
    NothingForEmptyProfiles: "empty_profile",
    LeaksTheProfile: "profile_left_out",
    IgnoresCandidates: "filters",
    SellsWhatIsGone: "stock",
    WrongIdsAfterLoad: "save_and_load",
    NoArraysInTheFile: "save_and_load",
    WritesIntoTheMap: "memory_map",
    ExplainsRepeats: "explain",
    NotANumberForGuests: "guests",
    SilentAboutUnknownWorks: "refusals",
    LikesItself: "similar_items",
    UsersInItsOwnOrder: "recommend_table",
    HeedsThreads: "threads",
}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """Makes a class known for the length of a test, as `save_and_load` needs."""
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    return registry.register


def test_a_sound_model_passes(registered):
    check_recommender(registered(Centroid), solves=["style_taste"])


def test_a_model_of_pixels_gets_pictures(registered):
    check_recommender(registered(ReadsPixels), solves=["style_taste"])


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_fails_its_check_and_no_other(registered, defect):
    assert set(failures(registered(defect))) == {DEFECTS[defect]}


def test_every_check_has_a_defect_that_it_finds():
    assert set(DEFECTS.values()) == set(CHECKS)


def test_all_failures_are_in_one_message():
    with pytest.raises(AssertionError, match=r"2 ways:\n  stock: .*\n  save_and_load: NotFoundError"):
        check_recommender(SellsWhatIsGone)  # and it is not registered, so it cannot be loaded


def test_only_and_skip_choose_checks(registered):
    model = registered(LeaksTheProfile)
    check_recommender(model, skip=["profile_left_out"])
    check_recommender(model, only=["filters", "stock"])
    with pytest.raises(AssertionError, match="1 ways"):
        check_recommender(model, only=["filters", "profile_left_out"])


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="no_such_check"):
        check_recommender(Centroid, only=["no_such_check"])
    with pytest.raises(UsageError, match="no_such_answer"):
        check_recommender(Centroid, solves=["no_such_answer"])
