"""Attention in torch: over pages as the GPU kernel does it, and torch's own flash kernels for packed rows.

Axes: S slots, N pages, M pages a slot may have, H query heads, G key-value heads, R = H / G, D head width,
L positions looked at.
"""

from __future__ import annotations

import torch

from r1gym.engine.cache import PAGE

__all__ = ["flash", "flash_backward", "flash_fits", "paged_attention", "write_pages"]


def write_pages(
    pool: torch.Tensor,
    layer: int,
    keys_SGD: torch.Tensor,
    values_SGD: torch.Tensor,
    positions_S: torch.Tensor,
    tables_SM: torch.Tensor,
) -> None:
    """Store one position's keys and values of every slot; ``pool`` is [N, layers, 2, G, PAGE, D]."""
    pages_S = tables_SM.gather(1, positions_S[:, None] // PAGE)[:, 0]
    pool[pages_S, layer, 0, :, positions_S % PAGE] = keys_SGD
    pool[pages_S, layer, 1, :, positions_S % PAGE] = values_SGD


def paged_attention(
    queries_SHD: torch.Tensor,
    pool: torch.Tensor,
    layer: int,
    positions_S: torch.Tensor,
    tables_SM: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Each slot's query over its own positions 0 to ``positions_S``; [S, H, D]."""
    slots, heads, width = queries_SHD.shape
    pages = int(positions_S.max()) // PAGE + 1
    block = pool[tables_SM[:, :pages], layer]  # [S, pages, 2, G, PAGE, D]
    groups = block.shape[3]
    keys_SGLD, values_SGLD = block.permute(2, 0, 3, 1, 4, 5).reshape(2, slots, groups, pages * PAGE, width).unbind(0)
    mask_S11L = (torch.arange(pages * PAGE, device=pool.device)[None, :] <= positions_S[:, None])[:, None, None, :]
    # All queries of one key-value head at once, so that keys need not be repeated.
    output = torch.nn.functional.scaled_dot_product_attention(
        queries_SHD.view(slots, groups, heads // groups, width), keys_SGLD, values_SGLD, mask_S11L, scale=scale
    )
    return output.reshape(slots, heads, width)


def flash_fits(queries_THD: torch.Tensor) -> bool:
    """Torch's flash attention can run on these."""
    return queries_THD.is_cuda and queries_THD.dtype in (torch.bfloat16, torch.float16) and queries_THD.shape[-1] <= 256


def flash(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    bounds_q: torch.Tensor,
    bounds_k: torch.Tensor,
    longest_q: int,
    longest_k: int,
    causal: bool,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention of packed segments, [T, heads, D] each; segment i of ``q`` looks at segment i of ``k``.

    Returns:
        The output [T, H, D] and its log-sum-exp [H, T] in float32. ``k`` may have fewer heads than ``q``.
    """
    output, lse, *_ = torch.ops.aten._flash_attention_forward(
        q, k, v, bounds_q, bounds_k, longest_q, longest_k, 0.0, causal, False
    )
    return output, lse


def flash_backward(
    grad: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    output: torch.Tensor,
    lse: torch.Tensor,
    bounds_q: torch.Tensor,
    bounds_k: torch.Tensor,
    longest_q: int,
    longest_k: int,
    causal: bool,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of ``flash`` for q, k and v; output and lse may be those of a larger attention that this is part of."""
    nothing = torch.zeros(2, dtype=torch.uint64, device=q.device), torch.zeros((), dtype=torch.uint64, device=q.device)
    dq, dk, dv = torch.ops.aten._flash_attention_backward(
        grad, q, k, v, output, lse, bounds_q, bounds_k, longest_q, longest_k, 0.0, causal, *nothing
    )
    return dq, dk, dv
