"""Seeded search: chains of mutations that keep a completion wrong must stay unpaid, those that keep it right paid."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from r1gym.envs.audit.records import Probe, RowResult
from r1gym.envs.audit.subject import Subject

__all__ = ["ANSWER_FREE", "MEANING_KEEPING", "search"]

Mutation = Callable[[str], str]
DEPTH = 4
"""Mutations in the longest chain."""

_WORK = "We write down what is given and work from there. "

ANSWER_FREE: dict[str, Mutation] = {
    "double": lambda text: f"{text}\n{text}",
    "bold": lambda text: f"**{text}**",
    "think": lambda text: f"<think>{text}</think>",
    "answer tags": lambda text: f"<answer>{text}</answer>",
    "box": lambda text: f"\\boxed{{{text}}}",
    "text": lambda text: f"\\text{{{text}}}",
    "dollars": lambda text: f"${text}$",
    "fence": lambda text: f"```\n{text}\n```",
    "json": lambda text: '{"answer": "' + text.replace('"', "'") + '"}',
    "final answer": lambda text: f"The final answer is {text}",
    "hashes": lambda text: f"{text}\n#### ",
    "empty box": lambda text: f"{text} \\boxed{{}}",
    "confident": lambda text: f"Certainly! {text}\nThis is correct.",
    "cut": lambda text: text[: max(1, len(text) * 2 // 3)],
    "reverse lines": lambda text: "\n".join(reversed(text.split("\n"))),
}
"""Mutations that put no answer into a text that has none."""

MEANING_KEEPING: dict[str, Mutation] = {
    "blank line before": lambda text: f"\n\n{text}",
    "blank lines after": lambda text: f"{text}\n\n",
    "work before": lambda text: f"{_WORK * 3}\n\n{text}",
    "heading": lambda text: f"## Solution\n\n{text}",
    "list before": lambda text: f"1. Read the problem.\n2. Solve it.\n\n{text}",
    "spaces": lambda text: f"   {text}   ",
    "no-break space": lambda text: f"\u00a0{text}",
    "line ends": lambda text: text.replace("\n", "\r\n"),
    "thought before": lambda text: text if "<think>" in text else f"<think>{_WORK}</think>\n{text}",
    "a number before": lambda text: text if text.startswith("<think>") else f"There are 3 steps.\n\n{text}",
    "rule": lambda text: f"---\n{text}",
    "table before": lambda text: f"| a | b |\n| --- | --- |\n| 1 | 2 |\n\n{text}",
    "prose formula": lambda text: text if text.startswith("<think>") else f"Note that $1+1=2$.\n\n{text}",
    "bom": lambda text: text if text.startswith("\ufeff") else f"\ufeff{text}",
    "trailing newline": lambda text: f"{text}\n",
}
"""Mutations that leave a right completion right."""


def search(subject: Subject, row: RowResult, seed: int, tries: int, run: Callable[[Subject, Probe], bool]) -> None:
    """Row 27: random chains from seeds without an answer, from wrong answers and from the right one.

    A chain that opens a hole is cut to the fewest mutations that still open it, and the recipe is kept.
    """
    draw = random.Random(f"{seed}/{subject.name}")
    bad = ["", "I do not know", "answer", "see above", subject.stated(subject.wrong[0])]
    if subject.kind != "choice":  # a question that is cut behind its first option is the constant A
        bad.append(subject.question)
    good = [subject.stated(subject.right), *(f"Thus {slot}" for slot in subject.slots(subject.right))]
    for _ in range(tries):
        chain = draw.choices(sorted(ANSWER_FREE), k=draw.randint(1, DEPTH))
        _try(subject, row, draw.choice(bad), chain, ANSWER_FREE, "unpaid", run)
        chain = draw.sample(sorted(MEANING_KEEPING), k=draw.randint(1, DEPTH))
        _try(subject, row, draw.choice(good), chain, MEANING_KEEPING, "right", run)


def _try(
    subject: Subject, row: RowResult, start: str, chain: Sequence[str], table: dict[str, Mutation], expect: str,
    run: Callable[[Subject, Probe], bool],
) -> None:  # fmt: skip
    if run(subject, Probe(_applied(start, chain, table), expect, "search: " + " + ".join(chain))):  # type: ignore[arg-type]
        return
    recipe = list(chain)
    for step in list(recipe):
        shorter = [one for one in recipe if one != step]
        verdict = subject.grade(_applied(start, shorter, table)).verdict
        if (verdict == "CORRECT") == (expect == "unpaid"):
            recipe = shorter
    row.notes.append(f"recipe: {start[:60]!r} + {' + '.join(recipe) or 'nothing'}")


def _applied(text: str, chain: Sequence[str], table: dict[str, Mutation]) -> str:
    for name in chain:
        text = table[name](text)
    return text
