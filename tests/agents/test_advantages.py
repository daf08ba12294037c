"""Advantage estimators against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch

from r1gym.agents.advantages import ADVANTAGES, centred, group_normalised, leave_one_out, zero_variance

ALL = torch.ones(1, 4, dtype=torch.bool)


def test_group_normalised_by_hand() -> None:
    # Rewards 1, 0, 0, 0: mean 1/4, deviations 3/4, -1/4, -1/4, -1/4; their squares sum to 12/16, over n - 1 = 3 that
    # is 1/4, so the standard deviation is 1/2 (over n it would be 0.433).
    got = group_normalised(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), ALL)
    assert got[0].tolist() == pytest.approx([0.75 / 0.5001, *[-0.25 / 0.5001] * 3], rel=1e-6)
    assert got.dtype == torch.float32


def test_centred_by_hand() -> None:
    got = centred(torch.tensor([[1.0, 0.0, 0.5, 0.5]]), ALL)  # mean 1/2
    assert got[0].tolist() == [0.5, -0.5, 0.0, 0.0]


def test_leave_one_out_by_hand() -> None:
    # Rewards 3, 0, 1, 2: the means of the others are 1, 2, 5/3, 4/3.
    got = leave_one_out(torch.tensor([[3.0, 0.0, 1.0, 2.0]]), ALL)
    assert got[0].tolist() == pytest.approx([2.0, -2.0, 1 - 5 / 3, 2 - 4 / 3], rel=1e-6)


def test_an_ungradable_completion_counts_in_no_mean() -> None:
    # Without the third the group is 1, 0, 0: mean 1/3, variance (4/9 + 1/9 + 1/9) / 2 = 1/3.
    rewards, valid = torch.tensor([[1.0, 0.0, 0.0, 0.0]]), torch.tensor([[True, True, False, True]])
    std = math.sqrt(1 / 3)
    assert group_normalised(rewards, valid)[0].tolist() == pytest.approx(
        [2 / 3 / (std + 1e-4), -1 / 3 / (std + 1e-4), 0.0, -1 / 3 / (std + 1e-4)], rel=1e-6
    )
    assert centred(rewards, valid)[0].tolist() == pytest.approx([2 / 3, -1 / 3, 0.0, -1 / 3], rel=1e-6)
    assert leave_one_out(rewards, valid)[0].tolist() == pytest.approx([1.0, -0.5, 0.0, -0.5], rel=1e-6)


@pytest.mark.parametrize("name", ADVANTAGES)
def test_what_an_ungradable_completion_was_paid_does_not_matter(name: str) -> None:
    valid = torch.tensor([[True, True, False, True]])
    one, two = (torch.tensor([[1.0, 0.0, odd, 0.5]]) for odd in (0.0, math.nan))
    assert torch.equal(ADVANTAGES[name](one, valid), ADVANTAGES[name](two, valid))


@pytest.mark.parametrize("name", ADVANTAGES)
@pytest.mark.parametrize("reward", [0.0, 1.0, 0.1, 0.3, 1 / 3, -0.7])
@pytest.mark.parametrize("size", [1, 3, 7, 16])
def test_equal_rewards_have_no_advantage_to_the_bit(name: str, reward: float, size: int) -> None:
    # In float32 the mean of 0.1, 0.1, 0.1 is not 0.1.
    got = ADVANTAGES[name](torch.full((1, size), reward), torch.ones(1, size, dtype=torch.bool))
    assert got.abs().max() == 0


@pytest.mark.parametrize("name", ADVANTAGES)
def test_groups_do_not_mix(name: str) -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.2, 0.4, 0.6, 0.9]])
    both = ADVANTAGES[name](rewards, torch.ones(2, 4, dtype=torch.bool))
    assert torch.equal(both[:1], ADVANTAGES[name](rewards[:1], ALL))
    assert torch.equal(both[1:], ADVANTAGES[name](rewards[1:], ALL))
    assert float(both.sum(dim=1).abs().max()) < 1e-5


def test_zero_variance_looks_at_valid_rewards_only() -> None:
    rewards = torch.tensor([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.5], [0.1, 0.1, 0.1]])
    valid = torch.tensor([[True, True, False], [True, True, True], [False, False, False], [True, True, True]])
    assert zero_variance(rewards, valid).tolist() == [True, False, True, True]
