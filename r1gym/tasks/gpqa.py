"""GPQA Diamond: 198 questions that experts answer and searching non-experts do not (Rein et al., arXiv 2311.12022)."""

from __future__ import annotations

from r1gym.tasks.multiple_choice import Shuffled
from r1gym.tasks.source import DataFile, HubFile, Row, Source, Split
from r1gym.tasks.taskset import TaskSet
from r1gym.types import Task

__all__ = ["GPQA"]

GOLD = "Correct Answer"
OTHERS = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def parse(row: Row, split: str, index: int) -> Task:
    """A row of the published columns as a Task, the right option first; the order in which it is asked is drawn."""
    options = [row.text(name).strip() for name in (GOLD, *OTHERS)]
    return Task(
        id=row.text("Record ID") if "Record ID" in row.fields else f"gpqa/{split}/{index}",
        domain="choice",
        question=row.text("Question").strip(),
        reference={"answer": "A", "options": options},
        meta=row.facts("High-level domain", "Subdomain", "sample"),
    )


def arrange(tasks: TaskSet, seed: int) -> TaskSet:
    """All options of every question in the order that ``seed`` gives: the columns of the set have none."""
    return Shuffled(tasks, seed, ordered=False)


# No fingerprint: the set is gated, and its authors ask that its text stay out of the open. It is neither shipped nor
# described here.
GPQA = Source(
    name="gpqa",
    title="GPQA Diamond",
    domain="choice",
    splits={
        "test": Split(
            files=(DataFile("gpqa_diamond.jsonl"),),
            hub=HubFile("Idavidrein/gpqa", "gpqa_diamond.csv"),
        )
    },
    parse=parse,
    needs="Question, Correct Answer, Incorrect Answer 1 to 3 (strings); optional Record ID, Subdomain",
    arrange=arrange,
)
