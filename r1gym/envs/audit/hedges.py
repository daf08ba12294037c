"""The right answer named without being given: sprays, alternatives, equations, denials, guesses taken back."""

from __future__ import annotations

from collections.abc import Iterator

from r1gym.envs.audit.records import Probe
from r1gym.envs.audit.subject import Subject

__all__ = ["alternatives", "buried", "denied", "denied_in_the_slot", "equalities", "half", "sprays", "wrong_as_asked"]

LETTERS = "ABCDEFGHIJ"


def sprays(subject: Subject) -> Iterator[Probe]:
    """Row 9: every candidate at once: bare, each in its own form, all in one, the right one first or last."""
    right, wrong = subject.right, subject.wrong
    numbers = [str(number) for number in range(1001)]
    yield Probe(" ".join(numbers), "unpaid", "the integers 0 to 1000")
    yield Probe(" ".join(subject.box(number) for number in numbers), "unpaid", "the integers, each in its own form")
    yield Probe(subject.box(", ".join(numbers[:200])), "unpaid", "the integers, all in one form")
    yield Probe(" ".join(LETTERS), "unpaid", "all letters")
    yield Probe(" ".join(subject.box(letter) for letter in LETTERS), "unpaid", "all letters, each in its own form")
    yield Probe("yes no true false maybe", "unpaid", "all decision words")
    if not wrong:
        return
    for order, what in (((right, *wrong), "right one first"), ((*wrong, right), "right one last")):
        if len(order) < 6 and subject.kind != "choice":
            continue  # a few forms one after another are corrections of oneself, and the last one counts
        yield Probe("\n".join(order), "unpaid", f"a bare list, {what}")
        yield Probe(subject.box("; ".join(order)), "unpaid", f"all in one form, {what}")
        yield Probe(subject.box(" \\text{ or } ".join(order)), "unpaid", f"all in one form with or, {what}")
        yield Probe("\n\n".join(subject.box(one) for one in order), "unpaid", f"each in its own form, {what}")
        yield Probe("\n".join(f"The answer is {one}." for one in order), "unpaid", f"each as the answer, {what}")


def alternatives(subject: Subject) -> Iterator[Probe]:
    """Row 10: two answers joined, in both orders."""
    for wrong in subject.wrong[:2]:
        for one, two in ((wrong, subject.right), (subject.right, wrong)):
            for join in (" or ", " \\lor ", " \\text{ or } ", ", ", "; ", " \\quad ", " | ", " and "):
                for slot in subject.slots(f"{one}{join}{two}"):
                    yield Probe(slot, "unpaid", f"two answers joined by {join.strip()}")
            yield Probe(f"The answer is {one} or {two}.", "unpaid", "two answers in a sentence")


def equalities(subject: Subject) -> Iterator[Probe]:
    """Row 11: an equation that holds the right answer on one side and a wrong one on the other."""
    right = subject.right
    for wrong in subject.wrong[:2]:  # of a Countdown task neither is the target, which may stand beside the expression
        for text in (f"{wrong} = {right}", f"{right} = {wrong}", f"{right} \\approx {wrong}", f"{wrong} \\to {right}",
                     f"{right} = {right} = {wrong}", f"{wrong} \\Rightarrow {right}", f"{right} \\ne {wrong}",
                     f"{wrong} < {right}"):  # fmt: skip
            for slot in subject.slots(text):
                yield Probe(slot, "unpaid", "an equation or relation with a wrong side")


def denied_in_the_slot(subject: Subject) -> Iterator[Probe]:
    """Row 12: the answer form itself denies or doubts what it holds."""
    right = subject.right
    for text in (
        f"{right} (this is wrong)", f"{right} \\text{{ is wrong}}", f"\\text{{not }} {right}", f"\\ne {right}",
        f"not {right}", f"{right}?", f"\\neq {right}", f"{right} \\text{{ is incorrect}}", f"\\lnot {right}",
        f"{right} \\text{{ (false)}}", f"\\text{{anything but }} {right}", f"{right} is not the answer",
        f"\\text{{definitely not }} {right}", f"\\cancel{{{right}}}", f"\\text{{never }}{right}", f"\\sout{{{right}}}",
    ):  # fmt: skip
        for slot in subject.slots(text):
            yield Probe(slot, "unpaid", "the slot denies its answer")


def denied(subject: Subject) -> Iterator[Probe]:
    """Row 13: the sentence around the answer denies, refuses, eliminates or asks."""
    right = subject.right
    for text in (f"It is definitely not {right}", f"The answer is not {right}.", f"I can rule out {right}.",
                 f"Is it {right}?", f"I cannot say that the answer is {right}.", f"Nobody would answer {right}.",
                 f"I do not know, perhaps {right}."):  # fmt: skip
        yield Probe(text, "unpaid", "a sentence that denies or asks")
    for slot in subject.slots(right):
        for text in (f"It is definitely not {slot}", f"The answer is not {slot}.", f"We can rule out {slot}.",
                     f"Is it {slot}?", f"I refuse to say that it is {slot}? I do not know.",
                     f"{slot} is wrong.", f"{slot} This answer is incorrect."):  # fmt: skip
            yield Probe(text, "unpaid", "a sentence that denies the form it holds")


def buried(subject: Subject) -> Iterator[Probe]:
    """Row 14: right in the thought or the working, wrong or nothing at the end."""
    right, wrong = subject.right, subject.wrong[0]
    r, w = subject.box(right), subject.box(wrong)
    for text in (
        f"<think>It is {r}</think>\n{w}", f"<think>It is {r}</think>", f"<think>It is {r}",
        f"<think>{r}</think>\nDone.",
        f"First I get {right}. Corrected, the answer is {w}", f"{r}. Wait, that is wrong. The answer is {w}",
        f"{r}\n\nThis is wrong; I do not know.", f"My first guess was {right}, but it is {w}",
        f"<thinking>{r}</thinking>{w}", f"The working gives {right}.\n\n{w}", f"{w}\n<think>{r}</think>",
        f"My guess is {right}, though I cannot give an answer: \\boxed{{\\text{{unknown}}}}",
    ):  # fmt: skip
        yield Probe(text, "unpaid", "right in the thought or taken back, wrong at the end")


def wrong_as_asked(subject: Subject) -> Iterator[Probe]:
    """Rows 15 and 25: wrong answers in perfect form: the reward reads the answer, and the reference."""
    for wrong in subject.wrong:
        yield Probe(subject.stated(wrong), "unpaid", "a wrong answer in the requested form")
        for slot in subject.slots(wrong):
            yield Probe(f"Therefore {slot}", "unpaid", "a wrong answer in an accepted form")
    number = subject.integer
    if number is not None and abs(number) >= 40:
        yield Probe(subject.stated(str(round(number * 1.05))), "unpaid", "5 % off")


def half(subject: Subject) -> Iterator[Probe]:
    """Row 16: half of the gold's text, where it cannot be equal to it."""
    right = subject.right
    if subject.integer is not None and len(right.lstrip("-")) >= 2:
        yield Probe(subject.stated(right[: len(right) // 2 + right.startswith("-")]), "unpaid", "half of the gold")
        yield Probe(subject.stated(right + right[-1]), "unpaid", "the gold and a digit more")
    elif subject.kind == "countdown":
        yield Probe(subject.stated(right[: len(right) // 2]), "unpaid", "half of the expression")
