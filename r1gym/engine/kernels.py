# mypy: ignore-errors
"""The decoding step in Triton: five kernels a layer, every number of slots with the same tiles along the sum axis.

A result depends on its own row only, and its sums run in one order whatever the number of slots: a sample's tokens do
not depend on its neighbours, in bfloat16 too. Roundings stand where transformers rounds. Axes in comments: S slots,
C hidden size, D head width, R query heads of one key-value head, N pages.
"""

# Triton compiles these functions from their source; they are not typed Python, hence the first line.

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

__all__ = ["attention", "final_norm", "gate_up", "linear_add", "qkv", "write"]


@triton.jit
def _block(ptr, rows, live, start, K: tl.constexpr, WIDTH: tl.constexpr):
    """[len(rows), WIDTH] of a matrix [.., K], from column ``start`` on; rows that do not live are 0."""
    columns = start + tl.arange(0, WIDTH)
    return tl.load(ptr + rows[:, None].to(tl.int64) * K + columns[None, :], mask=live[:, None], other=0.0)


@triton.jit
def _held(ptr, rows, live, K: tl.constexpr, PIECES: tl.constexpr):
    """The first columns, piece by piece: all loads are under way together."""
    blocks = ()
    start = 0
    for i in tl.static_range(len(PIECES)):
        blocks += (_block(ptr, rows, live, start, K, PIECES[i]),)
        start += PIECES[i]
    return blocks


@triton.jit
def _beyond(ptr, rows, live, start, K: tl.constexpr, BK: tl.constexpr):
    """Like ``_block``, where the matrix may end before."""
    columns = start + tl.arange(0, BK)
    inside = live[:, None] & (columns < K)[None, :]
    return tl.load(ptr + rows[:, None].to(tl.int64) * K + columns[None, :], mask=inside, other=0.0)


@triton.jit
def _wait(PDL: tl.constexpr):
    """From here on, what the kernel before wrote may be read; from here on, the next kernel may start up to here."""
    if PDL:
        gdc_wait()
        gdc_launch_dependents()


@triton.jit
def _inverse_rms(
    x_ptr, xs, rows, live, eps, C: tl.constexpr, PIECES: tl.constexpr, HELD: tl.constexpr, BM: tl.constexpr
):
    # Columns in steps of 256, held or not: one order of the sum. A warp's 32 lanes load eight numbers each of one row,
    # so the compiler has no other way to lay a block out (wider blocks differ from tile to tile).
    WIDE: tl.constexpr = 256
    squares = tl.zeros([BM], dtype=tl.float32)
    for i in tl.static_range(len(PIECES)):
        x = xs[i].to(tl.float32)
        squares += tl.sum(x * x, axis=1)
    for start in tl.static_range(HELD, C, WIDE):
        x = _beyond(x_ptr, rows, live, start, C, WIDE).to(tl.float32)
        squares += tl.sum(x * x, axis=1)
    return tl.rsqrt(squares / C + eps)


@triton.jit
def _normed(x, weight, scale):
    rounded = (x.to(tl.float32) * scale[:, None]).to(x.dtype)
    return (rounded.to(tl.float32) * weight.to(tl.float32)[None, :]).to(x.dtype)


@triton.jit
def _normed_product(
    x_ptr, norm_ptr, w_ptr, xs, ws, norms, rows, live, outputs, known, eps,
    C: tl.constexpr, PIECES: tl.constexpr, HELD: tl.constexpr, BM: tl.constexpr, N: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """norm(x) wᵀ, [BM, N] in float32."""
    scale = _inverse_rms(x_ptr, xs, rows, live, eps, C, PIECES, HELD, BM)
    sums = tl.zeros([BM, N], dtype=tl.float32)
    for i in tl.static_range(len(PIECES)):
        sums = tl.dot(_normed(xs[i], norms[i], scale), tl.trans(ws[i]), sums, input_precision="ieee")
    for start in range(HELD, C, BK):
        columns = start + tl.arange(0, BK)
        weight = tl.load(norm_ptr + columns, mask=columns < C, other=0.0)
        x = _normed(_beyond(x_ptr, rows, live, start, C, BK), weight, scale)
        sums = tl.dot(x, tl.trans(_beyond(w_ptr, outputs, known, start, C, BK)), sums, input_precision="ieee")
    return sums


@triton.jit
def _norm_weights(norm_ptr, PIECES: tl.constexpr):
    weights = ()
    start = 0
    for i in tl.static_range(len(PIECES)):
        weights += (tl.load(norm_ptr + start + tl.arange(0, PIECES[i])),)
        start += PIECES[i]
    return weights


@triton.jit
def _halves(sums, BM: tl.constexpr, BN: tl.constexpr):
    """[BM, 2 BN] as two [BM, BN]."""
    return tl.split(tl.permute(tl.reshape(sums, [BM, 2, BN]), [0, 2, 1]))


@triton.jit(do_not_specialize=["slots", "table_width", "layer"])
def qkv(
    x_ptr, norm_ptr, w_ptr, bias_ptr, norm_q_ptr, norm_k_ptr, cos_ptr, sin_ptr, positions_ptr, tables_ptr, pool_ptr,
    q_ptr, slots, table_width, page_stride, layer, eps,
    C: tl.constexpr, HQ: tl.constexpr, HKV: tl.constexpr, D: tl.constexpr, PAGE: tl.constexpr,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PIECES: tl.constexpr, HELD: tl.constexpr,
    BIAS: tl.constexpr, HEAD_NORM: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """Norm, projection of BN pairs of one head's numbers, rotary embedding.

    Queries go to ``q_ptr``, keys and values to their pages.
    """
    HALF: tl.constexpr = D // 2
    PARTS: tl.constexpr = HALF // BN
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    live = rows < slots
    head, part = tl.program_id(1) // PARTS, tl.program_id(1) % PARTS
    d = part * BN + tl.arange(0, BN)
    both = tl.arange(0, 2 * BN)
    outputs = head * D + part * BN + both % BN + (both // BN) * HALF
    known = outputs >= 0
    ws, norms = _held(w_ptr, outputs, known, C, PIECES), _norm_weights(norm_ptr, PIECES)
    positions = tl.load(positions_ptr + rows, mask=live, other=0)
    is_value = head >= HQ + HKV
    angle = positions[:, None] * HALF + d[None, :]
    cos = tl.where(is_value, 1.0, tl.load(cos_ptr + angle).to(tl.float32))
    sin = tl.where(is_value, 0.0, tl.load(sin_ptr + angle).to(tl.float32))
    page = tl.load(tables_ptr + rows * table_width + positions // PAGE, mask=live, other=0).to(tl.int64)
    _wait(PDL)
    xs = _held(x_ptr, rows, live, C, PIECES)
    sums = _normed_product(
        x_ptr, norm_ptr, w_ptr, xs, ws, norms, rows, live, outputs, known, eps, C, PIECES, HELD, BM, 2 * BN, BK
    )
    first, second = _halves(sums, BM, BN)
    kind = q_ptr.dtype.element_ty
    if BIAS:
        first += tl.load(bias_ptr + head * D + d).to(tl.float32)[None, :]
        second += tl.load(bias_ptr + head * D + HALF + d).to(tl.float32)[None, :]
    first, second = first.to(kind).to(tl.float32), second.to(kind).to(tl.float32)
    if HEAD_NORM:  # BN is HALF
        mean = (tl.sum(first * first, axis=1) + tl.sum(second * second, axis=1)) / D
        inverse = tl.rsqrt(mean + eps)[:, None]
        norm_ptr_h = tl.where(head < HQ, norm_q_ptr.to(tl.int64), norm_k_ptr.to(tl.int64)).to(norm_q_ptr.dtype)
        weight1 = tl.load(norm_ptr_h + d).to(tl.float32)[None, :]
        weight2 = tl.load(norm_ptr_h + HALF + d).to(tl.float32)[None, :]
        normed1 = ((first * inverse).to(kind).to(tl.float32) * weight1).to(kind).to(tl.float32)
        normed2 = ((second * inverse).to(kind).to(tl.float32) * weight2).to(kind).to(tl.float32)
        first, second = tl.where(is_value, first, normed1), tl.where(is_value, second, normed2)
    out1 = (first * cos - second * sin).to(kind)
    out2 = (second * cos + first * sin).to(kind)
    if head < HQ:
        target = q_ptr + (rows * HQ + head)[:, None] * D + d[None, :]
        tl.store(target, out1, mask=live[:, None])
        tl.store(target + HALF, out2, mask=live[:, None])
    else:
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


@triton.jit
def _fetch(ptr, WIDTH: tl.constexpr):
    """Ask for WIDTH bytes from ``ptr`` on to be brought into the L2 cache, in lines of 128."""
    places = ptr.to(tl.int64) + tl.arange(0, WIDTH // 128) * 128
    tl.inline_asm_elementwise(
        "prefetch.global.L2 [$1]; mov.b32 $0, 0;", "=r,l", [places], dtype=tl.int32, is_pure=False, pack=1
    )


@triton.jit(do_not_specialize=["table_width", "layer"])
def attention(
    q_ptr, pool_ptr, positions_ptr, tables_ptr, part_ptr, stats_ptr, arrived_ptr, out_ptr, table_width, page_stride,
    layer, scale,
    HKV: tl.constexpr, R: tl.constexpr, BR: tl.constexpr, D: tl.constexpr, BD: tl.constexpr, PAGE: tl.constexpr,
    SPLIT: tl.constexpr, RUNS: tl.constexpr, LONG: tl.constexpr, BYTES: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """One slot's queries of one key-value head over one of at most RUNS runs of its pages (2 RUNS beyond LONG pages).

    ``scale`` includes log2(e). The program that arrives last merges the runs, always in the same order, and sets the
    counter back to 0. BYTES: those of a page's keys of one head, fetched ahead; 0 for not.
    """
    slot, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    d, r, t = tl.arange(0, BD), tl.arange(0, BR), tl.arange(0, PAGE)
    length = tl.load(positions_ptr + slot) + 1
    pages = (length + PAGE - 1) // PAGE
    parts = tl.where(pages <= LONG, RUNS, 2 * RUNS)
    each = tl.maximum((pages + parts - 1) // parts, 2)
    runs = (pages + each - 1) // each
    begin, end = split * each, tl.minimum(split * each + each, pages)
    heads = (slot * HKV + head) * R + r
    wanted = (r < R)[:, None] & (d < D)[None, :]
    if BYTES > 0:
        for number in range(begin, end):
            page = tl.load(tables_ptr + slot * table_width + number).to(tl.int64)
            keys = pool_ptr + page * page_stride + (layer * 2 * HKV + head) * PAGE * D
            _fetch(keys, BYTES)
            _fetch(keys + HKV * PAGE * D, BYTES)
    _wait(PDL)
    if begin < end:
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
        if runs > 1:
            place = heads * SPLIT + split
            tl.store(part_ptr + place[:, None] * D + d[None, :], sums, mask=wanted)
            tl.store(stats_ptr + place * 2, top, mask=r < R)
            tl.store(stats_ptr + place * 2 + 1, total, mask=r < R)
            tl.debug_barrier()
            arrived = tl.atomic_add(arrived_ptr + slot * HKV + head, 1, sem="acq_rel")
            if arrived == runs - 1:
                tl.store(arrived_ptr + slot * HKV + head, 0)
                total, sums = _merged(part_ptr, stats_ptr, heads, r < R, wanted, d, runs, D, BR, BD, SPLIT)
                _put(out_ptr, sums, total, heads, r < R, wanted, d, D)
        else:
            _put(out_ptr, sums, total, heads, r < R, wanted, d, D)


@triton.jit
def _merged(
    part_ptr, stats_ptr, heads, real, wanted, d, runs,
    D: tl.constexpr, BR: tl.constexpr, BD: tl.constexpr, SPLIT: tl.constexpr,
):  # fmt: skip
    """Mass [BR] and weighted values [BR, BD] of all runs."""
    top = tl.full([BR], -1e30, dtype=tl.float32)
    total = tl.zeros([BR], dtype=tl.float32)
    sums = tl.zeros([BR, BD], dtype=tl.float32)
    for part in tl.static_range(SPLIT):
        place = heads * SPLIT + part
        here = real & (part < runs)
        part_top = tl.load(stats_ptr + place * 2, mask=here, other=-1e30, cache_modifier=".cg")
        part_total = tl.load(stats_ptr + place * 2 + 1, mask=here, other=0.0, cache_modifier=".cg")
        places = part_ptr + place[:, None] * D + d[None, :]
        part_sums = tl.load(places, mask=wanted & (part < runs), other=0.0, cache_modifier=".cg")
        new_top = tl.maximum(top, part_top)
        old, new = tl.exp2(top - new_top), tl.exp2(part_top - new_top)
        total = total * old + part_total * new
        sums = sums * old[:, None] + part_sums * new[:, None]
        top = new_top
    return total, sums


@triton.jit
def _put(out_ptr, sums, total, heads, real, wanted, d, D: tl.constexpr):
    out = (sums / tl.where(real, total, 1.0)[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + heads[:, None] * D + d[None, :], out, mask=wanted)


@triton.jit(do_not_specialize=["slots"])
def linear_add(
    a_ptr, w_ptr, x_ptr, slots,
    C: tl.constexpr, K: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PIECES: tl.constexpr, HELD: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """x[S, C] += a[S, K] w[C, K]ᵀ, in place."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    outputs = tl.program_id(1) * BN + tl.arange(0, BN)
    live, known = rows < slots, outputs < C
    ws = _held(w_ptr, outputs, known, K, PIECES)
    _wait(PDL)
    blocks = _held(a_ptr, rows, live, K, PIECES)
    place = x_ptr + rows[:, None] * C + outputs[None, :]
    mask = live[:, None] & known[None, :]
    x = tl.load(place, mask=mask, other=0.0)
    sums = tl.zeros([BM, BN], dtype=tl.float32)
    for i in tl.static_range(len(PIECES)):
        sums = tl.dot(blocks[i], tl.trans(ws[i]), sums, input_precision="ieee")
    for start in range(HELD, K, BK):
        a = _beyond(a_ptr, rows, live, start, K, BK)
        sums = tl.dot(a, tl.trans(_beyond(w_ptr, outputs, known, start, K, BK)), sums, input_precision="ieee")
    tl.store(place, (x.to(tl.float32) + sums.to(x.dtype).to(tl.float32)).to(x.dtype), mask=mask)


@triton.jit(do_not_specialize=["slots"])
def gate_up(
    x_ptr, norm_ptr, w_ptr, out_ptr, slots, eps,
    C: tl.constexpr, WIDE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PIECES: tl.constexpr, HELD: tl.constexpr, PDL: tl.constexpr,
):  # fmt: skip
    """silu(norm(x) gateᵀ) * (norm(x) upᵀ); gate stands above up in ``w``, WIDE rows each."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    live = rows < slots
    both = tl.arange(0, 2 * BN)
    column = tl.program_id(1) * BN + both % BN
    known = column < WIDE
    outputs = column + (both // BN) * WIDE
    ws, norms = _held(w_ptr, outputs, known, C, PIECES), _norm_weights(norm_ptr, PIECES)
    _wait(PDL)
    xs = _held(x_ptr, rows, live, C, PIECES)
    sums = _normed_product(
        x_ptr, norm_ptr, w_ptr, xs, ws, norms, rows, live, outputs, known, eps, C, PIECES, HELD, BM, 2 * BN, BK
    )
    kind = out_ptr.dtype.element_ty
    gate, up = _halves(sums, BM, BN)
    gate, up = gate.to(kind).to(tl.float32), up.to(kind).to(tl.float32)
    active = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    mask = live[:, None] & (columns < WIDE)[None, :]
    tl.store(out_ptr + rows[:, None] * WIDE + columns[None, :], (active * up).to(kind), mask=mask)


@triton.jit
def final_norm(x_ptr, norm_ptr, out_ptr, eps, C: tl.constexpr, BC: tl.constexpr, PDL: tl.constexpr):
    """RMSNorm of one row."""
    _wait(PDL)
    row = tl.program_id(0)
    c = tl.arange(0, BC)
    x = tl.load(x_ptr + row * C + c, mask=c < C, other=0.0)
    wide = x.to(tl.float32)
    rounded = (wide * tl.rsqrt(tl.sum(wide * wide, axis=0) / C + eps)).to(x.dtype).to(tl.float32)
    weight = tl.load(norm_ptr + c, mask=c < C, other=0.0).to(tl.float32)
    tl.store(out_ptr + row * C + c, (rounded * weight).to(x.dtype), mask=c < C)
