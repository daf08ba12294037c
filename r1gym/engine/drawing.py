"""Launches the sampling kernels of `drawing_kernels.py`: logits to tokens, log-probabilities and moved-on slots."""

from __future__ import annotations

import math

import torch

from r1gym.engine.race import BLOCK
from r1gym.engine.slots import COUNT, SEED, Slots
from r1gym.types import Sampling

__all__ = ["draw_and_advance"]


def draw_and_advance(
    logits_SV: torch.Tensor,
    slots: Slots,
    stops: torch.Tensor,
    sampling: Sampling,
    scores_SV: torch.Tensor | None = None,
) -> None:
    """What ``Slots.advance`` does with what ``race`` draws, in two kernels (three where something is cut off)."""
    from r1gym.engine import drawing_kernels as kernels

    count, vocabulary = logits_SV.shape
    logits_SV = logits_SV.contiguous()
    judged_SV = logits_SV if scores_SV is None else scores_SV.contiguous()
    device = logits_SV.device
    blocks = -(-vocabulary // BLOCK)
    greedy = sampling.temperature == 0
    inverse = 1.0 / (sampling.temperature or 1.0)
    cuts = not greedy and bool(sampling.top_k or sampling.top_p < 1 or sampling.min_p)
    low_S = torch.empty(count, dtype=torch.long, device=device)
    if cuts:
        kernels.cut[(count,)](
            judged_SV,
            low_S,
            vocabulary,
            inverse,
            float(min(sampling.top_k, vocabulary)),
            sampling.top_p,
            math.log(sampling.min_p) if sampling.min_p else 0.0,
            TOP_K=sampling.top_k > 0,
            TOP_P=sampling.top_p < 1,
            MIN_P=sampling.min_p > 0,
            BV=min(16384, _power(vocabulary)),
            num_warps=16,
        )
    floats = torch.empty(count, blocks, 4, device=device)
    places = torch.empty(count, blocks, dtype=torch.int32, device=device)
    state, tables = slots.state, slots.tables
    kernels.block_race[(count, blocks)](
        logits_SV, judged_SV, state[SEED], state[COUNT], low_S, floats, places, vocabulary, blocks, inverse,
        GREEDY=greedy, CUT=cuts, PENALISED=scores_SV is not None, BLOCK=BLOCK, num_warps=4,
    )  # fmt: skip
    kernels.advance[(count,)](
        floats, places, state, tables, slots.tokens_X, slots.logprobs_X, stops, vocabulary, blocks, state.shape[1],
        tables.shape[1], len(stops), BB=_power(blocks), BS=_power(len(stops)), num_warps=1,
    )  # fmt: skip


def _power(number: int) -> int:
    return 1 << max(number - 1, 0).bit_length()
