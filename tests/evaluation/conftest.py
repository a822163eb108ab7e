"""A small gallery's log and recommenders simple enough to check by hand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest

from vasari.data.catalogue import Catalogue
from vasari.data.dataset import Dataset
from vasari.data.interactions import Interactions

START = datetime(2024, 1, 1, tzinfo=timezone.utc)


def make_data(users=30, items=40, seed=0, originals=False):
    """Every user has 2 to 4 baskets of 1 or 2 works; the last user has one basket only."""
    random = np.random.default_rng(seed)
    rows = []
    for user in range(users):
        for basket in range(1 if user == users - 1 else random.integers(2, 5)):
            for item in random.choice(items, random.integers(1, 3), replace=False):
                when = START + timedelta(days=int(basket * 30 + user % 7), seconds=user)
                rows.append((f"u{user}", f"a{item}", when))
    log = pl.DataFrame(rows, schema=["user_id", "item_id", "timestamp"], orient="row")
    catalogue = pl.DataFrame({"item_id": [f"a{i}" for i in range(items)]})
    if originals:
        catalogue = catalogue.with_columns(original=pl.Series([i % 2 == 0 for i in range(items)]))
    stamps = pl.col("timestamp").cast(pl.Datetime("us", "UTC"))
    return Dataset(
        Catalogue(catalogue, None), Interactions(log.with_columns(stamps)), "toy", "Invented users."
    )


class Toy:
    """Obeys the contract of a recommender with as little as can be."""

    name = "Toy"

    def __init__(self, **settings):
        self.settings = settings
        self.trained_on = ""
        self.history = []
        self.fits = 0

    def config(self):
        return dict(self.settings)

    def clone(self):
        return type(self)(**self.settings)

    def fit(self, data, features=None, *, seed=0, device="auto", checkpoints=None, progress=None):
        self.trained_on = data.fingerprint
        self.item_ids = data.catalogue.ids
        self.counts = np.bincount(data.histories.items.values, minlength=len(self.item_ids))
        self.history = [{"epoch": 1, "loss": float("nan")}]
        self.seed = seed
        self.fits += 1
        return self

    def score(self, profiles, user_ids=None):
        sign = self.settings.get("sign", 1)
        return np.tile(sign * self.counts.astype(np.float32), (len(profiles), 1))


class Constant(Toy):
    name = "Constant"

    def score(self, profiles, user_ids=None):
        return np.zeros((len(profiles), len(self.item_ids)), np.float32)


class Knowing(Toy):
    """Scores what is right higher, because it is told."""

    name = "Knowing"

    def reveal(self, cases):
        self.answers = dict(zip(cases.user_ids, cases.relevant, strict=True))

    def score(self, profiles, user_ids=None):
        scores = np.zeros((len(profiles), len(self.item_ids)), np.float32)
        for row, user in enumerate(user_ids):
            scores[row, self.answers[user]] = 1
        return scores


@pytest.fixture
def data():
    return make_data()


@pytest.fixture
def toys():
    """The classes of the recommenders by name."""
    return {"Toy": Toy, "Constant": Constant, "Knowing": Knowing}


@pytest.fixture
def gallery():
    """The maker of the data, for other seeds and sizes."""
    return make_data
