"""The command itself, stopped by a person or by a scheduler, and called again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMMAND = (
    *(sys.executable, "-m", "r1gym.agents.grpo", "--preset", "demo-short", "--steps", "6"),
    *("--eval-tasks", "20", "--eval-every", "2", "--out", "run"),
)
PATIENCE = 500.0
"""Seconds that a busy machine may take."""


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line] if file.exists() else []


def started(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        COMMAND, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stopped(folder: Path, number: int, reached: Callable[[list[dict[str, Any]]], bool]) -> tuple[int, str, str]:
    """Start the command, send the signal once its metrics have ``reached`` a point, and wait for its end."""
    process = started(folder)
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and not reached(read(folder / "run" / "metrics.jsonl")):
        assert time.monotonic() < deadline, "the command did not come so far"
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


@pytest.mark.slow
def test_the_same_command_goes_on_after_sigint_and_after_sigterm(tmp_path: Path) -> None:
    cut, straight = tmp_path / "cut", tmp_path / "straight"
    cut.mkdir()
    straight.mkdir()
    status, out, err = stopped(cut, signal.SIGINT, lambda lines: len(lines) >= 2)
    assert status == 130, err
    assert "the same command goes on from there" in out and "Traceback" not in err
    assert {line["stage"] for line in read(cut / "run" / "metrics.jsonl")} == {"cold-start-steps"}
    status, out, err = stopped(
        cut, signal.SIGTERM, lambda lines: any(x["stage"] == "grpo" and x["step"] for x in lines)
    )
    assert status == 130, err
    assert "going on where it was interrupted" in out
    assert any(path.name.startswith("grpo-") for path in (cut / "run" / "checkpoints").iterdir())

    ends = []
    for folder in (cut, straight):
        process = started(folder)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, err) == (0, "")  # and no bars of transformers
        ends.append({file: (folder / "run" / file).read_bytes() for file in ("summary.json", "completions.jsonl")})
        newest = max((folder / "run" / "checkpoints").glob("grpo-*"))
        ends[-1]["weights"] = (newest / "model.safetensors").read_bytes()
    assert ends[0] == ends[1]
    again = started(cut)
    out, err = again.communicate(timeout=PATIENCE)
    assert again.returncode == 2
    assert err.startswith("error: ") and "this run, finished" in err and err.count("\n") == 1
