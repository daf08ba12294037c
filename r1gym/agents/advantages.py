"""From the rewards of a group to advantages.

Axes: P tasks, G completions of one task. ``valid_PG`` is False where a completion could not be judged (UNGRADABLE):
it counts in no mean and gets advantage 0, so it moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

__all__ = ["ADVANTAGES", "centred", "group_normalised", "leave_one_out", "zero_variance"]

EPSILON = 1e-4
"""Added to the standard deviation of a group (the paper's formula has none; two equal rewards need it)."""


def _moments(rewards_PG: torch.Tensor, valid_PG: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Deviation from the group's mean [P, G], count of valid completions [P, 1], sample deviation [P, 1].

    In float64: there the mean of equal float32 rewards is that reward to the bit, so that their deviation is 0.
    """
    rewards_PG, valid = rewards_PG.double().masked_fill(~valid_PG, 0.0), valid_PG.double()
    count_P1 = valid.sum(dim=1, keepdim=True)
    mean_P1 = rewards_PG.sum(dim=1, keepdim=True) / count_P1.clamp(min=1)
    centred_PG = (rewards_PG - mean_P1) * valid
    std_P1 = (centred_PG.square().sum(dim=1, keepdim=True) / (count_P1 - 1).clamp(min=1)).sqrt()
    return centred_PG, count_P1, std_P1


def group_normalised(rewards_PG: torch.Tensor, valid_PG: torch.Tensor) -> torch.Tensor:
    """A = (r - mean_G r) / (std_G r + 1e-4), std over n - 1. GRPO: arXiv 2402.03300, section 4.1.2.

    Returns:
        [P, G]; exactly 0 in a group whose rewards are all equal.
    """
    centred_PG, _, std_P1 = _moments(rewards_PG, valid_PG)
    return (centred_PG / (std_P1 + EPSILON)).to(rewards_PG.dtype)


def centred(rewards_PG: torch.Tensor, valid_PG: torch.Tensor) -> torch.Tensor:
    """A = r - mean_G r. Dr. GRPO: arXiv 2503.20783, equation 3. Returns [P, G]."""
    return _moments(rewards_PG, valid_PG)[0].to(rewards_PG.dtype)


def leave_one_out(rewards_PG: torch.Tensor, valid_PG: torch.Tensor) -> torch.Tensor:
    """A_i = r_i - mean of the *other* rewards = n / (n - 1) · (r_i - mean). RLOO: arXiv 2402.14740. Returns [P, G]."""
    centred_PG, count_P1, _ = _moments(rewards_PG, valid_PG)
    return (centred_PG * count_P1 / (count_P1 - 1).clamp(min=1)).to(rewards_PG.dtype)


ADVANTAGES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "group": group_normalised,
    "centred": centred,
    "rloo": leave_one_out,
}
"""Advantage estimators by name: (rewards_PG, valid_PG) → advantages_PG. All of them compare within a group."""


def zero_variance(rewards_PG: torch.Tensor, valid_PG: torch.Tensor) -> torch.Tensor:
    """[P] bool: the valid rewards of a group are all equal, so it teaches nothing."""
    low_P = rewards_PG.masked_fill(~valid_PG, float("inf")).amin(dim=1)
    high_P = rewards_PG.masked_fill(~valid_PG, float("-inf")).amax(dim=1)
    return high_P <= low_P
