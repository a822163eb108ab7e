"""Oracle: the upper bound of a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from vasari.core.errors import UsageError
from vasari.data.cases import Cases
from vasari.data.preference import Preference
from vasari.data.ragged import Ragged
from vasari.models.base import Arrays, FitInputs, FloatArray, NoSettings, Recommender
from vasari.models.registry import register


@register
class Oracle(Recommender[NoSettings]):
    """Ranks by what cannot be known in practice.

    Where the collectors are simulated, by their true preference without the noise of the moment: no
    model can be better in expectation. For real people, by the answers themselves, which `reveal`
    hands over: perfect metrics, and precision as high as the number of answers allows (the Oracle row
    of Messina et al. 2020).
    """

    name = "Oracle"
    Settings = NoSettings
    personal = False

    def _fit(self, inputs: FitInputs) -> None:
        self.preference: Preference | None = inputs.data.preference
        self._answers: dict[str, list[int]] = {}

    def reveal(self, cases: Cases) -> None:
        """Tell the answers; they are used only where no true preference is known."""
        self._answers = {}
        for user, relevant in zip(cases.user_ids, cases.relevant, strict=True):
            self._answers.setdefault(user, []).extend(relevant.tolist())

    def _score(
        self, profiles: Ragged, user_ids: Sequence[str | None], guests: FloatArray | None
    ) -> FloatArray:
        scores = np.zeros((len(profiles), len(self.item_ids)), dtype=np.float32)
        for row, user in enumerate(user_ids):
            if user is None:
                continue
            if self.preference is not None:
                scores[row] = self.preference.scores[self.preference.user_ids.rows([user])[0]]
            else:
                scores[row, self._answers.get(user, [])] = 1.0
        return scores

    def _arrays(self) -> Arrays:
        raise UsageError("Oracle knows the answers of one evaluation only; there is nothing to save")

    def _restore(self, arrays: Arrays) -> None:
        raise UsageError("Oracle cannot be loaded; fit it where it is needed")
