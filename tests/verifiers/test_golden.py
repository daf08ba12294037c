"""The hand-written rows: right answers, near misses and gaming, by family."""

import json
from collections import Counter
from pathlib import Path

import pytest

from r1gym.types import Outcome
from r1gym.verifiers import verify
from r1gym.verifiers.reasons import RULES

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "golden" / "math.jsonl").read_text(encoding="utf-8").split("\n")
    if line
]


def test_enough_rows_of_each_kind():
    kinds = Counter(row["kind"] for row in ROWS)
    assert len(ROWS) >= 300
    assert min(kinds["right"], kinds["near miss"]) >= 150
    assert kinds["gaming"] >= 75
    assert len({(row["reference"], row["completion"]) for row in ROWS}) == len(ROWS)


@pytest.mark.parametrize("family", sorted({row["family"] for row in ROWS}))
def test_family(family):
    for row in ROWS:
        if row["family"] != family:
            continue
        verdict = verify(row["completion"], row["reference"])
        assert verdict.outcome is not Outcome.UNGRADABLE, (row, verdict)
        assert (verdict.outcome is Outcome.CORRECT) == row["correct"], (row, verdict)
        rule = verdict.reason.split(":")[0]
        assert rule in RULES and rule != "grader_error", (row, verdict)
