"""Where a training pass adds up its gradients: one buffer in the layout of the fused weights.

The parameters' ``grad`` are views of it, so that a product adds to the gradient of a whole fused matrix at once, and a
captured graph finds them where they were.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from r1gym.engine.fused import FusedModel

__all__ = ["Gradients", "LayerGradients"]

ALIGNED = 64
"""Elements; every part begins at a multiple of this, as matrix products like it."""


@dataclass(frozen=True, slots=True)
class LayerGradients:
    """One layer's, as ``FusedLayer`` has the weights."""

    qkv: torch.Tensor
    qkv_bias: torch.Tensor | None
    o: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor
    norm_in: torch.Tensor
    norm_mid: torch.Tensor
    norm_q: torch.Tensor | None
    norm_k: torch.Tensor | None


class Gradients:
    """Zero while nobody has taken them; ``attach`` hands them out."""

    def __init__(self, model: Any, weights: FusedModel) -> None:
        body = model.model
        self._pairs: list[tuple[nn.Parameter, torch.Tensor]] = []
        wanted: list[list[nn.Parameter]] = [[body.embed_tokens.weight], [body.norm.weight]]
        tied = model.lm_head.weight is body.embed_tokens.weight
        if not tied:
            wanted.append([model.lm_head.weight])
        for layer in body.layers:
            wanted += _of_layer(layer)
        sizes = [sum(parameter.numel() for parameter in parts) for parts in wanted]
        self.flat = weights.embed.new_zeros(sum(-(-size // ALIGNED) * ALIGNED for size in sizes))
        place, pieces = 0, []
        for parts, size in zip(wanted, sizes, strict=True):
            piece = self.flat[place : place + size].view(-1, *parts[0].shape[1:])
            for parameter, view in zip(parts, torch.split(piece, [len(each) for each in parts]), strict=True):
                self._pairs.append((parameter, view))
            pieces.append(piece)
            place += -(-size // ALIGNED) * ALIGNED
        rest = iter(pieces[2 if tied else 3 :])
        self.embed, self.norm = pieces[:2]
        self.head = self.embed if tied else pieces[2]
        self.layers = [_take(layer, rest) for layer in body.layers]

    def attach(self) -> None:
        """Make these the gradients of all parameters that learn, whatever theirs are now: none, these, or others."""
        learning = [(parameter, view) for parameter, view in self._pairs if parameter.requires_grad]
        fresh = all(parameter.grad is None for parameter, _ in learning)
        if fresh:
            self.flat.zero_()
        for parameter, view in learning:
            if parameter.grad is None:
                if not fresh:
                    view.zero_()
            elif parameter.grad.data_ptr() != view.data_ptr():
                view.copy_(parameter.grad)
            else:
                continue
            parameter.grad = view

    def forget(self) -> None:
        """Leave no parameter that learns with a gradient: the next ``attach`` begins at zero."""
        for parameter, _ in self._pairs:
            if parameter.requires_grad:
                parameter.grad = None


def _of_layer(layer: Any) -> list[list[nn.Parameter]]:
    """The parameters of each fused piece, in the order of ``LayerGradients``."""
    attention, mlp = layer.self_attn, layer.mlp
    projections = (attention.q_proj, attention.k_proj, attention.v_proj)
    pieces = [[projection.weight for projection in projections]]
    if attention.q_proj.bias is not None:
        pieces.append([projection.bias for projection in projections])
    pieces += [[attention.o_proj.weight], [mlp.gate_proj.weight, mlp.up_proj.weight], [mlp.down_proj.weight]]
    pieces += [[layer.input_layernorm.weight], [layer.post_attention_layernorm.weight]]
    if hasattr(attention, "q_norm"):
        pieces += [[attention.q_norm.weight], [attention.k_norm.weight]]
    return pieces


def _take(layer: Any, rest: Any) -> LayerGradients:
    qkv = next(rest)
    bias = next(rest) if layer.self_attn.q_proj.bias is not None else None
    plain = [next(rest) for _ in range(5)]
    normed = hasattr(layer.self_attn, "q_norm")
    return LayerGradients(qkv, bias, *plain, *((next(rest), next(rest)) if normed else (None, None)))
