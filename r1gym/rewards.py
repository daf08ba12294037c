"""Named, weighted reward terms over verdicts: total = Σ weight × term, every term raw in [0, 1]."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from r1gym.errors import ConfigError, unknown_name
from r1gym.types import Outcome, Reward, Verdict

__all__ = [
    "DEFAULT_WEIGHTS",
    "PRESETS",
    "TERMS",
    "USUAL",
    "SideTermWarning",
    "check_weights",
    "combine",
    "combine_columns",
    "warn_if_outweighed",
]

TERMS: dict[str, str] = {
    "accuracy": "score of the final answer",
    "format": "1 where the completion has the form that the template declares",
    "language": "share of the thought that is in the language asked for",
    "overlong": "how far the completion reaches into the last part of its length budget",
    "repetition": "share of the word n-grams that occurred before",
}
"""Every term, and what it pays for."""

USUAL: tuple[str, ...] = ("accuracy", "format")
"""The terms that every environment has."""

DEFAULT_WEIGHTS: dict[str, float] = {"accuracy": 1.0}
"""Right 1.0, wrong 0.0; the other terms are shown at weight 0."""

PRESETS: dict[str, dict[str, float]] = {"r1": {"accuracy": 1.0, "format": 1.0}}
"""Weights by name. "r1": accuracy and format, of equal weight (DeepSeek-R1, arXiv 2501.12948, section 2.2.2)."""


class SideTermWarning(UserWarning):
    """What is paid beside the right answer can be worth as much as it."""


def warn_if_outweighed(weights: Mapping[str, float]) -> None:
    """Warn where a wrong answer can be paid as much as a right one: Σ |weight| of the other terms ≥ that of accuracy.

    Every term is in [0, 1], so that the sum is the most by which two completions can differ in all but accuracy.
    """
    right = weights.get("accuracy", 0.0)
    side = {name: weight for name, weight in weights.items() if name != "accuracy" and weight}
    total = sum(map(abs, side.values()))
    if side and total >= right:
        told = " + ".join(f"{name} {abs(weight):g}" for name, weight in side.items())
        warnings.warn(
            f"side terms can outweigh being right: {told} = {total:g}, accuracy {right:g}. Give accuracy more, or, if "
            'you mean R1\'s own accuracy + format, say so by name: "r1"',
            SideTermWarning,
            stacklevel=3,
        )


_UNGRADABLE = Outcome.UNGRADABLE  # looking a member up costs as much as the rest of combine()


def check_weights(
    weights: object, terms: Iterable[str] = USUAL, default: Mapping[str, float] = DEFAULT_WEIGHTS
) -> dict[str, float]:
    """``weights`` as floats by term name.

    Args:
        weights: What the user gave: by term, or the name of one of ``PRESETS``; None for ``default``.
        terms: The terms that the environment has.
        default: Its own weights.

    Raises:
        UnknownNameError: A name that is no term of the environment.
        ConfigError: Not a mapping, or a weight that is no finite number.
    """
    if weights is None:
        return dict(default)
    if isinstance(weights, str):
        if weights not in PRESETS:
            raise unknown_name("preset of reward weights", weights, PRESETS)
        weights = PRESETS[weights]
    if not isinstance(weights, Mapping):
        raise ConfigError(f"rewards must be a dict of term to weight such as {DEFAULT_WEIGHTS}, got {weights!r:.80}")
    for name, weight in weights.items():
        if name not in terms:
            raise unknown_name("reward term", name, terms)
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not math.isfinite(weight):
            raise ConfigError(f"the weight of reward term {name!r} must be a finite number, got {weight!r:.80}")
    return {str(name): float(weight) for name, weight in weights.items()}


def combine(verdicts: Mapping[str, Verdict], weights: Mapping[str, float]) -> Reward:
    """The reward of one completion; 0 in all where a paid term, or the answer itself, could not be judged.

    Args:
        verdicts: One for each term; a term's raw value is its verdict's score.
        weights: By term name; a term without a weight is computed, shown, and not paid.
    """
    terms = {}
    total, broken = 0.0, False
    for name, verdict in verdicts.items():
        terms[name] = value = float(verdict.score)
        weight = weights.get(name, 0.0)
        total += weight * value
        if verdict.outcome is _UNGRADABLE and (weight or name == "accuracy"):
            broken = True
    return Reward(0.0 if broken else total, terms)


def combine_columns(
    verdicts: Mapping[str, Sequence[Verdict]], weights: Mapping[str, float]
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """``combine`` for many completions at once, to the same bits: totals [N], and each term [N]."""
    terms = {name: np.array([verdict.score for verdict in column], np.float64) for name, column in verdicts.items()}
    totals = np.zeros(max((len(column) for column in verdicts.values()), default=0))
    for name, values in terms.items():
        totals += weights.get(name, 0.0) * values
    for name, column in verdicts.items():
        if name == "accuracy" or weights.get(name):
            totals[[place for place, verdict in enumerate(column) if verdict.outcome is _UNGRADABLE]] = 0.0
    return totals, terms
