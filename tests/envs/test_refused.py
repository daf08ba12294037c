"""References that a verifier refuses: an error in a user's file, masked and left out of sampling in a known set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from r1gym.envs.reasoning import ReasoningEnv
from r1gym.envs.refused import REFUSED
from r1gym.errors import ReferenceRefusedError
from r1gym.tasks import loading
from r1gym.tasks.math500 import MATH500
from r1gym.tasks.taskset import StoredTaskSet
from r1gym.types import Task, Verdict

REFUSED_GOLD = "$"
"""Nothing is left of it to compare with."""


def write(path: Path, *golds: str) -> str:
    rows = [{"problem": f"p{n}", "answer": gold, "unique_id": f"t/{n}"} for n, gold in enumerate(golds)]
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def test_a_users_file_with_a_refused_gold_names_file_and_line(tmp_path: Path) -> None:
    data = write(tmp_path / "mine.jsonl", "7", "8", REFUSED_GOLD)
    with pytest.raises(ReferenceRefusedError, match=r"mine\.jsonl, line 3: "):
        ReasoningEnv("math500", data=data)
    good = ReasoningEnv("math500", data=write(tmp_path / "good.jsonl", "7", "8"))
    assert good.reset(options={"index": 1})[1]["task_id"] == "t/1" and len(good.tasks) == 2


@pytest.fixture
def _known_set_with_a_refused_row(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = [Task(f"t/{n}", "math", f"p{n}", gold) for n, gold in enumerate(["7", REFUSED_GOLD, "9"])]
    stored = StoredTaskSet("math500", "test", tasks, "memory")
    monkeypatch.setattr(loading, "load", lambda source, split, data=None: stored)


@pytest.mark.usefixtures("_known_set_with_a_refused_row")
@pytest.mark.parametrize("listed", [True, False])
def test_a_refused_row_is_not_drawn_and_is_ungradable_when_pinned(
    listed: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if listed:
        monkeypatch.setitem(REFUSED, MATH500.name, frozenset({"t/1"}))
    monkeypatch.setattr("r1gym.envs.reasoning._told", set())
    env = ReasoningEnv("math500")
    drawn = {env.reset(seed=seed)[1]["index"] for seed in range(60)}
    assert drawn == {0, 2} and list(env.gradable) == ([0, 2] if listed else [0, 1, 2])
    env.reset(options={"index": 1})
    _, reward, terminated, _, info = env.step("\\boxed{7}")
    assert (reward, terminated, info["verdict"], info["score"]) == (0.0, True, "UNGRADABLE", 0.0)
    assert info["reason"].startswith("reference_refused: ") and info["extracted"] == ""
    refusals = [record for record in caplog.records if "is refused" in record.message]
    assert len(refusals) == 1, "said once"


class Crashing:
    def grade(self, completion: str) -> Verdict:
        raise RecursionError(completion)


def test_a_grader_that_crashes_is_our_fault_and_said_aloud(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("r1gym.envs.reasoning.prepare", lambda task, extraction: Crashing())
    env = ReasoningEnv("math500", split="sample", rewards={"accuracy": 1.0})
    env.reset(seed=0)
    _, reward, _, _, info = env.step("\\boxed{7}")
    assert (reward, info["verdict"], info["reason"]) == (0.0, "UNGRADABLE", "grader_crashed: RecursionError")
    assert "crashed on a completion of 9 characters" in caplog.text


def test_a_set_that_is_nowhere_fails_at_reset_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("R1GYM_DATA", raising=False)
    monkeypatch.setenv("R1GYM_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    env = ReasoningEnv("aime2025")
    with pytest.raises(FileNotFoundError, match="AIME 2025"):
        env.reset()
    assert MATH500.name == ReasoningEnv("math500").source.name
