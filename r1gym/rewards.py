"""Named, weighted reward terms over verdicts: total = Σ weight × term, every term raw in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from r1gym.errors import ConfigError, unknown_name
from r1gym.types import Outcome, Reward, Verdict

__all__ = ["DEFAULT_WEIGHTS", "TERMS", "USUAL", "check_weights", "combine"]

TERMS: dict[str, str] = {
    "accuracy": "score of the final answer",
    "format": "1 where the completion has the form that the template declares",
    "language": "share of the thought that is in the language asked for",
}
"""Every term, and what it pays for."""

USUAL: tuple[str, ...] = ("accuracy", "format")
"""The terms that every environment has."""

DEFAULT_WEIGHTS: dict[str, float] = {"accuracy": 1.0}
"""Right 1.0, wrong 0.0; the other terms are shown at weight 0."""


def check_weights(
    weights: object, terms: Iterable[str] = USUAL, default: Mapping[str, float] = DEFAULT_WEIGHTS
) -> dict[str, float]:
    """``weights`` as floats by term name.

    Args:
        weights: What the user gave; None for ``default``.
        terms: The terms that the environment has.
        default: Its own weights.

    Raises:
        UnknownNameError: A name that is no term of the environment.
        ConfigError: Not a mapping, or a weight that is no finite number.
    """
    if weights is None:
        return dict(default)
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
    terms = {name: float(verdict.score) for name, verdict in verdicts.items()}
    for name, verdict in verdicts.items():
        if verdict.outcome is Outcome.UNGRADABLE and (name == "accuracy" or weights.get(name)):
            return Reward(0.0, terms)
    return Reward(sum((weights.get(name, 0.0) * value for name, value in terms.items()), 0.0), terms)
