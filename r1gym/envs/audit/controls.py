"""Positive controls: right answers in the dress that models give them, which must be CORRECT."""

from __future__ import annotations

from collections.abc import Iterator

from r1gym.envs.audit.records import Probe
from r1gym.envs.audit.subject import Subject

__all__ = ["format_named_in_prose", "gold_as_asked", "gold_in_other_dress", "repeated_and_torn"]

FILLER = "We look at each case in turn and keep what is left. "


def gold_as_asked(subject: Subject) -> Iterator[Probe]:
    """Row 1: the gold in the form that the prompt asks for, and in each form that the extraction accepts."""
    yield Probe(subject.stated(subject.right), "right", "gold in the requested form")
    for slot in subject.slots(subject.right):
        yield Probe(f"Therefore {slot}", "right", "gold in an accepted form")


def gold_in_other_dress(subject: Subject) -> Iterator[Probe]:
    """Row 2: white space, line ends, headings, long reasoning, closing sentences, ornaments in the slot."""
    asked = subject.stated(subject.right)
    dress = {
        "blank lines around": f"\n\n{asked}\n\n\n",
        "CRLF": f"First line.\r\n{asked}\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
        "tabs and spaces around": f"\t  {asked}  \t",
    }
    yield from (Probe(text, "right", what) for what, text in dress.items())
    for slot in subject.slots(subject.right):
        yield Probe(f"## Solution\n\n{slot}", "right", "a heading before")
        yield Probe(f"{FILLER * 200}\n\n{slot}", "right", "10,000 characters of reasoning before")
        yield Probe(f"<think>{FILLER * 20}</think>\n\n{slot}", "right", "a thought before")
        if not slot.startswith("####"):
            yield Probe(f"{slot}\n\nThat completes the solution.", "right", "a sentence after")
            yield Probe(f"**Answer:** {slot}", "right", "a bold label before")
            yield Probe(f"So we have {slot}.", "right", "a full stop after")
    for answer, what in ((f" {subject.right} ", "spaces in the slot"), (f"\n{subject.right}\n", "lines in the slot")):
        for slot in subject.slots(answer):
            if not slot.startswith("####"):
                yield Probe(slot, "right", what)
    if subject.extraction == "lenient":
        for slot in (
            f"**\\boxed{{{subject.right}}}**",
            f"$$\\boxed{{{subject.right}}}$$",
            f"\\[\\boxed{{{subject.right}}}\\]",
        ):
            yield Probe(f"We get {slot}", "right", "bold or display around the box")
        if subject.kind != "countdown":
            yield Probe(f"\\boxed{{${subject.right}$}}", "right", "dollars in the slot")
            yield Probe(f"\\boxed{{{subject.right}\u00a0}}", "right", "a no-break space in the slot")


def format_named_in_prose(subject: Subject) -> Iterator[Probe]:
    """Row 22: the form is named in a sentence, beside the filled one; an empty last form is refused."""
    if subject.extraction not in ("lenient", "strict:boxed"):
        return
    box = f"\\boxed{{{subject.right}}}"
    yield Probe(f"I must put the answer in \\boxed{{}}. Here it is: {box}", "right", "the empty form named before")
    yield Probe(f"{box} is inside \\boxed{{}} as you asked.", "right", "the empty form named after")
    yield Probe(f"The instructions ask for \\boxed{{...}} at the end.\n\n{box}", "right", "a placeholder named before")
    yield Probe("I must put the answer in \\boxed{}.", "no answer", "only the empty form")


def repeated_and_torn(subject: Subject) -> Iterator[Probe]:
    """Row 23: one box many times is one answer; two boxes, and a second one that is never closed, are not."""
    right, wrong = subject.right, subject.wrong[0]
    if subject.extraction in ("lenient", "strict:boxed"):
        yield Probe("\n".join([f"\\boxed{{{right}}}"] * 200), "right", "the same box 200 times")
        yield Probe(f"\\boxed{{{right}}} and \\boxed{{{wrong}}}", "unpaid", "two different boxes")
        yield Probe(f"\\boxed{{{wrong}}} and \\boxed{{{right}}}", "unpaid", "two different boxes, right last")
        yield Probe(f"\\boxed{{{right}}} so \\boxed{{{wrong}", "unpaid", "a full box, then one never closed")
        yield Probe(f"\\boxed{{{right}", "unpaid", "a box never closed")
    if subject.integer is not None:
        yield Probe(subject.box(f"{right}, {right}"), "unpaid", "two values where one is asked")
        yield Probe(subject.box(f"{right} \\approx {wrong}"), "unpaid", "two values said to be near")
        yield Probe(subject.box(f"{right}, \\ldots, {wrong}"), "unpaid", "an open range")
