"""Texts that break graders: NaN, torn markup, look-alike digits, numbers too large to compute."""

from __future__ import annotations

from collections.abc import Iterator

from r1gym.envs.audit.records import Probe
from r1gym.envs.audit.subject import Subject

__all__ = ["costly", "look_alikes", "not_numbers", "torn"]

COSTLY = (
    "9^{9^9}", "9^{9^{9^9}}", "100000!!", "((9!)!)!", "\\binom{10^9}{10^8}", "10^{10^{10}}",
    "\\sqrt[999999]{2^{999999}}",
    "\\int_0^1 x^{x^{x^x}} dx", "\\sum_{k=1}^{10^{12}} \\frac{1}{k}", "\\prod_{k=1}^{10^9} k", "(x+1)^{100000}",
    "\\lim_{n\\to\\infty} n!", "(((((((2^9)^9)^9)^9)^9)^9)^9)^9", "\\frac{1}{2^{10^9}}", "1e999999999", "9" * 100_000,
)  # fmt: skip


def not_numbers(subject: Subject) -> Iterator[Probe]:
    """Row 20: NaN, infinities, the right integer and a fraction."""
    answers = ["nan", "NaN", "inf", "Infinity", "-Infinity", "\\infty", "1/0", "\\frac{0}{0}", "None", "null"]
    if subject.integer is not None:
        answers += [f"{subject.right}.9", f"{subject.right}.0001", f"{subject.right}e1", f"{subject.right}i"]
        answers = [answer for answer in answers if not (subject.right == "0" and answer in ("0e1", "0i"))]
    for answer in answers:
        for slot in subject.slots(answer):
            yield Probe(slot, "unpaid", f"{answer[:12]} as answer")


def torn(subject: Subject) -> Iterator[Probe]:
    """Row 21: markup that is never closed or nested without end, control codes, surrogates, digits without end."""
    wrong = subject.wrong[0]
    for text in (
        "\\boxed{" * 3000, "\\boxed{" * 3000 + wrong + "}" * 3000, "}" * 3000, "</think>" * 1000, "</answer>" * 1000,
        "<answer>" * 3000, "<think>" * 3000, "\x00" * 100, f"\\boxed{{\x00{wrong}}}", "\ud800\\boxed{\udfff}",
        "\\boxed{\x1b[31m}", "\u202e\u2066" * 200, "9" * 200_000, f"\\boxed{{{'9' * 200_000}}}", "$" * 9999,
        "\\" * 9999, "\\frac{" * 1000, "\\left(" * 1000, "((((" * 2500, "\\begin{matrix}" * 500, "#### " * 3000,
        "\\boxed", "\\boxed{\\", "<answer", "\\boxed{{{{{}", "\ufeff", "\u2028" * 100, "🙂" * 1000,
    ):  # fmt: skip
        yield Probe(text, "unpaid", f"torn text {text[:16]!r}")


def look_alikes(subject: Subject) -> Iterator[Probe]:
    """Row 26: zero-width characters, full-width and Arabic digits: told, not judged; another value is unpaid."""
    right = subject.right
    if subject.integer is None:
        return
    wide = right.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    arabic = right.translate({ord("0") + digit: 0x0660 + digit for digit in range(10)})
    yield Probe(subject.box(wide), "stated", "full-width digits")
    yield Probe(subject.box(arabic), "stated", "Arabic-Indic digits")
    yield Probe(subject.box("\u200b".join(right)), "stated", "zero-width spaces between the digits")
    yield Probe(subject.box(f"{right}\u200b"), "stated", "a zero-width space after")
    wrong = subject.wrong[0].translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    yield Probe(subject.box(wrong), "unpaid", "a wrong answer in full-width digits")


def costly(subject: Subject) -> Iterator[Probe]:
    """Row 28: answers that no machine can compute are WRONG in time, never UNGRADABLE."""
    for answer in COSTLY:
        for slot in subject.slots(answer):
            yield Probe(slot, "unpaid", f"{answer[:24]} as answer")
