"""Countdown: reach a target from given numbers with + - * /; generated, and solvable by construction."""

from __future__ import annotations

from dataclasses import dataclass

from r1gym.errors import ConfigError
from r1gym.tasks.procedural import MAX_TRIES, ProceduralSource, Stream, in_split, whole
from r1gym.types import Task

__all__ = ["COUNTDOWN", "CountdownConfig"]


@dataclass(frozen=True, slots=True)
class CountdownConfig:
    """How hard the problems are."""

    numbers: int = 4
    """How many numbers are given, 2 to 8; each must be used exactly once."""
    max_number: int = 99
    """The numbers are drawn from 1 to this, 2 to 9999."""
    max_target: int = 999
    """The target is from 1 to this, 10 to 1,000,000."""

    def __post_init__(self) -> None:
        whole("numbers", self.numbers, 2, 8)
        whole("max_number", self.max_number, 2, 9999)
        whole("max_target", self.max_target, 10, 1_000_000)


def make(config: CountdownConfig, split: str, seed: int, index: int) -> Task:
    """Item ``index`` of a split as a Task; the reference is ``{"numbers": [...], "target": n}``.

    ``meta["solution"]`` is the expression that the problem was built from, one of many that may be right.
    """
    stream = Stream(seed, index)
    for _ in range(MAX_TRIES):
        numbers = [1 + stream.below(config.max_number) for _ in range(config.numbers)]
        target, solution = _combine(numbers, stream)
        if target <= config.max_target and target not in numbers and in_split(split, numbers, target):
            break
    else:
        raise ConfigError(f"{config} has no problem in split {split!r}: raise max_target or max_number")
    listed = ", ".join(map(str, numbers))
    question = (
        f"Write an expression that equals {target}. Use each of the numbers {listed} exactly once, with the "
        f"operations +, -, *, / and parentheses, and no other number."
    )
    reference = {"numbers": numbers, "target": target}
    return Task(f"countdown/{split}/{seed}/{index}", "countdown", question, reference, {"solution": solution})


def _combine(numbers: list[int], stream: Stream) -> tuple[int, str]:
    """Join the numbers two at a time with random operations, so that every step is a positive integer."""
    pool = [(number, str(number)) for number in numbers]
    while len(pool) > 1:
        left, left_text = pool.pop(stream.below(len(pool)))
        right, right_text = pool.pop(stream.below(len(pool)))
        operation = "+-*/"[stream.below(4)]
        if operation == "-" and left > right:
            result = left - right
        elif operation == "*":
            result = left * right
        elif operation == "/" and left % right == 0:
            result = left // right
        else:
            operation, result = "+", left + right
        pool.append((result, f"({left_text}{operation}{right_text})"))
    return pool[0][0], pool[0][1][1:-1]


COUNTDOWN = ProceduralSource("countdown", "Countdown", "countdown", CountdownConfig, make)
