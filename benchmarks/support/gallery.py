"""A gallery of UGallery's size, made of random numbers in which tastes can be learnt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vasari.data.cases import Cases, hidden_cases, last_baskets
from vasari.data.histories import Histories
from vasari.data.ids import Ids
from vasari.data.stock import Stock

ITEMS, USERS, LONGEST, DIM = 13_297, 2_378, 10, 2_048
STYLES, TASTE, NUISANCE = 60, 16, 48


@dataclass(frozen=True)
class Gallery:
    """What is trained on, what is hidden, and the pictures' features, shape (items, dim), float32."""

    train: Histories
    hidden: Cases
    features: np.ndarray


def gallery(items: int = ITEMS, users: int = USERS, dim: int = DIM, seed: int = 0) -> Gallery:
    """Everybody keeps to one of the styles; last baskets of those who came back are hidden.

    A work is `TASTE` numbers near its style's centre and `NUISANCE` louder ones that nobody cares for;
    its features are a random mixture of both, cut off below zero like a network's last layer. So looks
    alone tell something and learning tells more.
    """
    rng = np.random.default_rng(seed)
    style = rng.integers(0, STYLES, items)
    taste = rng.normal(size=(STYLES, TASTE))[style] + 0.5 * rng.normal(size=(items, TASTE))
    parts = np.concatenate([taste, 2 * rng.normal(size=(items, NUISANCE))], axis=1).astype(np.float32)
    mixture = rng.normal(size=(TASTE + NUISANCE, dim)).astype(np.float32) / 8
    features = np.maximum(parts @ mixture + 0.3 * rng.normal(size=(items, dim)).astype(np.float32), 0)
    lengths = np.minimum(rng.geometric(0.35, users), LONGEST)
    owner = np.repeat(np.arange(users), lengths)
    works = [np.flatnonzero(style == s) for s in range(STYLES)]
    liked = rng.integers(0, STYLES, users)
    taken = np.array([rng.choice(works[liked[user]]) for user in owner.tolist()])
    strays = rng.random(len(taken)) < 0.1
    taken[strays] = rng.integers(0, items, strays.sum())
    times = np.cumsum(rng.random(len(owner)) < 0.8)
    names = Ids([f"u{u}" for u in range(users)], what="user_id"), Ids([f"i{i}" for i in range(items)])
    histories = Histories.from_sorted(*names, owner, taken, times)
    hidden = last_baskets(histories)
    cases = hidden_cases(histories, hidden, Stock.everything(items))
    return Gallery(histories.where(~hidden), cases, features)
