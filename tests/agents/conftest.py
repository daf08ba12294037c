"""Runs that take moments: a silent screen that can press Ctrl-C, tiny options, and what two runs have in common."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from r1gym.agents.grpo_config import GRPOConfig
from r1gym.screen import PlainScreen


class InterruptingScreen(PlainScreen):
    """Says nothing, and presses Ctrl-C (or sends another signal) when step ``at`` is reported."""

    def __init__(self, at: int = 0, number: int = signal.SIGINT) -> None:
        super().__init__(quiet=True)
        self.at, self.number = at, number

    def step(self, step: int, values: Mapping[str, float]) -> None:
        if step + 1 == self.at:
            signal.raise_signal(self.number)


@pytest.fixture
def interrupting() -> Callable[..., InterruptingScreen]:
    return InterruptingScreen


@pytest.fixture
def options(tmp_path: Path) -> Callable[..., GRPOConfig]:
    """A configuration of few and small steps in ``tmp_path/<name>``."""

    def make(name: str = "run", **changes: Any) -> GRPOConfig:
        small: dict[str, Any] = {
            "model": "none",
            "env": "test/Words-v0",
            "steps": 4,
            "prompts_per_step": 4,
            "group_size": 8,
            "lr": 0.1,
            "warmup": 0,
            "max_grad_norm": 1e9,
            "eval_tasks": 0,
            "save_every": 100,
        }
        return GRPOConfig(**(small | {"out": str(tmp_path / name)} | changes))

    return make


@pytest.fixture
def lines() -> Callable[[Any, str], list[dict[str, Any]]]:
    """Lines of a run folder's file, without what a clock put there."""

    def read(folder: Any, name: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in (folder.path / name).read_text("utf-8").split("\n") if line]
        return [
            {key: value for key, value in line.items() if not key.startswith("seconds/") and key != "tokens/s"}
            for line in found
        ]

    return read


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
