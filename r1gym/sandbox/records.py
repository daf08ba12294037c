"""What the judge says: rulings, one result a test, the judgement of a submission."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from r1gym.types import Limits

__all__ = ["CompileResult", "Judgement", "Protection", "Ruling", "TestResult", "worst"]


class Ruling(enum.StrEnum):
    """A contest's verdict on one test, or on a submission; ``Ruling.AC == "AC"``."""

    AC = "AC"
    """Accepted."""
    WA = "WA"
    """Wrong answer."""
    RE = "RE"
    """Run-time error: a signal, an exit status other than 0, or no answer of a function."""
    OLE = "OLE"
    """More output than the limit."""
    TLE = "TLE"
    """CPU or wall time over the limit."""
    MLE = "MLE"
    """Memory over the limit."""
    IE = "IE"
    """Our own fault; never a reward, never a loss."""
    CE = "CE"
    """Does not compile within the compiler's limits."""


_ORDER = list(Ruling)


def worst(rulings: list[Ruling]) -> Ruling:
    """The ruling of a submission: CE > IE > MLE > TLE > OLE > RE > WA > AC (DMOJ's order)."""
    return max(rulings, key=_ORDER.index, default=Ruling.AC)


@dataclass(frozen=True, slots=True)
class CompileResult:
    """What the compiler did."""

    ok: bool
    seconds: float
    """Wall seconds; 0.0 where the result came from the cache."""
    cached: bool
    message: str
    """The compiler's complaints, cut."""


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test of a submission."""

    __test__ = False  # not a test class, whatever its name says to pytest

    verdict: Ruling
    cpu_seconds: float
    wall_seconds: float
    peak_mb: float
    exit_code: int | None
    """None where a signal ended it."""
    signal: int | None
    message: str
    """The checker's words, or what went wrong."""
    stdout: str
    """The first 4,096 characters; undecodable bytes replaced."""
    stderr: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A submission judged. ``tests`` are those that ran, in order; an early stop leaves out what follows a failure."""

    verdict: Ruling
    tests: tuple[TestResult, ...]
    compile: CompileResult | None
    language: str
    limits: Limits
    """The limits as applied, time factor included."""
    time_factor: float
    backend: str
    """Which backend ran it: "docker", "local"."""
    isolation: str
    total: int
    """How many tests were given."""

    @property
    def passed(self) -> int:
        """Tests accepted."""
        return sum(test.verdict is Ruling.AC for test in self.tests)

    @property
    def fraction(self) -> float:
        """Share of the given tests that passed; 0.0 without tests."""
        return self.passed / self.total if self.total else 0.0

    @property
    def message(self) -> str:
        """Why it is not accepted: the compiler's words or those of the first failing test."""
        if self.compile is not None and not self.compile.ok:
            return self.compile.message
        if not self.total:
            return "there are no tests: nothing was judged"
        return next((test.message for test in self.tests if test.verdict is not Ruling.AC), "")


@dataclass(frozen=True, slots=True)
class Protection:
    """One thing that a backend keeps from untrusted code, whether it does so here, and by what."""

    name: str
    covered: bool
    means: str
    required: bool = True
    """Untrusted code is refused where a required one is missing."""
