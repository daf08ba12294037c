"""The compact path on GPUs: the decoding step of `compact.py` as five Triton kernels a layer.

Axes: S slots, C hidden size, H query heads, G key-value heads, D head width, V vocabulary.
"""

from __future__ import annotations

import math
from contextlib import nullcontext
from functools import lru_cache

import torch

from r1gym.engine.cache import PAGE
from r1gym.engine.compact import CompactForward
from r1gym.engine.fused import FusedLayer
from r1gym.engine.pages import PagePool

__all__ = ["KernelForward", "kernel_attention", "no_kernels"]

SPLIT = 4
"""Runs that a slot's pages are read in side by side; a constant, so that sums do not depend on the slot count."""
HEAD_ROWS = 128
"""The output layer multiplies this many rows at a time, filled up: one cuBLAS algorithm for all slot counts."""

FEW = (16, 32, 64, 2, 5), (16, 32, 128, 2, 3), (16, 16, 128, 2, 5)
MANY = (64, 64, 64, 4, 4), (32, 64, 64, 4, 3), (64, 64, 128, 4, 4)
"""Tiles of the output projection, gate-up and down: rows, outputs, sum axis, warps, stages; the fastest of a sweep on
an H100. The order of every sum is the same in all of them (benchmarks/decode_step.py counts equal completions)."""


@lru_cache
def no_kernels(device: torch.device) -> str:
    """Why the Triton kernels cannot run there; "" where they can."""
    if device.type != "cuda":
        return f"the device is {device.type}"
    try:
        from r1gym.engine import drawing_kernels, kernels  # noqa: F401
    except Exception as error:  # a broken installation may raise anything at import
        return f"Triton cannot be used: {type(error).__name__}: {error}"
    if torch.cuda.get_device_capability(device) < (8, 0):
        return f"{torch.cuda.get_device_name(device)} is older than the kernels ask for"
    try:
        _launch_one(device)
    except Exception as error:  # no C compiler, a driver that does not fit, a cache folder that cannot be written
        first = next(iter(str(error).strip().splitlines()), "")
        return f"Triton cannot compile here: {type(error).__name__}: {first}"
    return ""


def _launch_one(device: torch.device) -> None:
    """Compile and run the smallest kernel: an installation may import well and fail at the first launch."""
    from r1gym.engine import kernels

    x = torch.ones(1, 32, device=device)
    out = torch.empty_like(x)
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        kernels.final_norm[(1,)](x, x[0], out, 1e-6, C=32, BC=32)
    if not bool(torch.allclose(out, x, atol=1e-3)):
        raise RuntimeError(f"a norm of ones came out as {float(out[0, 0])}")


class KernelForward(CompactForward):
    """Prefill in torch, decoding in Triton."""

    def decode(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, tables_SM: torch.Tensor, pool: PagePool
    ) -> torch.Tensor:
        """Logits [S, V] in float32 after each slot's token, whose keys and values are stored on the way."""
        w, slots = self.weights, len(tokens_S)
        x = w.embed.index_select(0, tokens_S)
        q = x.new_empty(slots, w.heads, w.width)
        attended = torch.empty_like(q)
        active = x.new_empty(slots, w.layers[0].down.shape[1])
        for number, layer in enumerate(w.layers):
            self._qkv(layer, number, x, q, positions_S, tables_SM, pool)
            _attend(q, attended, pool.data, number, positions_S, tables_SM, w.width**-0.5)
            self._rest(layer, x, attended, active)
        return self._logits(x)

    def _rest(self, layer: FusedLayer, x: torch.Tensor, attended: torch.Tensor, active: torch.Tensor) -> None:
        """The output projection and the MLP, added to ``x``."""
        from r1gym.engine import kernels

        (slots, channels), wide = x.shape, active.shape[1]
        inner = attended.shape[1] * attended.shape[2]
        # Of float32 the large tiles ask for more shared memory (192 KiB) than GPUs before the H100 have.
        out, gate, down = FEW if slots <= HEAD_ROWS or x.element_size() == 4 else MANY
        kernels.linear_add[(-(-slots // out[0]), -(-channels // out[1]))](
            attended, layer.o, x, slots, C=channels, K=inner, **_tile(out)
        )
        kernels.gate_up[(-(-slots // gate[0]), -(-wide // gate[1]))](
            x, layer.norm_mid, layer.gate_up, active, slots, self.weights.eps, C=channels, WIDE=wide, **_tile(gate)
        )
        kernels.linear_add[(-(-slots // down[0]), -(-channels // down[1]))](
            active, layer.down, x, slots, C=channels, K=wide, **_tile(down)
        )

    def _qkv(
        self,
        layer: FusedLayer,
        number: int,
        x: torch.Tensor,
        q: torch.Tensor,
        positions_S: torch.Tensor,
        tables_SM: torch.Tensor,
        pool: PagePool,
    ) -> None:
        from r1gym.engine import kernels

        w, slots, channels = self.weights, len(x), x.shape[1]
        none = layer.norm_in  # a pointer that is never read
        kernels.qkv[(-(-slots // 16), w.heads + 2 * w.kv_heads)](
            x,
            layer.norm_in,
            layer.qkv,
            none if layer.qkv_bias is None else layer.qkv_bias,
            none if layer.norm_q is None else layer.norm_q,
            none if layer.norm_k is None else layer.norm_k,
            w.cos,
            w.sin,
            positions_S,
            tables_SM,
            pool.data,
            q,
            slots,
            tables_SM.shape[1],
            pool.data.stride(0),
            number,
            w.eps,
            C=channels,
            HQ=w.heads,
            HKV=w.kv_heads,
            D=w.width,
            PAGE=PAGE,
            BM=16,
            BK=128,
            BIAS=layer.qkv_bias is not None,
            HEAD_NORM=layer.norm_q is not None,
            num_warps=2,
            num_stages=3,
        )

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        from r1gym.engine import kernels

        slots, channels = x.shape
        filled = -(-slots // HEAD_ROWS) * HEAD_ROWS
        hidden = x.new_empty(filled, channels)  # what stands in the rows beyond the slots is never looked at
        kernels.final_norm[(slots,)](
            x, self.weights.norm, hidden, self.weights.eps, C=channels, BC=1 << (channels - 1).bit_length()
        )
        head = self.weights.head.T
        if x.device.type != "cuda":
            return (hidden @ head)[:slots].float()
        logits = torch.empty(filled, head.shape[1], device=x.device)
        for start in range(0, filled, HEAD_ROWS):
            rows = slice(start, start + HEAD_ROWS)
            if x.dtype == torch.float32:
                torch.mm(hidden[rows], head, out=logits[rows])
            else:
                torch.mm(hidden[rows], head, out_dtype=torch.float32, out=logits[rows])
        return logits[:slots]


def kernel_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    pool: torch.Tensor,
    layer: int,
    positions_S: torch.Tensor,
    tables_SM: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """The general path's decoding attention: [S, H, 1, D] queries, [S, G, 1, D] keys and values to [S, 1, H, D]."""
    from r1gym.engine import kernels

    slots, groups, _, width = key.shape
    k, v = key[:, :, 0].contiguous(), value[:, :, 0].contiguous()
    kernels.write[(slots, groups)](
        k, v, positions_S, tables_SM, pool, tables_SM.shape[1], pool.stride(0), layer, k.stride(0), v.stride(0),
        HKV=groups, D=width, BD=1 << (width - 1).bit_length(), PAGE=PAGE, num_warps=1,
    )  # fmt: skip
    q = query[:, :, 0].contiguous()
    output = torch.empty_like(q)
    _attend(q, output, pool, layer, positions_S, tables_SM, scale)
    return output[:, None]


def _attend(
    q_SHD: torch.Tensor,
    out_SHD: torch.Tensor,
    pool: torch.Tensor,
    layer: int,
    positions_S: torch.Tensor,
    tables_SM: torch.Tensor,
    scale: float,
) -> None:
    from r1gym.engine import kernels

    slots, heads, width = q_SHD.shape
    groups = pool.shape[3]
    padded = max(1 << (width - 1).bit_length(), 16)
    part = torch.empty(slots, heads, SPLIT, width, device=q_SHD.device)
    stats = torch.empty(slots, heads, SPLIT, 2, device=q_SHD.device)
    kernels.attention[(slots, groups, SPLIT)](
        q_SHD, pool, positions_S, tables_SM, part, stats, _arrivals(slots * groups, q_SHD.device), out_SHD,
        tables_SM.shape[1], pool.stride(0), layer, scale * math.log2(math.e),
        HKV=groups, R=heads // groups, BR=max(16, 1 << (heads // groups - 1).bit_length()), D=width, BD=padded,
        PAGE=PAGE, SPLIT=SPLIT, num_warps=2, num_stages=2,
    )  # fmt: skip


_COUNTERS: dict[torch.device, list[torch.Tensor]] = {}


def _arrivals(count: int, device: torch.device) -> torch.Tensor:
    """Counters that stand at 0 before and after every attention call; kept, because captured graphs hold them."""
    known = _COUNTERS.setdefault(device, [])
    if not known or len(known[-1]) < count:
        known.append(torch.zeros(max(count, 4096), dtype=torch.int32, device=device))
    return known[-1]


def _tile(shape: tuple[int, int, int, int, int]) -> dict[str, int]:
    return dict(zip(("BM", "BN", "BK", "num_warps", "num_stages"), shape, strict=True))
