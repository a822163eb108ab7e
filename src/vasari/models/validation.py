"""Choosing the epoch: hidden baskets of some users, ranked as in the final evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from vasari.core.seeds import generator
from vasari.data.cases import Cases, hidden_cases
from vasari.data.dataset import Dataset
from vasari.data.histories import Histories
from vasari.metrics.measures import measure
from vasari.metrics.ranks import Score, rank_cases

BoolArray = npt.NDArray[np.bool_]


LAST = 0.2  # of each chosen user's baskets are hidden, at least one


def hold_out(data: Dataset, scorable: BoolArray, share: float, seed: int) -> tuple[Histories, Cases]:
    """Hide the last fifth of the baskets, at least one, of a share of the users with two or more baskets.

    Triple accuracy cannot choose an epoch: validation triples come from the users and samplers of
    training, and it saturates near .99 (a reproduction found VBPR's higher than CuratorNet's at a lower
    AUC). So some users' last baskets are kept from the sampler and ranked among the stock of that moment. A
    single basket of a long history would say little and cost little more, hence a fifth.

    Returns
    -------
    The histories to train on, and the cases to rank: their hidden interactions are not in the histories.
    """
    histories = data.histories
    returning = np.flatnonzero(histories.basket_counts >= 2)
    count = round(share * len(returning))
    chosen = generator(seed, "validation users").permutation(returning)[:count]
    asked = np.zeros(len(histories.user_ids), dtype=bool)
    asked[chosen] = True
    baskets, users = histories.basket_counts, histories.users
    kept = baskets - np.maximum(np.rint(LAST * baskets).astype(np.int64), 1)
    hidden = asked[users] & (histories.baskets >= kept[users])
    cases = hidden_cases(histories, hidden, data.stock)
    answers = cases.relevant.where(scorable[cases.relevant.values])
    cases = replace(cases, relevant=answers).take(np.flatnonzero(answers.lengths > 0))
    return histories.where(~hidden), cases


@dataclass(frozen=True, eq=False)
class Validator:
    """Metrics of a model in training.

    Attributes
    ----------
    cases
        The hidden baskets.
    prepare
        Brings what `score` reads up to date with the network: called once a validation.
    score
        The model's scores for some profiles.
    accuracy
        Share of fresh training triples in the right order: what the authors' code watches.
    """

    cases: Cases
    prepare: Callable[[], object]
    score: Score
    accuracy: Callable[[], float]

    def __call__(self) -> dict[str, float]:
        """AUC, reciprocal rank, nDCG@20 and recall@20 of the hidden baskets, and the triple accuracy."""
        self.prepare()
        ranks = rank_cases(self.score, self.cases)
        values = measure(ranks, ks=(20,))
        shown = ("auc", "rr", "ndcg@20", "recall@20")
        return {name: float(np.nanmean(values[name])) for name in shown} | {"accuracy": self.accuracy()}
