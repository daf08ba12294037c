"""Judging a group in worker processes: the verdicts of one process, whatever happens to a worker."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import VectorEnv

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.jury import Jury
from r1gym.envs.vector import columns, row
from r1gym.errors import ConfigError, SandboxError
from r1gym.types import Outcome, Task

FIVE = Task("five", "math", "2 + 3", "5")


class Deadly:
    """Ends the interpreter that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


@pytest.fixture(scope="module")
def jury() -> Iterator[Jury]:
    made = Jury(2, "arithmetic", {"rewards": {"accuracy": 1.0, "format": 0.5}}, ("accuracy", "format"))
    yield made
    made.close()
    made.close()


def test_portions_come_back_in_order(jury: Jury) -> None:
    portions = [[(FIVE, f"\\boxed{{{number}}}") for number in (at, 5)] for at in range(7)]
    judged = jury.judge(portions)
    assert [[verdict.extracted for verdict, _ in part] for part in judged] == [[str(at), "5"] for at in range(7)]
    assert [part[0][0].outcome for part in judged].count(Outcome.CORRECT) == 1
    assert {name: verdict.score for name, verdict in judged[0][1][1].items()} == {"accuracy": 1.0, "format": 0.0}


def test_a_dead_worker_is_replaced_and_nothing_is_lost(jury: Jury) -> None:
    jury.judge([[(FIVE, "\\boxed{5}")]] * 2)
    for worker in jury.fleet._workers:
        worker.process.kill()
    judged = jury.judge([[(FIVE, f"\\boxed{{{number}}}")] for number in (5, 6, 5)])
    assert [part[0][0].score for part in judged] == [1.0, 0.0, 1.0]


def test_what_kills_its_worker_twice_alone_is_wrong_and_its_neighbours_are_judged(jury: Jury) -> None:
    deadly = Task("deadly", "math", "", Deadly())
    ((before, killer, after),) = jury.judge([[(FIVE, "\\boxed{5}"), (deadly, "\\boxed{5}"), (FIVE, "\\boxed{4}")]])
    assert (before[0].score, after[0].outcome) == (1.0, Outcome.WRONG)
    assert killer[0].outcome is Outcome.WRONG and killer[0].reason.startswith("grader_error: ")
    assert killer[1] == {"accuracy": killer[0], "format": killer[0]}


def test_workers_that_cannot_start_say_so(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    broken = Jury(1, "arithmetic", {"digits": 99}, ("accuracy",))
    with pytest.raises(SandboxError, match="a grading worker cannot start"):
        broken.judge([[(FIVE, "\\boxed{5}")]])
    assert "digits must be an int" in capfd.readouterr().err
    broken.close()


def test_a_grouped_env_with_workers_says_what_one_without_says() -> None:
    plain, shared = (gym.make_vec("r1/Arithmetic-v0", num_envs=12, group_size=3, workers=n) for n in (0, 2))
    texts, told = plain.reset(seed=4)
    again, same = shared.reset(seed=4)
    np.testing.assert_equal((texts, told), (again, same))
    completions = [f"<answer>{eval(text.rstrip('=')) + place % 3}</answer>" for place, text in enumerate(texts)]
    order = [7, 0, 11, 3, 4]
    for envs, copied in ((shared, False), (pickle.loads(pickle.dumps(shared)), True)):
        twin = pickle.loads(pickle.dumps(plain))
        np.testing.assert_equal(
            envs.step_subset(order, [completions[place] for place in order]),
            twin.step_subset(order, [completions[place] for place in order]),
        )
        rest = [place for place in range(12) if place not in order]
        _, rewards, *_ = envs.step_subset(rest, [completions[place] for place in rest])
        assert rewards.tolist() == [float(place % 3 == 0) for place in rest], copied
        envs.close()


@pytest.mark.parametrize("workers", [-1, True, "2", 1.5])
def test_a_number_of_workers_is_a_count(workers: Any) -> None:
    with pytest.raises(ConfigError, match="workers must be 0"):
        gym.make_vec("r1/Arithmetic-v0", num_envs=2, group_size=1, workers=workers)


def test_columns_are_those_of_gymnasium_and_rows_lead_back() -> None:
    told: list[dict[str, Any] | None] = [
        None,
        {"score": 0.5, "index": 3, "text": "a", "spans": [(1, 2)], "terms": {"a": 1.0, "b": 0.0}},
        {"score": 1.0, "index": 4, "text": "b", "spans": [], "terms": {"a": 0.25, "b": 1.0}},
    ]
    theirs: dict[str, Any] = {}
    envs: VectorEnv[Any, Any, Any] = VectorEnv()
    envs.num_envs = 3
    for place, one in enumerate(told):
        if one is not None:
            theirs = envs._add_info(theirs, one, place)
    ours = columns(told)
    np.testing.assert_equal(ours, theirs)
    assert {key: value.dtype for key, value in ours.items() if key != "terms"} == {
        key: value.dtype for key, value in theirs.items() if key != "terms"
    }
    assert [row(ours, place) for place in range(3)] == [{}, *told[1:]]
    assert type(row(ours, 1)["index"]) is int and type(row(ours, 2)["terms"]["a"]) is float
