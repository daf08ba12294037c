"""A stranger's environments: one that keeps every rule without using ours, and one broken copy for each rule."""

from __future__ import annotations

import random
import time
from typing import Any

import gymnasium as gym
from gymnasium.spaces import Discrete, Text

from r1gym.envs.spaces import AnyText

QUESTIONS = (("What is 2+2?", "4"), ("What is 3*3?", "9"), ("What is 10-3?", "7"), ("What is 6+6?", "12"))
FIELDS = {"template": "none", "group_id": 0}


class Stranger(gym.Env[str, str]):
    """Small sums, answered by the bare number in a box."""

    metadata = {"render_modes": [], "render_fps": 1}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        self.action_space = AnyText(2**22)
        self.observation_space = AnyText(2**22)
        self.render_mode = render_mode
        self.asked: int | None = None
        self.weights = {"accuracy": 1.0}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.asked = self.choose(options or {})
        question = QUESTIONS[self.asked][0]
        return question, self.told(question)

    def choose(self, options: dict[str, Any]) -> int:
        if set(options) - {"index", "task_id"}:
            raise ValueError(f"unknown options {options}")
        if "index" in options:
            return range(len(QUESTIONS)).index(options["index"])
        if "task_id" in options:
            return [f"sum/{place}" for place in range(len(QUESTIONS))].index(options["task_id"])
        return int(self.np_random.integers(len(QUESTIONS)))

    def told(self, question: str) -> dict[str, Any]:
        assert self.asked is not None
        chat = [{"role": "user", "content": question}]
        return {"task_id": f"sum/{self.asked}", "index": self.asked, "messages": chat, **FIELDS}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if not isinstance(action, str):
            raise TypeError(f"an action is text, got {type(action).__name__}")
        if self.asked is None:
            raise gym.error.ResetNeeded("call reset() first")
        info = self.judge(action, QUESTIONS[self.asked][1])
        reward = info["score"]
        self.asked = None
        return "", reward, True, False, info

    def judge(self, action: str, gold: str) -> dict[str, Any]:
        answer = action[action.rfind("{") + 1 : action.rfind("}")] if "\\boxed{" in action[-30:] else ""
        right = answer == gold
        outcome = "CORRECT" if right else "WRONG" if answer else "NO_ANSWER"
        return {
            "verdict": outcome, "score": float(right), "reward_terms": {"accuracy": float(right)},
            "extracted": answer, "reason": "text: compared as text", "task_id": f"sum/{self.asked}",
            "spans": [(0, len(action), "answer", float(right))],
        }  # fmt: skip


class AnswersBeforeReset(Stranger):
    def step(self, action):
        if isinstance(action, str) and self.asked is None and not self.np_random_was_used():
            return "", 0.0, True, False, {}
        return super().step(action)

    def np_random_was_used(self):
        return self._np_random is not None


class CrashesBeforeReset(Stranger):
    def step(self, action):
        if isinstance(action, str) and self._np_random is None:
            return self.question  # made by reset, in the author's mind
        return super().step(action)


class TruthyNumpyFlags(Stranger):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, int(terminated), truncated, info


class ListedCharacters(Stranger):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = Text(2**22, min_length=0)


class NumbersAsActions(Stranger):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.action_space = Discrete(3)


class SharedMemory(Stranger):
    def __init__(self, render_mode=None):
        super().__init__(render_mode)
        self.observation_space = Text(2**10)


class Cursor(Stranger):
    place = 0

    def choose(self, options):
        if options:
            return super().choose(options)
        Cursor.place += 1
        return Cursor.place % len(QUESTIONS)


class OneQuestion(Stranger):
    def choose(self, options):
        return super().choose(options or {"index": 0})


class GlobalDice(Stranger):
    def choose(self, options):
        random.random()
        return super().choose(options)


class Clock(Stranger):
    def judge(self, action, gold):
        return {**super().judge(action, gold), "reason": f"time: {time.perf_counter_ns()}"}


class IgnoresIndex(Stranger):
    def choose(self, options):
        options.pop("index", None)
        return super().choose(options)


class IgnoresTaskId(Stranger):
    def choose(self, options):
        options.pop("task_id", None)
        return super().choose(options)


class TakesAnyPin(Stranger):
    def choose(self, options):
        try:
            return super().choose(options)
        except ValueError:
            return 0


class NoGroup(Stranger):
    def told(self, question):
        told = super().told(question)
        del told["group_id"]
        return told


class OtherMessages(Stranger):
    def told(self, question):
        return {**super().told(question), "messages": [{"role": "user", "content": f"Question: {question}"}]}


class BooleanScore(Stranger):
    def judge(self, action, gold):
        info = super().judge(action, gold)
        return {**info, "reward_terms": {"accuracy": info["score"] == 1.0}}


class UnknownVerdict(Stranger):
    def judge(self, action, gold):
        info = super().judge(action, gold)
        return {**info, "verdict": "INCORRECT" if info["verdict"] == "WRONG" else info["verdict"]}


class SpansBeyondTheEnd(Stranger):
    def judge(self, action, gold):
        return {**super().judge(action, gold), "spans": [(0, len(action) + 1, "answer", 0.0)]}


class BooleanReward(Stranger):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward == 1.0, terminated, truncated, info


class NoneInInfo(Stranger):
    def judge(self, action, gold):
        info = super().judge(action, gold)
        return {**info, "extracted": info["extracted"] or None}


class NotANumber(Stranger):
    def judge(self, action, gold):
        return {**super().judge(action, gold), "length": float("nan")}


class ReservedKey(Stranger):
    def judge(self, action, gold):
        return {**super().judge(action, gold), "episode": 3}


class SharedRow(Stranger):
    row = {"template": "none", "group_id": 0, "source": {"name": "sums"}}  # noqa: RUF012

    def told(self, question):
        return {**super().told(question), **self.row}


class SharedTerms(Stranger):
    terms = {"accuracy": 0.0}  # noqa: RUF012

    def judge(self, action, gold):
        info = super().judge(action, gold)
        return {**info, "reward_terms": self.terms if not info["score"] else info["reward_terms"]}


class ChangingKeys(Stranger):
    def judge(self, action, gold):
        info = super().judge(action, gold)
        return {**info, "answered": True} if info["extracted"] else info


class PaysWhatItHides(Stranger):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward - 0.1, terminated, truncated, info


class TruncatesAtOnce(Stranger):
    def step(self, action):
        observation, reward, _, _, info = super().step(action)
        return observation, reward, True, True, info


class NeverEnds(Stranger):
    def step(self, action):
        asked = self.asked
        observation, reward, _, _, info = super().step(action)
        self.asked = asked
        return observation, reward, False, False, info


class SecondChance(Stranger):
    def step(self, action):
        asked = self.asked
        told = super().step(action)
        self.asked = asked
        return told


class TakesNumbers(Stranger):
    def step(self, action):
        return super().step(str(action))


class WrongGold(Stranger):
    def judge(self, action, gold):
        return super().judge(action, gold + "0")


class PaysTheEmpty(Stranger):
    def judge(self, action, gold):
        return super().judge(f"\\boxed{{{gold}}}" if action == "" else action, gold)


class DiesOfBraces(Stranger):
    def judge(self, action, gold):
        if action.startswith("{{{"):
            raise RecursionError("maximum recursion depth exceeded")
        return super().judge(action, gold)


class Escapable(Stranger):
    def judge(self, action, gold):
        info = super().judge(action, gold)
        return {**info, "verdict": "UNGRADABLE"} if "\ud800" in action else info


class Unpicklable(Stranger):
    def reset(self, *, seed=None, options=None):
        self.hook = lambda: None
        return super().reset(seed=seed, options=options)


class ForgetsWhenPickled(Stranger):
    def __getstate__(self):
        return {**self.__dict__, "_np_random": None}


class ArgumentNotJson(Stranger):
    def __init__(self, judge=None, render_mode=None):
        super().__init__(render_mode)


class PositionalReset(Stranger):
    def reset(self, seed=None):
        return super().reset(seed=seed)


class ClosesOnce(Stranger):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("already closed")
        self.closed = True


class CountsTogether(Stranger):
    """Two instances in one process share what they were asked."""

    shared: dict[str, int] = {}  # noqa: RUF012

    def reset(self, *, seed=None, options=None):
        told = super().reset(seed=seed, options=options)
        self.shared["asked"] = self.shared.get("asked", 0) + 1
        self.mine = self.shared["asked"]
        return told

    def step(self, action):
        late = self.mine != self.shared["asked"]
        observation, reward, terminated, truncated, info = super().step(action)
        if late:
            raise RuntimeError("another episode has begun")
        return observation, reward, terminated, truncated, info


class HatesWrappers(Stranger):
    def step(self, action):
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, reward, terminated, truncated, {**info, "episode": {"r": 1.0}}


BROKEN: dict[type[Stranger], str] = {
    AnswersBeforeReset: "step before reset",
    CrashesBeforeReset: "step before reset",
    TruthyNumpyFlags: "gymnasium",
    ListedCharacters: "text spaces",
    NumbersAsActions: "text spaces",
    SharedMemory: "no shared memory",
    Cursor: "seed repeats",
    OneQuestion: "seed spreads",
    GlobalDice: "global randomness",
    Clock: "determinism",
    IgnoresIndex: "pin index",
    IgnoresTaskId: "pin task_id",
    TakesAnyPin: "pin refusal",
    NoGroup: "reset info",
    OtherMessages: "messages",
    BooleanScore: "step info",
    UnknownVerdict: "step info",
    SpansBeyondTheEnd: "step info",
    BooleanReward: "step types",
    NoneInInfo: "plain info",
    NotANumber: "plain info",
    ReservedKey: "plain info",
    SharedRow: "fresh info",
    SharedTerms: "fresh info",
    ChangingKeys: "steady types",
    PaysWhatItHides: "reward is the sum",
    TruncatesAtOnce: "episode end",
    NeverEnds: "episode end",
    SecondChance: "step after end",
    TakesNumbers: "non-text action",
    WrongGold: "gold",
    PaysTheEmpty: "garbage",
    DiesOfBraces: "garbage",
    Escapable: "never ungradable",
    Unpicklable: "pickling",
    ForgetsWhenPickled: "pickling",
    ArgumentNotJson: "spec",
    HatesWrappers: "wrappers",
    CountsTogether: "vectors",
    PositionalReset: "pin index",
    ClosesOnce: "close",
}
"""Environment → the rule that it breaks."""
