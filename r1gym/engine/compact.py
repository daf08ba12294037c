"""The compact path: an own forward pass for Llama-like models, over pages, in torch operations.

On GPUs `decoding.py` runs the same arithmetic in five Triton kernels a layer.
Axes: T tokens of several prompts one behind the other, S slots, C hidden size, H query heads, D head width.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import torch

from r1gym.engine.attention import flash, flash_fits, paged_attention, write_pages
from r1gym.engine.cache import PAGE
from r1gym.engine.fused import FusedLayer, FusedModel, fuse
from r1gym.engine.pages import PagePool
from r1gym.engine.parts import norm, rms_norm, rotate, swiglu, turn
from r1gym.engine.sending import send

__all__ = ["CompactForward"]


class CompactForward:
    """Prefill and decoding of one model whose weights are fused."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.weights = fuse(model)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Layers, key-value heads and head width: what a page holds."""
        return len(self.weights.layers), self.weights.kv_heads, self.weights.width

    @property
    def stale(self) -> bool:
        """The model has changed under the engine."""
        return self.weights.stale(self.model)

    def prefill(self, prompts: list[tuple[int, ...]], pages: list[list[int]], pool: PagePool) -> None:
        """Write the keys and values of each prompt into its pages."""
        w, device = self.weights, pool.data.device
        lengths = [len(prompt) for prompt in prompts]
        places = [place for length in lengths for place in range(length)]
        owners = [own[place // PAGE] for own, length in zip(pages, lengths, strict=True) for place in range(length)]
        ids_T, positions_T, pages_T = send([[t for prompt in prompts for t in prompt], places, owners], device)
        bounds = send([0, *accumulate(lengths)], device, torch.int32)
        offsets_T = positions_T % PAGE
        cos, sin = w.cos[positions_T], w.sin[positions_T]
        x = w.embed[ids_T]
        for number, layer in enumerate(w.layers):
            q, k, v = project(w, layer, x, cos, sin)
            pool.data[pages_T, number, :, :, offsets_T] = torch.stack((k, v), 1)
            if number + 1 < len(w.layers):  # of the last layer only keys and values are wanted
                x = finish(w, layer, x, _causal(q, k, v, lengths, bounds))

    def decode(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, tables_SM: torch.Tensor, pool: PagePool
    ) -> torch.Tensor:
        """Logits [S, V] after each slot's token, whose keys and values are stored on the way."""
        w = self.weights
        positions_S, tables_SM = positions_S.long(), tables_SM.long()
        x = w.embed[tokens_S]
        cos, sin = w.cos[positions_S], w.sin[positions_S]
        for number, layer in enumerate(w.layers):
            q, k, v = project(w, layer, x, cos, sin)
            write_pages(pool.data, number, k, v, positions_S, tables_SM)
            attended = paged_attention(q, pool.data, number, positions_S, tables_SM, w.width**-0.5)
            x = finish(w, layer, x, attended)
        return rms_norm(x, w.norm, w.eps) @ w.head.T


def project(
    w: FusedModel, layer: FusedLayer, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries, keys and values [T, heads, D], positions applied."""
    hidden = torch.nn.functional.linear(norm(x, layer.norm_in, w.eps), layer.qkv, layer.qkv_bias)
    hidden = hidden.view(len(x), -1, w.width)
    q, k, v = torch.split(hidden, [w.heads, w.kv_heads, w.kv_heads], dim=1)
    if layer.norm_q is not None and layer.norm_k is not None:
        q, k = rms_norm(q, layer.norm_q, w.eps), rms_norm(k, layer.norm_k, w.eps)
        return rotate(q, cos, sin), rotate(k, cos, sin), v
    q, k, v = torch.split(turn(hidden, w.heads + w.kv_heads, cos, sin, 1.0), [w.heads, w.kv_heads, w.kv_heads], dim=1)
    return q, k, v


def finish(w: FusedModel, layer: FusedLayer, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
    """The rest of a layer after attention."""
    x = x + attended.reshape(len(x), -1) @ layer.o.T
    return x + swiglu(norm(x, layer.norm_mid, w.eps) @ layer.gate_up.T) @ layer.down.T


def _causal(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, lengths: list[int], bounds: torch.Tensor
) -> torch.Tensor:
    """Causal attention inside each prompt of a packed row."""
    if flash_fits(q):
        return flash(q, k, v, bounds, bounds, max(lengths), max(lengths), causal=True)[0]
    parts = []
    for q_one, k_one, v_one in zip(*(torch.split(part, lengths) for part in (q, k, v)), strict=True):
        part = torch.nn.functional.scaled_dot_product_attention(
            q_one.transpose(0, 1)[None],
            k_one.transpose(0, 1)[None],
            v_one.transpose(0, 1)[None],
            is_causal=True,
            enable_gqa=True,
        )
        parts.append(part[0].transpose(0, 1))
    return torch.cat(parts)
