"""All checks of one model in one call."""

from __future__ import annotations

from collections.abc import Collection

from vasari.core.errors import UsageError
from vasari.testing.answers import ANSWERS
from vasari.testing.checks import CHECKS
from vasari.testing.fits import Make


def failures(
    make: Make,
    only: Collection[str] | None = None,
    skip: Collection[str] = (),
    solves: Collection[str] = (),
) -> dict[str, Exception]:
    """Run the checks and collect what they raise; parameters as for `check_recommender`."""
    if unknown := sorted({*(only or ()), *skip} - set(CHECKS)):
        raise UsageError(f"there is no check {unknown[0]!r}; choose from {', '.join(CHECKS)}")
    if unknown := sorted(set(solves) - set(ANSWERS)):
        raise UsageError(f"there is no known answer {unknown[0]!r}; choose from {', '.join(ANSWERS)}")
    chosen = {name: CHECKS[name] for name in CHECKS if (only is None or name in only) and name not in skip}
    raised: dict[str, Exception] = {}
    for name, check in (chosen | {name: ANSWERS[name] for name in solves}).items():
        try:
            check(make)
        except Exception as error:  # whatever escapes a model is a finding, and the other checks go on
            raised[name] = error
    return raised


def check_recommender(
    make: Make,
    only: Collection[str] | None = None,
    skip: Collection[str] = (),
    solves: Collection[str] = (),
) -> None:
    """Check a recommender against the contract of `vasari.models.base.Recommender`.

    Parameters
    ----------
    make
        Makes a new, unfitted model with settings that train in a moment: a class without further
        settings, or a function. Pass the same object again, and what was fitted is not fitted again.
    only, skip
        Names of `CHECKS` to run alone or to leave out.
    solves
        Names of `ANSWERS` that a model with these settings must get right; none are asked by default.

    Raises
    ------
    AssertionError
        Some checks failed; the message has a line for each.
    UsageError
        There is no check of that name.
    """
    if raised := failures(make, only, skip, solves):
        lines = "\n".join(f"  {name}: {_sentence(error)}" for name, error in raised.items())
        cause = next(iter(raised.values()))
        raise AssertionError(f"{make().name} breaks the contract in {len(raised)} ways:\n{lines}") from cause


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
