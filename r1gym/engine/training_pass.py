"""Forward and backward over a packed row for Llama-like models, written out: what is kept is chosen, not collected.

Axes: X packed tokens, Y completion positions, C hidden size, H query heads, G key-value heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from r1gym.engine.fused import FusedLayer, FusedModel
from r1gym.engine.gradients import Gradients, LayerGradients
from r1gym.engine.packing import Packed
from r1gym.engine.parts import norm, norm_backward, swiglu, swiglu_backward, turn
from r1gym.engine.training_ops import attend, attend_backward, head, head_backward

__all__ = ["Kept", "TrainingPass"]


@dataclass(slots=True)
class Inside:
    """What a layer computes up to its MLP."""

    raw: torch.Tensor | None
    """Queries and keys before their own norms, where a layer has those."""
    qkv: torch.Tensor
    """Turned by their positions."""
    attended: torch.Tensor
    lse: torch.Tensor
    middle: torch.Tensor
    """The residual stream before the MLP."""


@dataclass(slots=True)
class Kept:
    """What the way back needs of a forward pass."""

    packed: Packed
    temperature: float
    angles: tuple[torch.Tensor, torch.Tensor]
    inputs: list[torch.Tensor]
    """The residual stream before each layer, and behind the last."""
    insides: list[Inside | None]
    """None where a layer is run again."""
    lse_Y: torch.Tensor


class TrainingPass:
    """Log-probabilities of one model whose weights are fused, and their gradients."""

    def __init__(self, model: Any, weights: FusedModel) -> None:
        self.weights = weights
        self._model = model

    @cached_property
    def gradients(self) -> Gradients:
        """Made when first asked for: a model that never learns (a reference) has no memory to spare for them."""
        return Gradients(self._model, self.weights)

    @torch.no_grad()
    def forward(
        self, packed: Packed, temperature: float, recompute: bool, learns: bool = True
    ) -> tuple[torch.Tensor, Kept]:
        """Log-probability of the target of each completion position, float32 [Y].

        Without a way back (``learns`` is False) no layer's input outlives the layer.
        """
        w = self.weights
        angles = w.cos.index_select(0, packed.positions_X), w.sin.index_select(0, packed.positions_X)
        x = w.embed.index_select(0, packed.token_ids_X)
        inputs, insides = [x], []
        for layer in w.layers:
            inside = self._until_mlp(layer, x, packed, angles)
            hidden = norm(inside.middle, layer.norm_mid, w.eps)
            x = torch.addmm(inside.middle, swiglu(hidden @ layer.gate_up.T), layer.down.T)
            if not learns:
                inputs.clear()
            inputs.append(x)
            insides.append(inside if learns and not recompute else None)
            del inside, hidden  # or they would stand beside the next layer's
        hidden_YC = norm(x[: packed.capacity.predicting], w.norm, w.eps)
        logprobs_Y, lse_Y = head(hidden_YC, w.head, packed.targets_Y, temperature)
        return logprobs_Y, Kept(packed, temperature, angles, inputs, insides, lse_Y)

    @torch.no_grad()
    def backward(self, kept: Kept, grad_Y: torch.Tensor) -> None:
        """Add to the gradients what ``grad_Y`` asks for; ``kept`` is used up on the way."""
        w, packed, sums = self.weights, kept.packed, self.gradients
        x, size = kept.inputs.pop(), packed.capacity.predicting
        hidden_YC = norm(x[:size], w.norm, w.eps)
        dhidden_YC, dmatrix = head_backward(grad_Y, hidden_YC, w.head, packed.targets_Y, kept.lse_Y, kept.temperature)
        sums.head += dmatrix
        del dmatrix, hidden_YC
        dx = torch.zeros_like(x)
        sums.norm += norm_backward(x[:size], w.norm, dhidden_YC, dx[:size], w.eps)
        del x, dhidden_YC
        for layer, into in zip(reversed(w.layers), reversed(sums.layers), strict=True):
            x, inside = kept.inputs.pop(), kept.insides.pop()
            if inside is None:
                inside = self._until_mlp(layer, x, packed, kept.angles)
            self._mlp_backward(layer, into, inside.middle, dx)
            self._attention_backward(layer, into, x, inside, packed, kept.angles, dx)
        # Summed in float32: a frequent token has thousands of places.
        rows = torch.zeros(w.embed.shape, device=dx.device)
        rows.index_add_(0, packed.token_ids_X, dx.float())
        sums.embed += rows

    def _until_mlp(
        self, layer: FusedLayer, x: torch.Tensor, packed: Packed, angles: tuple[torch.Tensor, torch.Tensor]
    ) -> Inside:
        w = self.weights
        turned, raw = w.heads + w.kv_heads, None
        qkv = torch.nn.functional.linear(norm(x, layer.norm_in, w.eps), layer.qkv, layer.qkv_bias)
        qkv = qkv.view(len(x), -1, w.width)
        if layer.norm_q is not None and layer.norm_k is not None:
            raw = qkv[:, :turned].contiguous()
            for heads, weight in ((slice(0, w.heads), layer.norm_q), (slice(w.heads, turned), layer.norm_k)):
                rows = raw[:, heads].reshape(-1, w.width)
                qkv[:, heads] = norm(rows, weight, w.eps).view(len(x), -1, w.width)
        qkv = turn(qkv, turned, *angles, 1.0)
        attended, lse = attend(qkv, w.heads, packed)
        middle = torch.addmm(x, attended.reshape(len(x), -1), layer.o.T)
        return Inside(raw, qkv, attended, lse, middle)

    def _mlp_backward(self, layer: FusedLayer, into: LayerGradients, x: torch.Tensor, dx: torch.Tensor) -> None:
        """``dx`` becomes the gradient before the MLP."""
        eps = self.weights.eps
        hidden = norm(x, layer.norm_mid, eps)
        dgate_up, active = swiglu_backward(hidden @ layer.gate_up.T, dx @ layer.down)
        into.down.addmm_(dx.T, active)
        del active
        into.gate_up.addmm_(dgate_up.T, hidden)
        into.norm_mid.add_(norm_backward(x, layer.norm_mid, dgate_up @ layer.gate_up, dx, eps))

    def _attention_backward(
        self,
        layer: FusedLayer,
        into: LayerGradients,
        x: torch.Tensor,
        inside: Inside,
        packed: Packed,
        angles: tuple[torch.Tensor, torch.Tensor],
        dx: torch.Tensor,
    ) -> None:
        """``dx`` becomes the gradient before the layer."""
        w = self.weights
        into.o.addmm_(dx.T, inside.attended.reshape(len(x), -1))
        dattended = (dx @ layer.o).view(inside.attended.shape)
        dqkv = attend_backward(dattended, inside.qkv, inside.attended, inside.lse, packed, angles)
        if inside.raw is not None and layer.norm_q is not None and layer.norm_k is not None:
            assert into.norm_q is not None and into.norm_k is not None
            parts = (slice(0, w.heads), layer.norm_q, into.norm_q), (slice(w.heads, None), layer.norm_k, into.norm_k)
            for heads, weight, sums in parts:
                raw = inside.raw[:, heads].reshape(-1, w.width)
                places = slice(0, w.heads) if heads.stop else slice(w.heads, w.heads + w.kv_heads)
                before = torch.zeros_like(raw)
                sums.add_(norm_backward(raw, weight, dqkv[:, places].reshape(-1, w.width), before, w.eps))
                dqkv[:, places] = before.view(len(x), -1, w.width)
        flat = dqkv.view(len(x), -1)
        into.qkv.addmm_(flat.T, norm(x, layer.norm_in, w.eps))
        if into.qkv_bias is not None:
            into.qkv_bias.add_(flat.sum(0, dtype=torch.float32))
        into.norm_in.add_(norm_backward(x, layer.norm_in, flat @ layer.qkv, dx, w.eps))
