# mypy: ignore-errors
"""Two kernels of the decoding step with programmatic dependent launch: the next kernel starts before this one ends.

As ``linear_add`` and ``gate_up`` of r1gym/engine/kernels.py, sums in the same order. WAY 0 is a plain launch; 1 waits
for the kernel before at the first read of what it wrote, and lets the next one start before the results are stored;
2 also asks for its weights to be brought into the L2 cache before it waits. Launch 1 and 2 with ``launch_pdl=True``.
"""

# Triton compiles these functions from their source; they are not typed Python, hence the first line.

import triton
import triton.language as tl
from triton.language.extra.cuda import gdc_launch_dependents, gdc_wait

from r1gym.engine.kernels import _inverse_rms, _normed, _weights

__all__ = ["gate_up", "linear_add"]


@triton.jit
def _fetch(w_ptr, outputs, K: tl.constexpr, LINES: tl.constexpr):
    """Ask for the rows ``outputs`` of a 16-bit matrix [out, K], in lines of 128 bytes."""
    line = tl.arange(0, LINES)
    inside = tl.where(line * 64 < K, line * 64, 0)
    rows = tl.where(outputs >= 0, outputs, 0)
    places = w_ptr + rows[:, None].to(tl.int64) * K + inside[None, :]
    tl.inline_asm_elementwise(
        "prefetch.global.L2 [$1]; mov.b32 $0, 0;", "=r,l", [places.to(tl.int64)], dtype=tl.int32, is_pure=False, pack=1
    )


@triton.jit(do_not_specialize=["slots"])
def linear_add(
    a_ptr, w_ptr, x_ptr, slots,
    C: tl.constexpr, K: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, LINES: tl.constexpr,
    WAY: tl.constexpr,
):  # fmt: skip
    """x[S, C] += a[S, K] w[C, K]ᵀ, in place."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    outputs = tl.program_id(1) * BN + tl.arange(0, BN)
    live = rows < slots
    known = tl.where(outputs < C, outputs, -1)
    if WAY == 2:
        _fetch(w_ptr, known, K, LINES)
    if WAY > 0:
        gdc_wait()
    sums = tl.zeros([BM, BN], dtype=tl.float32)
    for start in range(0, K, BK):
        columns = start + tl.arange(0, BK)
        inside = live[:, None] & (columns < K)[None, :]
        a = tl.load(a_ptr + rows[:, None] * K + columns[None, :], mask=inside, other=0.0)
        sums = tl.dot(a, _weights(w_ptr, known, start, K, BK), sums, input_precision="ieee")
    if WAY > 0:
        gdc_launch_dependents()
    place = x_ptr + rows[:, None] * C + outputs[None, :]
    mask = live[:, None] & (outputs < C)[None, :]
    x = tl.load(place, mask=mask, other=0.0)
    tl.store(place, (x.to(tl.float32) + sums.to(x.dtype).to(tl.float32)).to(x.dtype), mask=mask)


@triton.jit(do_not_specialize=["slots"])
def gate_up(
    x_ptr, norm_ptr, w_ptr, out_ptr, slots, eps,
    C: tl.constexpr, WIDE: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, LINES: tl.constexpr,
    WAY: tl.constexpr,
):  # fmt: skip
    """silu(norm(x) gateᵀ) * (norm(x) upᵀ); gate stands above up in ``w``, WIDE rows each."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    outputs = tl.program_id(1) * BN + tl.arange(0, BN)
    live = rows < slots
    known = tl.where(outputs < WIDE, outputs, -1)
    above = tl.where(outputs < WIDE, outputs + WIDE, -1)
    if WAY == 2:
        _fetch(w_ptr, known, C, LINES)
        _fetch(w_ptr, above, C, LINES)
    if WAY > 0:
        gdc_wait()
    scale = _inverse_rms(x_ptr, rows, live, eps, C, BM)
    gate = tl.zeros([BM, BN], dtype=tl.float32)
    up = tl.zeros([BM, BN], dtype=tl.float32)
    for start in range(0, C, BK):
        x = _normed(x_ptr, norm_ptr, rows, live, scale, start, C, BK)
        gate = tl.dot(x, _weights(w_ptr, known, start, C, BK), gate, input_precision="ieee")
        up = tl.dot(x, _weights(w_ptr, above, start, C, BK), up, input_precision="ieee")
    if WAY > 0:
        gdc_launch_dependents()
    kind = out_ptr.dtype.element_ty
    gate, up = gate.to(kind).to(tl.float32), up.to(kind).to(tl.float32)
    active = (gate / (1.0 + tl.exp(-gate))).to(kind).to(tl.float32)
    mask = live[:, None] & (outputs < WIDE)[None, :]
    tl.store(out_ptr + rows[:, None] * WIDE + outputs[None, :], (active * up).to(kind), mask=mask)
