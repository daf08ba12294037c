"""How much pass@1 moves with the wording of the prompt, on the same tasks: range, standard deviation, and chance.

Axes: W wordings, N tasks, k samples of each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from r1gym.errors import ConfigError
from r1gym.evals.intervals import mean_interval
from r1gym.evals.metrics import Estimate
from r1gym.evals.samples import Sample
from r1gym.types import Outcome

__all__ = ["Sensitivity", "sensitivity"]


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """pass@1 of one policy on the same tasks, asked in several wordings."""

    wordings: Mapping[str, Estimate]
    """Name of each wording → its pass@1 over the ``tasks`` tasks."""
    tasks: int
    """Tasks with a sample that could be graded in every wording; the others are left out of all."""
    mean: float
    """Of pass@1 over the wordings."""
    lowest: float
    highest: float
    range: float
    """``highest`` − ``lowest``."""
    standard_deviation: float
    """Of pass@1 over the wordings, with W − 1 in the denominator."""
    by_chance: float
    """The standard deviation to expect if the wording made no difference to any task: sampling alone."""


def sensitivity(groups: Mapping[str, Mapping[int, Sequence[Sample]]], level: float = 0.95) -> Sensitivity:
    r"""Compare the wordings.

    With c_wi right of the n_wi graded samples of task i in wording w, pass@1 of a wording is 1/N Σ_i c_wi / n_wi. If
    the wording made no difference, the samples of a task would be draws of one distribution, whose variance s_i² =
    p_i (1 − p_i) m_i / (m_i − 1) is estimated from all m_i = Σ_w n_wi of them, p_i = Σ_w c_wi / m_i. The variance of a
    pass@1 is then 1/N² Σ_i s_i² / n_wi, and ``by_chance`` is the root of its mean over the wordings.

    Args:
        groups: For each wording the samples of each task, by the task's index.
        level: Coverage of the intervals.

    Raises:
        ConfigError: Fewer than two wordings, or no task with a graded sample in every one.
    """
    if len(groups) < 2:
        raise ConfigError(f"the effect of the wording needs at least 2 wordings, got {len(groups)}")
    counts = {name: {index: _counts(group) for index, group in tasks.items()} for name, tasks in groups.items()}
    graded = [{index for index, (_, n) in tasks.items() if n} for tasks in counts.values()]
    common = sorted(set.intersection(*graded))
    if not common:
        raise ConfigError("no task has a sample that could be graded in every wording: nothing to compare")
    wordings = {}
    for name, tasks in counts.items():
        shares = [tasks[index][0] / tasks[index][1] for index in common]
        wordings[name] = Estimate(mean(shares), *mean_interval(shares, level), len(shares))
    values = [each.value for each in wordings.values()]
    return Sensitivity(
        wordings,
        len(common),
        mean(values),
        min(values),
        max(values),
        max(values) - min(values),
        stdev(values),
        _by_chance(list(counts.values()), common),
    )


def _counts(group: Sequence[Sample]) -> tuple[int, int]:
    """Right samples, and graded ones."""
    graded = [each for each in group if each.verdict is not Outcome.UNGRADABLE]
    return sum(each.verdict is Outcome.CORRECT for each in graded), len(graded)


def _by_chance(counts: Sequence[Mapping[int, tuple[int, int]]], common: Sequence[int]) -> float:
    variances = [0.0] * len(counts)
    for index in common:
        right, drawn = (sum(tasks[index][place] for tasks in counts) for place in (0, 1))
        share = right / drawn
        variance = share * (1 - share) * drawn / (drawn - 1)
        for wording, tasks in enumerate(counts):
            variances[wording] += variance / tasks[index][1] / len(common) ** 2
    return math.sqrt(mean(variances))
