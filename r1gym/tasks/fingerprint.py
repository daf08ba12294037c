"""The content hash of a task set, and the check of a canonical set against it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from typing import Any

from r1gym.errors import DataError
from r1gym.tasks.source import Fingerprint
from r1gym.types import CodeReference, Task

__all__ = ["check", "fingerprint"]


def fingerprint(tasks: Iterable[Task]) -> Fingerprint:
    """Row count and SHA-256 over (question, reference) in row order.

    Runs of whitespace count as one space and other fields do not count, so that field order, indentation and line
    ends of a file do not matter.
    """
    digest = hashlib.sha256()
    rows = 0
    for task in tasks:
        rows += 1
        pair = [" ".join(task.question.split()), " ".join(_spelled(task.reference).split())]
        digest.update(json.dumps(pair, ensure_ascii=True).encode("ascii") + b"\n")
    return Fingerprint(rows, digest.hexdigest())


def _spelled(value: Any) -> str:
    """``value`` in one spelling: sets in order, records field by field; a string as it is.

    Of a program's reference the tests count: limits and comparison are ours, not the set's.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, CodeReference):
        value = value.tests
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return repr([(field.name, _spelled(getattr(value, field.name))) for field in dataclasses.fields(value)])
    if isinstance(value, (set, frozenset)):
        return f"set {sorted(map(_spelled, value))}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} {[_spelled(item) for item in value]}"
    if isinstance(value, dict):
        return f"dict {[(_spelled(key), _spelled(item)) for key, item in value.items()]}"
    return repr(value)


def check(tasks: Iterable[Task], expected: Fingerprint, origin: str) -> None:
    """DataError if ``tasks``, read from ``origin``, are not the canonical set that ``expected`` describes."""
    found = fingerprint(tasks)
    if found == expected:
        return
    if found.rows != expected.rows:
        problem = f"expected {expected.rows} rows, found {found.rows}"
    else:
        problem = f"expected content hash {expected.sha256[:16]}…, found {found.sha256[:16]}…"
    raise DataError(
        f"{origin} is not the canonical set of that name: {problem}. "
        "If it is a set of your own, pass it as data=; if not, remove it and fetch the set again"
    )
