"""Limits as they are applied: checked before anything runs, and multiplied by a time factor."""

from __future__ import annotations

import math
from dataclasses import replace

from r1gym.errors import ConfigError
from r1gym.types import Limits

__all__ = ["apply"]

_MOST_SECONDS = 1e6  # a poll's timeout is a C integer of milliseconds
_MOST_COUNT = {"memory_mb": 1 << 30, "output_mb": 1 << 16, "processes": 1 << 15}


def _check_seconds(name: str, value: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 < value <= _MOST_SECONDS:
        raise ConfigError(f"{name} must be a number of seconds above 0 and at most {_MOST_SECONDS:g}, got {value!r}")


def apply(limits: Limits, factor: float = 1.0) -> Limits:
    """``limits`` with times multiplied by ``factor``. Raises ConfigError for a limit under which nothing can run.

    Where the wall limit was left at its default, it grows to the CPU limit: who gives a minute of CPU means it.
    """
    if not isinstance(limits, Limits):
        raise ConfigError(f"limits must be Limits(cpu_seconds=…, …), got {type(limits).__name__} {limits!r:.60}")
    for name, most in _MOST_COUNT.items():
        count = getattr(limits, name)
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= most:
            raise ConfigError(f"{name} must be a whole number from 1 to {most}, got {count!r}")
    wall = limits.wall_seconds
    for name, value in (("cpu_seconds", limits.cpu_seconds), ("wall_seconds", wall), ("time_factor", factor)):
        _check_seconds(name, value)
    if wall == Limits().wall_seconds:
        wall = max(wall, limits.cpu_seconds)
    applied = replace(limits, cpu_seconds=limits.cpu_seconds * factor, wall_seconds=wall * factor)
    _check_seconds("wall_seconds with its time factor", applied.wall_seconds)
    _check_seconds("cpu_seconds with its time factor", applied.cpu_seconds)
    return applied
