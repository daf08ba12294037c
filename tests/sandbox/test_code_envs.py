"""Environments of programs on both backends: groups, fractions, rows that cannot be verified, no sandbox at all."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.reasoning import ReasoningEnv
from r1gym.errors import ConfigError, SandboxUnavailableError, UnknownNameError
from r1gym.sandbox.chooser import Sandbox

TESTS = [{"input": "1 2\n", "output": "3\n"}, {"input": "5 5\n", "output": "10\n"}]
ROW = {"id": "9/A", "description": "Add.", "official_tests": TESTS, "official_tests_complete": True}
RIGHT = "```python\nprint(sum(map(int, input().split())))\n```"
HALF = "```python\nprint(3)\n```"
MUTE = "It is a sum."


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """Five rows: two that can be judged."""
    path = tmp_path / "rows.jsonl"
    table = [
        ROW | {"id": "9/B", "official_tests_complete": False},
        ROW,
        ROW | {"id": "9/C", "interaction_format": "ask"},
        ROW | {"id": "9/D", "time_limit": 1.0, "memory_limit": 64},
        ROW | {"id": "9/E", "official_tests_complete": False},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in table), encoding="utf-8")
    return str(path)


def make(rows: str, backend: str, **options: Any) -> Any:
    return gym.make("r1/Codeforces-v0", data=rows, sandbox=backend, **options)


def test_an_episode(rows: str, backend: str, open_backend: Any) -> None:
    open_backend(backend, slots=1).close()
    env = make(rows, backend)
    _, told = env.reset(options={"task_id": "9/A"})
    assert told["index"] == 1 and told["template"] == "program"
    _, reward, terminated, truncated, info = env.step(RIGHT)
    assert (reward, terminated, truncated, info["verdict"]) == (1.0, True, False, "CORRECT")
    assert info["tests"] == ["AC", "AC"] and info["reward_terms"] == {"accuracy": 1.0, "format": 1.0}
    assert json.loads(json.dumps(info)) == {**info, "spans": [list(span) for span in info["spans"]]}
    for completion, verdict, tests in ((HALF, "WRONG", ["AC", "WA"]), (MUTE, "NO_ANSWER", [])):
        env.reset(options={"index": 1})
        _, reward, _, _, info = env.step(completion)
        assert (reward, info["verdict"], info["tests"], info["score"]) == (0.0, verdict, tests, 0.0)


def test_the_fraction_is_a_reward_by_option(rows: str, backend: str, open_backend: Any) -> None:
    open_backend(backend, slots=1).close()
    env = make(rows, backend, score="fraction", rewards={"accuracy": 2.0})
    env.reset(options={"index": 3})
    _, reward, _, _, info = env.step(HALF)
    assert (reward, info["score"], info["verdict"], info["tests"]) == (1.0, 0.5, "WRONG", ["AC", "WA"])


def test_a_group_is_judged_at_once_and_in_order(rows: str, backend: str, open_backend: Any) -> None:
    open_backend(backend, slots=1).close()
    envs: Any = gym.make_vec("r1/Codeforces-v0", num_envs=6, group_size=3, data=rows, sandbox=backend)
    envs.reset(options={"index": [1, 3]})
    _, rewards, _, _, info = envs.step((RIGHT, HALF, MUTE, HALF, RIGHT, RIGHT))
    assert rewards.tolist() == [1.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    assert list(info["verdict"]) == ["CORRECT", "WRONG", "NO_ANSWER", "WRONG", "CORRECT", "CORRECT"]
    assert [list(tests) for tests in info["tests"]] == [["AC"] * 2, ["AC", "WA"], [], ["AC", "WA"], *[["AC"] * 2] * 2]
    assert list(info["task_id"]) == ["9/A"] * 3 + ["9/D"] * 3
    envs.close()


def test_rows_that_cannot_be_verified_are_counted_and_not_drawn(rows: str, caplog: pytest.LogCaptureFixture) -> None:
    env = make(rows, "auto")
    with caplog.at_level(logging.WARNING, "r1gym.envs.refused"):
        drawn = {env.reset(seed=seed)[1]["task_id"] for seed in range(40)}
    assert drawn == {"9/A", "9/D"} and list(env.unwrapped.gradable) == [1, 3]
    assert env.unwrapped.tasks.unverifiable() == {
        "its tests are not complete": 2,
        "interactive, and no interactor is there": 1,
    }
    (record,) = [record for record in caplog.records if "cannot be verified" in record.message]
    assert "3 tasks" in record.message and "2: its tests are not complete" in record.message
    env.reset(options={"index": 0})  # pinned: asked, and no program needs to run to say that nobody can judge it
    _, reward, _, _, info = env.step(RIGHT)
    assert (reward, info["verdict"]) == (0.0, "UNGRADABLE") and "its tests are not complete" in info["reason"]


def test_they_are_drawn_where_asked_for(rows: str) -> None:
    with pytest.raises(ConfigError, match="include_unverifiable must be True or False, got 'no'"):
        make(rows, "auto", include_unverifiable="no")
    env = make(rows, "auto", include_unverifiable=True)
    assert {env.reset(seed=seed)[1]["task_id"] for seed in range(60)} == {"9/A", "9/B", "9/C", "9/D", "9/E"}
    env.reset(options={"task_id": "9/C"})
    assert env.step(RIGHT)[4]["verdict"] == "UNGRADABLE"


def test_a_users_broken_checker_is_an_error_with_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    path.write_text(json.dumps({"id": "x", "problem": "?", "tests": TESTS, "time_limit": 1e5}) + "\n")
    make(str(path), "auto").reset()
    path.write_text(json.dumps({"id": "x", "problem": "?", "tests": TESTS, "time_limit": -1}) + "\n")
    with pytest.raises(ValueError, match=r"own.jsonl, line 1, field 'time_limit': expected a positive number"):
        make(str(path), "auto").reset()


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"score": "some"}, UnknownNameError, "fraction"),
        ({"sandbox": "podman"}, UnknownNameError, "docker"),
        ({"time_factor": -1}, ConfigError, "positive"),
        ({"scores": "all"}, UnknownNameError, "Did you mean 'score'"),
        ({"extraction": "strict:boxed"}, UnknownNameError, "strict:code"),
        ({"template": "boxed", "extraction": "template"}, UnknownNameError, "strict:code"),
    ],
)
def test_the_constructor_checks_its_options(options: dict[str, Any], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        gym.make("r1/MBPP-v0", **options)
    with pytest.raises(UnknownNameError):
        gym.make("r1/GSM8K-v0", score="all")  # an option of programs only


def test_think_and_answer_templates_work_for_programs(backend: str, open_backend: Any) -> None:
    open_backend(backend, slots=1).close()
    env = gym.make(
        "r1/MBPP-v0", split="sample", template="think-answer", extraction="template", sandbox=backend,
        rewards={"accuracy": 1.0, "format": 0.5},
    )  # fmt: skip
    env.reset(options={"task_id": "mbpp/9003"})
    good = "```python\ndef split_minutes(m):\n    return m // 60, m % 60\n```"
    _, reward, _, _, info = env.step(f"<think>easy</think>\n<answer>\n{good}\n</answer>")
    assert (reward, info["verdict"]) == (1.5, "CORRECT"), info["reason"]
    env.reset(options={"task_id": "mbpp/9003"})
    assert env.step(good)[4]["verdict"] == "NO_ANSWER"


def test_without_a_sandbox_a_step_is_an_error(rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*rest: Any, **more: Any) -> Sandbox:
        raise SandboxUnavailableError("no sandbox can run here")

    monkeypatch.setattr("r1gym.sandbox.chooser._DEFAULTS", {})
    monkeypatch.setattr("r1gym.sandbox.chooser.open_sandbox", nothing)
    env = make(rows, "auto")
    env.reset(seed=0)
    with pytest.raises(SandboxUnavailableError, match="no sandbox can run here"):
        env.step(RIGHT)
    envs: Any = gym.make_vec("r1/Codeforces-v0", num_envs=2, group_size=2, data=rows)
    envs.reset(seed=0)
    with pytest.raises(SandboxUnavailableError):
        envs.step((RIGHT, RIGHT))


def test_a_known_set_with_a_reference_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r1gym.envs.reasoning.REFUSED", {"mbpp": frozenset({"mbpp/9001"})})
    env = ReasoningEnv("mbpp", split="sample")
    assert len(env.gradable) == 3
    env.reset(options={"task_id": "mbpp/9001"})
    assert env.step(RIGHT)[4]["verdict"] == "UNGRADABLE"
