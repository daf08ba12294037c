"""The live panel shows every figure that a run has; plain output is whole lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from r1gym.screen import LiveScreen, PlainScreen, make_screen

FIGURES = {
    "reward/mean": 0.412,
    "eval/pass@1": 0.416,
    "eval/pass@1_low": 0.385,
    "eval/pass@1_high": 0.447,
    "length/mean": 23.46,
    "tokens/s": 76543.2,
    "loss": 0.0123,
}


def panel(screen: LiveScreen) -> str:
    console = Console(file=io.StringIO(), width=110, force_terminal=True, color_system=None, highlight=False)
    console.print(screen._panel())
    written = console.file
    assert isinstance(written, io.StringIO)
    return written.getvalue()


def test_the_panel_shows_stage_step_figures_time_and_the_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("r1gym.screen.time.monotonic", lambda: clock[0])
    screen = LiveScreen()
    screen.stage("grpo", 150, done=10)
    assert "time left ?" in panel(screen)
    clock[0] += 20.0
    screen.step(19, FIGURES)  # 10 steps in 20 s, 130 to go: 260 s
    screen.completions("1  5887+1597= <think>7+7=14</think>", "0  5887+1597= 7725")
    shown = panel(screen)
    for piece in (
        "grpo",
        "step 20/150",
        "time left 4:20",
        "reward",
        "0.412",
        "held-out pass@1",
        "0.416  [0.385, 0.447]",
        "length",
        "23.5 tokens",
        "76,543 tokens/s",
        "best",
        "5887+1597= <think>7+7=14</think>",
        "worst",
        "7725",
    ):
        assert piece in shown, piece
    screen.step(20, {"reward/mean": 0.5})
    assert "0.500" in panel(screen) and "0.416" in panel(screen)  # a figure keeps its last value
    screen.stage("control", 5)
    assert "0.416" not in panel(screen) and "best" not in panel(screen)


def test_hours_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("r1gym.screen.time.monotonic", lambda: clock[0])
    screen = LiveScreen()
    screen.stage("grpo", 101)
    clock[0] = 61.0
    screen.step(0, {})
    assert "time left 1:41:40" in panel(screen)  # 100 × 61 s


def test_what_a_model_wrote_cannot_drive_the_terminal() -> None:
    screen = LiveScreen()
    screen.stage("grpo", 5)
    screen.completions("\x1b[2J\x07clear \ud83d half [bold]markup[/bold]", "x" * 1000)
    shown = panel(screen)
    assert "\x1b[2J" not in shown and "\x07" not in shown
    assert "[bold]markup[/bold]" in shown
    assert "…" in shown and shown.count("x") < 300
    shown.encode()


def test_the_live_screen_can_be_opened_stage_after_stage(capsys: pytest.CaptureFixture[str]) -> None:
    screen = LiveScreen()
    for stage in ("cold-start", "grpo"):
        with screen:
            screen.stage(stage, 1)
            screen.step(0, FIGURES)
            screen.note(f"kept line of {stage} [x]")
    out = capsys.readouterr().out
    assert "kept line of cold-start [x]" in out and "kept line of grpo [x]" in out


def test_plain_output_is_about_twenty_whole_lines_a_stage(capsys: pytest.CaptureFixture[str]) -> None:
    screen = make_screen()
    assert isinstance(screen, PlainScreen)  # pytest's stdout is no terminal
    with screen:
        screen.stage("grpo", 40, done=0)
        for step in range(40):
            screen.step(step, FIGURES)
            screen.completions("best", "worst")
        screen.note("a note " + "long " * 60)
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\r" not in out and out.endswith("\n")
    first, *steps, note = out.splitlines()
    assert first == "grpo: 40 steps"
    assert len(steps) == 20
    for line in steps:
        assert line.startswith("grpo ") and "reward 0.412" in line and "held-out pass@1 0.416" in line
        assert "length 23.5 tokens" in line and "76,543 tokens/s" in line and "| left " in line
    assert note.rstrip().endswith("long")


def test_a_stage_that_goes_on_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    screen = PlainScreen()
    screen.stage("grpo", 3, done=1)
    screen.step(2, {})
    assert capsys.readouterr().out.splitlines() == [
        "grpo: 3 steps, 1 of them made before",
        "grpo 3/3 | left 0:00",
    ]


def test_quiet_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with make_screen(quiet=True) as screen:
        screen.stage("grpo", 1)
        screen.step(0, FIGURES)
        screen.note("x")
        screen.show("y")
    assert capsys.readouterr().out == ""
