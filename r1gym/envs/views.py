"""Numeric views of text environments, so that libraries for arrays and integers can learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Box, Discrete, Text
from gymnasium.utils import RecordConstructorArgs
from numpy.typing import NDArray

from r1gym.envs.candidates import Candidate, features, make_candidates, width
from r1gym.envs.reasoning import ReasoningEnv
from r1gym.errors import ActionError, ConfigError, DataError

__all__ = ["ChooseCandidate", "TokenMDP"]

VOCABULARY = "0123456789+-*/()=. "
MAX_DRAWS = 1000
"""Tasks drawn to find one that candidates can be made for."""
PAD, UNKNOWN, FIRST = 0, 1, 2
"""Codes of an observation: an empty place, a character outside of the vocabulary, the vocabulary's first piece."""

Array = NDArray[Any]
Result = tuple[Array, float, bool, bool, dict[str, Any]]


class _View(gym.Wrapper[Any, Any, str, str], RecordConstructorArgs):
    """A wrapper that is an environment of its own: to a library of numbers there is nothing beneath it."""

    def __init__(self, env: gym.Env[str, str], **arguments: Any) -> None:
        RecordConstructorArgs.__init__(self, **arguments)
        super().__init__(env)
        if not isinstance(env.action_space, Text):
            raise ConfigError(
                f"{type(self).__name__} needs an environment whose action is text, got {env.action_space}"
            )
        self._waiting = False

    @property
    def unwrapped(self) -> gym.Env[Any, Any]:
        """The view itself; the text environment is ``view.env.unwrapped``."""
        return self

    @property
    def _np_random(self) -> np.random.Generator | None:  # type: ignore[override]
        return self.env.unwrapped._np_random

    def _chosen(self, action: Any) -> int:
        """The action as an int, where one is due."""
        if not self._waiting:
            raise ResetNeeded("no episode is running: call env.reset() before env.step()")
        if isinstance(action, (bool, str)) or not self.action_space.contains(action):
            raise ActionError(f"an action is an integer of {self.action_space}, got {action!r:.60}")
        return int(action)

    def _judged(self, completion: str) -> tuple[float, bool, bool, dict[str, Any]]:
        """What the text environment says of the whole completion."""
        self._waiting = False
        _, reward, terminated, truncated, info = self.env.step(completion)
        if not (terminated or truncated):
            raise ConfigError(
                f"{self.env} went on after one completion: a numeric view needs an environment whose step ends the "
                "episode"
            )
        return float(reward), terminated, truncated, info


class TokenMDP(_View):
    """Write a completion token by token.

    ## Description
    An episode is one completion. Each action appends a piece of the vocabulary; the end token, or the budget, hands
    ``before + pieces + after`` to the text environment, which judges it and pays at once; every earlier reward is 0.

    ## Action Space
    `Discrete(V + 1)`: the vocabulary's pieces in order, then the end token.

    ## Observation Space
    `Box(0, V + 1, (prompt_tokens + max_tokens,), int64)`: the last `prompt_tokens` pieces of the question, padded on
    the left, then what has been written, padded on the right. 0 is padding, 1 a character outside of the vocabulary,
    2 + i piece i. Texts are cut into pieces greedily, the longest first.

    ## Episode End
    The end token terminates. `max_tokens` pieces without it truncate; what was written is judged all the same.

    ## Information
    Always `action_mask` (int8, 1 where an action makes sense: the end token does not before the first piece), the same
    as `action_masks()` (bool), which MaskablePPO of sb3-contrib asks for. With it what the text environment tells.

    ```python
    env = gym.make("r1/Arithmetic-v0", digits=1)
    env = TokenMDP(env, vocabulary="0123456789", max_tokens=4, before="<answer>", after="</answer>")
    ```
    """

    def __init__(
        self,
        env: gym.Env[str, str],
        vocabulary: str | Sequence[str] = VOCABULARY,
        prompt_tokens: int = 32,
        max_tokens: int = 16,
        before: str = "",
        after: str = "",
    ) -> None:
        """Check everything at once.

        Args:
            env: Any single-turn environment of texts.
            vocabulary: Different, non-empty pieces; a string is cut into its characters.
            prompt_tokens: Places of the observation that show the question.
            max_tokens: Budget of an episode, at least 2.
            before: Put in front of what is written.
            after: Put behind it.

        Raises:
            ConfigError: A vocabulary with an empty piece or with one twice, or a size that is none.
        """
        super().__init__(
            env, vocabulary=vocabulary, prompt_tokens=prompt_tokens, max_tokens=max_tokens, before=before, after=after
        )
        if not isinstance(vocabulary, Sequence) or not all(isinstance(piece, str) for piece in vocabulary):
            raise ConfigError(f"vocabulary must be a text or a list of texts, got {vocabulary!r:.80}")
        self.vocabulary = tuple(vocabulary)
        if not self.vocabulary or "" in self.vocabulary or len(set(self.vocabulary)) < len(self.vocabulary):
            raise ConfigError(f"vocabulary must be different, non-empty pieces of text, got {vocabulary!r:.80}")
        _whole("prompt_tokens", prompt_tokens, 0)
        _whole("max_tokens", max_tokens, 2)
        self.prompt_tokens, self.max_tokens, self.before, self.after = prompt_tokens, max_tokens, before, after
        self.end = len(self.vocabulary)
        """The action that ends the completion."""
        self.action_space = Discrete(self.end + 1)
        self.observation_space = Box(PAD, self.end + 1, (prompt_tokens + max_tokens,), np.int64)
        self._codes = {piece: FIRST + place for place, piece in enumerate(self.vocabulary)}
        self._longest = max(map(len, self.vocabulary))
        self._window: Array = np.zeros(prompt_tokens + max_tokens, np.int64)
        self._written: list[str] = []

    def action_masks(self) -> NDArray[np.bool_]:
        """[V + 1] bool: actions that make sense now, by the name that sb3-contrib looks for."""
        mask = np.ones(self.end + 1, dtype=np.bool_)
        mask[self.end] = bool(self._written)
        return mask

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Ask a question; nothing is written yet."""
        question, info = self.env.reset(seed=seed, options=options)
        codes = self._encoded(question)[-self.prompt_tokens :] if self.prompt_tokens else []
        self._window = np.zeros(self.prompt_tokens + self.max_tokens, np.int64)
        self._window[self.prompt_tokens - len(codes) : self.prompt_tokens] = codes
        self._written = []
        self._waiting = True
        return self._window.copy(), {**info, "action_mask": self.action_masks().astype(np.int8)}

    def step(self, action: Any) -> Result:
        """Append one piece, or end.

        Raises:
            ActionError: Not an integer of the action space.
            ResetNeeded: No episode is running.
        """
        chosen = self._chosen(action)
        if chosen != self.end:
            self._window[self.prompt_tokens + len(self._written)] = FIRST + chosen
            self._written.append(self.vocabulary[chosen])
        mask = self.action_masks().astype(np.int8)
        cut = chosen != self.end and len(self._written) == self.max_tokens
        if chosen != self.end and not cut:
            return self._window.copy(), 0.0, False, False, {"action_mask": mask}
        reward, terminated, truncated, info = self._judged(self.before + "".join(self._written) + self.after)
        return self._window.copy(), reward, terminated and not cut, truncated or cut, {**info, "action_mask": mask}

    def _encoded(self, text: str) -> list[int]:
        codes, place = [], 0
        while place < len(text):
            for size in range(min(self._longest, len(text) - place), 0, -1):
                code = self._codes.get(text[place : place + size])
                if code is not None:
                    codes.append(code)
                    place += size
                    break
            else:
                codes.append(UNKNOWN)
                place += 1
        return codes


class ChooseCandidate(_View):
    """Choose among candidate answers, of which one is right.

    ## Description
    A question comes with `k` candidates made around its reference (``candidates.make_candidates``); the action names
    one, and the text environment judges it as a completion. Tasks whose reference is no integer are not drawn.

    ## Action Space
    `Discrete(k)`.

    ## Observation Space
    `Box(-1, 1, (10 + 10 k,), float32)`: what a reader can compute from the question and the candidates
    (``candidates.features``). The reference is not looked at, and the candidates alone do not give it away.

    ## Episode End
    Every step terminates.

    ## Information
    What the text environment tells; after `reset` also `candidates`, the answers as texts.

    ```python
    env = ChooseCandidate(gym.make("r1/Arithmetic-v0", digits=2, operations=["+", "-", "*"]), k=4)
    ```
    """

    def __init__(self, env: gym.Env[str, str], k: int = 4, spread: int = 10, candidate_seed: int = 0) -> None:
        """Check everything at once.

        Args:
            env: An environment of r1gym, for the reference is needed.
            k: Candidates, 2 to 64.
            spread: Largest distance between neighbouring integers.
            candidate_seed: Candidates are a function of it and of the task's id.

        Raises:
            ConfigError: Another kind of environment, or a size that is none.
        """
        super().__init__(env, k=k, spread=spread, candidate_seed=candidate_seed)
        if not isinstance(env.unwrapped, ReasoningEnv):
            raise ConfigError(f"ChooseCandidate needs an environment of r1gym, which knows its reference, got {env}")
        _whole("k", k, 2, 64)
        _whole("spread", spread, 1)
        _whole("candidate_seed", candidate_seed, 0)
        self.k, self.spread, self.candidate_seed = k, spread, candidate_seed
        self._form = "#### {}" if env.unwrapped.extraction == "strict:####" else "<answer>\\boxed{{{}}}</answer>"
        self.action_space = Discrete(k)
        self.observation_space = Box(-1.0, 1.0, (width(k),), np.float32)
        self._candidates: list[Candidate] = []
        self._seen: Array = np.zeros(width(k), np.float32)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Ask a question that candidates can be made for.

        Raises:
            DataError: There is none, or the pinned task is none.
        """
        source = self.env.unwrapped
        assert isinstance(source, ReasoningEnv)
        for _ in range(1 if options else MAX_DRAWS):
            question, info = self.env.reset(seed=seed, options=options)
            seed = None
            found = make_candidates(source.asked, self.k, self.spread, self.candidate_seed)
            if found is not None:
                break
        else:
            raise DataError(
                f"ChooseCandidate makes candidates around integers; task {info['task_id']!r} has the reference "
                f"{source.asked.reference!r:.80}"
            )
        self._candidates = found
        self._seen = features(question, [value for _, value in found])
        self._waiting = True
        return self._seen.copy(), {**info, "candidates": [text for text, _ in found]}

    def step(self, action: Any) -> Result:
        """Hand the chosen candidate in.

        Raises:
            ActionError: Not an integer of the action space.
            ResetNeeded: No episode is running.
        """
        chosen = self._chosen(action)
        text, _ = self._candidates[chosen]
        return self._seen.copy(), *self._judged(self._form.format(text))


def _whole(name: str, value: object, low: int, high: int | None = None) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < low or (high is not None and value > high):
        bounds = f"from {low}" if high is None else f"from {low} to {high}"
        raise ConfigError(f"{name} must be an int {bounds}, got {value!r:.40}")
