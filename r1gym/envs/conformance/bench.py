"""The bench that a rule works at: the environment under test, copies of it, and episodes played on it."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gymnasium as gym

__all__ = ["Bench", "Ending", "Fault", "NotRunError", "text_of"]

MAX_STEPS = 1000
"""Steps after which an episode that does not end is a fault."""
SEED = 123


class Fault(NamedTuple):
    """One way in which a rule is broken."""

    expected: str
    came: str
    remedy: str


class NotRunError(Exception):
    """A rule that could not be tried here; the message says why."""


class Ending(NamedTuple):
    """The last step of an episode."""

    observation: Any
    reward: Any
    terminated: Any
    truncated: Any
    info: Mapping[str, Any]
    steps: int


@dataclass(slots=True)
class Bench:
    """The environment as it was handed over, and what the rules do with it."""

    env: gym.Env[Any, Any]
    right: Callable[[gym.Env[Any, Any], Mapping[str, Any]], str] | None = None
    """(env, info of reset) -> a completion that must earn CORRECT; None where the reference itself is to be tried."""
    used: bool = False
    """Whether ``reset`` has been called on ``env`` by a rule."""
    notes: dict[str, str] = field(default_factory=dict)

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        """Reset the environment; ``seed=`` and ``options=`` as Gymnasium has them."""
        self.used = True
        return self.env.reset(**options)

    def play(self, text: str) -> Ending:
        """Answer with ``text`` until the episode ends. NotRunError after ``MAX_STEPS`` (a rule of its own says so)."""
        for count in range(1, MAX_STEPS + 1):
            observation, reward, terminated, truncated, info = self.env.step(text)
            if terminated or truncated:
                return Ending(observation, reward, terminated, truncated, info, count)
        raise NotRunError(f"the episode does not end within {MAX_STEPS} steps")

    def answered(self, text: str, seed: int = SEED) -> Ending:
        """A fresh episode, answered with ``text`` until its end."""
        self.reset(seed=seed)
        return self.play(text)

    def copy(self) -> gym.Env[Any, Any]:
        """A twin in the same state. NotRunError where the environment does not pickle (a rule of its own says so)."""
        try:
            twin: gym.Env[Any, Any] = pickle.loads(pickle.dumps(self.env))
        except Exception as error:
            raise NotRunError(f"the environment does not pickle: {type(error).__name__}: {error!s:.80}") from error
        return twin


def text_of(value: object, limit: int = 120) -> str:
    """``value`` for a message, short."""
    shown = repr(value)
    return shown if len(shown) <= limit else f"{shown[:limit]}…"
