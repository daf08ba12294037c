"""What the audit passes around: probes, what became of them, a row's result, a scorecard."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

__all__ = ["Expectation", "Judged", "NotRunError", "Probe", "RowResult", "Scorecard", "Tally"]

Expectation = Literal["right", "unpaid", "no answer", "stated"]
""""right": CORRECT. "unpaid": anything but CORRECT, score 0. "no answer": NO_ANSWER, score 0. "stated": no opinion,
what came is told as the grader's policy."""

EXAMPLES = 5
"""Failures that a row quotes."""


class Probe(NamedTuple):
    """One completion and what must come of it."""

    completion: str
    expect: Expectation
    what: str
    """The attack or control in a few words."""


class Judged(NamedTuple):
    """What the environment said of a completion."""

    verdict: str
    score: float
    """Of the answer alone, side terms left out."""
    reason: str
    terms: dict[str, float]
    reward: float
    seconds: float


class NotRunError(Exception):
    """A row that does not fit, or could not be tried; the message says why."""


@dataclass(slots=True)
class Tally:
    """Counts that are never added up to one number."""

    bad: int = 0
    """Completions that must not be paid."""
    false_passes: int = 0
    good: int = 0
    """Completions that must be CORRECT."""
    false_fails: int = 0
    masked: int = 0
    """Completions that made the verdict UNGRADABLE."""
    crashed: int = 0
    slow: int = 0
    other: int = 0
    """Holes of another kind: a right outcome with the wrong verdict kind, a fault in the data."""

    def add(self, more: Tally) -> None:
        """Count ``more`` too."""
        for name in Tally.__slots__:
            setattr(self, name, getattr(self, name) + getattr(more, name))

    @property
    def holes(self) -> int:
        """Failures of any kind; 0 is a pass."""
        return self.false_passes + self.false_fails + self.masked + self.crashed + self.slow + self.other

    def as_json(self) -> dict[str, int]:
        """The counts by name."""
        return {name: getattr(self, name) for name in Tally.__slots__}


@dataclass(slots=True)
class RowResult:
    """One row of the checklist and what became of it."""

    number: int
    name: str
    status: Literal["pass", "fail", "not run"] = "pass"
    why: str = ""
    """Why it was not run."""
    tally: Tally = field(default_factory=Tally)
    failures: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Policies and measurements that are neither right nor wrong."""

    def fail(self, kind: str, **told: str) -> None:
        """Count a hole of this kind (a field of Tally) and keep the first few for people."""
        setattr(self.tally, kind, getattr(self.tally, kind) + 1)
        self.status = "fail"
        if len(self.failures) < EXAMPLES:
            self.failures.append({"kind": kind, **told})

    def as_json(self) -> dict[str, Any]:
        """The row as JSON values; empty parts left out."""
        told: dict[str, Any] = {"number": self.number, "name": self.name, "status": self.status}
        if self.status == "not run":
            return {**told, "why": self.why}
        told |= {"asked": {"bad": self.tally.bad, "good": self.tally.good}}
        if self.status == "fail":
            told |= {"holes": {k: v for k, v in self.tally.as_json().items() if v and k not in ("bad", "good")}}
            told |= {"failures": self.failures}
        return told | ({"notes": self.notes} if self.notes else {})


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All rows of one environment, and what they were tried on."""

    env: str
    kind: str
    split: str
    tasks: int
    seed: int
    grader: str
    """Hash of the sources that grade."""
    command: str
    rows: tuple[RowResult, ...]

    @property
    def total(self) -> Tally:
        """The counts over all rows."""
        total = Tally()
        for row in self.rows:
            total.add(row.tally)
        return total

    def as_json(self) -> dict[str, Any]:
        """The card as JSON values: false passes and false fails stand apart, each with the count it stands on."""
        total = self.total
        status = [row.status for row in self.rows]
        return {
            "env": self.env,
            "kind": self.kind,
            "split": self.split,
            "tasks": self.tasks,
            "seed": self.seed,
            "command": self.command,
            "grader": self.grader,
            "rows": {name: status.count(name) for name in ("pass", "fail", "not run")},
            "false_passes": {"paid": total.false_passes, "of": total.bad},
            "false_fails": {"refused": total.false_fails, "of": total.good},
            "ungradable_by_completion": total.masked,
            "crashed": total.crashed,
            "slow": total.slow,
            "other_holes": total.other,
            "checklist": [row.as_json() for row in self.rows],
        }
