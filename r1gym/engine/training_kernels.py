# mypy: ignore-errors
"""The elementwise parts of training in Triton, forward and backward: norm, rotary embedding, SwiGLU, log-softmax.

`parts.py` says what each computes. Axes: T rows, C hidden size, H query heads, G key-value heads, D head width,
V vocabulary.
"""

# Triton compiles these functions from their source; they are not typed Python, hence the first line.

import triton
import triton.language as tl

__all__ = [
    "join",
    "logits_gradient",
    "logits_sum",
    "merge",
    "norm_backward",
    "norm_forward",
    "rope",
    "swiglu",
    "swiglu_backward",
]


@triton.jit
def norm_forward(x_ptr, weight_ptr, out_ptr, eps, C: tl.constexpr, BC: tl.constexpr):
    """RMSNorm of one row."""
    row = tl.program_id(0).to(tl.int64)
    c = tl.arange(0, BC)
    x = tl.load(x_ptr + row * C + c, mask=c < C, other=0.0)
    wide = x.to(tl.float32)
    rounded = (wide * tl.rsqrt(tl.sum(wide * wide, axis=0) / C + eps)).to(x.dtype).to(tl.float32)
    weight = tl.load(weight_ptr + c, mask=c < C, other=0.0).to(tl.float32)
    tl.store(out_ptr + row * C + c, (rounded * weight).to(x.dtype), mask=c < C)


@triton.jit
def norm_backward(x_ptr, weight_ptr, grad_ptr, into_ptr, dw_ptr, T, eps, C: tl.constexpr, BC: tl.constexpr):
    """Adds the norm's gradient to ``into``; each program sums the weight's gradient over its rows."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    c = tl.arange(0, BC)
    weight = tl.load(weight_ptr + c, mask=c < C, other=0.0).to(tl.float32)
    sums = tl.zeros([BC], dtype=tl.float32)
    for number in range(program, T, programs):
        row = number.to(tl.int64) * C
        x = tl.load(x_ptr + row + c, mask=c < C, other=0.0)
        wide = x.to(tl.float32)
        grad = tl.load(grad_ptr + row + c, mask=c < C, other=0.0).to(tl.float32)
        inverse = tl.rsqrt(tl.sum(wide * wide, axis=0) / C + eps)
        unit = wide * inverse
        sums += grad * unit
        weighted = grad * weight
        dx = inverse * (weighted - unit * (tl.sum(weighted * unit, axis=0) / C))
        dx += tl.load(into_ptr + row + c, mask=c < C, other=0.0).to(tl.float32)
        tl.store(into_ptr + row + c, dx.to(x.dtype), mask=c < C)
    tl.store(dw_ptr + program * C + c, sums, mask=c < C)


@triton.jit
def rope(x_ptr, cos_ptr, sin_ptr, sign, row_stride, HEADS: tl.constexpr, D2: tl.constexpr, B2: tl.constexpr):
    """Rotate the first HEADS heads of each row in place; sign -1 turns back."""
    row = tl.program_id(0).to(tl.int64)
    head = tl.program_id(1)
    d = tl.arange(0, B2)
    angle = row * D2 + d
    cos = tl.load(cos_ptr + angle, mask=d < D2, other=0.0).to(tl.float32)
    sin = tl.load(sin_ptr + angle, mask=d < D2, other=0.0).to(tl.float32) * sign
    for h in range(head * 4, tl.minimum(head * 4 + 4, HEADS)):
        place = x_ptr + row * row_stride + h * D2 * 2 + d
        first = tl.load(place, mask=d < D2, other=0.0)
        second = tl.load(place + D2, mask=d < D2, other=0.0)
        one, two = first.to(tl.float32), second.to(tl.float32)
        tl.store(place, (one * cos - two * sin).to(first.dtype), mask=d < D2)
        tl.store(place + D2, (two * cos + one * sin).to(first.dtype), mask=d < D2)


@triton.jit
def merge(
    out_ptr, lse_ptr, other_ptr, other_lse_ptr, end_ptr, T,
    H: tl.constexpr, BH: tl.constexpr, D: tl.constexpr, BD: tl.constexpr,
):  # fmt: skip
    """One row's output and log-sum-exp with those over other keys."""
    row = tl.program_id(0).to(tl.int64)
    if row < tl.load(end_ptr):
        h, d = tl.arange(0, BH), tl.arange(0, BD)
        own = tl.load(lse_ptr + h * T + row, mask=h < H, other=0.0)
        other = tl.load(other_lse_ptr + h * T + row, mask=h < H, other=0.0)
        top = tl.maximum(own, other)
        both = top + tl.log(tl.exp(own - top) + tl.exp(other - top))
        share = tl.exp(other - both)[:, None]
        place = (row * H + h)[:, None] * D + d[None, :]
        mask = (h < H)[:, None] & (d < D)[None, :]
        x = tl.load(out_ptr + place, mask=mask, other=0.0)
        y = tl.load(other_ptr + place, mask=mask, other=0.0).to(tl.float32)
        wide = x.to(tl.float32)
        tl.store(out_ptr + place, (wide + share * (y - wide)).to(x.dtype), mask=mask)
        tl.store(lse_ptr + h * T + row, both, mask=h < H)


@triton.jit
def _sum(own_ptr, other_ptr, place, mask, both):
    x = tl.load(own_ptr + place, mask=mask, other=0.0)
    return x.to(tl.float32) + tl.load(other_ptr + place, mask=mask & both, other=0.0).to(tl.float32)


@triton.jit
def join(
    q_ptr, k_ptr, v_ptr, q2_ptr, k2_ptr, v2_ptr, start_ptr, end_ptr, cos_ptr, sin_ptr, out_ptr,
    H: tl.constexpr, BH: tl.constexpr, G: tl.constexpr, BG: tl.constexpr, D2: tl.constexpr, B2: tl.constexpr,
):  # fmt: skip
    """One row's gradients of q, k and v: both parts added, q and k turned back, side by side."""
    row = tl.program_id(0).to(tl.int64)
    start, end = tl.load(start_ptr), tl.load(end_ptr)
    d, h, g = tl.arange(0, B2), tl.arange(0, BH), tl.arange(0, BG)
    completes = (row + 0 * h < start)[:, None]
    prompts = (row + 0 * g >= start)[:, None] & (row + 0 * g < end)[:, None]
    cos = tl.load(cos_ptr + row * D2 + d, mask=d < D2, other=0.0).to(tl.float32)[None, :]
    sin = tl.load(sin_ptr + row * D2 + d, mask=d < D2, other=0.0).to(tl.float32)[None, :]
    out = out_ptr + row * (H + 2 * G) * D2 * 2
    kind = out_ptr.dtype.element_ty
    mask = (h < H)[:, None] & (d < D2)[None, :]
    place = (row * H + h)[:, None] * D2 * 2 + d[None, :]
    first, second = _sum(q_ptr, q2_ptr, place, mask, completes), _sum(q_ptr, q2_ptr, place + D2, mask, completes)
    target = out + h[:, None] * D2 * 2 + d[None, :]
    tl.store(target, (first * cos + second * sin).to(kind), mask=mask)
    tl.store(target + D2, (second * cos - first * sin).to(kind), mask=mask)
    mask = (g < G)[:, None] & (d < D2)[None, :]
    place = (row * G + g)[:, None] * D2 * 2 + d[None, :]
    first, second = _sum(k_ptr, k2_ptr, place, mask, prompts), _sum(k_ptr, k2_ptr, place + D2, mask, prompts)
    target = out + (H + g)[:, None] * D2 * 2 + d[None, :]
    tl.store(target, (first * cos + second * sin).to(kind), mask=mask)
    tl.store(target + D2, (second * cos - first * sin).to(kind), mask=mask)
    first, second = _sum(v_ptr, v2_ptr, place, mask, prompts), _sum(v_ptr, v2_ptr, place + D2, mask, prompts)
    target = out + (H + G + g)[:, None] * D2 * 2 + d[None, :]
    tl.store(target, first.to(kind), mask=mask)
    tl.store(target + D2, second.to(kind), mask=mask)


@triton.jit
def swiglu(gate_up_ptr, out_ptr, WIDE: tl.constexpr, BW: tl.constexpr):
    """silu(gate) * up of one row; gate stands before up."""
    row = tl.program_id(0).to(tl.int64)
    w = tl.program_id(1) * BW + tl.arange(0, BW)
    gate = tl.load(gate_up_ptr + row * 2 * WIDE + w, mask=w < WIDE, other=0.0)
    up = tl.load(gate_up_ptr + row * 2 * WIDE + WIDE + w, mask=w < WIDE, other=0.0)
    wide = gate.to(tl.float32)
    active = (wide / (1.0 + tl.exp(-wide))).to(gate.dtype).to(tl.float32)
    tl.store(out_ptr + row * WIDE + w, (active * up.to(tl.float32)).to(gate.dtype), mask=w < WIDE)


@triton.jit
def swiglu_backward(gate_up_ptr, grad_ptr, WIDE: tl.constexpr, BW: tl.constexpr):
    """Overwrites gate and up with their gradients, and the gradient with the activation."""
    row = tl.program_id(0).to(tl.int64)
    w = tl.program_id(1) * BW + tl.arange(0, BW)
    gate_place = gate_up_ptr + row * 2 * WIDE + w
    raw = tl.load(gate_place, mask=w < WIDE, other=0.0)
    gate = raw.to(tl.float32)
    up = tl.load(gate_place + WIDE, mask=w < WIDE, other=0.0).to(tl.float32)
    grad = tl.load(grad_ptr + row * WIDE + w, mask=w < WIDE, other=0.0).to(tl.float32)
    sigmoid = 1.0 / (1.0 + tl.exp(-gate))
    active = gate * sigmoid
    tl.store(gate_place, (grad * up * (sigmoid + active * (1.0 - sigmoid))).to(raw.dtype), mask=w < WIDE)
    tl.store(gate_place + WIDE, (grad * active).to(raw.dtype), mask=w < WIDE)
    tl.store(grad_ptr + row * WIDE + w, (active.to(raw.dtype).to(tl.float32) * up).to(raw.dtype), mask=w < WIDE)


@triton.jit
def logits_sum(logits_ptr, targets_ptr, lse_ptr, chosen_ptr, V, inverse_t, BV: tl.constexpr):
    """Log-sum-exp of a row of scaled logits, and the target's scaled logit."""
    row = tl.program_id(0).to(tl.int64)
    top = tl.full([BV], float("-inf"), dtype=tl.float32)
    total = tl.zeros([BV], dtype=tl.float32)
    for start in range(0, V, BV):
        v = start + tl.arange(0, BV)
        z = tl.load(logits_ptr + row * V + v, mask=v < V, other=-1e30).to(tl.float32) * inverse_t
        new_top = tl.maximum(top, z)
        total = total * tl.exp(top - new_top) + tl.exp(z - new_top)
        top = new_top
    highest = tl.max(top, axis=0)
    tl.store(lse_ptr + row, highest + tl.log(tl.sum(total * tl.exp(top - highest), axis=0)))
    target = tl.load(targets_ptr + row)
    tl.store(chosen_ptr + row, tl.load(logits_ptr + row * V + target).to(tl.float32) * inverse_t)


@triton.jit
def logits_gradient(logits_ptr, targets_ptr, lse_ptr, grad_ptr, out_ptr, V, inverse_t, BV: tl.constexpr):
    """Grad times (onehot - softmax) / temperature."""
    row = tl.program_id(0).to(tl.int64)
    v = tl.program_id(1) * BV + tl.arange(0, BV)
    z = tl.load(logits_ptr + row * V + v, mask=v < V, other=0.0).to(tl.float32) * inverse_t
    factor = tl.load(grad_ptr + row) * inverse_t
    hit = (v == tl.load(targets_ptr + row)).to(tl.float32)
    out = factor * (hit - tl.exp(z - tl.load(lse_ptr + row)))
    tl.store(out_ptr + row * V + v, out.to(out_ptr.dtype.element_ty), mask=v < V)
