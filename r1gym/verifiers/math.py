"""The mathematics grader: extract the final answer, read it, compare it with the gold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from r1gym.errors import ReferenceRefusedError, unknown_name
from r1gym.types import Span, Task, Verdict
from r1gym.verifiers.extract import extract

__all__ = ["MathGrader", "prepare"]

_NUMBER = re.compile(r"([+-]?)(\d{1,3}(?:,\d{3})+|\d{1,400})?(?:\.(\d{1,400}))?")
_FRACTION = re.compile(r"([+-]?)(?:\\[dt]?frac\{(-?\d{1,400})\}\{(-?\d{1,400})\}|(\d{1,400})/(\d{1,400}))")


def _number(text: str) -> Fraction | None:
    match = _FRACTION.fullmatch(text)
    if match:
        over, under = (match.group(2) or match.group(4)), (match.group(3) or match.group(5))
        if int(under) == 0:
            return None
        return (-1 if match.group(1) == "-" else 1) * Fraction(int(over), int(under))
    match = _NUMBER.fullmatch(text)
    if not match or not (match.group(2) or match.group(3)):
        return None
    digits = (match.group(2) or "0").replace(",", "")
    return Fraction(match.group(1) + digits + "." + (match.group(3) or "0"))


def _squeeze(text: str) -> str:
    return "".join(text.strip(" \n\t$.").replace("\\!", "").replace("{,}", ",").split())


@dataclass(frozen=True, slots=True)
class MathGrader:
    """A mathematical gold made ready: numbers by value, everything else by normalised text."""

    reference: str
    extraction: str
    text: str
    value: Fraction | None

    def grade(self, completion: str) -> Verdict:
        """The verdict on one completion; never raises."""
        found = extract(completion, self.extraction)
        if not found.parts:
            return Verdict.no_answer(f"{found.rule}: {found.detail}")
        answer = ", ".join(found.parts)
        for part in found.parts:
            text = _squeeze(part)
            right = text == self.text if self.value is None else _number(text) == self.value
            if not right:
                span = Span(found.start, found.end, "answer", 0.0)
                return Verdict.wrong(answer, f"different: read {answer!r}, expected {self.reference!r}", (span,))
        return Verdict.correct(answer, "equal: same value", (Span(found.start, found.end, "answer", 1.0),))


def prepare(task: Task, extraction: str, **options: object) -> MathGrader:
    """Read the gold of ``task``."""
    for option in options:
        raise unknown_name("option of domain 'math'", option, ())
    reference = task.reference
    if isinstance(reference, int) and not isinstance(reference, bool):
        reference = str(reference)
    if not isinstance(reference, str) or not _squeeze(reference):
        raise ReferenceRefusedError(f"expected a gold answer as text, got {reference!r}")
    text = _squeeze(reference)
    return MathGrader(reference, extraction, text, _number(text))
