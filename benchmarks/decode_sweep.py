"""Tiles, warps, stages and splits of the decoding kernels, and programmatic dependent launch: µs a launch, by slots.

python benchmarks/decode_sweep.py --out results     (SmolLM2-135M's shape; at most 100 s, compiling included)

A kernel runs once a layer, with the layers' own weights, in a CUDA graph; the L2 cache is flushed before each replay,
so weights come from memory as in a real step. Sixteen rows a tile throughout: what is compared keeps one order of
every sum for all slot counts. The first configuration of each kernel is the one in use for up to 128 slots.
Without a GPU: TRITON_INTERPRET=1 python benchmarks/decode_sweep.py --rehearse (plain launches, two layers, NumPy below
2.3).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gpu import DEVICE, machine, synchronize
from job import make_model

from r1gym.engine.cache import PAGE
from r1gym.engine.fused import FusedLayer, fuse

__all__ = ["CONFIGURATIONS", "Bench"]

CONFIGURATIONS: dict[str, list[tuple[int, ...]]] = {
    # outputs a tile, sum axis a tile, warps, stages
    "o": [
        (32, 64, 2, 5), (16, 64, 2, 5), (64, 64, 4, 5), (16, 128, 2, 4), (32, 128, 2, 4), (16, 64, 1, 5),
        (32, 32, 2, 6),
    ],
    "gate_up": [
        (32, 128, 2, 3), (16, 128, 2, 4), (16, 64, 2, 5), (32, 64, 2, 5), (32, 64, 4, 4), (16, 128, 1, 3),
        (64, 64, 4, 4),
    ],
    "down": [
        (16, 128, 2, 5), (16, 128, 4, 5), (16, 256, 4, 3), (16, 128, 1, 4), (32, 128, 2, 4), (32, 128, 4, 4),
        (16, 64, 2, 6),
    ],
    # sum axis a tile, warps, stages
    "qkv": [(128, 2, 3), (128, 4, 3), (64, 2, 4), (64, 4, 4), (128, 1, 2), (128, 2, 4)],
    # runs, warps, stages
    "attention": [(4, 2, 2), (4, 1, 2), (4, 4, 2), (4, 2, 3), (4, 2, 1), (2, 2, 2), (8, 2, 2), (2, 2, 3)],
}  # fmt: skip
WAYS = {"launched one after the other": 0, "dependent launch": 1, "dependent launch, weights fetched ahead": 2}
POSITION = 256


class Bench:
    """The buffers of one slot count, and the kernels over all layers."""

    def __init__(self, model: Any, slots: int) -> None:
        self.w, self.slots = fuse(model), slots
        c = model.config
        self.channels, self.wide = c.hidden_size, c.intermediate_size
        w = self.w
        generator = torch.Generator(device=DEVICE).manual_seed(0)

        def noise(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator, device=DEVICE).to(w.embed.dtype)

        self.x, self.q = noise(slots, self.channels), noise(slots, w.heads, w.width)
        self.attended, self.active = noise(slots, w.heads, w.width), noise(slots, self.wide)
        columns = POSITION // PAGE + 1
        self.tables = torch.arange(1, slots * columns + 1, dtype=torch.int32, device=DEVICE).view(slots, columns)
        self.pool = torch.zeros(
            slots * columns + 1, len(w.layers), 2, w.kv_heads, PAGE, w.width, dtype=w.embed.dtype, device=DEVICE
        )
        self.positions = torch.full((slots,), POSITION, dtype=torch.long, device=DEVICE)
        self.arrived = torch.zeros(slots * w.kv_heads, dtype=torch.int32, device=DEVICE)
        self.part = torch.empty(slots, w.heads, 8, w.width, device=DEVICE)
        self.stats = torch.empty(slots, w.heads, 8, 2, device=DEVICE)

    def every_layer(self, kernel: str, tile: tuple[int, ...]) -> None:
        """One kernel, once a layer."""
        for number in range(len(self.w.layers)):
            self.launch(kernel, tile, number)

    def launch(self, kernel: str, tile: tuple[int, ...], number: int) -> None:
        """One kernel of layer ``number``."""
        layer = self.w.layers[number]
        if kernel == "o":
            self._linear_add(self.attended, layer.o, tile)
        elif kernel == "down":
            self._linear_add(self.active, layer.down, tile)
        elif kernel == "gate_up":
            self._gate_up(layer, tile)
        elif kernel == "qkv":
            self._qkv(layer, number, tile)
        else:
            self._attention(number, tile)

    def _linear_add(self, a: torch.Tensor, weight: torch.Tensor, tile: tuple[int, ...]) -> None:
        from r1gym.engine import kernels

        kernels.linear_add[(-(-self.slots // 16), -(-self.channels // tile[0]))](
            a, weight, self.x, self.slots, C=self.channels, K=weight.shape[1], **_options(tile)
        )

    def _gate_up(self, layer: FusedLayer, tile: tuple[int, ...]) -> None:
        from r1gym.engine import kernels

        kernels.gate_up[(-(-self.slots // 16), -(-self.wide // tile[0]))](
            self.x, layer.norm_mid, layer.gate_up, self.active, self.slots, self.w.eps,
            C=self.channels, WIDE=self.wide, **_options(tile),
        )  # fmt: skip

    def _qkv(self, layer: FusedLayer, number: int, tile: tuple[int, ...]) -> None:
        from r1gym.engine import kernels

        w, none = self.w, layer.norm_in
        kernels.qkv[(-(-self.slots // 16), w.heads + 2 * w.kv_heads)](
            self.x, layer.norm_in, layer.qkv, none, none, none, w.cos, w.sin, self.positions, self.tables, self.pool,
            self.q, self.slots, self.tables.shape[1], self.pool.stride(0), number, w.eps,
            C=self.channels, HQ=w.heads, HKV=w.kv_heads, D=w.width, PAGE=PAGE, BM=16, BK=tile[0], BIAS=False,
            HEAD_NORM=False, num_warps=tile[1], num_stages=tile[2],
        )  # fmt: skip

    def _attention(self, number: int, tile: tuple[int, ...]) -> None:
        from r1gym.engine import kernels

        w = self.w
        group = w.heads // w.kv_heads
        kernels.attention[(self.slots, w.kv_heads, tile[0])](
            self.q, self.pool, self.positions, self.tables, self.part, self.stats, self.arrived, self.attended,
            self.tables.shape[1], self.pool.stride(0), number, w.width**-0.5 * math.log2(math.e),
            HKV=w.kv_heads, R=group, BR=max(16, 1 << (group - 1).bit_length()), D=w.width, BD=max(w.width, 16),
            PAGE=PAGE, SPLIT=tile[0], num_warps=tile[1], num_stages=tile[2],
        )  # fmt: skip

    def half(self, way: int) -> None:
        """Output projection, gate-up and down of every layer, with programmatic dependent launch or without."""
        import pdl_kernels as kernels

        rows = -(-self.slots // 16)
        (bo, ko, wo, so), (bg, kg, wg, sg), (bd, kd, wd, sd) = (CONFIGURATIONS[k][0] for k in ("o", "gate_up", "down"))
        # The interpreter knows no launch options of a GPU.
        extra: dict[str, Any] = {"launch_pdl": way > 0} if DEVICE == "cuda" else {}
        inner = self.w.heads * self.w.width
        for layer in self.w.layers:
            kernels.linear_add[(rows, -(-self.channels // bo))](
                self.attended, layer.o, self.x, self.slots, C=self.channels, K=inner, BM=16, BN=bo, BK=ko,
                LINES=_lines(inner), WAY=way, num_warps=wo, num_stages=so, **extra,
            )  # fmt: skip
            kernels.gate_up[(rows, -(-self.wide // bg))](
                self.x, layer.norm_mid, layer.gate_up, self.active, self.slots, self.w.eps, C=self.channels,
                WIDE=self.wide, BM=16, BN=bg, BK=kg, LINES=_lines(self.channels), WAY=way, num_warps=wg, num_stages=sg,
                **extra,
            )  # fmt: skip
            kernels.linear_add[(rows, -(-self.channels // bd))](
                self.active, layer.down, self.x, self.slots, C=self.channels, K=self.wide, BM=16, BN=bd, BK=kd,
                LINES=_lines(self.wide), WAY=way, num_warps=wd, num_stages=sd, **extra,
            )  # fmt: skip


def _options(tile: tuple[int, ...]) -> dict[str, int]:
    return dict(zip(("BM", "BN", "BK", "num_warps", "num_stages"), (16, *tile), strict=True))


def _lines(columns: int) -> int:
    """Lines of 128 bytes in a row of 16-bit numbers, rounded up to a power of two."""
    return 1 << (-(-columns // 64) - 1).bit_length()


def timed(run: Callable[[], None], flush: torch.Tensor) -> float:
    """µs of ``run`` in a CUDA graph, median of 7, the L2 cache flushed before each; on a CPU of one run."""
    run()
    synchronize()
    if DEVICE != "cuda":
        began = time.perf_counter()
        run()
        return (time.perf_counter() - began) * 1e6
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    times = []
    for _ in range(7):
        flush.zero_()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1000)
    return statistics.median(times)


@torch.no_grad()
def sweep(benches: list[Bench], until: float, most: int) -> dict[str, list[dict[str, Any]]]:
    """Every configuration, the first of each kernel first, until time is over; those that do not fit say so."""
    flush = torch.zeros(2**27 if DEVICE == "cuda" else 8, dtype=torch.uint8, device=DEVICE)
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in CONFIGURATIONS}
    layers = len(benches[0].w.layers)
    for place in range(min(max(map(len, CONFIGURATIONS.values())), most)):
        for kernel, tiles in CONFIGURATIONS.items():
            if place >= len(tiles) or time.monotonic() > until:
                continue
            row: dict[str, Any] = {"configuration": str(tiles[place]), "us": {}}
            for bench in benches:
                try:
                    taken = timed(partial(bench.every_layer, kernel, tiles[place]), flush)
                except Exception as error:  # more shared memory than there is, say; the others still count
                    row["configuration"] += f" ({type(error).__name__})"
                    break
                row["us"][str(bench.slots)] = taken / layers
            found[kernel].append(row)
            print(kernel, row, flush=True)
    return found


@torch.no_grad()
def dependent(benches: list[Bench]) -> list[dict[str, Any]]:
    """µs of output projection, gate-up and down together, and whether the results are the same to the bit."""
    flush = torch.zeros(2**27 if DEVICE == "cuda" else 8, dtype=torch.uint8, device=DEVICE)
    rows: list[dict[str, Any]] = []
    before = [bench.x.clone() for bench in benches]
    results: dict[int, torch.Tensor] = {}
    for name, way in WAYS.items():
        if way and DEVICE != "cuda":
            continue
        row: dict[str, Any] = {"configuration": name, "us": {}}
        for bench, start in zip(benches, before, strict=True):
            bench.x.copy_(start)
            bench.half(way)
            synchronize()
            kept = results.setdefault(bench.slots, bench.x.clone())
            if not torch.equal(kept, bench.x):
                row["configuration"] = f"{name} (results differ)"
            row["us"][str(bench.slots)] = timed(partial(bench.half, way), flush) / len(bench.w.layers)
        rows.append(row)
        print(row, flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--slots", default="8,16,64,128")
    parser.add_argument("--seconds", type=float, default=80.0, help="after which no new configuration is begun")
    parser.add_argument("--commit", default="")
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    slots = [3] if options.rehearse else [int(each) for each in options.slots.split(",")]
    dtype = torch.float32 if options.rehearse else torch.bfloat16
    model = make_model("tiny" if options.rehearse else "smollm2-135m", dtype, DEVICE)
    benches = [Bench(model, count) for count in slots]
    pdl = dependent(benches)
    kernels = sweep(benches, until, 2 if options.rehearse else 99)
    kernels["o, gate-up and down of a layer, with and without programmatic dependent launch"] = pdl
    written = {"machine": machine(options.commit, " ".join(["python", *sys.argv])), "slots": slots, "kernels": kernels}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sweep.json").write_text(json.dumps(written, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
