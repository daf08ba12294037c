"""Rendering: the episode as text, returned or printed; and the catalog's listing."""

from __future__ import annotations

import subprocess
import sys

import gymnasium as gym
import pytest

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs import listing
from r1gym.envs.catalog import CATALOG


def test_ansi_returns_the_episode_so_far() -> None:
    env = gym.make("r1/GSM8K-v0", split="sample", render_mode="ansi")
    question, _ = env.reset(options={"index": 0})
    assert env.render() == question
    env.step("#### 84")
    text = env.render()
    assert isinstance(text, str) and text.startswith(question) and "#### 84" in text and "CORRECT  reward 1" in text


def test_human_prints_at_reset_and_step(capsys: pytest.CaptureFixture[str]) -> None:
    env = gym.make("r1/GSM8K-v0", split="sample", render_mode="human")
    question, _ = env.reset(options={"index": 0})
    assert capsys.readouterr().out == f"{question}\n"
    env.step("no idea")
    out = capsys.readouterr().out
    assert question not in out and "no idea" in out and "NO_ANSWER" in out
    assert env.render() is None


def test_the_listing_has_a_row_an_id(capsys: pytest.CaptureFixture[str]) -> None:
    listing.main([])
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert [line.split("\t")[0] for line in lines] == ["id", *(entry.id for entry in CATALOG)]
    assert "r1/MATH500-v0\tcompetition math\ttest 500, sample 10\tboxed\tmath\taccuracy ×1, format ×0" in lines[1]


def test_the_listing_takes_no_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        listing.main(["r1/MATH500-v0"])
    assert ended.value.code == 2 and capsys.readouterr().out == ""


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = subprocess.Popen(
        [sys.executable, "-m", "r1gym.envs"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    command.stdout.close()  # before anything was written, as by `| head -0`
    assert command.stderr is not None
    assert command.stderr.read() == ""
    command.stderr.close()
    assert command.wait(60) == 141
