"""Wrappers that weigh the reward terms of a text environment, or add a named one; each rebuilds from ``env.spec``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
from gymnasium.utils import RecordConstructorArgs

from r1gym.envs.forms import form_grader
from r1gym.envs.lengths import UNITS, length_counter, overlong, repeated_share
from r1gym.envs.reasoning import ReasoningEnv
from r1gym.envs.stacking import MAKERS, Step, add_term, layers, paid, question_of, terms_of
from r1gym.envs.templating import PromptTemplate
from r1gym.errors import ConfigError, unknown_name
from r1gym.rewards import check_weights, warn_if_outweighed
from r1gym.types import Task
from r1gym.verifiers import Grader, prepare
from r1gym.verifiers.extract import MODES

__all__ = [
    "FormatReward",
    "LanguageConsistency",
    "OverlongPenalty",
    "PromptTemplate",
    "RepetitionPenalty",
    "RewardWeights",
]

TextWrapper = gym.Wrapper[str, str, str, str]
FORMS = ("think-answer", "strict:code", *(mode for mode in MODES if mode != "lenient"))


class RewardWeights(TextWrapper, RecordConstructorArgs):
    """Pay Σ weight × term over the terms that the environment shows, in place of what it paid.

    Terms without a weight are shown and not paid. It comes outside the wrappers that add its terms, and inside any that
    transforms the reward. A step that the environment calls UNGRADABLE is paid 0.

    ```python
    env = RewardWeights(OverlongPenalty(gym.make("r1/MATH500-v0"), 8000, 2000), {"accuracy": 1.0, "overlong": -0.2})
    ```
    """

    def __init__(self, env: gym.Env[str, str], weights: Mapping[str, float] | str) -> None:
        """Check everything at once.

        Args:
            env: An environment whose ``info["reward_terms"]`` names terms.
            weights: By term, or the name of a preset: "r1" pays 1 for the answer and 1 for the form.

        Raises:
            UnknownNameError: A term that the environment does not have.
            ConfigError: A wrapper that must come first, or a weight that is no number.
        """
        RecordConstructorArgs.__init__(self, weights=weights if isinstance(weights, str) else dict(weights))
        gym.Wrapper.__init__(self, env)
        transformer = next((layer for layer in layers(env) if isinstance(layer, gym.RewardWrapper)), None)
        if transformer is not None:
            name = type(transformer).__name__
            raise ConfigError(f"RewardWeights would undo {name}: RewardWeights comes first, then {name} around it")
        terms = terms_of(env)
        for term in weights if terms is not None and not isinstance(weights, str) else ():
            if terms is not None and term not in terms and term in MAKERS:
                raise ConfigError(
                    f"the term {term!r} is not there yet: {MAKERS[term]} comes first, then RewardWeights around it"
                )
        known = terms if terms is not None or isinstance(weights, str) else tuple(weights)
        self.reward_weights = check_weights(weights, known or ("accuracy", "format"))
        if not isinstance(weights, str):
            warn_if_outweighed(self.reward_weights)

    def step(self, action: str) -> Step:
        """Judge the completion, and pay by the weights.

        Raises:
            ConfigError: A term with a weight that the environment did not show.
        """
        observation, _, terminated, truncated, info = self.env.step(action)
        terms = info.get("reward_terms", {})
        missing = [term for term, weight in self.reward_weights.items() if weight and term not in terms]
        if missing:
            raise ConfigError(
                f"RewardWeights pays for {missing[0]!r}, which the environment does not show; it has {list(terms)}"
            )
        total = 0.0
        if info.get("verdict") != "UNGRADABLE":
            total = sum((weight * float(terms.get(term, 0.0)) for term, weight in self.reward_weights.items()), 0.0)
        return observation, total, terminated, truncated, info


class FormatReward(TextWrapper, RecordConstructorArgs):
    """Pay for the answer form beside whatever the environment pays: the term "format", 1 where the form is kept.

    ```python
    env = FormatReward(gym.make("r1/MATH500-v0"), weight=0.1)
    ```
    """

    def __init__(self, env: gym.Env[str, str], form: str | None = None, weight: float = 0.1) -> None:
        """Check everything at once.

        Args:
            env: Any environment whose action is text.
            form: "think-answer", "strict:boxed", "strict:answer", "strict:####" or "strict:code"; None for the form
                that the environment's template declares, "think-answer" where it has none.
            weight: What the form is worth.

        Raises:
            UnknownNameError: No such form.
            ConfigError: An action that is no text, a weight that is no number, or a form that is paid for already.
        """
        RecordConstructorArgs.__init__(self, form=form, weight=weight)
        gym.Wrapper.__init__(self, env)
        if form is not None and form not in FORMS:
            raise unknown_name("form", form, FORMS)
        self.reward_weights = add_term(env, type(self).__name__, "format", weight)
        self.form = form or _declared_form(env)
        self._grader = form_grader(self.form)

    def step(self, action: str) -> Step:
        """Judge the completion, then its form."""
        score = self._grader.grade(action).score
        return paid(self.env.step(action), "format", score, self.reward_weights["format"])


class LanguageConsistency(TextWrapper, RecordConstructorArgs):
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
        if "language" in (terms_of(env) or ()):
            raise ConfigError(
                "the environment pays for a language already: use one LanguageConsistency, and none around an "
                "environment that has the term 'language' (there, pass rewards={'accuracy': 1.0, 'language': …})"
            )
        self.reward_weights = add_term(env, type(self).__name__, "language", weight)
        self.target, self.strict = target, strict
        self._grader = self._prepared("")

    def _prepared(self, question: str) -> Grader:
        return prepare(Task("", "language", question, self.target), strict=self.strict)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Ask the environment's question."""
        observation, info = self.env.reset(seed=seed, options=options)
        self._grader = self._prepared(question_of(observation, info.get("messages", ())))
        return observation, info

    def step(self, action: str) -> Step:
        """Judge the completion, then its language."""
        step = self.env.step(action)
        verdict = self._grader.grade(action)
        spans = [(span.start, span.end, span.term, span.value) for span in verdict.spans]
        return paid(step, "language", verdict.score, self.reward_weights["language"], spans)


class OverlongPenalty(TextWrapper, RecordConstructorArgs):
    """Take off for length before the budget cuts: DAPO's soft overlong punishment (arXiv 2503.14476, equation 13).

    With |y| the length of the completion, L_max = ``max_length`` and L_cache = ``buffer``, the term "overlong" is the
    paper's R_length without its sign: 0 for |y| ≤ L_max − L_cache, then (|y| − (L_max − L_cache)) / L_cache, and 1
    for |y| > L_max. The default weight of −0.5 is the paper's proportion: there right and wrong are 2 apart and the
    punishment is at most 1.

    ```python
    env = OverlongPenalty(gym.make("r1/MATH500-v0"), max_length=20480, buffer=4096, unit="tokens", tokenizer="PATH")
    ```
    """

    def __init__(
        self,
        env: gym.Env[str, str],
        max_length: int,
        buffer: int,
        weight: float = -0.5,
        unit: str = "characters",
        tokenizer: str | None = None,
    ) -> None:
        """Check everything at once; a tokenizer is loaded by the first step.

        Args:
            env: Any environment whose action is text.
            max_length: Length from which the whole penalty is paid.
            buffer: Length before it over which the penalty grows.
            weight: What a completion of ``max_length`` is worth; below 0.
            unit: "characters", "words", or "tokens" of ``tokenizer``.
            tokenizer: A folder or hub id of a transformers tokenizer, for unit "tokens".

        Raises:
            UnknownNameError: No such unit.
            ConfigError: Lengths that cannot work, an action that is no text, or a length that is paid for already.
        """
        RecordConstructorArgs.__init__(
            self, max_length=max_length, buffer=buffer, weight=weight, unit=unit, tokenizer=tokenizer
        )
        gym.Wrapper.__init__(self, env)
        for name, value in (("max_length", max_length), ("buffer", buffer)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigError(f"{name} must be an int from 1, got {value!r:.60}")
        if buffer > max_length:
            raise ConfigError(f"buffer {buffer} is longer than max_length {max_length}: every completion would pay")
        if unit not in UNITS:
            raise unknown_name("unit", unit, UNITS)
        if (unit == "tokens") != (tokenizer is not None):
            raise ConfigError(f"unit 'tokens' goes with tokenizer=, got unit {unit!r} and tokenizer {tokenizer!r}")
        self.reward_weights = add_term(env, type(self).__name__, "overlong", weight)
        if not isinstance(tokenizer, str | None):
            raise ConfigError(f"tokenizer must be a folder or a hub id as str, got {type(tokenizer).__name__}")
        self.max_length, self.buffer, self.unit, self.tokenizer = max_length, buffer, unit, tokenizer

    def step(self, action: str) -> Step:
        """Judge the completion, then its length."""
        step = self.env.step(action)
        length = length_counter(self.unit, self.tokenizer)(action)
        value = overlong(length, self.max_length, self.buffer)
        return paid(step, "overlong", value, self.reward_weights["overlong"])


class RepetitionPenalty(TextWrapper, RecordConstructorArgs):
    """Take off for saying the same again: the term "repetition" is the share of word n-grams that occurred before.

    1 − distinct / all over the n-grams. A punctuation mark, and a character of a script without spaces, is a word of
    its own; a completion of fewer than ``n`` + 1 words has 0. Solutions written by people have 0.03 at n = 10
    (mean over 1,000 of MATH, median 0; at n = 4 it would be 0.16), loops nearly 1.

    ```python
    env = RepetitionPenalty(gym.make("r1/MATH500-v0"))
    ```
    """

    def __init__(self, env: gym.Env[str, str], n: int = 10, weight: float = -0.25) -> None:
        """Check everything at once.

        Args:
            env: Any environment whose action is text.
            n: Words of an n-gram.
            weight: What a completion of nothing but repetition is worth; below 0.

        Raises:
            ConfigError: ``n`` below 1, an action that is no text, or a repetition that is paid for already.
        """
        RecordConstructorArgs.__init__(self, n=n, weight=weight)
        gym.Wrapper.__init__(self, env)
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ConfigError(f"n must be an int from 1, got {n!r:.60}")
        self.reward_weights = add_term(env, type(self).__name__, "repetition", weight)
        self.n = n

    def step(self, action: str) -> Step:
        """Judge the completion, then its repetition."""
        step = self.env.step(action)
        return paid(step, "repetition", repeated_share(action, self.n), self.reward_weights["repetition"])


def _declared_form(env: gym.Env[Any, Any]) -> str:
    for layer in layers(env):
        if isinstance(layer, (PromptTemplate, ReasoningEnv)):
            return layer.template.form
    return "think-answer"
