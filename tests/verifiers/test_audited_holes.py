"""The rows that ``r1gym audit`` once found paid or refused, in every domain, and honest twins beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from r1gym.types import Outcome
from r1gym.verifiers import verify

TEXT = (Path(__file__).parents[1] / "golden" / "audit.jsonl").read_text(encoding="utf-8")
ROWS: list[dict[str, Any]] = [json.loads(line) for line in TEXT.split("\n") if line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['domain']} {row['completion'][:40]!r}")
def test_a_hole_once_found_stays_closed(row: dict[str, Any]) -> None:
    verdict = verify(row["completion"], row["reference"], row["domain"])
    assert verdict.outcome is not Outcome.UNGRADABLE, verdict
    assert (verdict.outcome is Outcome.CORRECT) == row["correct"], verdict


def test_every_domain_that_was_mended_has_rows_of_both_kinds() -> None:
    for domain in ("math", "choice", "countdown"):
        assert {row["correct"] for row in ROWS if row["domain"] == domain} == {True, False}
