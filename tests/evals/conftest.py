"""Stand-ins: a policy that writes by a rule, environments with and without a list of tasks, and stored samples."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gymnasium as gym
import pytest

from r1gym.evals.samples import Sample
from r1gym.policy.protocol import Sampling
from r1gym.types import Completion, Message, Outcome, Prompt, Task


class RulePolicy:
    """Answers ``a+b=?`` rightly where its seed is even; ``sampled`` counts what was asked of it."""

    def __init__(self) -> None:
        self.sampled = 0
        self.seeds: list[int] = []
        self.fail_after: int | None = None

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        return Prompt(tuple(messages), (1,))

    def sample(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[list[Completion]]:
        if self.fail_after is not None and self.sampled >= self.fail_after:
            raise KeyboardInterrupt
        self.sampled += sum(map(len, seeds))
        self.seeds += [seed for row in seeds for seed in row]
        return [[self._answer(prompt, seed) for seed in row] for prompt, row in zip(prompts, seeds, strict=True)]

    def _answer(self, prompt: Prompt, seed: int) -> Completion:
        a, b = map(int, re.findall(r"\d+", prompt.messages[-1]["content"]))
        text = f"\\boxed{{{a + b + seed % 2}}}"
        return Completion((5,) * (2 + seed % 3), (), text, "stop")


class SumEnv(gym.Env[str, str]):
    """Sums with a verdict in ``info``; lists its tasks unless told not to. Index 1 has no usable gold."""

    def __init__(self, tasks: int = 6, listed: bool = True, shift: int = 0) -> None:
        everything = [Task(f"sum-{i}", "math", f"{i}+{shift}=?", str(i + shift)) for i in range(tasks)]
        self.everything = everything
        if listed:
            self.tasks = everything
        self.task = everything[0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        index = options["index"] if options else int(self.np_random.integers(len(self.everything)))
        self.task = self.everything[index]
        return self.task.question, {"task_id": self.task.id, "index": index}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        found = re.search(r"\\boxed\{(.*)\}", action)
        extracted = found[1] if found else ""
        if self.task.id == "sum-1":
            verdict = Outcome.UNGRADABLE
        elif not found:
            verdict = Outcome.NO_ANSWER
        else:
            verdict = Outcome.CORRECT if extracted == self.task.reference else Outcome.WRONG
        score = float(verdict is Outcome.CORRECT)
        info = {
            "verdict": verdict.name,
            "score": score,
            "extracted": extracted,
            "reason": "test: exact",
            "reward_terms": {"accuracy": score},
        }
        return "", score, True, False, info


BASE = Sample(
    step=0, task_id="t", group_id=0, sample=0, seed=1, prompt="?", completion="\\boxed{1}", tokens=3, finish="stop",
    verdict=Outcome.CORRECT, score=1.0, reward=1.0, reward_terms={"accuracy": 1.0}, extracted="1", reason="test: exact",
    advantage=None, env="r1/Test-v0", env_options={}, index=0, task_seed=0, domain="math", reference="1",
)  # fmt: skip


@pytest.fixture
def policy() -> RulePolicy:
    return RulePolicy()


@pytest.fixture
def sum_env() -> Callable[..., SumEnv]:
    return SumEnv


@pytest.fixture
def make_sample() -> Callable[..., Sample]:
    """A sample like ``BASE`` but for the given fields."""
    return lambda **changes: replace(BASE, **changes)


@pytest.fixture
def make_group() -> Callable[..., list[Sample]]:
    """The samples of one task from a word: C right, W wrong (with the given answers), N, T, U as the outcomes begin."""
    outcomes = {outcome.name[0]: outcome for outcome in Outcome}

    def group(word: str, wrong: Sequence[str] = (), index: int = 0, tokens: int = 3) -> list[Sample]:
        answers = iter(wrong)
        samples = []
        for number, letter in enumerate(word):
            outcome = outcomes[letter]
            extracted = {"C": "1", "W": next(answers, "2") if letter == "W" else ""}.get(letter, "")
            finish: Any = "length" if letter == "T" else "stop"
            samples.append(
                replace(
                    BASE,
                    task_id=f"t{index}",
                    group_id=index,
                    index=index,
                    sample=number,
                    verdict=outcome,
                    extracted=extracted,
                    finish=finish,
                    tokens=tokens,
                )
            )
        return samples

    return group
