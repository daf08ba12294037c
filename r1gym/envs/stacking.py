"""What a stack of wrappers pays so far, and which order of wrappers cannot work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.spaces import Text

from r1gym.envs.reasoning import ReasoningEnv
from r1gym.errors import ConfigError
from r1gym.rewards import check_weights, warn_if_outweighed

__all__ = ["MAKERS", "Step", "add_term", "layers", "paid", "question_of", "terms_of", "weights_of"]

Step = tuple[str, float, bool, bool, dict[str, Any]]

MAKERS: dict[str, str] = {
    "format": "FormatReward",
    "language": "LanguageConsistency",
    "overlong": "OverlongPenalty",
    "repetition": "RepetitionPenalty",
}
"""Term → the wrapper that adds it."""


def layers(env: gym.Env[Any, Any]) -> Iterator[gym.Env[Any, Any]]:
    """The wrappers from the outermost to the innermost, then the environment itself."""
    while isinstance(env, gym.Wrapper):
        yield env
        env = env.env
    yield env


def weights_of(env: gym.Env[Any, Any]) -> dict[str, float]:
    """Weight by term that ``env`` pays; an environment that does not say is taken to pay 1 for being right."""
    for layer in layers(env):
        found = getattr(layer, "weights" if isinstance(layer, ReasoningEnv) else "reward_weights", None)
        if isinstance(found, dict):
            return dict(found)
    return {"accuracy": 1.0}


def terms_of(env: gym.Env[Any, Any]) -> tuple[str, ...] | None:
    """The terms that ``env`` shows; None where the innermost environment does not say."""
    if not isinstance(env.unwrapped, ReasoningEnv):
        return None
    return tuple(dict.fromkeys((*env.unwrapped.terms, *weights_of(env))))


def add_term(env: gym.Env[Any, Any], wrapper: str, term: str, weight: float) -> dict[str, float]:
    """The weights of ``env`` with one term more, for the wrapper that adds it.

    Raises:
        ConfigError: An action that is no text, a weight that is no number, or a term that is paid for already.
    """
    if not isinstance(env.action_space, Text):
        raise ConfigError(f"{wrapper} needs an environment whose action is text, got {env.action_space}")
    weight = check_weights({term: weight}, (term,))[term]
    weights = weights_of(env)
    if any(type(layer).__name__ == wrapper for layer in layers(env)) or weights.get(term):
        raise ConfigError(
            f"the term {term!r} is there already: use one {wrapper}, and to change what it is worth "
            f"RewardWeights(env, {{'accuracy': 1.0, '{term}': …}}) around it"
        )
    weights = {**weights, term: weight}
    warn_if_outweighed(weights)
    return weights


def paid(
    step: tuple[str, SupportsFloat, bool, bool, dict[str, Any]],
    term: str,
    value: float,
    weight: float,
    spans: Sequence[tuple[int, int, str, float]] = (),
) -> Step:
    """``step`` with ``weight`` × ``value`` more, and the term shown; nothing is paid where we could not judge."""
    observation, reward, terminated, truncated, info = step
    terms = {**info.get("reward_terms", {}), term: float(value)}
    told = {**info, "reward_terms": terms, "spans": [*info.get("spans", ()), *spans]}
    if info.get("verdict") != "UNGRADABLE":
        reward = float(reward) + weight * float(value)
    return observation, float(reward), terminated, truncated, told


def question_of(observation: object, messages: Sequence[Any]) -> str:
    """What was asked: the last message, else the observation where it is text."""
    if messages:
        return str(messages[-1].get("content", ""))
    return observation if isinstance(observation, str) else ""
