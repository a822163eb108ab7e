"""The door: every problem of foreign data is named with file, line, value and cure, and counted."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, cast

from vasari.core.errors import DataError, UsageError

Action = Literal["raise", "drop", "keep"]
SHOWN_PROBLEMS = 10


@dataclass(frozen=True)
class Policy:
    """What happens to rows that are not as they should be. Whatever is decided, it is reported.

    Attributes
    ----------
    on_unknown
        Interactions with items that are not in the catalogue: ``"raise"`` or ``"drop"``.
    on_duplicate
        The same interaction twice, an original sold twice: ``"keep"`` (several copies may have been
        bought), ``"drop"`` (the first stays) or ``"raise"``. The same catalogue id twice and two pictures
        for one id cannot be kept: there ``"keep"`` raises as well.
    on_bad_row
        Rows that cannot be read: blank ids, times or weights that make no sense, too many fields, image
        paths that leave the image folder: ``"raise"`` or ``"drop"``.
    """

    on_unknown: Action = "raise"
    on_duplicate: Action = "keep"
    on_bad_row: Action = "raise"

    @property
    def on_collision(self) -> Action:
        """What happens to duplicates that cannot be kept."""
        return "drop" if self.on_duplicate == "drop" else "raise"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("on_unknown", ("raise", "drop")),
            ("on_duplicate", ("raise", "drop", "keep")),
            ("on_bad_row", ("raise", "drop")),
        ):
            if getattr(self, name) not in allowed:
                raise UsageError(f"{name} is {getattr(self, name)!r}; it can be {', '.join(allowed)}")

    @classmethod
    def of(cls, on_unknown: str, on_duplicate: str, on_bad_row: str) -> Policy:
        """Take words as a command line has them; `UsageError` if one is not allowed."""
        return cls(cast("Action", on_unknown), cast("Action", on_duplicate), cast("Action", on_bad_row))


@dataclass(frozen=True)
class Problem:
    """One kind of problem in one column of one file.

    Attributes
    ----------
    file, line, unit, column, value
        Where it occurs first and what stands there; line None where the whole file is meant. `unit` is
        ``"line"``, for Parquet and data frames ``"row"`` (from 0), for folders ``"file"``.
    message, cure
        What is wrong, and what to do about it.
    count
        How many rows (or files) have it.
    action
        ``"raise"``: the import is refused; ``"drop"``: those rows were left out; ``"keep"``: a remark only.
    """

    file: str
    line: int | None
    unit: str
    column: str | None
    value: str | None
    message: str
    cure: str
    count: int
    action: Action

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file} {self.unit} {self.line}"
        subject = " ".join(s for s in (self.column, None if self.value is None else repr(self.value)) if s)
        done = {"raise": "", "drop": ", left out", "keep": ", kept"}[self.action]
        thing = "file" if self.unit == "file" else "row"
        things = f"{self.count:,} such {thing}{'' if self.count == 1 else 's'}{done}"
        return f"{place}: {subject}{' ' if subject else ''}{self.message} ({things}); {self.cure}"


@dataclass
class DoorReport:
    """What came through the door, what did not, and why.

    Attributes
    ----------
    problems
        In the order found.
    facts
        Counts worth knowing: rows read, kept and left out by file, images found and missing.
    """

    problems: list[Problem] = field(default_factory=list)
    facts: dict[str, int | str] = field(default_factory=dict)

    @property
    def fatal(self) -> list[Problem]:
        """The problems for which the import is refused."""
        return [problem for problem in self.problems if problem.action == "raise"]

    @property
    def dropped(self) -> int:
        """Number of rows of tables left out."""
        return sum(p.count for p in self.problems if p.action == "drop" and p.unit != "file")

    def lines(self) -> list[str]:
        """Write one line per fact and per problem."""
        facts = [
            f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}"
            for name, value in self.facts.items()
        ]
        return [*facts, *map(str, self.problems)]

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the problems as JSON types."""
        return [asdict(problem) for problem in self.problems]


class DoorError(DataError):
    """The data was refused at the door; `report` holds all problems, the message the fatal ones."""

    def __init__(self, report: DoorReport) -> None:
        lines = [str(problem) for problem in report.fatal]
        if len(lines) > SHOWN_PROBLEMS:
            lines = [*lines[:SHOWN_PROBLEMS], f"and {len(lines) - SHOWN_PROBLEMS} more kinds of problems"]
        super().__init__("\n".join(lines))
        self.report = report


class Door:
    """Collects the problems of one import and lets pass what the policy allows."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.policy = policy or Policy()
        self.report = DoorReport()

    def remark(
        self, place: str, message: str, cure: str, count: int, action: Action = "keep",
        value: str | None = None, unit: str = "row",
    ) -> None:  # fmt: skip
        """Report something about a whole file or folder; a count of 0 is nothing to report."""
        if count:
            self.report.problems.append(Problem(place, None, unit, None, value, message, cure, count, action))

    def fact(self, name: str, value: int | str) -> None:
        """Note a number worth knowing."""
        self.report.facts[name] = value

    def close(self) -> DoorReport:
        """Return the report.

        Raises
        ------
        DoorError
            A problem is fatal under the policy.
        """
        if self.report.fatal:
            raise DoorError(self.report)
        return self.report
