"""Learning-rate schedules as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

__all__ = ["SCHEDULES", "learning_rate", "set_learning_rate"]

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
}
"""Factor on the peak rate as a function of the share of the steps after warm-up that are done, in [0, 1)."""


def learning_rate(peak: float, step: int, steps: int, warmup: int, schedule: str) -> float:
    """The rate of step ``step`` of ``steps`` (from 0): a linear rise over ``warmup`` steps, then the schedule."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * SCHEDULES[schedule]((step - warmup) / max(steps - warmup, 1))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the rate ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate
