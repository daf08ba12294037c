"""House rules on skipping and on sharing the machine; a plain text environment as a third party would write it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

DATA = "R1GYM_DATA"
SANDBOX = Path(__file__).parent / "sandbox"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the sandbox's tests in one process: they count processes and containers of the whole machine."""
    for item in items:
        if SANDBOX in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("sandbox"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Turn a skip whose reason names R1GYM_DATA into a failure when CI is set: there the real rows are at hand."""
    report: Any = yield
    if os.environ.get("CI") and report.skipped and DATA in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not skip under CI: {call.excinfo and call.excinfo.value}"
    return report


class WordEnv(gym.Env[str, str]):
    """Asks for one of several words; pays what ``pay`` says of (word asked for, action). No r1gym in its ``info``."""

    observation_space = gym.spaces.Text(20)
    action_space = gym.spaces.Text(20)

    def __init__(self, words: tuple[str, ...], pay: Callable[[str, str], float]) -> None:
        self.words, self.pay, self.word = words, pay, words[0]

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.word = self.words[int(self.np_random.integers(len(self.words)))]
        return f"say {self.word}", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return "", self.pay(self.word, action), True, False, {}


@pytest.fixture
def word_env() -> Callable[..., WordEnv]:
    """``word_env(*words, pay=...)``; by default 1.0 for the word asked for and 0.0 for anything else."""

    def make(*words: str, pay: Callable[[str, str], float] = lambda word, action: float(word == action)) -> WordEnv:
        return WordEnv(words, pay)

    return make
