"""The run folder: whose it is, what its lines say, and what a cut or a rewind leaves."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from r1gym.errors import ConfigError, RunFolderError
from r1gym.logbook import RunFolder
from r1gym.types import Completion, Episode, Prompt, Reward, Task, Turn, Verdict

CONFIG = {"lr": 1e-3, "env": "x", "terms": [1, 2], "out": None}
# Of DESIGN.md, in its order, behind the stage.
FIELDS = [
    *("stage", "step", "task_id", "group_id", "sample", "seed", "prompt", "completion", "tokens", "finish"),
    *("verdict", "score", "reward", "reward_terms", "extracted", "reason", "advantage"),
]


def episode(text: str) -> Episode:
    prompt = Prompt(({"role": "system", "content": "be brief"}, {"role": "user", "content": "1+1="}), (1, 2))
    turn = Turn(prompt, Completion((4, 5, 6), (-1.0,) * 3, text, "length"), "", 0.5)
    verdict = Verdict.wrong("3", "number: 3 is not 2", score=0.25)
    return Episode(Task("t-1", "math", "1+1=", "2"), 99, 7, (turn,), verdict, Reward(0.5, {"accuracy": 0.5}), True)


def opened(path: Path) -> RunFolder:
    return RunFolder.open(str(path), CONFIG, "name")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_completion_line_has_the_designs_fields(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.completions("grpo", 3, [[episode("a"), episode("b")]], [[1.5, -1.5]])
    first, second = lines(tmp_path / "completions.jsonl")
    assert list(first) == FIELDS
    assert first == {
        "stage": "grpo",
        "step": 3,
        "task_id": "t-1",
        "group_id": 7,
        "sample": 0,
        "seed": 99,
        "prompt": "be brief\n\n1+1=",
        "completion": "a",
        "tokens": 3,
        "finish": "length",
        "verdict": "WRONG",
        "score": 0.25,
        "reward": 0.5,
        "reward_terms": {"accuracy": 0.5},
        "extracted": "3",
        "reason": "number: 3 is not 2",
        "advantage": 1.5,
    }
    assert (second["sample"], second["completion"], second["advantage"]) == (1, "b", -1.5)


@pytest.mark.parametrize("text", ["é √2 漢字", "half a pair \ud83d", "line\u2028separator\nand more", "\x00\x1b[2J"])
def test_any_text_comes_back_as_it_was(text: str, tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.completions("grpo", 1, [[episode(text)]], [[0.0]])
    folder.completions("grpo", 2, [[episode("next")]], [[0.0]])
    stored = (tmp_path / "completions.jsonl").read_bytes().decode("utf-8").split("\n")
    assert [json.loads(line)["completion"] for line in stored if line] == [text, "next"]
    folder.rewind("grpo", 1)
    assert json.loads((tmp_path / "completions.jsonl").read_text("utf-8").rstrip("\n"))["completion"] == text


def test_what_is_not_a_number_is_left_out_of_the_metrics(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.metrics("grpo", 1, {"loss": math.nan, "kl": math.inf, "lr": 0.5})
    assert folder.read_metrics() == [{"stage": "grpo", "step": 1, "lr": 0.5}]


def test_a_line_that_was_cut_short_is_passed_over_and_goes_at_the_next_rewind(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder.metrics("grpo", 1, {"lr": 0.5})
    file = tmp_path / "metrics.jsonl"
    file.write_text(file.read_text() + '{"stage": "grpo", "st')
    folder = opened(tmp_path)
    assert [record["step"] for record in folder.read_metrics()] == [1]
    folder.rewind("grpo", 1)
    folder.metrics("grpo", 2, {"lr": 0.25})
    assert [record["step"] for record in lines(file)] == [1, 2]


def test_rewinding_keeps_the_done_steps_and_the_other_stages(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    for stage in ("cold-start", "grpo"):
        for step in range(4):
            folder.metrics(stage, step, {"lr": 1.0})
    folder.rewind("grpo", 2)  # steps 0 (before the first), 1 and 2 are done
    assert [(r["stage"], r["step"]) for r in folder.read_metrics()] == [
        *(("cold-start", step) for step in range(4)),
        *(("grpo", step) for step in range(3)),
    ]
    folder.rewind("grpo", -1)
    assert {record["stage"] for record in folder.read_metrics()} == {"cold-start"}


def test_the_same_run_is_continued_and_another_is_refused_with_what_differs(tmp_path: Path) -> None:
    assert not opened(tmp_path).resumed
    assert opened(tmp_path).resumed
    moved = {**CONFIG, "out": "elsewhere", "terms": (1, 2)}
    assert RunFolder.open(str(tmp_path), moved, "name").resumed  # `out` and tuples make no other run
    with pytest.raises(RunFolderError, match=r"another run \(it differs in env, lr\)"):
        RunFolder.open(str(tmp_path), {**CONFIG, "lr": 1e-4, "env": "y"}, "name")


def test_a_finished_run_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).finish({"steps": 3})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"steps": 3}
    with pytest.raises(RunFolderError, match="this run, finished"):
        opened(tmp_path)


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    with pytest.raises(RunFolderError, match="not empty and holds no run"):
        opened(tmp_path / "notes")
    with pytest.raises(RunFolderError, match="is a file"):
        opened(tmp_path / "notes" / "mine.txt")
    (tmp_path / "notes" / "config.json").write_text('{"lr"')
    with pytest.raises(RunFolderError, match="damaged"):
        opened(tmp_path / "notes")


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").write_text("a file where the runs would go")
    with pytest.raises(ConfigError, match="cannot write the run folder"):
        opened(tmp_path / "runs" / "x")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="cannot write the run folder"):
        RunFolder.open(None, CONFIG, "name")


def test_without_a_name_the_first_free_folder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = RunFolder.open(None, CONFIG, "x-seed0")
    assert first.path == Path("runs/x-seed0")
    assert RunFolder.open(None, {**CONFIG, "lr": 1.0}, "x-seed0").path == Path("runs/x-seed0-2")
    assert RunFolder.open(None, CONFIG, "x-seed0").resumed
    first.finish({})
    third = RunFolder.open(None, CONFIG, "x-seed0")
    assert (third.path, third.resumed) == (Path("runs/x-seed0-3"), False)


def test_the_folder_of_another_process_writes_nothing(tmp_path: Path) -> None:
    opened(tmp_path).metrics("grpo", 1, {"lr": 1.0})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    other = RunFolder(tmp_path, resumed=True, writes=False)
    other.metrics("grpo", 2, {"lr": 1.0})
    other.completions("grpo", 2, [[episode("a")]], [[0.0]])
    other.rewind("grpo", -1)
    other.finish({})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


OTHER = """
import sys
from r1gym.logbook import RunFolder

RunFolder.open(sys.argv[1], {"lr": 1e-3, "env": "x", "terms": [1, 2], "out": None}, "name")
print("open", flush=True)
sys.stdin.read()
"""


def test_two_processes_cannot_write_into_one_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "runs" / "name"
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        with pytest.raises(RunFolderError, match=rf"written by another run \(process {other.pid}\): wait for it"):
            opened(path)
        monkeypatch.chdir(tmp_path)
        assert RunFolder.open(None, CONFIG, "name").path == Path("runs/name-2")  # by default the next folder is taken
        other.kill()
    again = opened(path)  # a killed run holds nothing
    assert again.resumed
    assert opened(path).resumed  # the same process may go on in its own folder
    elsewhere = RunFolder.open(None, {**CONFIG, "lr": 1.0}, "name")
    assert elsewhere.path == Path("runs/name-3")  # the first two hold other runs
    worker = subprocess.run([sys.executable, "-c", OTHER, str(path)], capture_output=True, text=True, input="")
    assert worker.returncode == 1 and f"process {os.getpid()}" in worker.stderr


def test_a_folder_that_was_only_looked_at_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process finds runs/name with another run in it and takes runs/name-2: the first can be gone on with."""
    monkeypatch.chdir(tmp_path)
    mine = {**CONFIG, "lr": 5.0}
    made = OTHER.replace("1e-3", "5.0")
    subprocess.run([sys.executable, "-c", made, "runs/name"], input="", text=True, check=True, capture_output=True)
    code = OTHER.replace("RunFolder.open(sys.argv[1],", "RunFolder.open(None,")
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with other:
        assert other.stdout is not None and other.stdout.readline() == "open\n"
        assert Path("runs/name-2/.lock").read_text() == f"{other.pid}\n"
        assert RunFolder.open("runs/name", mine, "name").resumed
        other.kill()


def test_a_begun_run_that_may_not_be_written_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([sys.executable, "-c", OTHER, str(tmp_path)], input="", text=True, check=True, capture_output=True)

    def refused(*_: Any) -> int:
        raise PermissionError(13, "Permission denied", str(tmp_path / ".lock"))

    monkeypatch.setattr(os, "open", refused)  # the tests may run as root, who may write anywhere
    with pytest.raises(ConfigError, match=r"cannot write the run folder .*Permission denied.*--out another folder"):
        opened(tmp_path)
