"""MATH-500: the 500 problems of the MATH test split that Lightman et al. (arXiv 2305.20050) held out."""

from __future__ import annotations

from r1gym.tasks.source import DataFile, Fingerprint, HubFile, Row, Source, Split
from r1gym.types import Task

__all__ = ["MATH500"]


def parse(row: Row, split: str, index: int) -> Task:
    """A row of ``problem, answer`` (and ``unique_id, subject, level``) as a Task."""
    return Task(
        id=row.text("unique_id") if "unique_id" in row.fields else f"math500/{split}/{index}",
        domain="math",
        question=row.text("problem"),
        reference=row.text("answer"),
        meta=row.facts("subject", "level", "sample"),
    )


# Of the 500 rows as published; all fields agreed with two other copies of the set.
FINGERPRINT = Fingerprint(500, "127c95d115a218d75497eba38bd2a4e9de862a1cd2525a3fc4422c148dfb3d57")

MATH500 = Source(
    name="math500",
    title="MATH-500",
    domain="math",
    splits={
        "test": Split(
            files=(DataFile("math500.jsonl", FINGERPRINT),),
            hub=HubFile("HuggingFaceH4/MATH-500", "test.jsonl", FINGERPRINT),
        )
    },
    parse=parse,
    needs="problem, answer (strings); optional unique_id, subject, level",
)
