# mypy: ignore-errors
"""The decoding step in Triton: five kernels a layer, every number of slots with the same tiles along the sum axis.

A result depends on its own row only, and its sums run in one order whatever the number of slots: a sample's tokens do
not depend on its neighbours, in bfloat16 too. Roundings stand where transformers rounds. Axes in comments: S slots,
C hidden size, D head width, R query heads of one key-value head, N pages.
"""

# Triton compiles these functions from their source; they are not typed Python, hence the first line.

import triton
import triton.language as tl

__all__ = ["attention", "final_norm", "gate_up", "linear_add", "qkv", "write"]


@triton.jit
def _inverse_rms(x_ptr, rows, live, eps, C: tl.constexpr, BM: tl.constexpr):
    # Unrolled, so that all loads are in flight together.
    WIDE: tl.constexpr = 256
    columns = tl.arange(0, WIDE)
    squares = tl.zeros([BM], dtype=tl.float32)
    for start in tl.static_range(0, C, WIDE):
        inside = live[:, None] & (start + columns < C)[None, :]
        x = tl.load(x_ptr + rows[:, None] * C + (start + columns)[None, :], mask=inside, other=0.0).to(tl.float32)
        squares += tl.sum(x * x, axis=1)
    return tl.rsqrt(squares / C + eps)


@triton.jit
def _normed(x_ptr, norm_ptr, rows, live, scale, start, C: tl.constexpr, BK: tl.constexpr):
    columns = start + tl.arange(0, BK)
    inside = live[:, None] & (columns < C)[None, :]
    x = tl.load(x_ptr + rows[:, None] * C + columns[None, :], mask=inside, other=0.0)
    weight = tl.load(norm_ptr + columns, mask=columns < C, other=0.0)
    rounded = (x.to(tl.float32) * scale[:, None]).to(x.dtype)
    return (rounded.to(tl.float32) * weight.to(tl.float32)[None, :]).to(x.dtype)


@triton.jit
def _weights(w_ptr, outputs, start, K: tl.constexpr, BK: tl.constexpr):
    """[BK, len(outputs)] of a matrix [out, K]."""
    columns = start + tl.arange(0, BK)
    inside = (columns < K)[:, None] & (outputs >= 0)[None, :]
    return tl.load(w_ptr + outputs[None, :].to(tl.int64) * K + columns[:, None], mask=inside, other=0.0)


@triton.jit(do_not_specialize=["slots", "table_width", "layer"])
def qkv(
    x_ptr, norm_ptr, w_ptr, bias_ptr, norm_q_ptr, norm_k_ptr, cos_ptr, sin_ptr, positions_ptr, tables_ptr, pool_ptr,
    q_ptr, slots, table_width, page_stride, layer, eps,
    C: tl.constexpr, HQ: tl.constexpr, HKV: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr,
    BM: tl.constexpr, BK: tl.constexpr, BIAS: tl.constexpr, HEAD_NORM: tl.constexpr,
):  # fmt: skip
    """Norm, projection of one head, rotary embedding; queries go to ``q_ptr``, keys and values to their pages."""
    HALF: tl.constexpr = D // 2
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    head = tl.program_id(1)
    live = rows < slots
    d = tl.arange(0, HALF)
    scale = _inverse_rms(x_ptr, rows, live, eps, C, BM)
    first = tl.zeros([BM, HALF], dtype=tl.float32)
    second = tl.zeros([BM, HALF], dtype=tl.float32)
    for start in range(0, C, BK):
        x = _normed(x_ptr, norm_ptr, rows, live, scale, start, C, BK)
        first = tl.dot(x, _weights(w_ptr, head * D + d, start, C, BK), first, input_precision="ieee")
        second = tl.dot(x, _weights(w_ptr, head * D + HALF + d, start, C, BK), second, input_precision="ieee")
    kind = q_ptr.dtype.element_ty
    if BIAS:
        first += tl.load(bias_ptr + head * D + d).to(tl.float32)[None, :]
        second += tl.load(bias_ptr + head * D + HALF + d).to(tl.float32)[None, :]
    first, second = first.to(kind).to(tl.float32), second.to(kind).to(tl.float32)
    is_value = head >= HQ + HKV
    if HEAD_NORM:
        mean = (tl.sum(first * first, axis=1) + tl.sum(second * second, axis=1)) / D
        inverse = tl.rsqrt(mean + eps)[:, None]
        norm_ptr_h = tl.where(head < HQ, norm_q_ptr.to(tl.int64), norm_k_ptr.to(tl.int64)).to(norm_q_ptr.dtype)
        weight1 = tl.load(norm_ptr_h + d).to(tl.float32)[None, :]
        weight2 = tl.load(norm_ptr_h + HALF + d).to(tl.float32)[None, :]
        normed1 = ((first * inverse).to(kind).to(tl.float32) * weight1).to(kind).to(tl.float32)
        normed2 = ((second * inverse).to(kind).to(tl.float32) * weight2).to(kind).to(tl.float32)
        first, second = tl.where(is_value, first, normed1), tl.where(is_value, second, normed2)
    positions = tl.load(positions_ptr + rows, mask=live, other=0)
    angle = positions[:, None] * HALF + d[None, :]
    cos = tl.where(is_value, 1.0, tl.load(cos_ptr + angle).to(tl.float32))
    sin = tl.where(is_value, 0.0, tl.load(sin_ptr + angle).to(tl.float32))
    out1 = (first * cos - second * sin).to(kind)
    out2 = (second * cos + first * sin).to(kind)
    if head < HQ:
        target = q_ptr + (rows * HQ + head)[:, None] * D + d[None, :]
        tl.store(target, out1, mask=live[:, None])
        tl.store(target + HALF, out2, mask=live[:, None])
    else:
        page = tl.load(tables_ptr + rows * table_width + positions // PAGE, mask=live, other=0).to(tl.int64)
        block = (layer * 2 + is_value.to(tl.int32)) * HKV + (head - HQ) % HKV
        place = page * page_stride + (block * PAGE + positions % PAGE) * D
        target = pool_ptr + place[:, None] + d[None, :]
        tl.store(target, out1, mask=live[:, None])
        tl.store(target + HALF, out2, mask=live[:, None])


@triton.jit(do_not_specialize=["table_width", "layer"])
def write(
    k_ptr, v_ptr, positions_ptr, tables_ptr, pool_ptr, table_width, page_stride, layer, k_stride, v_stride,
    HKV: tl.constexpr, D: tl.constexpr, BD: tl.constexpr, PAGE: tl.constexpr,
):  # fmt: skip
    """Keys and values [S, HKV, D] of one position to their pages (the general path)."""
    slot, head = tl.program_id(0), tl.program_id(1)
    d = tl.arange(0, BD)
    position = tl.load(positions_ptr + slot)
    page = tl.load(tables_ptr + slot * table_width + position // PAGE).to(tl.int64)
    place = page * page_stride + ((layer * 2 * HKV + head) * PAGE + position % PAGE) * D
    tl.store(pool_ptr + place + d, tl.load(k_ptr + slot * k_stride + head * D + d, mask=d < D), mask=d < D)
    place += HKV * PAGE * D
    tl.store(pool_ptr + place + d, tl.load(v_ptr + slot * v_stride + head * D + d, mask=d < D), mask=d < D)


@triton.jit(do_not_specialize=["table_width", "layer"])
def attention(
    q_ptr, pool_ptr, positions_ptr, tables_ptr, part_ptr, stats_ptr, arrived_ptr, out_ptr, table_width, page_stride,
    layer, scale,
    HKV: tl.constexpr, R: tl.constexpr, BR: tl.constexpr, D: tl.constexpr, BD: tl.constexpr, PAGE: tl.constexpr,
    SPLIT: tl.constexpr,
):  # fmt: skip
    """One slot's queries of one key-value head over one of SPLIT runs of its pages; ``scale`` includes log2(e).

    The program that arrives last merges the runs, always in the same order, and sets the counter back to 0.
    """
    slot, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    d, r, t = tl.arange(0, BD), tl.arange(0, BR), tl.arange(0, PAGE)
    length = tl.load(positions_ptr + slot) + 1
    pages = (length + PAGE - 1) // PAGE
    each = (pages + SPLIT - 1) // SPLIT
    begin, end = split * each, tl.minimum(split * each + each, pages)
    heads = (slot * HKV + head) * R + r
    wanted = (r < R)[:, None] & (d < D)[None, :]
    q = tl.load(q_ptr + heads[:, None] * D + d[None, :], mask=wanted, other=0.0)
    top = tl.full([BR], -1e30, dtype=tl.float32)
    total = tl.zeros([BR], dtype=tl.float32)
    sums = tl.zeros([BR, BD], dtype=tl.float32)
    for number in range(begin, end):
        page = tl.load(tables_ptr + slot * table_width + number).to(tl.int64)
        keys = pool_ptr + page * page_stride + (layer * 2 * HKV + head) * PAGE * D
        values = keys + HKV * PAGE * D
        seen = number * PAGE + t < length
        # Both loads are under way before the first product needs one.
        k = tl.load(keys + t[None, :] * D + d[:, None], mask=seen[None, :] & (d < D)[:, None], other=0.0)
        v = tl.load(values + t[:, None] * D + d[None, :], mask=seen[:, None] & (d < D)[None, :], other=0.0)
        scores = tl.dot(q, k, input_precision="ieee") * scale
        scores = tl.where(seen[None, :], scores, -1e30)
        new_top = tl.maximum(top, tl.max(scores, axis=1))
        weights = tl.where(seen[None, :], tl.exp2(scores - new_top[:, None]), 0.0)
        shrink = tl.exp2(top - new_top)
        total = total * shrink + tl.sum(weights, axis=1)
        sums = tl.dot(weights.to(v.dtype), v, sums * shrink[:, None], input_precision="ieee")
        top = new_top
    place = heads * SPLIT + split
    tl.store(part_ptr + place[:, None] * D + d[None, :], sums, mask=wanted)
    tl.store(stats_ptr + place * 2, top, mask=r < R)
    tl.store(stats_ptr + place * 2 + 1, total, mask=r < R)
    tl.debug_barrier()
    arrived = tl.atomic_add(arrived_ptr + slot * HKV + head, 1, sem="acq_rel")
    if arrived == SPLIT - 1:
        tl.store(arrived_ptr + slot * HKV + head, 0)
        top = tl.full([BR], -1e30, dtype=tl.float32)
        total = tl.zeros([BR], dtype=tl.float32)
        sums = tl.zeros([BR, BD], dtype=tl.float32)
        for part in tl.static_range(SPLIT):
            place = heads * SPLIT + part
            part_top = tl.load(stats_ptr + place * 2, mask=r < R, other=0.0, cache_modifier=".cg")
            part_total = tl.load(stats_ptr + place * 2 + 1, mask=r < R, other=0.0, cache_modifier=".cg")
            part_sums = tl.load(
                part_ptr + place[:, None] * D + d[None, :], mask=wanted, other=0.0, cache_modifier=".cg"
            )
            new_top = tl.maximum(top, part_top)
            old, new = tl.exp2(top - new_top), tl.exp2(part_top - new_top)
            total = total * old + part_total * new
            sums = sums * old[:, None] + part_sums * new[:, None]
            top = new_top
        out = (sums / tl.where(r < R, total, 1.0)[:, None]).to(out_ptr.dtype.element_ty)
        tl.store(out_ptr + heads[:, None] * D + d[None, :], out, mask=wanted)


@triton.jit(do_not_specialize=["slots"])
def linear_add(
    a_ptr, w_ptr, x_ptr, slots,
    C: tl.constexpr, K: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """x[S, C] += a[S, K] w[C, K]ᵀ, in place."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    outputs = tl.program_id(1) * BN + tl.arange(0, BN)
    live = rows < slots
    known = tl.where(outputs < C, outputs, -1)
    sums = tl.zeros([BM, BN], dtype=tl.float32)
    for start in range(0, K, BK):
        columns = start + tl.arange(0, BK)
        inside = live[:, None] & (columns < K)[None, :]
        a = tl.load(a_ptr + rows[:, None] * K + columns[None, :], mask=inside, other=0.0)
        sums = tl.dot(a, _weights(w_ptr, known, start, K, BK), sums, input_precision="ieee")
    place = x_ptr + rows[:, None] * C + outputs[None, :]
    mask = live[:, None] & (outputs < C)[None, :]
    x = tl.load(place, mask=mask, other=0.0)
    tl.store(place, (x.to(tl.float32) + sums.to(x.dtype).to(tl.float32)).to(x.dtype), mask=mask)


@triton.jit(do_not_specialize=["slots"])
def gate_up(
    x_ptr, norm_ptr, w_ptr, out_ptr, slots, eps,
    C: tl.constexpr, WIDE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """silu(norm(x) gateᵀ) * (norm(x) upᵀ); gate stands above up in ``w``, WIDE rows each."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    outputs = tl.program_id(1) * BN + tl.arange(0, BN)
    live = rows < slots
    scale = _inverse_rms(x_ptr, rows, live, eps, C, BM)
    gate = tl.zeros([BM, BN], dtype=tl.float32)
    up = tl.zeros([BM, BN], dtype=tl.float32)
    known = tl.where(outputs < WIDE, outputs, -1)
    above = tl.where(outputs < WIDE, outputs + WIDE, -1)
    for start in range(0, C, BK):
        x = _normed(x_ptr, norm_ptr, rows, live, scale, start, C, BK)
        gate = tl.dot(x, _weights(w_ptr, known, start, C, BK), gate, input_precision="ieee")
        up = tl.dot(x, _weights(w_ptr, above, start, C, BK), up, input_precision="ieee")
    kind = out_ptr.dtype.element_ty
    gate, up = gate.to(kind).to(tl.float32), up.to(kind).to(tl.float32)
    active = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    mask = live[:, None] & (outputs < WIDE)[None, :]
    tl.store(out_ptr + rows[:, None] * WIDE + outputs[None, :], (active * up).to(kind), mask=mask)


@triton.jit
def final_norm(x_ptr, norm_ptr, out_ptr, eps, C: tl.constexpr, BC: tl.constexpr):
    """RMSNorm of one row."""
    row = tl.program_id(0)
    c = tl.arange(0, BC)
    x = tl.load(x_ptr + row * C + c, mask=c < C, other=0.0)
    wide = x.to(tl.float32)
    rounded = (wide * tl.rsqrt(tl.sum(wide * wide, axis=0) / C + eps)).to(x.dtype).to(tl.float32)
    weight = tl.load(norm_ptr + c, mask=c < C, other=0.0).to(tl.float32)
    tl.store(out_ptr + row * C + c, (rounded * weight).to(x.dtype), mask=c < C)
