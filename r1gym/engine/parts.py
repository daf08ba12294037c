"""Elementwise parts of a layer, forward and backward, in torch and (on a GPU that has it) in Triton.

Axes: T rows, C hidden size, W inner size of the MLP, H query heads, G key-value heads, D head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = [
    "join_gradients",
    "logits_gradient",
    "logits_of",
    "logits_sum",
    "merge_attention",
    "norm",
    "norm_backward",
    "rms_norm",
    "rotate",
    "swiglu",
    "swiglu_backward",
    "turn",
]


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """X / sqrt(mean(x²) + ε) in float32, rounded to the weights' type, times the weight (as transformers does)."""
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)).to(x.dtype)


def rotate(x_THD: torch.Tensor, cos_TD: torch.Tensor, sin_TD: torch.Tensor) -> torch.Tensor:
    """Rotary embedding, halves as pairs; cos and sin hold D / 2 angles a token."""
    first, second = x_THD.float().chunk(2, dim=-1)
    cos, sin = cos_TD[:, None].float(), sin_TD[:, None].float()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1).to(x_THD.dtype)


def on_gpu(x: torch.Tensor) -> bool:
    """The Triton kernels run where ``x`` is."""
    if not x.is_cuda:
        return False
    from r1gym.engine.decoding import no_kernels

    return not no_kernels(x.device)


def _power(number: int) -> int:
    return 1 << (number - 1).bit_length()


def norm(x_TC: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """RMSNorm."""
    if not on_gpu(x_TC):
        return rms_norm(x_TC, weight, eps)
    from r1gym.engine import training_kernels as kernels

    out = torch.empty_like(x_TC)
    rows, channels = x_TC.shape
    kernels.norm_forward[(rows,)](x_TC, weight, out, eps, C=channels, BC=_power(channels))
    return out


def norm_backward(
    x_TC: torch.Tensor, weight: torch.Tensor, grad_TC: torch.Tensor, into_TC: torch.Tensor, eps: float
) -> torch.Tensor:
    """Add the gradient for x to ``into``, in place; returns the gradient for the weight in float32."""
    rows, channels = x_TC.shape
    if on_gpu(x_TC):
        from r1gym.engine import training_kernels as kernels

        programs = min(rows, 1056)
        parts = torch.empty(programs, channels, device=x_TC.device)
        kernels.norm_backward[(programs,)](
            x_TC, weight, grad_TC, into_TC, parts, rows, eps, C=channels, BC=_power(channels)
        )
        return parts.sum(0)
    wide, grad = x_TC.float(), grad_TC.float()
    inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    unit, weighted = wide * inverse, grad * weight.float()
    dx = inverse * (weighted - unit * (weighted * unit).mean(-1, keepdim=True))
    into_TC.copy_(into_TC.float() + dx)
    return (grad * unit).sum(0)


def turn(x_THD: torch.Tensor, heads: int, cos_TD: torch.Tensor, sin_TD: torch.Tensor, sign: float) -> torch.Tensor:
    """``rotate`` the first ``heads`` heads in place; sign -1 turns back."""
    half = x_THD.shape[2] // 2
    if on_gpu(x_THD):
        from r1gym.engine import training_kernels as kernels

        kernels.rope[(len(x_THD), -(-heads // 4))](
            x_THD, cos_TD, sin_TD, sign, x_THD.stride(0), HEADS=heads, D2=half, B2=_power(half), num_warps=1
        )
        return x_THD
    x_THD[:, :heads] = rotate(x_THD[:, :heads], cos_TD, sin_TD * sign)
    return x_THD


def merge_attention(
    output_THD: torch.Tensor, lse_HT: torch.Tensor, other_THD: torch.Tensor, other_HT: torch.Tensor, ends: torch.Tensor
) -> None:
    """Merge into ``output`` and ``lse`` another attention of the same queries over other keys, by log-sum-exp.

    Only the first ``ends[-1]`` rows have one; what stands in the others is never looked at, be it NaN.
    """
    if on_gpu(output_THD):
        from r1gym.engine import training_kernels as kernels

        rows, heads, width = output_THD.shape
        kernels.merge[(rows,)](
            output_THD, lse_HT, other_THD, other_HT, ends[-1:], rows, H=heads, BH=_power(heads), D=width,
            BD=_power(width),
        )  # fmt: skip
        return
    merged_T = torch.arange(len(output_THD), device=ends.device) < ends[-1]
    both_HT = torch.logaddexp(lse_HT, other_HT)
    share_TH1 = torch.exp(other_HT - both_HT).T[:, :, None]
    mixed_THD = torch.lerp(output_THD.float(), other_THD.float(), share_TH1).to(output_THD.dtype)
    output_THD.copy_(torch.where(merged_T[:, None, None], mixed_THD, output_THD))
    lse_HT.copy_(torch.where(merged_T, both_HT, lse_HT))


def join_gradients(
    own: Sequence[torch.Tensor],
    across: Sequence[torch.Tensor] | None,
    ends: tuple[torch.Tensor, torch.Tensor],
    angles: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """The gradients for q, k and v as one tensor [T, H + 2 G, D], those for q and k turned back.

    Args:
        own: Of attention inside the segments.
        across: Of completions that look at their prompts: for q valid in the rows before the prompts, for k and v in
            the rows of the prompts; what stands elsewhere is never looked at. None where ``own`` has them in it.
        ends: Where the prompts begin and where they end, a tensor of one int32 each.
        angles: cos and sin, [T, D / 2].
    """
    q, k, v = own
    rows, heads, width = q.shape
    kv_heads, start, end = k.shape[1], *ends
    if across is not None and on_gpu(q):
        from r1gym.engine import training_kernels as kernels

        out = q.new_empty(rows, heads + 2 * kv_heads, width)
        kernels.join[(rows,)](
            q, k, v, *across, start, end, *angles, out, H=heads, BH=_power(heads), G=kv_heads, BG=_power(kv_heads),
            D2=width // 2, B2=_power(width // 2),
        )  # fmt: skip
        return out
    if across is not None:
        places = torch.arange(rows, device=q.device)[:, None, None]
        inside = (places >= start) & (places < end)
        q = q + torch.where(places < start, across[0], 0)
        k = k + torch.where(inside, across[1], 0)
        v = v + torch.where(inside, across[2], 0)
    return turn(torch.cat([q, k, v], dim=1), heads + kv_heads, *angles, -1.0)


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) * up of [T, 2 W], gate before up."""
    rows, wide = len(gate_up), gate_up.shape[1] // 2
    if on_gpu(gate_up):
        from r1gym.engine import training_kernels as kernels

        out = gate_up.new_empty(rows, wide)
        kernels.swiglu[(rows, -(-wide // 1024))](gate_up, out, WIDE=wide, BW=1024)
        return out
    gate, up = gate_up.chunk(2, dim=-1)
    return torch.nn.functional.silu(gate) * up


def swiglu_backward(gate_up: torch.Tensor, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradient for gate_up, and the activation once more (both in the memory of the arguments on a GPU)."""
    rows, wide = grad.shape
    if on_gpu(gate_up):
        from r1gym.engine import training_kernels as kernels

        kernels.swiglu_backward[(rows, -(-wide // 1024))](gate_up, grad, WIDE=wide, BW=1024)
        return gate_up, grad
    gate, up = gate_up.float().chunk(2, dim=-1)
    sigmoid = torch.sigmoid(gate)
    active = gate * sigmoid
    dgate = grad.float() * up * (sigmoid + active * (1 - sigmoid))
    both = torch.cat([dgate, grad.float() * active], dim=-1)
    return both.to(grad.dtype), (active * up).to(grad.dtype)


def logits_of(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """X Wᵀ in float32."""
    if x.is_cuda and x.dtype != torch.float32:
        return torch.mm(x, matrix.T, out_dtype=torch.float32)
    return (x @ matrix.T).float()


def logits_sum(
    logits: torch.Tensor, targets: torch.Tensor, lse: torch.Tensor, chosen: torch.Tensor, inverse: float
) -> None:
    """Into ``lse`` each row's log-sum-exp of the scaled logits, into ``chosen`` its target's scaled logit."""
    rows, vocabulary = logits.shape
    if on_gpu(logits):
        from r1gym.engine import training_kernels as kernels

        kernels.logits_sum[(rows,)](logits, targets, lse, chosen, vocabulary, inverse, BV=4096, num_warps=8)
        return
    lse.copy_(torch.logsumexp(logits * inverse, dim=-1))
    chosen.copy_(logits.gather(1, targets[:, None].long())[:, 0] * inverse)


def logits_gradient(
    logits: torch.Tensor,
    targets: torch.Tensor,
    lse: torch.Tensor,
    grad: torch.Tensor,
    inverse: float,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Grad * (onehot(target) - softmax(scaled logits)) * inverse, in ``dtype``."""
    rows, vocabulary = logits.shape
    if on_gpu(logits):
        from r1gym.engine import training_kernels as kernels

        out = torch.empty(rows, vocabulary, dtype=dtype, device=logits.device)
        grid = (rows, -(-vocabulary // 4096))
        kernels.logits_gradient[grid](logits, targets, lse, grad, out, vocabulary, inverse, BV=4096, num_warps=8)
        return out
    slope = -torch.exp(logits * inverse - lse[:, None])
    slope.scatter_add_(1, targets[:, None].long(), torch.ones_like(lse)[:, None])
    return (slope * grad[:, None] * inverse).to(dtype)
