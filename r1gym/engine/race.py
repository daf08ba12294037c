"""Drawing tokens by an exponential race with counter-based noise: the torch statement of what the GPU kernels do.

Every (seed, step, vocabulary entry) has its own random number, so a sequence's draws depend neither on its neighbours
nor on the order of work, and a captured graph can be replayed. Axes: S slots, V vocabulary, B blocks of 4 entries.
"""

from __future__ import annotations

import torch

from r1gym.types import Sampling

__all__ = ["noise", "philox", "race", "truncate"]

ROUNDS = 10
BLOCK = 2048
"""Vocabulary entries that one program of the GPU kernel reads; it fixes which counter an entry has."""


def philox(key_S1: torch.Tensor, counter0: torch.Tensor, counter1: torch.Tensor) -> list[torch.Tensor]:
    """Philox-4x32-10 (Salmon et al. 2011, section 3.3): four 32-bit words for a 64-bit key and two counters.

    Words are kept in int64; the other two counters are 0.
    """
    word = 0xFFFFFFFF
    key0, key1 = key_S1 & word, (key_S1 >> 32) & word
    c0, c1 = counter0 + 0 * counter1, counter1 + 0 * counter0
    c2, c3 = torch.zeros_like(c0), torch.zeros_like(c0)
    for _ in range(ROUNDS):
        high_a, low_a = _multiply(0xD2511F53, c0)
        high_b, low_b = _multiply(0xCD9E8D57, c2)
        c0, c1, c2, c3 = high_b ^ c1 ^ key0, low_b, high_a ^ c3 ^ key1, low_a
        key0, key1 = (key0 + 0x9E3779B9) & word, (key1 + 0xBB67AE85) & word
    return [c0, c1, c2, c3]


def _multiply(constant: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """High and low word of a 32 by 32 bit product, which would overflow int64 in one piece."""
    low_part, high_part = constant * (x & 0xFFFF), constant * (x >> 16)
    middle = (low_part >> 16) + high_part
    return middle >> 16, ((middle & 0xFFFF) << 16) | (low_part & 0xFFFF)


def noise(seeds_S: torch.Tensor, counts_S: torch.Tensor, vocabulary: int) -> torch.Tensor:
    """Gumbel noise [S, V], float32: -log(E) with E exponential.

    The uniform number has 32 bits and lies near 0 for small E, where float32 is fine-grained: rare tokens are drawn
    as often as they should be.
    """
    device, quarter = seeds_S.device, BLOCK // 4
    blocks = -(-vocabulary // BLOCK)
    # Word j of counter i of a block belongs to entry j * BLOCK / 4 + i of that block.
    counters = min(quarter, vocabulary)
    places_BI = torch.arange(blocks, device=device)[:, None] * quarter + torch.arange(counters, device=device)
    words = philox(seeds_S[:, None], places_BI.flatten()[None, :], counts_S[:, None])
    if vocabulary <= quarter:
        bits_SV = words[0]
    else:
        by_word = torch.stack([word.view(len(seeds_S), blocks, quarter) for word in words], dim=2)
        bits_SV = by_word.flatten(1)[:, :vocabulary]
    uniform_SV = (bits_SV.float() + 0.5) * 2.0**-32
    series_SV = uniform_SV * (1 + uniform_SV * (0.5 + uniform_SV * (1 / 3)))
    exponential_SV = torch.where(uniform_SV < 1e-3, series_SV, -torch.log((1 - uniform_SV).clamp(min=2.0**-25)))
    return -torch.log(exponential_SV)


def truncate(scaled_SV: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The lowest scaled logit [S] that stays: the highest of the limits that top-k, top-p and min-p set."""
    low_S = torch.full_like(scaled_SV[:, 0], -torch.inf)
    if sampling.top_k:
        kept = min(sampling.top_k, scaled_SV.shape[1])
        low_S = scaled_SV.topk(kept, dim=-1).values[:, -1]
    if sampling.top_p < 1:
        # As usual, top-p looks at what top-k has left.
        kept_SV = scaled_SV.masked_fill(scaled_SV < low_S[:, None], -torch.inf)
        sorted_SV = torch.softmax(kept_SV, dim=-1).sort(dim=-1, descending=True)
        before_SV = sorted_SV.values.cumsum(dim=-1) - sorted_SV.values
        last_S = (before_SV < sampling.top_p).sum(dim=-1) - 1
        edge_S = scaled_SV.gather(1, sorted_SV.indices.gather(1, last_S[:, None]))[:, 0]
        low_S = torch.maximum(low_S, edge_S)
    if sampling.min_p > 0:
        floor = torch.log(torch.tensor(sampling.min_p, device=scaled_SV.device))
        low_S = torch.maximum(low_S, scaled_SV.amax(dim=-1) + floor)
    return low_S


def race(
    logits_SV: torch.Tensor,
    seeds_S: torch.Tensor,
    counts_S: torch.Tensor,
    sampling: Sampling,
    scores_SV: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a token a slot, by the penalised logits ``scores_SV`` where they are given.

    Returns:
        Token ids [S], and their log-probabilities [S] in nats at this temperature before any penalty or truncation
        (at temperature 1 where greedy): what the trainer computes again.
    """
    scaled_SV = logits_SV.float() / (sampling.temperature or 1.0)
    judged_SV = scaled_SV if scores_SV is None else scores_SV / (sampling.temperature or 1.0)
    racing_SV = judged_SV
    if sampling.temperature > 0:
        racing_SV = judged_SV + noise(seeds_S, counts_S, judged_SV.shape[1])
        racing_SV = racing_SV.masked_fill(judged_SV < truncate(judged_SV, sampling)[:, None], -torch.inf)
    tokens_S = racing_SV.argmax(dim=-1)
    return tokens_S, scaled_SV.gather(1, tokens_S[:, None])[:, 0] - torch.logsumexp(scaled_SV, dim=-1)
