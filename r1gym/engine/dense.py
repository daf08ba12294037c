"""The compact path on CPUs: fused weights, laid out for the processor while sampling, over one dense cache.

Pages would have to be gathered for every step on a CPU; a dense cache is read where it lies.
Axes: B prompts, T tokens, S slots, G key-value heads, R = query heads / G, D head width, L positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from r1gym.engine.cache import SlotCache
from r1gym.engine.fused import fuse
from r1gym.engine.parts import rms_norm, rotate, swiglu

__all__ = ["DenseForward"]

FEWEST_STEPS = 48
"""Laying the weights out anew takes as long as some fifteen steps gain by it."""
PACKED_ROWS = range(4, 48)
"""Rows for which oneDNN's own layout of the matrices wins: the products of one step of SmolLM2-135M take 49 instead of
61 ms with 4 rows, 56 of 82 with 8, 90 of 103 with 32, and no less with 1, 2 or 64 (two cores with AVX-512)."""


class DenseForward:
    """Prefill and decoding of one model whose weights are fused."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.weights = fuse(model)
        self._packed: dict[int, torch.Tensor] = {}

    @property
    def stale(self) -> bool:
        """The model has changed under the sampler."""
        return self.weights.stale(self.model)

    @contextmanager
    def sampling(self, slots: int, steps: int) -> Iterator[None]:
        """The time of one rollout: the weights are laid out for it where that pays, and dropped behind it."""
        w = self.weights
        if slots in PACKED_ROWS and steps >= FEWEST_STEPS and _can_pack(w.head):
            matrices = [m for layer in w.layers for m in (layer.qkv, layer.o, layer.gate_up, layer.down)]
            reorder = torch.ops.mkldnn._reorder_linear_weight
            self._packed = {matrix.data_ptr(): reorder(matrix, 16) for matrix in [*matrices, w.head]}
        try:
            yield
        finally:
            self._packed = {}

    def read(self, ids_BT: torch.Tensor, cache: SlotCache) -> None:
        """Enter the keys and values of prompts, padded on the right, from position 0 on."""
        w = self.weights
        rows, length = ids_BT.shape
        cos, sin = (table[:length].repeat(rows, 1) for table in (w.cos, w.sin))
        x = w.embed[ids_BT.flatten()]
        for number in range(len(w.layers)):
            q, k, v = (
                part.reshape(rows, length, -1, w.width).transpose(1, 2) for part in self._qkv(number, x, cos, sin)
            )
            cache.update(k, v, number)
            if number + 1 < len(w.layers):  # of the last layer only keys and values are wanted
                attended = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
                x = self._finish(number, x, attended.transpose(1, 2).flatten(0, 1))

    def step(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, mask_S11L: torch.Tensor, cache: SlotCache
    ) -> torch.Tensor:
        """Logits [S, V] after each slot's token, whose keys and values are stored on the way."""
        w = self.weights
        cos, sin = w.cos[positions_S], w.sin[positions_S]
        x = w.embed[tokens_S]
        # Attention would turn a boolean mask into this one anew in every layer.
        mask_S11L = torch.zeros(mask_S11L.shape, dtype=x.dtype).masked_fill(~mask_S11L, -torch.inf)
        for number in range(len(w.layers)):
            q, k, v = self._qkv(number, x, cos, sin)
            keys_SGLD, values_SGLD = cache.update(k[:, :, None], v[:, :, None], number)
            # All queries of one key-value head at once, so that keys need not be repeated.
            q_SGRD = q.reshape(len(x), w.kv_heads, -1, w.width)
            attended = torch.nn.functional.scaled_dot_product_attention(q_SGRD, keys_SGLD, values_SGLD, mask_S11L)
            x = self._finish(number, x, attended)
        return self._times(rms_norm(x, w.norm, w.eps), w.head)

    def _qkv(
        self, number: int, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values [T, heads, D], positions applied."""
        w, layer = self.weights, self.weights.layers[number]
        hidden = self._times(rms_norm(x, layer.norm_in, w.eps), layer.qkv, layer.qkv_bias)
        hidden = hidden.view(len(x), -1, w.width)
        q, k, v = torch.split(hidden, [w.heads, w.kv_heads, w.kv_heads], dim=1)
        if layer.norm_q is not None and layer.norm_k is not None:
            return (
                rotate(rms_norm(q, layer.norm_q, w.eps), cos, sin),
                rotate(rms_norm(k, layer.norm_k, w.eps), cos, sin),
                v,
            )
        turned = rotate(hidden[:, : w.heads + w.kv_heads], cos, sin)
        return turned[:, : w.heads], turned[:, w.heads :], v

    def _finish(self, number: int, x: torch.Tensor, attended: torch.Tensor) -> torch.Tensor:
        w, layer = self.weights, self.weights.layers[number]
        x = x + self._times(attended.reshape(len(x), -1), layer.o)
        return x + self._times(swiglu(self._times(rms_norm(x, layer.norm_mid, w.eps), layer.gate_up)), layer.down)

    def _times(self, x: torch.Tensor, matrix: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
        packed = self._packed.get(matrix.data_ptr()) if len(x) in PACKED_ROWS else None
        if packed is None:
            return torch.nn.functional.linear(x, matrix, bias)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
        return product


def _can_pack(matrix: torch.Tensor) -> bool:
    """OneDNN has the two operations (they are torch's own, for its compiler) and takes this type."""
    if matrix.dtype != torch.float32 or not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    return hasattr(torch.ops.mkldnn, "_reorder_linear_weight") and hasattr(torch.ops.mkldnn, "_linear_pointwise")
