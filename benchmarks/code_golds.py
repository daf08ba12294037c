"""Rows and golds of the code environments: what is read, what is left out and why, and what each known solution earns.

``python benchmarks/code_golds.py [--sandbox local] [--plus 20] [--every 1]``; the real rows lie in R1GYM_DATA.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

from r1gym.config import run_command
from r1gym.sandbox import open_sandbox
from r1gym.sandbox.chooser import Sandbox
from r1gym.tasks import loading
from r1gym.tasks.registry import source_named
from r1gym.tasks.source import Source
from r1gym.tasks.taskset import TaskSet
from r1gym.types import Outcome, Task
from r1gym.verifiers import prepare
from r1gym.verifiers.domains import side_by_side

SETS = (
    *(("humaneval", "test"), ("mbpp", "train"), ("mbpp", "test"), ("codeforces", "train")),
    *(("code_contests", "train"), ("code_contests", "test")),
)
Labelled = tuple[Task, str, bool]
"""A task, a completion, and whether it is right."""


@dataclass(frozen=True)
class Options:
    """What to judge."""

    sandbox: Literal["docker", "local"] = "docker"
    """The backend."""
    every: int = 1
    """Judge every n-th row."""
    plus: int = 0
    """So many rows of HumanEval+ as well, with all their calls."""


def fenced(source: str, language: str = "python") -> str:
    return f"```{language}\n{source}\n```"


def golds(tasks: TaskSet, every: int) -> Iterator[Labelled]:
    for task in tasks[::every]:
        if "solution" in task.meta and "unverifiable" not in task.meta:
            yield task, fenced(task.meta["solution"], task.meta.get("solution_language", "python")), True


def bugs(tasks: TaskSet, every: int) -> Iterator[Labelled]:
    """The right and the wrong solutions of HumanEvalPack, row by row those of HumanEval."""
    lines = Path(os.environ["R1GYM_DATA"], "humanevalpack_python.jsonl").read_text(encoding="utf-8").split("\n")
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines if line]
    for task, row in list(zip(tasks, rows, strict=True))[::every]:
        if "unverifiable" not in task.meta:
            assert row["entry_point"] == task.meta["entry_point"]
            yield task, fenced(row["prompt"] + row["buggy_solution"]), False
            yield task, fenced(row["prompt"] + row["canonical_solution"]), True


def add(console: Console, table: Table, name: str, tasks: TaskSet, labelled: list[Labelled], box: Sandbox) -> None:
    """One row of the table, and a line for each exception."""
    begin = time.perf_counter()
    verdicts = side_by_side("code", lambda each: prepare(each[0], sandbox=box).grade(each[1]), labelled)
    agree = 0
    for (task, _, right), verdict in zip(labelled, verdicts, strict=True):
        same = verdict.outcome is (Outcome.CORRECT if right else Outcome.WRONG)
        agree += same
        if not same:
            label = "right" if right else "wrong"
            console.print(
                f"{name} {task.id}: labelled {label}, {verdict.outcome.name}: {verdict.reason}", soft_wrap=True
            )
    out = tasks.unverifiable()
    why = "; ".join(f"{count} {reason}" for reason, count in out.items())
    seconds = time.perf_counter() - begin
    table.add_row(
        name, str(len(tasks)), str(len(tasks) - sum(out.values())), why, f"{agree} of {len(labelled)}", f"{seconds:.0f}"
    )


def run(options: Options) -> None:
    """Judge, and print the table."""
    console = Console(width=150)
    table = Table("set", "rows", "drawn", "left out", "labels agree", "seconds")
    with open_sandbox(options.sandbox) as box:
        for source_name, split in SETS:
            source = source_named(source_name)
            assert isinstance(source, Source)
            tasks = loading.load(source, split, offline=True)
            name = f"{source.title} ({split})"
            add(console, table, name, tasks, list(golds(tasks, options.every)), box)
            if source_name == "humaneval":
                add(console, table, "HumanEvalPack", tasks, list(bugs(tasks, options.every)), box)
                if options.plus:
                    path = Path(os.environ["R1GYM_DATA"], "humanevalplus.jsonl.gz")
                    plus = loading.load(source, split, data=str(path))
                    chosen = list(golds(plus, 1))[: options.plus]
                    calls = sum(len(task.reference.tests) for task, _, _ in chosen)
                    add(console, table, f"HumanEval+ ({calls} calls)", plus, chosen, box)
    console.print(table)


if __name__ == "__main__":
    import tyro

    run_command(lambda: run(tyro.cli(Options)))
