"""The examples run, and the one that learns does learn."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_plain_loop_learns() -> None:
    rewards = load("plain_loop").train(steps=8_000, seed=3)
    # Chance is 1/19; every question must be met several times before its table can know the answer.
    assert rewards[:400].mean() < 0.2
    assert rewards[-400:].mean() > 0.85


def test_the_plain_loop_needs_nothing_of_ours_but_the_registration() -> None:
    source = (EXAMPLES / "plain_loop.py").read_text(encoding="utf-8")
    assert [line for line in source.split("\n") if "import r1gym" in line or "from r1gym" in line] == [
        "import r1gym  # noqa: F401 - registers the ids"
    ]
