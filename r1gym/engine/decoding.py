"""The compact path on GPUs: the decoding step of `compact.py` as five Triton kernels a layer.

Axes: S slots, C hidden size, H query heads, G key-value heads, D head width, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import lru_cache
from typing import Any

import torch

from r1gym.engine.cache import PAGE
from r1gym.engine.compact import CompactForward
from r1gym.engine.fused import FusedLayer
from r1gym.engine.pages import PagePool
from r1gym.engine.tiles import HEAD_NORM_QKV, Tiles, dependent_launch, tiles_for

__all__ = ["KernelForward", "kernel_attention", "no_kernels"]

RUNS, LONG = 4, 16
"""A slot's pages are read in at most RUNS runs side by side, in twice as many beyond LONG pages: its own length alone
decides, so that sums do not depend on the slot count."""
HEAD_ROWS = 128
"""The output layer multiplies this many rows at a time, filled up: one cuBLAS algorithm for all slot counts."""
FETCHED_SLOTS = 32
"""Up to this many slots, keys and values are asked for before the queries are there; more keep the memory busy."""


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
    """Compile and run the smallest kernel, launched as all are: what imports well may fail at the first launch."""
    from r1gym.engine import kernels

    x = torch.ones(1, 32, device=device)
    out = torch.empty_like(x)
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
        kernels.final_norm[(1,)](x, x[0], out, 1e-6, C=32, BC=32, **_launching(dependent_launch(device)))
    if not bool(torch.allclose(out, x, atol=1e-3)):
        raise RuntimeError(f"a norm of ones came out as {float(out[0, 0])}")


class KernelForward(CompactForward):
    """Prefill in torch, decoding in Triton."""

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        embed = self.weights.embed
        dependent = dependent_launch(embed.device)
        self._launch = _launching(dependent)
        self.tiles: Callable[[int], Tiles] = lru_cache(
            lambda slots: tiles_for(slots, embed.shape[1], embed.dtype, dependent)
        )
        """How the products are cut for a number of slots."""

    def decode(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, tables_SM: torch.Tensor, pool: PagePool
    ) -> torch.Tensor:
        """Logits [S, V] in float32 after each slot's token, whose keys and values are stored on the way."""
        x = self.weights.embed.index_select(0, tokens_S)
        self.pass_layers(x, positions_S, tables_SM, pool)
        return self._logits(x)

    def pass_layers(self, x: torch.Tensor, positions_S: torch.Tensor, tables_SM: torch.Tensor, pool: PagePool) -> None:
        """Every layer's five kernels, ``x`` [S, C] changed in place."""
        w = self.weights
        q = x.new_empty(len(x), w.heads, w.width)
        attended = torch.empty_like(q)
        active = x.new_empty(len(x), w.layers[0].down.shape[1])
        for number, layer in enumerate(w.layers):
            self._qkv(layer, number, x, q, positions_S, tables_SM, pool)
            _attend(q, attended, pool.data, number, positions_S, tables_SM, w.width**-0.5)
            self._rest(layer, x, attended, active)

    def _rest(self, layer: FusedLayer, x: torch.Tensor, attended: torch.Tensor, active: torch.Tensor) -> None:
        """The output projection and the MLP, added to ``x``."""
        from r1gym.engine import kernels

        (slots, channels), wide = x.shape, active.shape[1]
        inner = attended.shape[1] * attended.shape[2]
        tiles = self.tiles(slots)
        out, gate, down = tiles.out, tiles.gate_up, tiles.down
        kernels.linear_add[(-(-slots // out.rows), -(-channels // out.outputs))](
            attended, layer.o, x, slots, C=channels, K=inner, **out.options(inner), **self._launch
        )
        kernels.gate_up[(-(-slots // gate.rows), -(-wide // gate.outputs))](
            x, layer.norm_mid, layer.gate_up, active, slots, self.weights.eps, C=channels, WIDE=wide,
            **gate.options(channels), **self._launch,
        )  # fmt: skip
        kernels.linear_add[(-(-slots // down.rows), -(-channels // down.outputs))](
            active, layer.down, x, slots, C=channels, K=wide, **down.options(wide), **self._launch
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
        head_norm = layer.norm_q is not None
        tile = HEAD_NORM_QKV if head_norm else self.tiles(slots).qkv
        half = w.width // 2
        tile = replace(tile, outputs=half if head_norm or half % tile.outputs else tile.outputs)
        kernels.qkv[(-(-slots // tile.rows), (w.heads + 2 * w.kv_heads) * half // tile.outputs)](
            x, layer.norm_in, layer.qkv, _or(layer.qkv_bias, none), _or(layer.norm_q, none), _or(layer.norm_k, none),
            w.cos, w.sin, positions_S, tables_SM, pool.data, q, slots, tables_SM.shape[1], pool.data.stride(0), number,
            w.eps, C=channels, HQ=w.heads, HKV=w.kv_heads, D=w.width, PAGE=PAGE, BIAS=layer.qkv_bias is not None,
            HEAD_NORM=head_norm, **tile.options(channels), **self._launch,
        )  # fmt: skip

    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        from r1gym.engine import kernels

        slots, channels = x.shape
        filled = -(-slots // HEAD_ROWS) * HEAD_ROWS
        hidden = x.new_empty(filled, channels)  # what stands in the rows beyond the slots is never looked at
        kernels.final_norm[(slots,)](
            x,
            self.weights.norm,
            hidden,
            self.weights.eps,
            C=channels,
            BC=1 << (channels - 1).bit_length(),
            **self._launch,
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
    # A model whose projections are one product gives parts of its output; the kernel reads them where they stand.
    k, v = (x if x.stride()[1:] == (width, 1) else x.contiguous() for x in (key[:, :, 0], value[:, :, 0]))
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
    runs = RUNS if tables_SM.shape[1] <= LONG else 2 * RUNS
    part = torch.empty(slots, heads, runs, width, device=q_SHD.device)
    stats = torch.empty(slots, heads, runs, 2, device=q_SHD.device)
    fetched = PAGE * width * q_SHD.element_size() if slots <= FETCHED_SLOTS and dependent_launch(q_SHD.device) else 0
    kernels.attention[(slots, groups, runs)](
        q_SHD, pool, positions_S, tables_SM, part, stats, _arrivals(slots * groups, q_SHD.device), out_SHD,
        tables_SM.shape[1], pool.stride(0), layer, scale * math.log2(math.e),
        HKV=groups, R=heads // groups, BR=max(16, 1 << (heads // groups - 1).bit_length()), D=width, BD=padded,
        PAGE=PAGE, SPLIT=runs, RUNS=RUNS, LONG=LONG, BYTES=fetched if fetched & (fetched - 1) == 0 else 0,
        num_warps=2, num_stages=2, **_launching(dependent_launch(q_SHD.device)),
    )  # fmt: skip


def _or(tensor: torch.Tensor | None, other: torch.Tensor) -> torch.Tensor:
    return other if tensor is None else tensor


def _launching(dependent: bool) -> dict[str, bool]:
    """Options of a launch; the interpreter knows none of a GPU."""
    return {"PDL": True, "launch_pdl": True} if dependent else {"PDL": False}


_COUNTERS: dict[torch.device, list[torch.Tensor]] = {}


def _arrivals(count: int, device: torch.device) -> torch.Tensor:
    """Counters that stand at 0 before and after every attention call; kept, because captured graphs hold them."""
    known = _COUNTERS.setdefault(device, [])
    if not known or len(known[-1]) < count:
        known.append(torch.zeros(max(count, 4096), dtype=torch.int32, device=device))
    return known[-1]
