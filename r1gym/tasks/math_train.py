"""MATH: the training split of Hendrycks et al. (arXiv 2103.03874), competition problems with LaTeX answers."""

from __future__ import annotations

import re

from r1gym.tasks.source import DataFile, Fingerprint, HubFile, Row, Source, Split
from r1gym.types import Task

__all__ = ["MATH", "last_boxed"]

BOXED = re.compile(r"\\(?:boxed|fbox)\s*(?:\{|(?=[^\s{]))")


def parse(row: Row, split: str, index: int) -> Task:
    r"""A row of ``problem`` and ``answer``, or ``problem`` and a ``solution`` whose last ``\boxed`` is the answer."""
    if "answer" in row.fields:
        reference = row.text("answer")
    else:
        reference = last_boxed(row.text("solution"))
        if not reference:
            raise row.error("solution", "holds no \\boxed{…}, and there is no field 'answer'")
    task_id = row.text("unique_id") if "unique_id" in row.fields else f"math/{split}/{index}"
    return Task(
        id=task_id,
        domain="math",
        question=row.text("problem"),
        reference=reference,
        meta=row.facts("subject", "type", "level", "sample"),
    )


def last_boxed(solution: str) -> str:
    r"""What stands in the last ``\boxed{…}`` (braces balanced) or after the last ``\boxed `` of a MATH solution."""
    matches = list(BOXED.finditer(solution))
    if not matches:
        return ""
    start = matches[-1].end()
    if not matches[-1].group().endswith("{"):
        return solution[start]
    depth = 1
    position = start
    while position < len(solution):
        character = solution[position]
        if character == "\\":
            position += 2
            continue
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return solution[start:position].strip()
        position += 1
    return ""


# Of a seeded sample of 3,000 rows of the training split, 131 of them AIME problems of 1983–2023.
SAMPLE_3000 = Fingerprint(3000, "11eb16bf3114d12c8d96e5ec6b371242e38d5538542fa635b933d6062108af2e")

MATH = Source(
    name="math",
    title="MATH (train)",
    domain="math",
    splits={
        "train": Split(
            files=(DataFile("math_train.jsonl"), DataFile("math_train_3000.jsonl", SAMPLE_3000)),
            hub=HubFile("DigitalLearningGmbH/MATH-lighteval", "data/train-00000-of-00001.parquet"),
        )
    },
    parse=parse,
    needs="problem, and answer or solution (strings); optional unique_id, subject, level",
)
