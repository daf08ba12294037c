"""`r1gym verify`: one verdict on the screen, with what was read on both sides and which rung decided."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tyro
from tyro.conf import Positional

from r1gym.errors import ConfigError
from r1gym.types import Outcome, Task, Verdict
from r1gym.verifiers import forms
from r1gym.verifiers.domains import Grader, prepare
from r1gym.verifiers.extract import extract
from r1gym.verifiers.gold import clean, read_answer
from r1gym.verifiers.items import Item
from r1gym.verifiers.math import MathGrader
from r1gym.verifiers.reasons import RULES, Refused

__all__ = ["RUNGS", "VerifyConfig", "main", "reading"]

RUNGS = (
    ("same_text", "spelled alike"),
    ("integer", "integers by value"),
    ("canonical", "canonical forms"),
    ("probed", "random points, 60 digits"),
    ("symbolic", "computer algebra in a worker"),
)
"""The ladder that a single value climbs, cheap to dear."""


@dataclass(frozen=True)
class VerifyConfig:
    """Judge one completion against a gold answer; exit status 0 if it is right, 1 if not."""

    completion: Positional[str]
    """What the model wrote; - reads it from stdin. A text without any answer form is taken as the answer itself."""
    reference: Positional[str] = ""
    """The gold. Of "language": the language's code. Of "code": JSON {"tests": [{"input": "7", "output": "49"}]}.
    Of "choice": a letter, or {"answer": "C", "options": […]}. "format" needs none."""
    domain: str = "math"
    """Which verifier judges."""
    extraction: str = "lenient"
    """How the final answer is found: lenient, strict:boxed, strict:answer, strict:####."""
    type: str = "auto"
    """What the gold is (math only): auto, integer, expression, tuple, interval, set, text, …"""
    explain: bool = False
    """Show how both sides were read and every rung that was tried."""


def _spelled(value: forms.Value) -> str:
    """A canonical form for a person: roots and products with their own signs."""
    text = re.sub(r"#(\d+)\^1/2", r"√\1", forms.key(value))
    text = re.sub(r"#(\d+)\^(-?[\d/]+)", r"\1^(\2)", text).replace("@", "").replace("ln#", "ln ")
    return re.sub(r"\^1(?![\d/])", "", text).replace("*", "·").replace("+-", "-")


def reading(item: Item) -> str:
    """How an answer was read, in a line."""
    if item.kind == "value":
        value = _spelled(item.value) if item.value is not None else f"no canonical form ({item.refusal[1]})"
        unit = (
            "" if item.unit is None else " in units of " + ("·".join(f"{b}^{p}" for b, p in item.unit.dimension) or "1")
        )
        return value + unit
    if item.kind in ("text", "base", "ellipsis"):
        return f"{item.kind} {item.tag}" if item.kind == "text" else f"{item.kind} {item.tag}: {item.value}"
    if item.kind == "reals" and item.reals is not None:
        return "reals " + " ∪ ".join(_interval(one) for one in item.reals.intervals)
    return f"{item.kind} {item.tag}".rstrip() + " of " + "; ".join(reading(part) for part in item.parts)


def _interval(one: tuple[forms.Value | None, bool, forms.Value | None, bool]) -> str:
    low, low_closed, high, high_closed = one
    left = "-∞" if low is None else _spelled(low)
    right = "∞" if high is None else _spelled(high)
    return f"{'[' if low_closed else '('}{left}, {right}{']' if high_closed else ')'}"


def _wrapped(config: VerifyConfig) -> tuple[str, str]:
    """The text to judge, and a note where it had no answer form and was put in a box."""
    text = sys.stdin.read() if config.completion == "-" else config.completion
    if config.domain != "math" or config.extraction != "lenient" or len(text) > 200 or "\n" in text.strip():
        return text, ""
    if extract(text).rule != "no_final_answer":
        return text, ""
    return f"\\boxed{{{text}}}", "no answer form in the text: the whole text is taken as the answer"


def _reference(config: VerifyConfig) -> Any:
    """The gold as its verifier takes it: structured ones are written as JSON."""
    if config.domain != "code" and not (config.domain == "choice" and config.reference.lstrip().startswith("{")):
        return config.reference
    try:
        return json.loads(config.reference)
    except ValueError as error:
        raise ConfigError(
            f"the gold of domain {config.domain!r} is JSON, got {config.reference!r:.60} ({error}); for example "
            '{"tests": [{"input": "7", "output": "49"}]}'
        ) from error


def main(argv: Sequence[str]) -> int:
    """Run the verb with the arguments after it; 0 for CORRECT, 1 for everything else."""
    config = tyro.cli(VerifyConfig, args=argv, prog="r1gym verify")
    text, note = _wrapped(config)
    task = Task("command-line", config.domain, "", _reference(config))
    options = {"type": config.type} if config.domain == "math" else {}
    grader = prepare(task, extraction=config.extraction, **options)
    verdict = grader.grade(text)
    _print(config, grader, text, verdict, note)
    return 0 if verdict.outcome is Outcome.CORRECT else 1


_COLOURS = {Outcome.CORRECT: "green", Outcome.WRONG: "red", Outcome.NO_ANSWER: "yellow"}


def _print(config: VerifyConfig, grader: Grader, text: str, verdict: Verdict, note: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    rule, _, detail = verdict.reason.partition(": ")
    colour = _COLOURS.get(verdict.outcome, "magenta")
    console.print(Text(f"{verdict.outcome.name}  score {verdict.score:g}", style=f"bold {colour}"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for span in verdict.spans:
        before, inside, after = (
            text[max(0, span.start - 40) : span.start],
            text[span.start : span.end],
            text[span.end :],
        )
        table.add_row("found in", Text.assemble(before, (inside, f"bold {colour}"), after[:40]))
    if verdict.extracted:
        table.add_row("answer", Text(verdict.extracted))
    if config.reference:
        table.add_row("gold", Text(config.reference))
    table.add_row("rule", Text(f"{rule}: {detail}"))
    table.add_row("", Text(RULES.get(rule, ""), style="dim"))
    if note:
        table.add_row("note", Text(note))
    if config.explain and isinstance(grader, MathGrader):
        for name, value in _explained(grader, verdict, rule):
            table.add_row(name, Text(value))
    console.print(table)


def _explained(grader: MathGrader, verdict: Verdict, rule: str) -> list[tuple[str, str]]:
    """How both sides were read, and the rungs up to the one that decided."""
    rows: list[tuple[str, str]] = []
    gold = grader.gold
    rows.append(("gold read as", gold.kind if gold.item is None else reading(gold.item)))
    if gold.item is not None and verdict.extracted:
        try:
            for item in read_answer(clean(verdict.extracted), gold):
                rows.append(("answer read as", reading(item)))
        except Refused as refusal:
            rows.append(("answer refused", f"{refusal.rule}: {refusal.detail}"))
    names = [name for name, _ in RUNGS]
    if rule in names:
        reached = names.index(rule)
        for index, (name, meaning) in enumerate(RUNGS[: reached + 1]):
            decided = f"decided {verdict.outcome.name}" if index == reached else "did not decide"
            rows.append(("rung" if index == 0 else "", f"{name} ({meaning}): {decided}"))
    return rows
