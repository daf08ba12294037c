"""What contest problems share: tests of stdin and stdout, limits, and whether an output can be compared at all."""

from __future__ import annotations

import re
from typing import Any

from r1gym.tasks.source import Row
from r1gym.types import CheckerProgram, CodeReference, Limits, StdioCase, Task

__all__ = ["SEVERAL_ANSWERS", "comparison", "contest_task", "read_limits", "read_tests", "several_answers"]

SEVERAL_ANSWERS = "several outputs are right, and no checker is there"

_ASSUMED_SECONDS = 2.0
_ASSUMED_MB = 256
_ANY = re.compile(
    r"(?<!cannot )(?<!n't )(?<!not )(?<!n’t )(?:print|output|find|return|display)\s+any\b"
    r"|\b(?:several|multiple|many|more than one)\b[^.\n]*?\bany\b[^.\n]*?\b(?:accept|allow|correct|valid|suffic|fine)"
    r"|\b(?:several|multiple|many)\s+(?:\w+\s+){0,2}(?:answers|solutions)\b[^.\n]*?\b(?:choose|take|give)\s+any\b"
    r"|(?:print|output)[^.\n]*\bin\s+(?:any|arbitrary)\s+order",
    re.IGNORECASE,
)
"""What statements say where any of several outputs is right."""
_DECIMAL = re.compile(r"(?<!\S)-?\d*\.\d+(?:[eE][-+]?\d+)?(?!\S)")


def read_tests(row: Row, name: str) -> tuple[StdioCase, ...]:
    """The tests in field ``name``: a list of ``{"input", "output"}``. RowError names the test and its field."""
    tests = row.fields.get(name)
    if not isinstance(tests, list):
        raise row.error(name, f"expected a list of {{'input', 'output'}}, got {tests!r:.60}")
    cases = []
    for number, test in enumerate(tests):
        for part in ("input", "output"):
            if not isinstance(test, dict) or not isinstance(test.get(part), str):
                raise row.error(f"{name}[{number}].{part}", f"expected a string in {test!r:.60}")
        cases.append(StdioCase(test["input"], test["output"]))
    return tuple(cases)


def read_limits(row: Row, seconds: str, megabytes: str) -> tuple[Limits, list[str]]:
    """The limits in two fields (seconds, MB), and the names of those that are missing and were assumed.

    2 s and 256 MB are Codeforces' commonest; a program may sleep for as long as it may compute, or 2 s.
    """
    values, assumed = [], []
    for name, usual in ((seconds, _ASSUMED_SECONDS), (megabytes, float(_ASSUMED_MB))):
        value = row.fields.get(name)
        if value is None:
            assumed.append("time_limit" if name == seconds else "memory_limit")
            value = usual
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1e6:
            raise row.error(name, f"expected a positive number, got {value!r:.60}")
        values.append(float(value))
    time, memory = values
    return Limits(cpu_seconds=time, wall_seconds=max(2 * time, time + 2), memory_mb=max(1, round(memory))), assumed


def comparison(tests: tuple[StdioCase, ...]) -> str:
    """The checker for outputs where one is right: tokens; numbers with decimals within 1e-6; YES and NO in any case."""
    outputs = [test.expected for test in tests]
    if all(text.split() and {word.upper() for word in text.split()} <= {"YES", "NO"} for text in outputs):
        return "yesno"
    return "float:1e-6" if any(_DECIMAL.search(text) for text in outputs) else "tokens"


def several_answers(statement: str) -> bool:
    """Whether a statement says that any of several outputs is right."""
    return _ANY.search(statement) is not None


def contest_task(
    task_id: str, question: str, tests: tuple[StdioCase, ...], limits: tuple[Limits, list[str]], **options: Any
) -> Task:
    """A whole program's task.

    Args:
        task_id: Unique in its set.
        question: The statement.
        tests: What the program must pass.
        limits: As ``read_limits`` gives them.
        **options: ``checker`` (a name or a program; None: ``comparison`` chooses), ``unverifiable`` (why no program
            can be judged, "" for none), and facts for ``Task.meta``.
    """
    checker: str | CheckerProgram | None = options.pop("checker", None)
    why = options.pop("unverifiable", "")
    if not tests:
        why = why or "no tests"
    elif checker is None and not why and several_answers(question):
        why = SEVERAL_ANSWERS
    reference = CodeReference(tests, checker or comparison(tests), limits[0])
    meta = {
        "tests": len(tests), "time_limit_seconds": limits[0].cpu_seconds, "memory_limit_mb": limits[0].memory_mb,
        **options,
    }  # fmt: skip
    if limits[1]:
        meta["assumed"] = limits[1]
    if why:
        meta["unverifiable"] = why
    return Task(task_id, "code", question, reference, meta)
