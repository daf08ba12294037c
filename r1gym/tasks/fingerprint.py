"""The content hash of a task set, and the check of a canonical set against it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from r1gym.errors import DataError
from r1gym.tasks.source import Fingerprint
from r1gym.types import Task

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
        pair = [" ".join(task.question.split()), " ".join(str(task.reference).split())]
        digest.update(json.dumps(pair, ensure_ascii=True).encode("ascii") + b"\n")
    return Fingerprint(rows, digest.hexdigest())


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
