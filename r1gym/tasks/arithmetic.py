"""Arithmetic: generated sums, differences and products of whole numbers, graded by digits, operations and depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from r1gym.errors import ConfigError, unknown_name
from r1gym.tasks.procedural import MAX_TRIES, ProceduralSource, Stream, in_split, whole
from r1gym.types import Task

__all__ = ["ARITHMETIC", "ArithmeticConfig", "Problem", "expression", "problem", "value"]

OPERATIONS = ("+", "-", "*")
STYLES = ("bare", "words")


@dataclass(frozen=True, slots=True)
class ArithmeticConfig:
    """How hard the problems are and how they are put."""

    digits: int = 4
    """Digits of each operand, 1 to 12, no leading zero (one digit: 0 to 9)."""
    operations: Sequence[str] = ("+",)
    """Those of "+", "-", "*" that occur, each equally likely."""
    depth: int = 1
    """Operations in a problem, 1 to 16."""
    style: Literal["bare", "words"] = "bare"
    """"bare": ``5887+1597=``; "words": ``What is 5887 + 1597?``"""

    def __post_init__(self) -> None:
        whole("digits", self.digits, 1, 12)
        whole("depth", self.depth, 1, 16)
        if self.style not in STYLES:
            raise unknown_name("style", self.style, STYLES)
        if not isinstance(self.operations, (list, tuple)) or not self.operations:
            raise ConfigError(f"operations must be a list of some of {list(OPERATIONS)}, got {self.operations!r}")
        for operation in self.operations:
            if operation not in OPERATIONS:
                raise unknown_name("operation", operation, OPERATIONS)
        object.__setattr__(self, "operations", tuple(self.operations))


class Problem(NamedTuple):
    """One problem: ``operands[0] operators[0] operands[1] …`` and its value, products before sums."""

    operands: tuple[int, ...]
    operators: tuple[str, ...]
    result: int


def problem(config: ArithmeticConfig, split: str, seed: int, index: int) -> Problem:
    """Item ``index`` of a split: a pure function of its arguments, 5 to 20 µs.

    Raises:
        ConfigError: The setting has no problem that falls into ``split``.
    """
    stream = Stream(seed, index)
    below = stream.below
    low = 10 ** (config.digits - 1) if config.digits > 1 else 0
    span = 10**config.digits - low
    for _ in range(MAX_TRIES):
        operands = [low + below(span) for _ in range(config.depth + 1)]
        if in_split(split, operands):
            choices = config.operations
            operators = [choices[below(len(choices))] for _ in range(config.depth)]
            return Problem(tuple(operands), tuple(operators), value(operands, operators))
    raise ConfigError(f"{config} has no problem in split {split!r}: raise digits or depth")


def value(operands: Sequence[int], operators: Sequence[str]) -> int:
    """The value of ``operands[0] operators[0] operands[1] …``, products before sums and differences."""
    total, product, sign = 0, operands[0], 1
    for operator, operand in zip(operators, operands[1:], strict=True):
        if operator == "*":
            product *= operand
        else:
            total += sign * product
            product, sign = operand, 1 if operator == "+" else -1
    return total + sign * product


def expression(item: Problem, space: str = "") -> str:
    """The problem as a formula, with ``space`` around each operator."""
    parts = [str(item.operands[0])]
    for operator, operand in zip(item.operators, item.operands[1:], strict=True):
        parts.append(f"{space}{operator}{space}{operand}")
    return "".join(parts)


def make(config: ArithmeticConfig, split: str, seed: int, index: int) -> Task:
    """Item ``index`` of a split as a Task."""
    item = problem(config, split, seed, index)
    question = f"{expression(item)}=" if config.style == "bare" else f"What is {expression(item, ' ')}?"
    return Task(f"arithmetic/{split}/{seed}/{index}", "math", question, str(item.result))


ARITHMETIC = ProceduralSource("arithmetic", "Arithmetic", "math", ArithmeticConfig, make)
