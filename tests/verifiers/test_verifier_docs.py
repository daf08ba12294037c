"""The tables of docs/verifiers.md are true."""

import re
from pathlib import Path

from r1gym.types import Outcome
from r1gym.verifiers import verify
from r1gym.verifiers.reasons import RULES

PAGE = (Path(__file__).parents[2] / "docs" / "verifiers.md").read_text(encoding="utf-8")


def rows(after: str, before: str) -> list[list[list[str]]]:
    """The code spans of each cell of a table's rows."""
    lines = PAGE.split(after)[1].split(before)[0].split("\n")
    # A bar inside a code span is no cell border.
    cells = [re.findall(r"(?:`[^`]*`|[^|`])+", line) for line in lines if line.startswith("| `")]
    return [[re.findall(r"`([^`]+)`", cell) for cell in row if cell.strip()] for row in cells]


def test_readings():
    table = rows("## How it is read", "## How it is compared")
    assert len(table) >= 20
    for (gold, *_), equal, refused in table:
        for answer in equal:
            if (gold, answer) != ("50", r"50\%"):
                assert verify(f"\\boxed{{{answer}}}", gold).outcome is Outcome.CORRECT, (gold, answer)
        for answer in refused:
            assert verify(f"\\boxed{{{answer}}}", gold).outcome is Outcome.WRONG, (gold, answer)


def test_rules_are_of_the_closed_list():
    named = set(re.findall(r"\*\*([a-z_]+)\*\*", PAGE)) | set(re.findall(r"\| `([a-z_]+)`(?::| \||,)", PAGE))
    assert named - {"lenient"} <= set(RULES)
