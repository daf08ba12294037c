"""Policy-gradient objectives as pure functions; every one is minimised.

Axes: B rows (one completion each), T tokens. Sums run over completion tokens only (``mask_BT``). The denominators
are those of the whole minibatch, over all micro-batches and processes: the losses of the parts add up to the loss of
the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

__all__ = ["LOSSES", "LossInputs", "clipped_share", "dapo", "dr_grpo", "grpo", "k3"]


@dataclass(frozen=True, slots=True)
class LossInputs:
    """What an objective is made of."""

    logprobs_BT: torch.Tensor
    """log π(token) of the policy that learns, with gradient."""
    old_logprobs_BT: torch.Tensor
    """log π(token) of the policy that sampled."""
    advantages_B: torch.Tensor
    mask_BT: torch.Tensor
    """True at completion tokens."""
    rows: int
    """Completions of the whole minibatch."""
    tokens: int
    """Completion tokens of the whole minibatch."""
    max_new_tokens: int
    """Token budget of a completion."""
    clip_low: float = 0.2
    clip_high: float = 0.2
    beta: float = 0.0
    """Weight of the KL term."""
    ref_logprobs_BT: torch.Tensor | None = None
    """log π_ref(token); needed where beta > 0."""
    credit_BT: torch.Tensor | None = None
    """Added to the advantage of single tokens (``agents/credit.py``); None adds nothing."""


def k3(logprobs_BT: torch.Tensor, ref_logprobs_BT: torch.Tensor) -> torch.Tensor:
    """exp(ref - log π) - (ref - log π) - 1 ≥ 0 in nats: unbiased for KL(π ‖ π_ref). arXiv 2402.03300, equation 4."""
    difference_BT = ref_logprobs_BT - logprobs_BT
    return torch.exp(difference_BT) - difference_BT - 1


def _advantages(x: LossInputs) -> torch.Tensor:
    """A of the completion, plus what passages add: [B, 1], or [B, T]."""
    advantages_B1 = x.advantages_B[:, None]
    return advantages_B1 if x.credit_BT is None else advantages_B1 + x.credit_BT


def _per_token(x: LossInputs) -> torch.Tensor:
    """-min(ρ A, clip(ρ, 1 - ε_low, 1 + ε_high) A) + β k3, [B, T], 0 outside the mask; ρ = π / π_old."""
    ratio_BT = torch.exp(x.logprobs_BT - x.old_logprobs_BT)
    clipped_BT = ratio_BT.clamp(1 - x.clip_low, 1 + x.clip_high)
    advantages_BT = _advantages(x)
    loss_BT = -torch.minimum(ratio_BT * advantages_BT, clipped_BT * advantages_BT)
    if x.ref_logprobs_BT is not None:
        loss_BT = loss_BT + x.beta * k3(x.logprobs_BT, x.ref_logprobs_BT)
    return loss_BT * x.mask_BT


def grpo(x: LossInputs) -> torch.Tensor:
    """Mean over completions of the mean over their tokens: 1/B Σ_b 1/T_b Σ_t. arXiv 2402.03300, equation 3."""
    lengths_B = x.mask_BT.sum(dim=1).clamp(min=1)
    return (_per_token(x).sum(dim=1) / lengths_B).sum() / x.rows


def dr_grpo(x: LossInputs) -> torch.Tensor:
    """Sum over tokens, divided by B · max_new_tokens: no bias to short right answers. arXiv 2503.20783, section 3.1."""
    return _per_token(x).sum() / (x.rows * x.max_new_tokens)


def dapo(x: LossInputs) -> torch.Tensor:
    """Mean over all tokens of the minibatch: Σ_bt / Σ_b T_b. arXiv 2503.14476, equation 8 (its ε_high is 0.28)."""
    return _per_token(x).sum() / x.tokens


LOSSES: dict[str, Callable[[LossInputs], torch.Tensor]] = {"grpo": grpo, "dr_grpo": dr_grpo, "dapo": dapo}
"""Objectives by name."""


def clipped_share(x: LossInputs) -> torch.Tensor:
    """Sum over tokens of [the clip cuts the gradient off]; divide by ``tokens`` for the share."""
    ratio_BT = torch.exp(x.logprobs_BT.detach() - x.old_logprobs_BT)
    advantages_BT = _advantages(x)
    cut_BT = ((ratio_BT > 1 + x.clip_high) & (advantages_BT > 0)) | ((ratio_BT < 1 - x.clip_low) & (advantages_BT < 0))
    return (cut_BT & x.mask_BT).sum()
