"""MMLU: questions of 57 subjects with four options each (Hendrycks et al., arXiv 2009.03300)."""

from __future__ import annotations

from r1gym.tasks.multiple_choice import LETTERS, Shuffled
from r1gym.tasks.source import DataFile, HubFile, Row, Source, Split
from r1gym.types import Task

__all__ = ["MMLU"]


def parse(row: Row, split: str, index: int) -> Task:
    """A row of ``question, choices, answer`` (and ``subject``) as a Task; the answer is a place from 0, or a letter."""
    choices = row.fields.get("choices")
    if "choices" not in row.fields:
        raise row.error("choices", f"is missing; the row has {', '.join(sorted(row.fields)) or 'no fields'}")
    if not isinstance(choices, list) or not 2 <= len(choices) <= len(LETTERS):
        raise row.error("choices", f"expected a list of 2 to {len(LETTERS)} strings, got {choices!r:.60}")
    for place, text in enumerate(choices):
        if not isinstance(text, str):
            raise row.error("choices", f"item {place} must be a string, got {type(text).__name__} {text!r:.60}")
    answer = row.fields.get("answer")
    place = LETTERS.index(answer) if isinstance(answer, str) and answer in tuple(LETTERS) else row.integer("answer")
    if not 0 <= place < len(choices):
        raise row.error("answer", f"expected a place from 0 to {len(choices) - 1} or its letter, got {answer!r:.60}")
    return Task(
        id=row.text("id") if isinstance(row.fields.get("id"), str) else f"mmlu/{split}/{index}",
        domain="choice",
        question=row.text("question").strip(),
        reference={"answer": LETTERS[place], "options": [text.strip() for text in choices]},
        meta=row.facts("subject", "sample"),
    )


MMLU = Source(
    name="mmlu",
    title="MMLU",
    domain="choice",
    splits={
        "test": Split(
            files=(DataFile("mmlu_test.jsonl"), DataFile("mmlu.jsonl")),
            hub=HubFile("cais/mmlu", "all/test-00000-of-00001.parquet"),
        )
    },
    parse=parse,
    needs="question (string), choices (2 to 10 strings), answer (place from 0, or letter); optional id, subject",
    arrange=Shuffled,
)
