"""The parts of a training pass with gradients written out: less memory than autograd keeps, fewer kernels.

Axes: T rows, C hidden size, W inner size of the MLP, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import torch

from r1gym.engine.parts import (
    logits_gradient,
    logits_of,
    logits_sum,
    norm,
    norm_backward,
    swiglu,
    swiglu_backward,
    turn,
)

__all__ = ["Head", "Mlp", "NormLinear", "Rope"]

HEAD_ROWS = 4096
"""Rows whose logits exist at the same time."""


class NormLinear(torch.autograd.Function):
    """norm(x) Wᵀ + b, keeping x only; W lies in one piece, the parameters are its rows ``parts``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        eps: float,
        fused: torch.Tensor,
        bias: torch.Tensor | None,
        *parts: torch.Tensor,
    ) -> torch.Tensor:
        """``parts``: the matrices, then their biases where ``bias`` is given."""
        ctx.save_for_backward(x, weight, fused)
        ctx.eps, ctx.biased = eps, bias is not None
        ctx.sizes = [len(part) for part in (parts[: len(parts) // 2] if ctx.biased else parts)]
        return torch.nn.functional.linear(norm(x, weight, eps), fused, bias)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        """Gradients of x, the norm's weight and every part."""
        x, weight, fused = ctx.saved_tensors
        matrix = grad.T @ norm(x, weight, ctx.eps)
        dx, dweight = norm_backward(x, weight, grad @ fused, torch.zeros_like(x), ctx.eps)
        biases = torch.split(grad.sum(0), ctx.sizes) if ctx.biased else ()
        return dx, dweight, None, None, None, *torch.split(matrix, ctx.sizes), *biases


class Rope(torch.autograd.Function):
    """Rotary embedding of the first ``heads`` heads of [T, all heads, D], in place."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, heads: int, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """``cos`` and ``sin`` are [T, D / 2], one row of angles a token."""
        ctx.save_for_backward(cos, sin)
        ctx.heads = heads
        ctx.mark_dirty(x)
        return turn(x, heads, cos, sin, 1.0)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        """The same rotation backwards."""
        cos, sin = ctx.saved_tensors
        return turn(grad.clone(), ctx.heads, cos, sin, -1.0), None, None, None


class Mlp(torch.autograd.Function):
    """x + down(silu(gate(norm(x))) * up(norm(x))), keeping x only: the inner products are made again in backward."""

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        eps: float,
        fused: torch.Tensor,
        gate: torch.Tensor,
        up: torch.Tensor,
        down: torch.Tensor,
    ) -> torch.Tensor:
        """``fused`` is gate above up in one piece."""
        ctx.save_for_backward(x, weight, fused, down)
        ctx.eps = eps
        gate_up = norm(x, weight, eps) @ fused.T
        return torch.addmm(x, swiglu(gate_up), down.T)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        """Gradients of x, the norm's weight, gate, up and down."""
        x, weight, fused, down = ctx.saved_tensors
        grad = grad.contiguous()
        hidden = norm(x, weight, ctx.eps)
        gate_up = hidden @ fused.T
        dgate_up, active = swiglu_backward(gate_up, grad @ down)
        ddown = grad.T @ active
        dgate, dup = (dgate_up.T @ hidden).chunk(2)
        dx, dweight = norm_backward(x, weight, dgate_up @ fused, grad, ctx.eps)
        return dx, dweight, None, None, dgate, dup, ddown


class Head(torch.autograd.Function):
    """Log-probability of each row's target, logits in chunks of HEAD_ROWS rows, made again on the way back."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, matrix: torch.Tensor, targets: torch.Tensor, temperature: float
    ) -> torch.Tensor:
        """float32 [T] of log softmax(x Wᵀ / temperature)[target]."""
        lse = torch.empty(len(x), device=x.device)
        chosen = torch.empty_like(lse)
        for start in range(0, len(x), HEAD_ROWS):
            rows = slice(start, start + HEAD_ROWS)
            logits_sum(logits_of(x[rows], matrix), targets[rows], lse[rows], chosen[rows], 1 / temperature)
        ctx.save_for_backward(x, matrix, targets, lse)
        ctx.temperature = temperature
        return chosen - lse

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        """Gradients of x and of the matrix (summed in float32)."""
        x, matrix, targets, lse = ctx.saved_tensors
        dx = torch.empty_like(x)
        dmatrix = torch.zeros(matrix.shape, device=x.device)
        grad = grad.contiguous()
        for start in range(0, len(x), HEAD_ROWS):
            rows = slice(start, start + HEAD_ROWS)
            logits = logits_of(x[rows], matrix)
            slope = logits_gradient(logits, targets[rows], lse[rows], grad[rows], 1 / ctx.temperature, x.dtype)
            torch.mm(slope, matrix, out=dx[rows])
            dmatrix += slope.T @ x[rows]
        return dx, dmatrix.to(matrix.dtype), None, None
