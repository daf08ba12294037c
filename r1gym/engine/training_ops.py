"""The two ends of a training pass over packed rows: shared-prompt attention, and log-probabilities in chunks.

Axes: X packed tokens, Y completion positions, C hidden size, H query heads, G key-value heads, D head width,
V vocabulary.
"""

from __future__ import annotations

import torch

from r1gym.engine.attention import flash, flash_backward, flash_fits
from r1gym.engine.packing import Packed
from r1gym.engine.parts import join_gradients, logits_gradient, logits_of, logits_sum, merge_attention

__all__ = ["attend", "attend_backward", "head", "head_backward"]

LOGITS_BYTES = 2**28
"""Logits that exist at the same time, in float32."""
FEWEST_ROWS = 1024
"""Rows of logits that do so at least: each chunk adds to a gradient as large as the output layer."""


def attend(qkv: torch.Tensor, heads: int, packed: Packed) -> tuple[torch.Tensor, torch.Tensor]:
    """[X, H + 2 G, D] to [X, H, D], and the log-sum-exp [H, X]: causal in each segment, completions see their prompt.

    Exact: two flash calls, merged by their log-sum-exps. Without flash attention one call with a mask, and no
    log-sum-exp (an empty tensor).
    """
    q, k, v = _split(qkv, heads)
    if not flash_fits(qkv):
        return _dense(qkv, heads, packed), qkv.new_empty(0)
    size = packed.capacity
    own = (packed.segments, packed.segments, size.longest_segment, size.longest_segment)
    output, lse = flash(q, k, v, *own, causal=True)
    across = (packed.groups, packed.prompts, size.longest_group, size.longest_prompt)
    merge_attention(output, lse, *flash(q, k, v, *across, causal=False), packed.groups)
    return output, lse


def attend_backward(
    grad: torch.Tensor,
    qkv: torch.Tensor,
    output: torch.Tensor,
    lse: torch.Tensor,
    packed: Packed,
    angles: tuple[torch.Tensor, torch.Tensor],
) -> torch.Tensor:
    """Gradient for qkv as it was before its rotation.

    Both flash calls are fed with the merged output and log-sum-exp, which makes each give its exact part.
    """
    heads = output.shape[1]
    size = packed.capacity
    if not flash_fits(qkv):
        with torch.enable_grad():
            leaf = qkv.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(_dense(leaf, heads, packed), leaf, grad)
        parts = _split(gradient, heads)
        return join_gradients(parts, None, packed.prompt_ends, angles)
    q, k, v = _split(qkv, heads)
    own = (packed.segments, packed.segments, size.longest_segment, size.longest_segment)
    across = (packed.groups, packed.prompts, size.longest_group, size.longest_prompt)
    inner = [part.contiguous() for part in flash_backward(grad, q, k, v, output, lse, *own, causal=True)]
    crossing = [part.contiguous() for part in flash_backward(grad, q, k, v, output, lse, *across, causal=False)]
    return join_gradients(inner, crossing, packed.prompt_ends, angles)


def head(
    hidden_YC: torch.Tensor, matrix_VC: torch.Tensor, targets_Y: torch.Tensor, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log softmax(hidden Wᵀ / temperature)[target] of each row, and its log-sum-exp; float32 [Y] both."""
    lse_Y = torch.empty(len(hidden_YC), device=hidden_YC.device)
    chosen_Y = torch.empty_like(lse_Y)
    for rows in _chunks(hidden_YC, matrix_VC):
        logits = logits_of(hidden_YC[rows], matrix_VC)
        logits_sum(logits, targets_Y[rows], lse_Y[rows], chosen_Y[rows], 1 / temperature)
    return chosen_Y - lse_Y, lse_Y


def head_backward(
    grad_Y: torch.Tensor,
    hidden_YC: torch.Tensor,
    matrix_VC: torch.Tensor,
    targets_Y: torch.Tensor,
    lse_Y: torch.Tensor,
    temperature: float,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients for the hidden rows, and for the matrix in float32; the logits are made again."""
    dhidden_YC = torch.empty_like(hidden_YC)
    dmatrix_VC = torch.zeros(matrix_VC.shape, device=hidden_YC.device)
    for rows in _chunks(hidden_YC, matrix_VC):
        logits = logits_of(hidden_YC[rows], matrix_VC)
        slope = logits_gradient(logits, targets_Y[rows], lse_Y[rows], grad_Y[rows], 1 / temperature, hidden_YC.dtype)
        del logits
        torch.mm(slope, matrix_VC, out=dhidden_YC[rows])
        if slope.is_cuda and slope.dtype != torch.float32:
            torch.addmm(dmatrix_VC, slope.T, hidden_YC[rows], out_dtype=torch.float32, out=dmatrix_VC)
        else:
            dmatrix_VC += slope.T @ hidden_YC[rows]
    return dhidden_YC, dmatrix_VC


def _chunks(hidden_YC: torch.Tensor, matrix_VC: torch.Tensor) -> list[slice]:
    rows = max(LOGITS_BYTES // (4 * len(matrix_VC)) // 128 * 128, FEWEST_ROWS)
    return [slice(start, start + rows) for start in range(0, len(hidden_YC), rows)]


def _split(qkv: torch.Tensor, heads: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    kv_heads = (qkv.shape[1] - heads) // 2
    q, k, v = torch.split(qkv, [heads, kv_heads, kv_heads], dim=1)
    return q, k, v


def _dense(qkv: torch.Tensor, heads: int, packed: Packed) -> torch.Tensor:
    """The same with one mask over all pairs: for the CPU, and for float32."""
    places = torch.arange(len(qkv), dtype=torch.int32, device=qkv.device)
    segment = torch.bucketize(places, packed.segments, right=True)
    group = torch.bucketize(places, packed.groups, right=True)
    prompt = torch.bucketize(places, packed.prompts, right=True)
    completes = places < packed.groups[-1]
    prompts = (places >= packed.prompts[0]) & (places < packed.prompts[-1])
    causal = (segment[:, None] == segment[None, :]) & (places[:, None] >= places[None, :])
    shared = completes[:, None] & prompts[None, :] & (group[:, None] == prompt[None, :])
    q, k, v = (part.transpose(0, 1)[None] for part in _split(qkv, heads))
    output = torch.nn.functional.scaled_dot_product_attention(q, k, v, causal | shared, enable_gqa=True)
    return output[0].transpose(0, 1)
