"""Generated tasks: item = f(config, split, seed, index), a pure function; splits are disjoint by construction."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from r1gym.errors import ConfigError, unknown_name
from r1gym.tasks.taskset import ProceduralTaskSet, TaskSet
from r1gym.types import Task

__all__ = ["MAX_TRIES", "SIZES", "ProceduralSource", "Stream", "in_split", "mix", "whole"]

MASK = 0xFFFFFFFFFFFFFFFF
GOLDEN = 0x9E3779B97F4A7C15

SIZES: dict[str, int] = {"train": 1_000_000, "test": 10_000, "sample": 10}
"""Items of each split of a procedural set. Small settings repeat problems within a split, never between splits."""

# Of ten equally likely classes of a problem, those that belong to each split.
CLASSES: dict[str, tuple[int, int]] = {"test": (0, 2), "sample": (2, 3), "train": (3, 10)}

MAX_TRIES = 10_000
"""Draws before a setting counts as too small to fill a split; with ten classes a fair setting needs about 10."""


def mix(value: int) -> int:
    """64 well-mixed bits of ``value``: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    value &= MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & MASK
    return value ^ (value >> 31)


class Stream:
    """SplitMix64 begun by (seed, index): 0.5 µs a draw, where random.Random needs 10 µs to start."""

    __slots__ = ("state",)

    def __init__(self, seed: int, index: int) -> None:
        self.state = mix(mix(seed + GOLDEN) + index * GOLDEN)

    def below(self, bound: int) -> int:
        """An integer in range(bound); the bias is at most bound / 2**64."""
        self.state = (self.state + GOLDEN) & MASK
        return (mix(self.state) * bound) >> 64


def in_split(split: str, numbers: list[int], extra: int = 0) -> bool:
    """Whether the problem about these ``numbers`` belongs to ``split``: one answer for each order of the numbers.

    So ``17+25`` cannot be trained on while ``25+17`` is held out.
    """
    total = squares = 0
    for number in numbers:
        total += number
        squares += number * number
    low, high = CLASSES[split]
    return low <= mix(total * GOLDEN + squares * 0xD1B54A32D192ED03 + extra * 0x8CB92BA72F3D8DD7) % 10 < high


@dataclass(frozen=True, slots=True)
class ProceduralSource:
    """A generator of tasks, its dials (a frozen dataclass) and the function that makes one item."""

    name: str
    title: str
    domain: str
    config: type[Any]
    make: Callable[[Any, str, int, int], Task]
    """(config, split, seed, index) -> Task, whose id is ``<name>/<split>/<seed>/<index>``."""
    stored: Callable[[Any, str], TaskSet | None] | None = None
    """(config, split) -> the set that a dial asks for instead of generated tasks; reads nothing yet."""

    def dials(self) -> tuple[str, ...]:
        """Names of the dials."""
        return tuple(field.name for field in dataclasses.fields(self.config))

    def configure(self, dials: Mapping[str, Any]) -> Any:
        """The configuration with these dials turned; ConfigError on a bad value, with the near miss of a bad name."""
        for name in dials:
            if name not in self.dials():
                raise unknown_name(f"option of {self.title}", name, self.dials())
        return self.config(**dials)

    def tasks(self, config: Any, split: str, seed: int = 0) -> TaskSet:
        """All items of one split."""
        if split not in SIZES:
            raise unknown_name(f"split of {self.title}", split, SIZES)
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ConfigError(f"task_seed must be an int from 0, got {seed!r}")
        if self.stored is not None and (found := self.stored(config, split)) is not None:
            return found
        make = self.make
        return ProceduralTaskSet(
            self.name, split, SIZES[split], lambda i: make(config, split, seed, i), f"{self.name}/{split}/{seed}/"
        )


def whole(name: str, value: object, low: int, high: int) -> None:
    """ConfigError unless the dial ``name`` is an int from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ConfigError(f"{name} must be an int from {low} to {high}, got {value!r}")
