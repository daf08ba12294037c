"""The words of the multilingual questions: three problems and the instruction to think aloud, by language."""

from __future__ import annotations

import json
from importlib import resources

__all__ = ["INSTRUCTIONS", "KINDS", "PHRASES"]

KINDS = ("boxes", "tank", "sharing")
"""boxes: a things in each of b boxes, c taken out, a * b - c. tank: a liters, b more, then c more, a + b + c. sharing:
t = a * b things shared among b people, then c more for each, a + c."""

_TEXTS: dict[str, dict[str, str]] = json.loads(
    resources.files("r1gym.tasks").joinpath("phrases.json").read_text(encoding="utf-8")
)

PHRASES: dict[str, dict[str, str]] = {code: {kind: texts[kind] for kind in KINDS} for code, texts in _TEXTS.items()}
"""ISO 639-1 code → kind → problem with the places {a}, {b}, {c}, {t}; no number changes the form of a word."""

INSTRUCTIONS: dict[str, str] = {code: texts["instruction"] for code, texts in _TEXTS.items()}
"""ISO 639-1 code → "think in this language, then answer", in the form of the template "think-answer"."""
