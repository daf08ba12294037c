"""MBPP (Austin et al., arXiv 2108.07732): short Python functions; one assert is shown, all are judged."""

from __future__ import annotations

from typing import Any

from r1gym.tasks.asserts import read_asserts
from r1gym.tasks.humaneval import FUNCTION_LIMITS
from r1gym.tasks.literals import UnreadableError
from r1gym.tasks.source import DataFile, Fingerprint, HubFile, Row, Source, Split
from r1gym.types import CodeReference, Task

__all__ = ["MBPP"]

_IDS = {"train": range(601, 975), "test": range(11, 511)}
"""The paper's splits by task id; 1 to 10 are its few-shot examples, 511 to 600 its validation split."""


def parse(row: Row, split: str, index: int) -> Task:
    """``text`` (or ``prompt``), ``code, task_id, test_list``; the first assert names function and arguments."""
    number = row.integer("task_id")
    asserts = row.texts("test_list")
    if not asserts:
        raise row.error("test_list", "is empty")
    text = row.text("text" if "text" in row.fields else "prompt").strip()
    meta: dict[str, Any] = {"solution": row.text("code"), **row.facts("sample")}
    setup = row.fields.get("test_setup_code") or ""
    try:
        if setup.strip():
            raise UnreadableError("it builds its arguments with the submission's own classes")
        found = read_asserts(asserts)
        reference = CodeReference(found.cases, found.checker, FUNCTION_LIMITS, 1.0)
    except UnreadableError as error:
        meta["unverifiable"] = f"its test is not a list of calls and values: {error}"
        reference = CodeReference(())
    question = f"{text}\n\nThe function must pass tests such as this one:\n\n```python\n{asserts[0].strip()}\n```"
    return Task(f"mbpp/{number}", "code", question, reference, meta | {"tests": len(reference.tests)})


def belongs(row: Row, split: str) -> bool:
    """Whether a row of the whole set is of ``split``."""
    return row.integer("task_id") in _IDS[split]


_FILE = "mbpp.jsonl"
MBPP = Source(
    name="mbpp",
    title="MBPP",
    domain="code",
    splits={
        "train": Split(
            files=(
                DataFile(_FILE, Fingerprint(374, "708f26ee95fc93fcf2d7a355ef6f6f8282073b6f64353542a2c65ffa9437ff28")),
            ),
            hub=HubFile("google-research-datasets/mbpp", "full/train-00000-of-00001.parquet"),
        ),
        "test": Split(
            files=(
                DataFile(_FILE, Fingerprint(500, "4795845343a146dda0d8b38d09832a81ad37fceeeefd2cc2683dc709c38c3945")),
            ),
            hub=HubFile("google-research-datasets/mbpp", "full/test-00000-of-00001.parquet"),
        ),
    },
    parse=parse,
    needs="task_id, text, code, test_list (a list of asserts)",
    belongs=belongs,
)
