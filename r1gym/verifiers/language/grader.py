"""The language grader: which share of the thought is in the target language, and where it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass

from r1gym.errors import ConfigError, unknown_name
from r1gym.types import Span, Task, Verdict
from r1gym.verifiers.language.languages import Target, target_named

__all__ = ["LanguageGrader", "prepare"]

OPTIONS = ("floor", "strict", "target", "threshold", "unit")
UNITS = ("characters", "words")
THRESHOLD = 0.9
SHOWN = 40
"""Characters of the first foreign passage that the reason quotes."""


@dataclass(frozen=True, slots=True)
class LanguageGrader:
    """A target language made ready; picklable, thread-safe. The identifier is loaded by the first ``grade``."""

    target: Target
    threshold: float
    floor: float
    unit: str
    question: str
    """What the thought answers: text copied from it is no thought; "" where it is not known."""

    def grade(self, completion: object) -> Verdict:
        """The share of the thought in the target language as score, its foreign passages as spans; never raises."""
        if not isinstance(completion, str):
            return Verdict.no_answer(f"not_text: expected text, got {type(completion).__name__}")
        from r1gym.verifiers.language.measure import measure

        found = measure(completion, self.target, self.unit, self.question)
        spans = tuple(Span(start, end, "language", 0.0) for start, end, _ in found.foreign)
        if found.share is None:
            return Verdict.no_answer(f"no_language: {found.why}", spans)
        score = max(0.0, (found.share - self.floor) / (1.0 - self.floor)) if self.floor else found.share
        reason = f"share: {found.share:.3f} of {found.size:.0f} {self.unit} of the thought are {self.target.code}"
        if found.why:
            reason += f"; {found.why}"
        if found.foreign:
            start, end, code = found.foreign[0]
            text = " ".join(completion[start : min(end, start + SHOWN)].split())
            reason += f"; foreign passages: {len(found.foreign)}, the first {code} {text!r}"
        if found.share >= self.threshold:
            return Verdict.correct("", reason, spans, score)
        return Verdict.wrong("", reason, spans, score)


def prepare(task: Task, extraction: str, **options: object) -> LanguageGrader:
    """The grader of a target language, given as option ``target`` or as the task's reference.

    Options: ``target`` (ISO 639 code), ``threshold`` (share from which the verdict is CORRECT, 0.9), ``floor`` (share
    worth nothing, 0.0: the score is ``(share - floor) / (1 - floor)``), ``unit`` ("characters": passages measured by
    their length; "words"), ``strict`` (also tell tongues apart that the identifier confuses).

    Raises:
        UnknownNameError: No such language or option.
        ConfigError: A value that cannot work.
    """
    for option in options:
        if option not in OPTIONS:
            raise unknown_name("option of domain 'language'", option, OPTIONS)
    name = options.get("target", task.reference)
    if name is None:
        raise ConfigError("domain 'language' needs a target: pass target='fr' or another language code")
    strict = options.get("strict", False)
    if not isinstance(strict, bool):
        raise ConfigError(f"strict must be True or False, got {strict!r:.60}")
    target = target_named(name, strict)
    threshold = _fraction("threshold", options.get("threshold", THRESHOLD))
    floor = _fraction("floor", options.get("floor", 0.0))
    if floor >= 1.0:
        raise ConfigError("floor must be below 1: a share of 1 must be worth something")
    unit = options.get("unit", "characters")
    if unit not in UNITS:
        raise unknown_name("unit", unit, UNITS)
    return LanguageGrader(target, threshold, floor, str(unit), task.question)


def _fraction(name: str, value: object) -> float:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not 0 <= value <= 1
    ):
        raise ConfigError(f"{name} must be a number from 0 to 1, got {value!r:.60}")
    return float(value)
