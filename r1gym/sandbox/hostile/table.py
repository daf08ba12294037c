"""What a hostile program is, the honest task that it is given, and the table of all of them."""

from __future__ import annotations

from dataclasses import dataclass

from r1gym.sandbox.records import Ruling
from r1gym.types import CallCase, Limits, StdioCase

__all__ = ["CALLS", "HONEST", "LIMITS", "STDIO", "Hostile", "all_programs"]

STDIO = (StdioCase("7\n", "49\n"),)
"""The honest task that every program is given: print the square of the number read."""
CALLS = (CallCase("square", (7,), 49),)
"""The same as a function."""
HONEST = "print(int(input()) ** 2)"
LIMITS = Limits(cpu_seconds=1.0, wall_seconds=3.0, memory_mb=64, output_mb=1, processes=12)


@dataclass(frozen=True, slots=True)
class Hostile:
    """One program, given the honest task, and the rulings that are right for it.

    A program that tries to get hold of something prints the right answer only if it was denied: AC means it held.
    """

    name: str
    source: str
    expect: tuple[Ruling, ...]
    language: str = "python"
    call: bool = False
    """Judged as a function problem."""


def all_programs() -> tuple[Hostile, ...]:
    """Every row. Imports all themes."""
    from r1gym.sandbox.hostile import cheating, compilers, files, kernel, memory, processes, streams

    themes = (processes, memory, files, streams, cheating, kernel, compilers)
    return tuple(row for theme in themes for row in theme.PROGRAMS)
