"""Candidate completions around a reference, one of them right, and what can honestly be seen of them as numbers."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from r1gym.tasks.procedural import Stream
from r1gym.types import Task

__all__ = ["Candidate", "features", "make_candidates", "width"]

Candidate = tuple[str, int]
"""The answer as text, and its value."""

NUMBERS = 6
"""Numbers of a question that are looked at, in reading order."""
LARGEST = 10**30
NEAR = 10
"""Distance at which nearness is one half."""
OPERATIONS = ("+", "-", "*", "/")
_NUMBER = re.compile(r"\d+")
_PER_QUESTION = NUMBERS + len(OPERATIONS)
_PER_CANDIDATE = 1 + 3 + NUMBERS


def make_candidates(task: Task, count: int, spread: int, seed: int) -> list[Candidate] | None:
    """``count`` different integers in random order, one of them the reference; a pure function of its arguments.

    Neighbours stand at random distances of 1 to ``spread`` and the reference's rank is uniform: where it is as likely
    as the integers around it, the candidates alone, without the question, do not give it away.

    Returns:
        None where the reference is no integer of up to 18 digits.
    """
    if not re.fullmatch(r"-?\d{1,18}", str(task.reference)):
        return None
    key = hashlib.blake2b(f"{seed}\x1f{task.id}".encode(), digest_size=8).digest()
    stream = Stream(int.from_bytes(key, "big") >> 1, 0)
    places = [0]
    for _ in range(count - 1):
        places.append(places[-1] + 1 + stream.below(spread))
    lowest = int(task.reference) - places[stream.below(count)]
    found = [(str(lowest + place), lowest + place) for place in places]
    for place in range(count - 1, 0, -1):
        other = stream.below(place + 1)
        found[place], found[other] = found[other], found[place]
    return found


def width(count: int) -> int:
    """Entries of the feature vector for ``count`` candidates."""
    return _PER_QUESTION + _PER_CANDIDATE * count


def features(question: str, values: Sequence[int]) -> NDArray[np.float32]:
    """What a reader of the question and of the candidates can compute; the reference is not among the arguments.

    All in [-1, 1]. For the question: its first six numbers (sign · log(1 + |n|) / 70, 0 for none), and how often each
    of + - * / stands between them (at most 3, over 3). For each candidate c: its own size, and nearness
    10 / (10 + |c - f|) to f = the sum of the numbers, the first less the others, their product, and each number. Which
    of these matters is left to be learned.

    Returns:
        float32, shape [width(len(values))].
    """
    numbers = [min(int(digits[:31]), LARGEST) for digits in _NUMBER.findall(question)[:NUMBERS]]
    signs = [min(len(re.findall(pattern, question)), 3) / 3 for pattern in (r"\+", r"[-−]", r"[*×·]", r"[/÷]")]
    row = [*(_size(number) for number in numbers), *[0.0] * (NUMBERS - len(numbers)), *signs]
    combined: list[Any] = [sum(numbers), numbers[0] - sum(numbers[1:]), math.prod(numbers)] if numbers else [None] * 3
    goals = [*combined, *numbers, *[None] * (NUMBERS - len(numbers))]
    for value in values:
        row.append(_size(value))
        row += [0.0 if goal is None else NEAR / (NEAR + abs(value - goal)) for goal in goals]
    return np.array(row, dtype=np.float32)


def _size(number: int) -> float:
    return math.copysign(min(math.log1p(abs(number)) / 70, 1.0), number)
