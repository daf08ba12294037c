"""Objectives, their denominators and their gradients against numbers worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from r1gym.agents.losses import LOSSES, LossInputs, clipped_share, dapo, dr_grpo, grpo, k3


def inputs(ratios: list[list[float]], advantages: list[float], mask: list[list[int]], **options: Any) -> LossInputs:
    """π / π_old = ``ratios`` at tokens whose π_old is 1/2."""
    old = torch.full((len(ratios), len(ratios[0])), math.log(0.5))
    mask_BT = torch.tensor(mask, dtype=torch.bool)
    return LossInputs(
        logprobs_BT=(old + torch.tensor(ratios).log()).requires_grad_(),
        old_logprobs_BT=old,
        advantages_B=torch.tensor(advantages),
        mask_BT=mask_BT,
        rows=options.pop("rows", len(ratios)),
        tokens=options.pop("tokens", int(mask_BT.sum())),
        max_new_tokens=options.pop("max_new_tokens", 10),
        **options,
    )


# Two completions of 1 and 3 tokens, every ratio 1, advantages 2 and -1: the tokens' losses are -2 | 1, 1, 1.
TWO: dict[str, Any] = {
    "ratios": [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]],
    "advantages": [2.0, -1.0],
    "mask": [[0, 1, 0, 0], [0, 1, 1, 1]],
}


def test_grpo_is_the_mean_of_the_means() -> None:
    assert grpo(inputs(**TWO)).item() == pytest.approx((-2 / 1 + 3 / 3) / 2)  # -0.5


def test_dr_grpo_divides_by_the_budget() -> None:
    assert dr_grpo(inputs(**TWO)).item() == pytest.approx((-2 + 3) / (2 * 10))  # 0.05


def test_dapo_is_the_mean_over_tokens() -> None:
    assert dapo(inputs(**TWO)).item() == pytest.approx((-2 + 3) / 4)  # 0.25


def test_parts_of_a_minibatch_add_up_with_its_denominators() -> None:
    for loss in LOSSES.values():
        whole = loss(inputs(**TWO))
        parts = [
            loss(inputs([TWO["ratios"][b]], [TWO["advantages"][b]], [TWO["mask"][b]], rows=2, tokens=4)) for b in (0, 1)
        ]
        assert sum(part.item() for part in parts) == pytest.approx(whole.item())


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        # -min(ρA, clip(ρ, 0.8, 1.3)A), and its slope by log π, -ρA or 0 where the clip holds.
        (1.0, 1.0, -1.0, -1.0),
        (1.2, 1.0, -1.2, -1.2),
        (2.0, 1.0, -1.3, 0.0),  # good and already likelier: clipped above
        (0.5, 1.0, -0.5, -0.5),  # good and unlikelier: not clipped
        (0.5, -1.0, 0.8, 0.0),  # bad and already unlikelier: clipped below
        (2.0, -1.0, 2.0, 2.0),  # bad and likelier: not clipped
    ],
)
def test_the_clip_holds_on_one_side_of_each_sign(ratio: float, advantage: float, loss: float, slope: float) -> None:
    x = inputs([[1.0, ratio]], [advantage], [[0, 1]], clip_low=0.2, clip_high=0.3)
    value = grpo(x)
    value.backward()
    assert value.item() == pytest.approx(loss)
    assert x.logprobs_BT.grad is not None
    assert x.logprobs_BT.grad[0].tolist() == pytest.approx([0.0, slope])
    assert clipped_share(x).item() == (slope == 0.0)


def test_only_completion_tokens_count() -> None:
    for loss in LOSSES.values():
        # The second token has a ratio of 5 and stands outside the mask.
        x = inputs([[1.0, 5.0, 1.0]], [1.0], [[0, 0, 1]])
        loss(x).backward()
        assert x.logprobs_BT.grad is not None
        assert x.logprobs_BT.grad[0, :2].tolist() == [0.0, 0.0]
        assert x.logprobs_BT.grad[0, 2] < 0
    assert clipped_share(inputs([[1.0, 5.0, 1.0]], [1.0], [[0, 0, 1]])).item() == 0


def test_k3_by_hand() -> None:
    # π = 1/2, π_ref = 1/4: with r = π_ref / π = 1/2, r - log r - 1 = 0.5 + 0.6931 - 1 = 0.1931.
    logprobs = torch.tensor([math.log(0.5)], requires_grad=True)
    value = k3(logprobs, torch.tensor([math.log(0.25)]))
    value.backward()
    assert value.item() == pytest.approx(0.5 + math.log(2) - 1, abs=1e-6)
    # d/d log π (r - log r - 1) = 1 - r = 1/2: descending makes the token less likely, towards the reference.
    assert logprobs.grad is not None and logprobs.grad.item() == pytest.approx(0.5)
    assert k3(torch.tensor([-1.0]), torch.tensor([-1.0])).item() == 0.0


def test_k3_is_unbiased_for_kl() -> None:
    pi, ref = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    kl = (pi * (pi / ref).log()).sum()
    assert (pi * k3(pi.log(), ref.log())).sum().item() == pytest.approx(kl.item(), rel=1e-5)


def test_beta_weighs_the_kl_term() -> None:
    # One token, ratio 1, advantage 2, k3 = 0.1931 as above (π = 1/2): -2 + 0.1 · 0.1931.
    reference = torch.tensor([[0.0, math.log(0.25)]])
    x = inputs([[1.0, 1.0]], [2.0], [[0, 1]], beta=0.1, ref_logprobs_BT=reference)
    assert grpo(x).item() == pytest.approx(-2 + 0.1 * (0.5 + math.log(2) - 1), abs=1e-6)
