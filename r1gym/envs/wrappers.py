"""Wrappers that add a named reward term to any environment whose action is text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
from gymnasium.spaces import Text
from gymnasium.utils import RecordConstructorArgs

from r1gym.errors import ConfigError
from r1gym.rewards import check_weights
from r1gym.types import Task
from r1gym.verifiers import Grader, prepare

__all__ = ["LanguageConsistency"]

TERM = "language"


class LanguageConsistency(gym.Wrapper[str, str, str, str], RecordConstructorArgs):
    """Pay for thinking in one language, beside whatever the environment pays.

    ``info["reward_terms"]["language"]`` is the share of the thought (the first ``<think>`` block, else the whole
    completion up to the answer) that is in ``target``; ``weight`` times it is added to the reward. The passages in
    other languages join ``info["spans"]`` under the term "language". Text copied from the question counts on neither
    side. A step that the environment calls UNGRADABLE is paid nothing, as before.

    ```python
    env = LanguageConsistency(gym.make("r1/MATH500-v0"), target="fr", weight=0.2)
    ```
    """

    def __init__(self, env: gym.Env[str, str], target: str, weight: float = 0.5, strict: bool = False) -> None:
        """Check everything at once.

        Args:
            env: Any environment whose action is text.
            target: ISO 639 code of the language to think in.
            weight: What a thought wholly in it is worth.
            strict: Also tell tongues apart that the identifier confuses.

        Raises:
            UnknownNameError: A language that the identifier does not know; the near miss is named.
            ConfigError: An action that is no text, a weight that is no number, or a second language term.
        """
        RecordConstructorArgs.__init__(self, target=target, weight=weight, strict=strict)
        gym.Wrapper.__init__(self, env)
        if not isinstance(env.action_space, Text):
            raise ConfigError(f"LanguageConsistency needs an environment whose action is text, got {env.action_space}")
        if TERM in getattr(env.unwrapped, "terms", ()) or _wrapped(env):
            raise ConfigError(
                "the environment pays for a language already: use one LanguageConsistency, and none around an "
                "environment that has the term 'language' (there, pass rewards={'accuracy': 1.0, 'language': …})"
            )
        self.weight = check_weights({TERM: weight}, (TERM,))[TERM]
        self.target, self.strict = target, strict
        self._grader = self._prepared("")

    def _prepared(self, question: str) -> Grader:
        return prepare(Task("", "language", question, self.target), strict=self.strict)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Ask the environment's question."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._grader = self._prepared(_question(observation, info.get("messages", ())))
        return observation, info

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Judge the completion, then its language."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        verdict = self._grader.grade(action)
        terms = {**info.get("reward_terms", {}), TERM: float(verdict.score)}
        spans = [*info.get("spans", ()), *((span.start, span.end, span.term, span.value) for span in verdict.spans)]
        if info.get("verdict") != "UNGRADABLE":
            reward = float(reward) + self.weight * float(verdict.score)
        return observation, float(reward), terminated, truncated, {**info, "reward_terms": terms, "spans": spans}


def _question(observation: object, messages: Sequence[Any]) -> str:
    """What was asked: the last message, else the observation where it is text."""
    if messages:
        return str(messages[-1].get("content", ""))
    return observation if isinstance(observation, str) else ""


def _wrapped(env: gym.Env[Any, Any]) -> bool:
    while isinstance(env, gym.Wrapper):
        if isinstance(env, LanguageConsistency):
            return True
        env = env.env
    return False
