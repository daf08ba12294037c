"""AIME: the American Invitational Mathematics Examination by year; every answer is an integer from 0 to 999."""

from __future__ import annotations

from r1gym.tasks.source import DataFile, Fingerprint, HubFile, Row, Source, Split
from r1gym.types import Task

__all__ = ["AIME", "AIME2024", "AIME2025", "AIME2026"]

NEEDS = "problem (string), answer (0 to 999); optional id, year, part, number"


def parse(row: Row, split: str, index: int) -> Task:
    """A row of ``problem, answer`` (and ``id, year, part, number``) as a Task; an integer answer becomes a string.

    Copies of these contests that number their problems instead of naming them get the row number as their id.
    """
    answer = row.integer("answer")
    if not 0 <= answer <= 999:
        raise row.error("answer", f"expected an integer from 0 to 999, got {answer}")
    named = isinstance(row.fields.get("id"), str)
    return Task(
        id=row.text("id") if named else f"aime/{index}",
        domain="math",
        question=row.text("problem"),
        reference=str(answer),
        meta=row.facts("year", "part", "number", "sample"),
    )


# The fingerprints are of the transcriptions of these names. Other transcriptions of the same contests differ in
# spacing and LaTeX: the hub's copies are therefore read without one.
AIME = Source(
    name="aime",
    title="AIME 1983–2023",
    domain="math",
    splits={
        "train": Split(
            (
                DataFile(
                    "aime_1983_2023.jsonl",
                    Fingerprint(975, "fbe61f17577f4076d90313d0f07a9d304488b2b744ef373b1449be7bd5a02ab8"),
                ),
            )
        )
    },
    parse=parse,
    needs=NEEDS,
)
AIME2024 = Source(
    name="aime2024",
    title="AIME 2024",
    domain="math",
    splits={
        "test": Split(
            (
                DataFile(
                    "aime_2024.jsonl",
                    Fingerprint(30, "8227863b9ae9b8353c8f84d4641e23c451c21f1c2293fb73ccc61d6943ad7123"),
                ),
            ),
            HubFile("HuggingFaceH4/aime_2024", "data/train-00000-of-00001.parquet"),
        )
    },
    parse=parse,
    needs=NEEDS,
    sample="aime",
)
AIME2025 = Source(
    name="aime2025",
    title="AIME 2025",
    domain="math",
    splits={
        "test": Split(
            (
                DataFile(
                    "aime_2025.jsonl",
                    Fingerprint(30, "24d4b6b1ff13fb6292361577a91fcbf68f3904d249e2e23ebfc92d53715b4c0d"),
                ),
            ),
            HubFile("MathArena/aime_2025", "data/train-00000-of-00001.parquet"),
        )
    },
    parse=parse,
    needs=NEEDS,
    sample="aime",
)
AIME2026 = Source(
    name="aime2026",
    title="AIME 2026",
    domain="math",
    splits={
        "test": Split(
            (
                DataFile(
                    "aime_2026.jsonl",
                    Fingerprint(30, "c0a0e6f19559e18b36829e6a94ceec2f541508719ef48c96e68251242029edad"),
                ),
            ),
            HubFile("MathArena/aime_2026", "data/train-00000-of-00001.parquet"),
        )
    },
    parse=parse,
    needs=NEEDS,
    sample="aime",
)
