"""Log-probabilities with gradient for Llama-like models: rows packed, prompts shared, logits in chunks.

Exact: a completion's attention is its own causal part and its group's prompt, merged by log-sum-exp.
Axes: B rows, T tokens of a padded row, X packed tokens, H query heads, G key-value heads, D head width.
"""

from __future__ import annotations

from typing import Any

import torch

from r1gym.engine.attention import flash, flash_backward, flash_fits
from r1gym.engine.fused import FusedModel
from r1gym.engine.packing import Packed, pack
from r1gym.engine.parts import rms_norm
from r1gym.engine.training_ops import Head, Mlp, NormLinear, Rope

__all__ = ["packed_logprobs"]


def packed_logprobs(
    model: Any,
    weights: FusedModel,
    token_ids_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    temperature: float,
    recompute: bool = False,
) -> torch.Tensor:
    """[B, T] in nats with gradient for the model's parameters; 0 where ``mask_BT`` is False.

    Args:
        model: The transformers model whose parameters ``weights`` are.
        weights: As ``fuse`` laid them out.
        token_ids_BT: Prompt and completion, padded on the right.
        mask_BT: True at the tokens that are wanted.
        temperature: Divides the logits; 0 counts as 1.
        recompute: Keep one activation a layer and run each layer again on the way back: half the memory, a quarter
            more time.
    """
    packed = pack(token_ids_BT.cpu(), mask_BT.cpu(), weights.embed.device)
    angles = weights.cos[packed.positions_X], weights.sin[packed.positions_X]
    x = torch.nn.functional.embedding(packed.token_ids_X, model.model.embed_tokens.weight)
    for number in range(len(weights.layers)):
        if recompute:
            x = torch.utils.checkpoint.checkpoint(
                _layer, model, weights, number, x, packed, angles, use_reentrant=False, preserve_rng_state=False
            )
        else:
            x = _layer(model, weights, number, x, packed, angles)
    hidden = rms_norm(x[packed.rows], model.model.norm.weight, weights.eps)
    apply: Any = Head.apply
    flat = apply(hidden, model.lm_head.weight, packed.targets, temperature or 1.0)
    out = torch.zeros(token_ids_BT.numel(), device=x.device)
    return out.scatter(0, packed.places, flat).view(token_ids_BT.shape)


def _layer(
    model: Any,
    w: FusedModel,
    number: int,
    x: torch.Tensor,
    packed: Packed,
    angles: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    layer, fused = model.model.layers[number], w.layers[number]
    attention, mlp = layer.self_attn, layer.mlp
    linears = (attention.q_proj, attention.k_proj, attention.v_proj)
    parts = [linear.weight for linear in linears]
    if fused.qkv_bias is not None:
        parts += [linear.bias for linear in linears]
    project: Any = NormLinear.apply
    qkv = project(x, layer.input_layernorm.weight, w.eps, fused.qkv, fused.qkv_bias, *parts)
    qkv = qkv.view(len(x), -1, w.width)
    turned = w.heads + w.kv_heads
    if fused.norm_q is not None:
        q, k, v = torch.split(qkv, [w.heads, w.kv_heads, w.kv_heads], dim=1)
        q = rms_norm(q, attention.q_norm.weight, w.eps)
        k = rms_norm(k, attention.k_norm.weight, w.eps)
        qkv = torch.cat([q, k, v], dim=1)
    rope: Any = Rope.apply
    qkv = rope(qkv, turned, *angles)
    if flash_fits(qkv):
        attend: Any = SharedAttention.apply
        attended = attend(qkv, w.heads, w.kv_heads, packed)
    else:
        attended = _dense_attention(qkv, w.heads, w.kv_heads, packed)
    x = torch.addmm(x, attended.reshape(len(x), -1), attention.o_proj.weight.T)
    finish: Any = Mlp.apply
    return finish(  # type: ignore[no-any-return]
        x, layer.post_attention_layernorm.weight, w.eps, fused.gate_up,
        mlp.gate_proj.weight, mlp.up_proj.weight, mlp.down_proj.weight,
    )  # fmt: skip


class SharedAttention(torch.autograd.Function):
    """Two flash calls merged; the way back feeds both with the merged output and log-sum-exp, which is exact."""

    @staticmethod
    def forward(ctx: Any, qkv: torch.Tensor, heads: int, kv_heads: int, packed: Packed) -> torch.Tensor:
        """[X, H + 2 G, D] to [X, H, D]."""
        q, k, v = torch.split(qkv, [heads, kv_heads, kv_heads], dim=1)
        start = packed.prompt_tokens
        own = (packed.segments, packed.segments, packed.longest_segment, packed.longest_segment)
        across = (packed.groups, packed.prompts, packed.longest_group, packed.longest_prompt)
        output, lse = flash(q, k, v, *own, causal=True)
        prompt_output, prompt_lse = flash(q[start:], k[:start], v[:start], *across, causal=False)
        merged = torch.logaddexp(lse[:, start:], prompt_lse)
        share = torch.exp(prompt_lse - merged).T[:, :, None]
        output[start:] = torch.lerp(output[start:].float(), prompt_output.float(), share).to(output.dtype)
        lse[:, start:] = merged
        ctx.save_for_backward(qkv, output, lse)
        ctx.split, ctx.start, ctx.own, ctx.across = [heads, kv_heads, kv_heads], start, own, across
        return output

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        """Gradient for qkv."""
        qkv, output, lse = ctx.saved_tensors
        q, k, v = torch.split(qkv, ctx.split, dim=1)
        start, grad = ctx.start, grad.contiguous()
        back: Any = flash_backward
        dq, dk, dv = back(grad, q, k, v, output, lse, *ctx.own, True)
        tail = lse[:, start:].contiguous()
        dq2, dk2, dv2 = back(grad[start:], q[start:], k[:start], v[:start], output[start:], tail, *ctx.across, False)
        dq[start:] += dq2
        dk[:start] += dk2
        dv[:start] += dv2
        return torch.cat([dq, dk, dv], dim=1), None, None, None


def _dense_attention(qkv: torch.Tensor, heads: int, kv_heads: int, packed: Packed) -> torch.Tensor:
    """The same with one mask over all pairs: for the CPU, and for float32."""
    size, device = len(qkv), qkv.device
    places = torch.arange(size, device=device)
    segment = torch.bucketize(places, packed.segments.long(), right=True)
    group = torch.bucketize(places - packed.prompt_tokens, packed.groups.long(), right=True)
    prompt = torch.bucketize(places, packed.prompts.long(), right=True)
    is_prompt = places < packed.prompt_tokens
    causal = (segment[:, None] == segment[None, :]) & (places[:, None] >= places[None, :])
    shared = ~is_prompt[:, None] & is_prompt[None, :] & (group[:, None] == prompt[None, :])
    q, k, v = (part.transpose(0, 1)[None] for part in torch.split(qkv, [heads, kv_heads, kv_heads], dim=1))
    output = torch.nn.functional.scaled_dot_product_attention(q, k, v, causal | shared, enable_gqa=True)
    return output[0].transpose(0, 1)
