"""HumanEval (Chen et al., arXiv 2107.03374), functions from docstrings; HumanEval+ where its inputs are given."""

from __future__ import annotations

import re
from typing import Any

from r1gym.tasks.asserts import read_check
from r1gym.tasks.literals import UnreadableError, is_plain
from r1gym.tasks.source import DataFile, Fingerprint, HubFile, Row, Source, Split
from r1gym.types import CallCase, CodeReference, Limits, Task

__all__ = ["FUNCTION_LIMITS", "HUMANEVAL"]

FUNCTION_LIMITS = Limits(cpu_seconds=3.0, wall_seconds=8.0, memory_mb=512)
"""Of one call; 3 s is the time-out of the paper's own harness."""

_PLUS_ROOTS = frozenset({"HumanEval/32"})
"""HumanEval+ accepts any root of the polynomial: its value is not compared with the reference's."""


def parse(row: Row, split: str, index: int) -> Task:
    """``task_id, prompt, entry_point, canonical_solution, test``; with ``plus_input`` also HumanEval+'s calls."""
    prompt, function = row.text("prompt"), row.text("entry_point")
    heads = list(re.finditer(rf"^(?:async )?def {re.escape(function)}\b", prompt, re.MULTILINE))
    if not heads:
        raise row.error("entry_point", f"the prompt defines no function {function!r}")
    solution = f"{prompt}{row.text('canonical_solution')}"
    prefix = prompt[: heads[-1].start()].strip()
    meta: dict[str, Any] = {"solution": solution, "entry_point": function, **row.facts("sample")}
    try:
        reference = _reference(row, function, prefix, solution)
    except UnreadableError as error:
        meta["unverifiable"] = f"its test is not a list of calls and values: {error}"
        reference = CodeReference((), prefix=prefix)
    question = f"Complete this Python function.\n\n```python\n{prompt.strip()}\n```"
    return Task(row.text("task_id"), "code", question, reference, meta | {"tests": len(reference.tests)})


def _reference(row: Row, function: str, prefix: str, solution: str) -> CodeReference:
    if "plus_input" in row.fields:
        cases = tuple(CallCase(function, tuple(arguments), None) for arguments in _inputs(row))
        if row.fields["task_id"] in _PLUS_ROOTS:
            raise UnreadableError("several values are right")
        return CodeReference(cases, _plus_checker(row), FUNCTION_LIMITS, 1.0, prefix, oracle=solution)
    found = read_check(row.text("test"), function)
    return CodeReference(found.cases, found.checker, FUNCTION_LIMITS, 1.0, prefix)


def _inputs(row: Row) -> list[list[Any]]:
    inputs = []
    for name in ("base_input", "plus_input"):
        value = row.fields.get(name)
        if not isinstance(value, list) or not all(isinstance(item, list) and is_plain(item) for item in value):
            raise row.error(name, "expected a list of lists of arguments")
        inputs += value
    return inputs


def _plus_checker(row: Row) -> str:
    """HumanEval+ compares by value, floats within ``atol``, or 1e-6 where that is 0."""
    atol = row.fields.get("atol", 0)
    if isinstance(atol, bool) or not isinstance(atol, (int, float)) or not 0 <= atol < 1:
        raise row.error("atol", f"expected a number in [0, 1), got {atol!r:.60}")
    return f"float-abs:{float(atol) or 1e-6!r}"


HUMANEVAL = Source(
    name="humaneval",
    title="HumanEval",
    domain="code",
    splits={
        "test": Split(
            files=(
                DataFile(
                    "humaneval.jsonl",
                    Fingerprint(164, "ff5495a02d162c28facd71375407525f789842e8bfab4b4b8d274b97e1d1c32e"),
                ),
                DataFile("HumanEval.jsonl"),
            ),
            hub=HubFile("openai/openai_humaneval", "openai_humaneval/test-00000-of-00001.parquet"),
        )
    },
    parse=parse,
    needs="task_id, prompt, entry_point, canonical_solution, test (strings); with HumanEval+'s base_input, plus_input, "
    "atol its calls instead of test",
)
