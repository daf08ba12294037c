"""The Countdown checker: is the answer an expression over exactly the given numbers whose value is the target?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from r1gym.errors import ReferenceRefusedError, unknown_name
from r1gym.types import Span, Task, Verdict
from r1gym.verifiers.extract import extract

__all__ = ["CountdownGrader", "prepare"]

MAX_EXPRESSION = 400
"""Characters of the longest expression that is read; eight four-digit numbers in brackets need under 100."""
MAX_NUMBERS = 8

_TOKEN = re.compile(r"\s*([0-9]+|[-+*/()])")
_SPELLINGS = {
    "\\times": "*", "\\cdot": "*", "\\div": "/", "\\left": "", "\\right": "",
    "×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "$": "",
}  # fmt: skip


class _Unreadable(Exception):
    """The text is not an expression of integers, + - * / and parentheses."""


def _tokens(text: str) -> list[str]:
    """The tokens of ``text``; a closing ``= number`` is the caller's to cut."""
    if len(text) > MAX_EXPRESSION:
        raise _Unreadable(f"longer than {MAX_EXPRESSION} characters")
    tokens = []
    text = text.strip()
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise _Unreadable(f"{text[place:].strip()[:20]!r} is no number, operation or parenthesis")
        tokens.append(match.group(1))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens: sum := product (± product)*, product := atom (×÷ atom)*, no unary sign."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.place = 0

    def value(self) -> Fraction:
        result = self._sum()
        if self.place < len(self.tokens):
            raise _Unreadable(f"unexpected {self.tokens[self.place]!r}")
        return result

    def _next(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def _sum(self) -> Fraction:
        result = self._product()
        while self._next() in ("+", "-"):
            operation = self._take()
            operand = self._product()
            result = result + operand if operation == "+" else result - operand
        return result

    def _product(self) -> Fraction:
        result = self._atom()
        while self._next() in ("*", "/"):
            operation = self._take()
            operand = self._atom()
            if operation == "/" and operand == 0:
                raise _Unreadable("division by zero")
            result = result * operand if operation == "*" else result / operand
        return result

    def _atom(self) -> Fraction:
        token = self._take()
        if token.isdecimal():
            return Fraction(int(token))
        if token == "(":
            result = self._sum()
            if self._take() != ")":
                raise _Unreadable("a parenthesis is not closed")
            return result
        raise _Unreadable(f"expected a number, found {token or 'the end'!r}")

    def _take(self) -> str:
        token = self._next()
        self.place += 1
        return token


@dataclass(frozen=True, slots=True)
class CountdownGrader:
    """The given numbers and the target; nothing is ever passed to ``eval``."""

    numbers: tuple[int, ...]
    target: int
    extraction: str

    def grade(self, completion: str) -> Verdict:
        """CORRECT where every answer part uses each number exactly once and equals the target; never raises."""
        found = extract(completion, self.extraction)
        if not found.parts:
            return Verdict.no_answer(f"{found.rule}: {found.detail}")
        answer = ", ".join(found.parts)
        for part in found.parts:
            problem = self._problem(part)
            if problem:
                return Verdict.wrong(answer, problem, (Span(found.start, found.end, "answer", 0.0),))
        return Verdict.correct(answer, f"equal: {self.target}", (Span(found.start, found.end, "answer", 1.0),))

    def _problem(self, answer: str) -> str:
        """What is wrong with ``answer``, "" for nothing; ``expression = target`` is read too."""
        if len(answer) > MAX_EXPRESSION:
            return f"unreadable: longer than {MAX_EXPRESSION} characters"
        for spelling, plain in _SPELLINGS.items():
            answer = answer.replace(spelling, plain)
        expression, equals, stated = answer.partition("=")
        if equals and stated.strip() != str(self.target):
            return f"different: the answer itself states {stated.strip()[:20]!r}, the target is {self.target}"
        try:
            tokens = _tokens(expression)
            # Before anything is computed: it bounds the size of every value.
            used = sorted(token for token in tokens if token.isdecimal())
            if used != sorted(map(str, self.numbers)):
                return f"numbers: expected each of {list(self.numbers)} exactly once, found {', '.join(used) or 'none'}"
            result = _Parser(tokens).value()
        except _Unreadable as error:
            return f"unreadable: {error}"
        return "" if result == self.target else f"different: the value is {result}, the target is {self.target}"


def prepare(task: Task, extraction: str, **options: object) -> CountdownGrader:
    """The grader of a task whose reference is ``{"numbers": [...], "target": n}``."""
    for option in options:
        raise unknown_name("option of domain 'countdown'", option, ())
    reference = task.reference
    if not isinstance(reference, Mapping) or set(reference) != {"numbers", "target"}:
        raise ReferenceRefusedError(f'expected {{"numbers": [...], "target": n}}, got {reference!r:.80}')
    numbers, target = reference["numbers"], reference["target"]
    if not isinstance(numbers, (list, tuple)) or not 1 <= len(numbers) <= MAX_NUMBERS:
        raise ReferenceRefusedError(f"expected 1 to {MAX_NUMBERS} numbers, got {numbers!r:.80}")
    for number in (*numbers, target):
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 10**9:
            raise ReferenceRefusedError(f"expected integers from 0 to 999,999,999, got {number!r:.80}")
    return CountdownGrader(tuple(numbers), target, extraction)
