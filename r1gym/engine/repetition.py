"""Repetition control: what every slot has seen of the vocabulary, and what that takes off its logits.

Penalties change which token is drawn, never the log-probability that is kept: that stays the one the trainer computes
again, as with top-p. Axes: S slots, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from r1gym.types import Sampling

__all__ = ["count", "penalise", "remember"]

READ, DRAWN = 1, 2
"""An entry of ``seen_SV`` holds READ where the slot has read the token, plus DRAWN each time it has drawn it."""


def remember(seen_SV: torch.Tensor, slots: Sequence[int], texts: Sequence[Sequence[int]], fresh: bool) -> None:
    """Note what slots have read: their prompts (``fresh``, after which nothing else is known), or more text."""
    device = seen_SV.device
    if fresh:
        seen_SV.index_fill_(0, torch.tensor(list(slots), dtype=torch.long, device=device), 0)
    rows = [slot for slot, text in zip(slots, texts, strict=True) for _ in text]
    if rows:
        places = torch.tensor([rows, [token for text in texts for token in text]], device=device)
        seen_SV[places[0], places[1]] |= READ


def count(seen_SV: torch.Tensor, tokens_S: torch.Tensor, live_S: torch.Tensor) -> None:
    """Note the token that each live slot has drawn."""
    seen_SV.scatter_add_(1, tokens_S[:, None], (live_S[:, None] * DRAWN).to(seen_SV.dtype))


def penalise(logits_SV: torch.Tensor, seen_SV: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Logits [S, V] in float32 to draw from.

    ``repetition_penalty`` r: x / r where x > 0, else x * r, for every token read or drawn (Keskar et al. 2019, section
    4.1, which divides; negative logits are multiplied, as in transformers, so that r > 1 always takes away).
    Then x - frequency_penalty * n - presence_penalty * [n > 0] for n draws.
    """
    scores_SV = logits_SV.float()
    if sampling.repetition_penalty != 1:
        rate = sampling.repetition_penalty
        lower_SV = torch.where(scores_SV > 0, scores_SV / rate, scores_SV * rate)
        scores_SV = torch.where(seen_SV > 0, lower_SV, scores_SV)
    if sampling.frequency_penalty or sampling.presence_penalty:
        drawn_SV = seen_SV // DRAWN
        scores_SV = (
            scores_SV - sampling.frequency_penalty * drawn_SV - sampling.presence_penalty * (drawn_SV > 0).float()
        )
    return scores_SV
