"""Elementwise parts of a layer, forward and backward, in torch and (on a GPU that has it) in Triton.

Axes: T rows, C hidden size, W inner size of the MLP, D head width, V vocabulary.
"""

from __future__ import annotations

import torch

__all__ = [
    "logits_gradient",
    "logits_of",
    "logits_sum",
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
    x_TC: torch.Tensor, weight: torch.Tensor, grad_TC: torch.Tensor, add_TC: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """``add`` plus the gradient for x, and the gradient for the weight."""
    rows, channels = x_TC.shape
    if on_gpu(x_TC):
        from r1gym.engine import training_kernels as kernels

        programs = min(rows, 1056)
        dx, parts = torch.empty_like(x_TC), torch.empty(programs, channels, device=x_TC.device)
        kernels.norm_backward[(programs,)](
            x_TC, weight, grad_TC, add_TC, dx, parts, rows, eps, C=channels, BC=_power(channels)
        )
        return dx, parts.sum(0).to(weight.dtype)
    wide, grad = x_TC.float(), grad_TC.float()
    inverse = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    unit, weighted = wide * inverse, grad * weight.float()
    dx = inverse * (weighted - unit * (weighted * unit).mean(-1, keepdim=True))
    return (add_TC.float() + dx).to(x_TC.dtype), (grad * unit).sum(0).to(weight.dtype)


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
    chosen.copy_(logits.gather(1, targets[:, None])[:, 0] * inverse)


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
    slope.scatter_add_(1, targets[:, None], torch.ones_like(lse)[:, None])
    return (slope * grad[:, None] * inverse).to(dtype)
