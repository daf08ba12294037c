"""The weights of a Llama-like model, fused for few large products, sharing memory with the model's own parameters.

Families: Llama, SmolLM, Mistral (full attention), Qwen2 (biases on q, k, v), Qwen3 (norms on q and k).
``q_proj``, ``k_proj`` and ``v_proj`` become views of one matrix, ``gate_proj`` and ``up_proj`` of another, so trainer
and sampler hold one set of weights and nothing has to be synchronised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["FusedLayer", "FusedModel", "fuse", "not_compact"]

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
STATIC_ROPES = ("default", "linear", "llama3", "yarn")


@dataclass(frozen=True, slots=True)
class FusedLayer:
    """One decoder layer; matrices are [out, in] as in ``nn.Linear``."""

    qkv: torch.Tensor
    qkv_bias: torch.Tensor | None
    o: torch.Tensor
    gate_up: torch.Tensor
    down: torch.Tensor
    norm_in: torch.Tensor
    norm_mid: torch.Tensor
    norm_q: torch.Tensor | None
    norm_k: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class FusedModel:
    """All that a forward pass reads."""

    embed: torch.Tensor
    layers: tuple[FusedLayer, ...]
    norm: torch.Tensor
    head: torch.Tensor
    cos: torch.Tensor
    """[positions, D / 2] in the weights' type, as the model's own rotary embedding rounds it."""
    sin: torch.Tensor
    eps: float
    heads: int
    kv_heads: int
    width: int
    """Of one head."""

    def stale(self, model: Any) -> bool:
        """A parameter has moved (another dtype or device, new embeddings, merged adapters) or layers were replaced."""
        body = model.model
        if len(body.layers) != len(self.layers) or not_compact(model):
            return True
        pairs: list[tuple[torch.Tensor | None, torch.Tensor | None]] = [
            (body.embed_tokens.weight, self.embed),
            (body.norm.weight, self.norm),
            (model.lm_head.weight, self.head),
        ]
        for theirs, ours in zip(body.layers, self.layers, strict=True):
            attention, mlp = theirs.self_attn, theirs.mlp
            linears = [attention.q_proj, attention.k_proj, attention.v_proj]
            pairs += [
                (_whole(linears, "weight"), ours.qkv),
                (_whole(linears, "bias"), ours.qkv_bias),
                (attention.o_proj.weight, ours.o),
                (_whole([mlp.gate_proj, mlp.up_proj], "weight"), ours.gate_up),
                (mlp.down_proj.weight, ours.down),
                (theirs.input_layernorm.weight, ours.norm_in),
                (theirs.post_attention_layernorm.weight, ours.norm_mid),
                (attention.q_norm.weight if hasattr(attention, "q_norm") else None, ours.norm_q),
                (attention.k_norm.weight if hasattr(attention, "k_norm") else None, ours.norm_k),
            ]
        return not all(_is(theirs, ours) for theirs, ours in pairs)


def not_compact(model: Any) -> str:
    """Why the fused forward cannot run this model; "" where it can."""
    config = model.config
    if getattr(config, "model_type", "") not in FAMILIES or not hasattr(model, "lm_head"):
        return f"a {type(model).__name__} is not one of the families {', '.join(FAMILIES)}"
    if getattr(config, "hidden_act", "silu") != "silu":
        return f"its activation is {config.hidden_act}"
    rope = (getattr(config, "rope_parameters", None) or {}).get("rope_type", "default")
    if rope not in STATIC_ROPES:
        return f"its rotary embedding ({rope}) changes with the length"
    linears = [("lm_head", model.lm_head)]
    for layer in model.model.layers:
        linears += [(name, getattr(layer.self_attn, name, None)) for name in ("q_proj", "k_proj", "v_proj", "o_proj")]
        linears += [(name, getattr(layer.mlp, name, None)) for name in ("gate_proj", "up_proj", "down_proj")]
    for name, linear in linears:
        if hasattr(linear, "base_layer"):
            return f"its {name} carries an adapter"
        if type(linear) is not nn.Linear:
            return f"its {name} is a {type(linear).__name__}, not a plain nn.Linear"
        if not linear.weight.is_contiguous():
            return f"its {name} is not laid out row by row"
        if linear.bias is not None and name not in ("q_proj", "k_proj", "v_proj"):
            return f"its {name} has a bias"
    if type(model.model.embed_tokens) is not nn.Embedding:
        return f"its embedding is a {type(model.model.embed_tokens).__name__}"
    return ""


def fuse(model: Any) -> FusedModel:
    """Lay the weights out for the fused forward; the model's parameters become views and keep their identity."""
    config = model.config
    body = model.model
    first = body.layers[0].self_attn
    with torch.no_grad():
        layers = tuple(_fuse_layer(layer) for layer in body.layers)
        positions = torch.arange(config.max_position_embeddings, device=body.norm.weight.device)
        cos, sin = body.rotary_emb(body.norm.weight.new_zeros(1), positions[None])
    half = first.head_dim // 2
    return FusedModel(
        embed=body.embed_tokens.weight.data,
        layers=layers,
        norm=body.norm.weight.data,
        head=model.lm_head.weight.data,
        cos=cos[0, :, :half].contiguous(),
        sin=sin[0, :, :half].contiguous(),
        eps=config.rms_norm_eps,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        width=first.head_dim,
    )


def _fuse_layer(layer: Any) -> FusedLayer:
    attention, mlp = layer.self_attn, layer.mlp
    qkv = _join([attention.q_proj, attention.k_proj, attention.v_proj], "weight")
    assert qkv is not None
    gate_up = _join([mlp.gate_proj, mlp.up_proj], "weight")
    assert gate_up is not None
    return FusedLayer(
        qkv=qkv,
        qkv_bias=_join([attention.q_proj, attention.k_proj, attention.v_proj], "bias"),
        o=attention.o_proj.weight.data,
        gate_up=gate_up,
        down=mlp.down_proj.weight.data,
        norm_in=layer.input_layernorm.weight.data,
        norm_mid=layer.post_attention_layernorm.weight.data,
        norm_q=attention.q_norm.weight.data if hasattr(attention, "q_norm") else None,
        norm_k=attention.k_norm.weight.data if hasattr(attention, "k_norm") else None,
    )


def _is(theirs: torch.Tensor | None, ours: torch.Tensor | None) -> bool:
    """Both are the same memory, read in the same way; or there is neither."""
    if theirs is None or ours is None:
        return theirs is ours
    return theirs.data_ptr() == ours.data_ptr() and theirs.dtype == ours.dtype and theirs.shape == ours.shape


def _whole(linears: list[nn.Linear], name: str) -> torch.Tensor | None:
    """The one tensor that the linears' weights (or biases) still are the rows of; None where they lie apart."""
    parameters = [getattr(linear, name) for linear in linears]
    return None if any(each is None for each in parameters) else _joined([each.data for each in parameters])


def _join(linears: list[nn.Linear], name: str) -> torch.Tensor | None:
    """One tensor that holds the linears' weights (or biases) below each other; theirs become views of it."""
    parameters = [getattr(linear, name) for linear in linears]
    if parameters[0] is None:
        return None
    already = _joined([parameter.data for parameter in parameters])
    if already is not None:
        return already
    fused = torch.cat([parameter.data for parameter in parameters])
    start = 0
    for parameter in parameters:
        parameter.data = fused[start : start + parameter.shape[0]]
        start += parameter.shape[0]
    return fused


def _joined(parts: list[torch.Tensor]) -> torch.Tensor | None:
    """The one tensor whose rows the parts are, where the model was fused before: nothing has to move again."""
    first, memory = parts[0], parts[0].untyped_storage().data_ptr()
    place = first.data_ptr()
    for part in parts:
        if part.data_ptr() != place or part.untyped_storage().data_ptr() != memory or not part.is_contiguous():
            return None
        place += part.numel() * part.element_size()
    return first.as_strided((sum(map(len, parts)), *first.shape[1:]), first.stride(), first.storage_offset())
