"""Scorecards: JSON and text of one audit, the table over several, and whether a card is stale."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from r1gym.envs.audit.records import Scorecard

__all__ = ["as_text", "card_name", "state_of", "table", "write"]

_COLUMNS = ("id", "tasks", "pass", "fail", "not run", "false passes", "false fails", "UNGRADABLE caused", "other holes")


def card_name(env: str) -> str:
    """The file name of an environment's card."""
    return env.removeprefix("r1/").replace("/", "-") + ".json"


def as_text(card: Scorecard) -> str:
    """The card for a person: the two numbers apart, then one line a row, holes quoted under theirs."""
    total = card.total
    lines = [
        f"{card.env}  split {card.split}, {card.tasks} tasks, judged by {card.kind!r}, grader {card.grader}",
        f"  false passes  {total.false_passes} of {total.bad} completions that must not be paid",
        f"  false fails   {total.false_fails} of {total.good} completions that must be right",
        f"  UNGRADABLE caused by a completion {total.masked}, crashes {total.crashed}, over the deadline {total.slow}, "
        f"other holes {total.other}",
        "",
    ]
    for row in card.rows:
        counts = "" if row.status == "not run" else f"  ({row.tally.bad} bad, {row.tally.good} good)"
        lines.append(f"  {row.status:8}{row.number:3} {row.name}{counts}{': ' + row.why if row.why else ''}")
        for failure in row.failures:
            shown = {name: value[:160] for name, value in failure.items() if name != "kind"}
            lines.append(f"             {failure['kind']}: {json.dumps(shown, ensure_ascii=False)}")
        lines += [f"             {note}" for note in row.notes]
    return "\n".join(lines)


def table(cards: Sequence[dict[str, Any]]) -> str:
    """One Markdown row a card."""
    lines = [_COLUMNS, ("---",) * len(_COLUMNS)]
    for card in cards:
        rows, passes, fails = card["rows"], card["false_passes"], card["false_fails"]
        other = card["crashed"] + card["slow"] + card["other_holes"]
        lines.append(
            (f"`{card['env']}`", str(card["tasks"]), str(rows["pass"]), str(rows["fail"]), str(rows["not run"]),
             f"{passes['paid']} of {passes['of']:,}", f"{fails['refused']} of {fails['of']:,}",
             str(card["ungradable_by_completion"]), str(other))
        )  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(folder: Path, cards: Iterable[Scorecard]) -> None:
    """Write each card, and the table over all cards of the folder as ``README.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    for card in cards:
        text = json.dumps(card.as_json(), indent=1, ensure_ascii=True) + "\n"
        (folder / card_name(card.env)).write_text(text, encoding="utf-8")
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    said = (
        "# Scorecards\n\nWritten by `r1gym audit`; docs/audit.md says how to read one. Two numbers, never merged:\n"
        "wrong completions that were paid, right ones that were refused. Hash and command stand in each card.\n\n"
    )
    (folder / "README.md").write_text(said + table(found) + "\n", encoding="utf-8")


def state_of(path: Path, grader: str) -> str:
    """Say "current", or "stale: …" where the sources that grade have changed since the card was written."""
    card = json.loads(path.read_text(encoding="utf-8"))
    if card["grader"] == grader:
        return "current"
    return f"stale: graded by {card['grader']}, the sources are now {grader}; run {card['command']}"
