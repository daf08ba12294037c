"""Drawing tokens from logits, with a random stream of its own for every sequence.

Axes: S slots (sequences being sampled), V vocabulary.
"""

from __future__ import annotations

import torch

__all__ = ["draw", "uniform"]

BLOCK = 1024
"""Entries of a large vocabulary that are summed up together."""


def uniform(seeds_S: torch.Tensor, counters_S: torch.Tensor) -> torch.Tensor:
    """One float64 in [0, 1) a slot, a pure function of (seed, counter): SplitMix64 (Steele et al. 2014, fig. 16).

    A sequence's draws thus do not depend on its neighbours, its slot or the order of work. int64 arithmetic wraps
    around, which is what the generator needs; its logical right shifts are arithmetic shifts with the sign cut off.

    Args:
        seeds_S: int64, one a sequence.
        counters_S: int64, how many tokens the sequence has drawn before.
    """

    def shift(x: torch.Tensor, bits: int) -> torch.Tensor:
        return (x >> bits) & ((1 << (64 - bits)) - 1)

    x = seeds_S + (counters_S + 1) * -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number
    x = (x ^ shift(x, 30)) * -4658895280553007687  # 0xBF58476D1CE4E5B9
    x = (x ^ shift(x, 27)) * -7723592293110705685  # 0x94D049BB133111EB
    x = x ^ shift(x, 31)
    return shift(x, 11).double() * 2.0**-53


def draw(
    logits_SV: torch.Tensor,
    uniform_S: torch.Tensor,
    temperature: float,
    top_p: float,
    top_k: int,
    min_p: float = 0.0,
    scores_SV: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a token a slot by inverting the cumulative distribution.

    Args:
        logits_SV: The model's logits.
        uniform_S: A number in [0, 1) a slot.
        temperature: Divides the logits; 0 takes the most probable token.
        top_p: Mass of the most probable tokens that is kept.
        top_k: Count of the most probable tokens that is kept (with all that tie with the last); 0 keeps all.
        min_p: Tokens below this share of the most probable one's probability are dropped; 0 keeps all.
        scores_SV: Penalised logits; where given, they decide what is drawn.

    Returns:
        Token ids [S], and their log-probabilities [S] in nats at this temperature *before* any token is penalised or
        dropped (at temperature 1 where greedy): what the trainer computes again. NaN where the logits hold NaN or
        +infinity.
    """
    logprobs_SV = torch.log_softmax(logits_SV.float() / (temperature or 1.0), dim=-1)
    if temperature == 0:
        tokens_S = (logits_SV if scores_SV is None else scores_SV).argmax(dim=-1)
    else:
        judged_SV = logprobs_SV if scores_SV is None else torch.log_softmax(scores_SV / temperature, dim=-1)
        tokens_S = _invert(_keep(judged_SV.exp(), top_p, top_k, min_p), uniform_S)
    return tokens_S, logprobs_SV.gather(1, tokens_S[:, None])[:, 0]


def _keep(probs_SV: torch.Tensor, top_p: float, top_k: int, min_p: float) -> torch.Tensor:
    """Zero all but the most probable tokens; the rest is not normalised again (``_invert`` scales)."""
    if top_k:
        kth_S1 = probs_SV.topk(min(top_k, probs_SV.shape[1]), dim=-1).values[:, -1:]
        probs_SV = probs_SV.masked_fill(probs_SV < kth_S1, 0.0)
    if top_p < 1:
        sorted_SV, order_SV = probs_SV.sort(dim=-1, descending=True)
        # The mass before a token decides: the token that crosses top_p is the last one kept.
        before_SV = sorted_SV.cumsum(dim=-1) - sorted_SV
        dropped_SV = before_SV >= top_p * sorted_SV.sum(dim=-1, keepdim=True)
        probs_SV = torch.zeros_like(probs_SV).scatter(1, order_SV, sorted_SV.masked_fill(dropped_SV, 0.0))
    if min_p:  # last, as in `race.py` and in transformers: top-p looks at the mass that top-k has left
        probs_SV = probs_SV.masked_fill(probs_SV < min_p * probs_SV.amax(dim=-1, keepdim=True), 0.0)
    return probs_SV


def _invert(probs_SV: torch.Tensor, uniform_S: torch.Tensor) -> torch.Tensor:
    if probs_SV.shape[1] > 4 * BLOCK:
        return _invert_in_blocks(probs_SV, uniform_S)
    cumulative_SV = probs_SV.double().cumsum(dim=-1)
    total_S = cumulative_SV[:, -1]
    # Strictly below the total, so that the first entry above it is a token with mass.
    target_S = torch.minimum(uniform_S * total_S, torch.nextafter(total_S, torch.zeros_like(total_S)))
    found_S = torch.searchsorted(cumulative_SV, target_S[:, None], right=True)[:, 0]
    # Among NaN nothing is found: a valid index lets the caller see the NaN (on CUDA a wrong one kills the process).
    return found_S.clamp(max=probs_SV.shape[1] - 1)


def _invert_in_blocks(probs_SV: torch.Tensor, uniform_S: torch.Tensor) -> torch.Tensor:
    """``_invert`` for a large vocabulary: first the block that the number falls into, then the entry."""
    short = -probs_SV.shape[1] % BLOCK
    blocks_SKB = torch.nn.functional.pad(probs_SV, (0, short)).view(len(probs_SV), -1, BLOCK)
    edges_SK = blocks_SKB.sum(dim=-1, dtype=torch.float64).cumsum(dim=-1)
    total_S = edges_SK[:, -1]
    target_S1 = torch.minimum(uniform_S * total_S, torch.nextafter(total_S, torch.zeros_like(total_S)))[:, None]
    block_S1 = torch.searchsorted(edges_SK, target_S1, right=True).clamp(max=edges_SK.shape[1] - 1)
    rows_S = torch.arange(len(probs_SV), device=probs_SV.device)
    inside_SB = blocks_SKB[rows_S, block_S1[:, 0]].double().cumsum(dim=-1)
    before_S1 = torch.where(block_S1 > 0, edges_SK.gather(1, (block_S1 - 1).clamp(min=0)), 0.0)
    # The sums of blocks and of entries may differ in the last bit: never beyond the last entry with mass.
    within_S1 = torch.minimum(
        target_S1 - before_S1, torch.nextafter(inside_SB[:, -1:], torch.zeros_like(inside_SB[:, -1:]))
    )
    found_S = torch.searchsorted(inside_SB, within_S1, right=True)[:, 0] + block_S1[:, 0] * BLOCK
    return found_S.clamp(max=probs_SV.shape[1] - 1)
