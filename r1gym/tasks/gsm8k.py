"""GSM8K: grade-school word problems (Cobbe et al., arXiv 2110.14168); the gold follows ``#### ``."""

from __future__ import annotations

from r1gym.tasks.source import DataFile, Fingerprint, HubFile, Row, Source, Split
from r1gym.types import Task

__all__ = ["GSM8K"]

MARK = "#### "


def parse(row: Row, split: str, index: int) -> Task:
    """A row of ``question, answer`` as a Task; commas in the gold stay for the verifier to read."""
    _, mark, gold = row.text("answer").rpartition(MARK)
    if not mark or not gold.strip():
        raise row.error("answer", f"expected the final answer after {MARK!r} on the last line")
    return Task(
        id=f"gsm8k/{split}/{index}",
        domain="math",
        question=row.text("question"),
        reference=gold.strip(),
        meta=row.facts("sample"),
    )


# Of test.jsonl, and of the first 1,000 rows of train.jsonl, of openai/grade-school-math.
TEST = Fingerprint(1319, "f74c496069573f9596875e81f9da9a9804470284009eb6f8193ae9526d388ca4")
TRAIN_1000 = Fingerprint(1000, "23525eeb8608a9c9945b24adc455df1918c7e9aebd195a2a91d046112c236447")

GSM8K = Source(
    name="gsm8k",
    title="GSM8K",
    domain="math",
    splits={
        "train": Split(
            files=(DataFile("gsm8k_train.jsonl"), DataFile("gsm8k_train_1000.jsonl", TRAIN_1000)),
            hub=HubFile("openai/gsm8k", "main/train-00000-of-00001.parquet"),
        ),
        "test": Split(
            files=(DataFile("gsm8k_test.jsonl", TEST),),
            hub=HubFile("openai/gsm8k", "main/test-00000-of-00001.parquet", TEST),
        ),
    },
    parse=parse,
    needs="question, answer (strings; the answer's last line is '#### N')",
)
