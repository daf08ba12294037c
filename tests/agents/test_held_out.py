"""Held-out tasks, dealt to processes: the same completions and the same rate as in one."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import pytest

import r1gym  # noqa: F401  (registers the environments)
from r1gym.agents import held_out
from r1gym.agents.held_out import measure
from r1gym.agents.reporting import Meter
from r1gym.policy.toy import TabularPolicy
from r1gym.types import Sampling


@pytest.fixture
def env() -> Any:
    made = gym.make("r1/Arithmetic-v0", split="sample", digits=2)
    yield made
    made.close()


def policy() -> TabularPolicy:
    return TabularPolicy([f"<answer>{n}</answer>" for n in range(40)])


@pytest.mark.parametrize("count", [1, 2, 3, 20])
@pytest.mark.parametrize("at_once", [2, 256])
def test_parts_are_the_whole(count: int, at_once: int, env: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "TASKS_AT_ONCE", at_once)
    whole = measure(policy(), env, 9, Sampling(), seed=3)
    parts = [measure(policy(), env, 9, Sampling(), seed=3, part=(i, count)) for i in range(count)]
    assert sum(part.total for part in parts) == whole.total == 9
    assert sum(part.right for part in parts) == whole.right
    seen = [(e.task.id, e.seed, e.turns[0].completion.text) for part in parts for e in part.episodes]
    assert seen == [(e.task.id, e.seed, e.turns[0].completion.text) for e in whole.episodes]


class TwoProcesses:
    """An accelerator's view of the second of two processes; the first had 3 right of 5."""

    process_index, num_processes, device = 1, 2, "cpu"

    def reduce(self, values: Any, how: str) -> Any:
        assert how == "sum"
        return values + values.new_tensor([3.0, 5.0])


def test_a_meter_asks_its_own_part_and_reports_all(env: Any, options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "r1gym.agents.reporting.measure", lambda *rest, part: (asked.append(part), measure(*rest, part=part))[1]
    )
    accelerator: Any = TwoProcesses()
    meter = Meter(options(eval_tasks=9), None, None, accelerator, env, Sampling(), "grpo")  # type: ignore[arg-type]
    values = meter._evaluate(policy())
    own = measure(policy(), env, 9, Sampling(), seed=0, part=(1, 2))
    assert asked == [(1, 2)] and own.total == 5
    assert values["eval/pass@1"] == (own.right + 3) / 10
