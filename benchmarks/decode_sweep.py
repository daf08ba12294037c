"""Tiles of the decoding kernels, and programmatic dependent launch: µs a layer, by slots.

python benchmarks/decode_sweep.py --out results     (SmolLM2-135M's shape; --seconds bounds it, compiling included)

Timed is the whole chain of a step, five kernels a layer over all layers, several passes in one CUDA graph: with
dependent launch a kernel overlaps its neighbours, so one alone says little. First the tiles in use, with dependent
launch and without; then one product's tile at a time is exchanged. No tile may change a result: a row whose
activations differ from those of the tiles in use says so.
Without a GPU: TRITON_INTERPRET=1 python benchmarks/decode_sweep.py --rehearse (plain launches, two layers, NumPy below
2.3).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from gpu import DEVICE, machine, synchronize
from job import SHAPES, make_model

from r1gym.engine import decoding
from r1gym.engine.cache import PAGE
from r1gym.engine.decoding import KernelForward
from r1gym.engine.pages import PagePool
from r1gym.engine.tiles import Tile, Tiles, dependent_launch, tiles_for

__all__ = ["ALTERNATIVES", "Bench", "Variant", "sweep", "variants"]

ALTERNATIVES: dict[str, tuple[Tile, ...]] = {
    # rows, outputs, sums, warps, stages, held
    "qkv": (
        Tile(16, 16, 64, 4, 3, 640), Tile(16, 32, 64, 4, 3, 640), Tile(16, 16, 64, 2, 3, 640),
        Tile(16, 16, 64, 4, 3, 512), Tile(32, 32, 64, 8, 3, 640), Tile(64, 16, 64, 8, 3, 640),
        Tile(64, 32, 64, 8, 3, 640), Tile(64, 32, 64, 4, 4), Tile(16, 32, 128, 2, 3),
    ),
    "out": (
        Tile(16, 32, 64, 4, 3, 640), Tile(16, 16, 64, 4, 3, 640), Tile(16, 16, 64, 2, 3, 640),
        Tile(16, 64, 64, 4, 3, 640), Tile(32, 32, 64, 4, 3, 640), Tile(64, 32, 64, 8, 3, 640),
        Tile(64, 32, 64, 4, 4), Tile(64, 64, 64, 4, 4), Tile(16, 32, 64, 2, 5),
    ),
    "gate_up": (
        Tile(16, 16, 64, 4, 3, 640), Tile(16, 32, 64, 4, 3, 640), Tile(64, 32, 64, 8, 3, 640),
        Tile(64, 64, 64, 8, 3, 640), Tile(64, 32, 64, 4, 4), Tile(64, 64, 64, 8, 3), Tile(32, 64, 64, 4, 3),
        Tile(32, 128, 64, 8, 3), Tile(16, 32, 128, 2, 3),
    ),
    "down": (
        Tile(16, 16, 256, 4, 3, 512), Tile(16, 16, 128, 4, 4, 512), Tile(16, 32, 256, 4, 3, 512),
        Tile(16, 32, 64, 8, 3, 1536), Tile(16, 16, 128, 2, 5), Tile(32, 16, 128, 4, 4), Tile(64, 16, 128, 4, 4),
        Tile(64, 32, 64, 4, 4), Tile(64, 64, 128, 4, 4), Tile(64, 64, 64, 4, 4),
    ),
}  # fmt: skip
POSITION = 256
PASSES, REPLAYS = 4, 9


@dataclass(frozen=True, slots=True)
class Variant:
    """One row: what is exchanged, for what, and how kernels are launched."""

    table: str
    label: str
    early: bool
    cut: Callable[[Tiles], Tiles]
    """From the tiles in use for a slot count to those to be timed."""


class Bench:
    """One slot count: every slot at POSITION with pages of its own."""

    def __init__(self, model: Any, slots: int) -> None:
        self.model, self.slots = model, slots
        w = KernelForward(model).weights
        generator = torch.Generator(device=DEVICE).manual_seed(0)
        self.start = torch.randn(slots, w.embed.shape[1], generator=generator, device=DEVICE).to(w.embed.dtype)
        self.x = self.start.clone()
        columns = POSITION // PAGE + 1
        self.tables = torch.arange(1, slots * columns + 1, dtype=torch.int32, device=DEVICE).view(slots, columns)
        self.positions = torch.full((slots,), POSITION, dtype=torch.long, device=DEVICE)
        shape = len(w.layers), w.kv_heads, w.width
        self.pool = PagePool(slots * columns + 1, *shape, w.embed.dtype, self.x.device)
        self.pool.data.normal_(generator=generator)
        self.used = tiles_for(slots, w.embed.shape[1], w.embed.dtype, dependent_launch(self.x.device))
        self.expected: torch.Tensor | None = None

    def measure(self, variant: Variant) -> tuple[float, int]:
        """µs a layer, and how many slots' activations differ from the first variant's after one pass."""
        # Attention asks for itself whether it may start early.
        with mock.patch.object(decoding, "dependent_launch", lambda device: variant.early):
            forward = KernelForward(self.model)
            forward.tiles = lambda slots: variant.cut(self.used)

            def run() -> None:
                forward.pass_layers(self.x, self.positions, self.tables, self.pool)

            self.x.copy_(self.start)
            run()
            if self.expected is None:
                self.expected = self.x.clone()
            differ = int((self.x != self.expected).any(dim=1).sum())
            return timed(run) / len(forward.weights.layers), differ


def timed(run: Callable[[], None]) -> float:
    """µs of ``run`` within a graph of several, median of the replays; on a CPU of one run."""
    if DEVICE != "cuda":
        began = time.perf_counter()
        run()
        return (time.perf_counter() - began) * 1e6
    synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(PASSES):
            run()
    times = []
    for _ in range(REPLAYS):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / PASSES)
    return statistics.median(times)


def variants(early: bool, most: int) -> Iterator[Variant]:
    """The tiles in use first; then up to ``most`` alternatives a product, all products' first ones first."""
    if early:
        yield Variant("tiles in use", "dependent launch", True, lambda used: used)
    yield Variant("tiles in use", "launched one after the other", False, lambda used: used)
    for place in range(min(max(map(len, ALTERNATIVES.values())), most)):
        for product, tiles in ALTERNATIVES.items():
            if place < len(tiles):
                yield Variant(product, _described(tiles[place]), early, _exchange(product, tiles[place]))


def _exchange(product: str, tile: Tile) -> Callable[[Tiles], Tiles]:
    return lambda used: replace(used, **{product: tile})


def _described(tile: Tile) -> str:
    names = ("rows", "outputs", "sums", "warps", "stages", "held")
    return ", ".join(f"{number} {name}" for number, name in zip(astuple(tile), names, strict=True))


@torch.no_grad()
def sweep(benches: list[Bench], until: float, most: int) -> dict[str, list[dict[str, Any]]]:
    """Every variant until time is over; those that do not fit the device, and those that differ, say so."""
    found: dict[str, list[dict[str, Any]]] = {}
    for variant in variants(dependent_launch(torch.device(DEVICE)), most):
        if time.monotonic() > until:
            print("time is over: the rest is left out", flush=True)
            break
        row: dict[str, Any] = {"configuration": variant.label, "us": {}, "differ": {}}
        for bench in benches:
            try:
                taken, differ = bench.measure(variant)
            except Exception as error:  # more shared memory than there is, say; the others still count
                row["configuration"] += f" ({type(error).__name__})"
                break
            row["us"][str(bench.slots)], row["differ"][str(bench.slots)] = taken, differ
            if differ:
                row["configuration"] += f" ({differ} of {bench.slots} slots differ)"
        found.setdefault(variant.table, []).append(row)
        print(variant.table, row, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--shape", choices=SHAPES, default="smollm2-135m")
    parser.add_argument("--slots", default="8,32,64,128,512")
    parser.add_argument("--seconds", type=float, default=240.0, help="after which no new configuration is begun")
    parser.add_argument("--commit", default="")
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    slots = [3] if options.rehearse else [int(each) for each in options.slots.split(",")]
    dtype = torch.float32 if options.rehearse else torch.bfloat16
    model = make_model("tiny" if options.rehearse else options.shape, dtype, DEVICE)
    kernels = sweep([Bench(model, count) for count in slots], until, 2 if options.rehearse else 99)
    written = {"machine": machine(options.commit, " ".join(["python", *sys.argv])), "slots": slots, "kernels": kernels}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sweep.json").write_text(json.dumps(written, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
