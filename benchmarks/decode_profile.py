"""Where the time of a decoding step goes, kernel by kernel, and that of a training step: torch.profiler.

python benchmarks/decode_profile.py --out results        (SmolLM2-135M's shape, 128 and 8 slots; about 40 s on an H100)

Beside every kernel of the compact path stands the time that its bytes take at the measured copy bandwidth. Profiling
slows kernels a little and the host a lot, so the whole step's time is read without it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from decode_step import measure, stand
from gpu import DEVICE, bandwidth, machine, synchronize
from job import make_model
from step_ours import Step
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from r1gym.engine.compact import CompactForward
from r1gym.engine.decoding import KernelForward
from r1gym.engine.engine import Engine
from r1gym.engine.tiles import dependent_launch
from r1gym.types import Sampling

__all__ = ["profiled"]

Spans = list[tuple[str, float, float]]


def profiled(run: Callable[[], object]) -> Spans:
    """Name, start and end in µs of every kernel that ``run`` starts on the device (on a CPU, of every operation)."""
    kind = ProfilerActivity.CUDA if DEVICE == "cuda" else ProfilerActivity.CPU
    wanted = DeviceType.CUDA if DEVICE == "cuda" else DeviceType.CPU
    synchronize()
    with profile(activities=[kind]) as seen:
        run()
        synchronize()
    # Annotations (that of the optimizer's step, say) span the kernels under them.
    events: list[Any] = [
        e for e in seen.events() or () if e.device_type == wanted and not getattr(e, "is_user_annotation", False)
    ]
    spans = [(e.name, float(e.time_range.start), float(e.time_range.end)) for e in events]
    return sorted(spans, key=lambda span: span[1])


def table(spans: Spans, runs: int, floors: dict[str, float], most: int) -> tuple[list[dict[str, Any]], float, float]:
    """Rows by kernel, for one of ``runs`` equal runs; its time in kernels, and its time between them, in µs."""
    times: dict[str, list[float]] = defaultdict(list)
    idle, reached = 0.0, spans[0][1]
    for name, start, end in spans:
        times[_short(name)].append(end - start)
        idle += max(start - reached, 0.0)
        reached = max(reached, end)
    total = sum(map(sum, times.values()))
    rows = [
        {
            "kernel": name,
            "count": len(each) / runs,
            "mean_us": sum(each) / len(each),
            "total_us": sum(each) / runs,
            "share": sum(each) / total,
            "floor_us": floors.get(name),
        }
        for name, each in sorted(times.items(), key=lambda item: -sum(item[1]))
    ]
    return rows[:most], total / runs, idle / runs


def _short(name: str) -> str:
    """A kernel's name without its template arguments and parameters."""
    name = name.removeprefix("void ").split("(")[0].replace("|", "/")
    return name if len(name) <= 70 else name[:45] + "…" + name[-24:]


def floors(model: Any, slots: int, position: int, speed: float) -> dict[str, float]:
    """µs that the bytes of the kernels of one step take, all layers together."""
    c = model.config
    width = getattr(c, "head_dim", None) or c.hidden_size // c.num_attention_heads
    queries, kept = c.num_attention_heads * width, 2 * c.num_key_value_heads * width
    inner, layers = c.intermediate_size, c.num_hidden_layers
    size = 2
    moved = {
        "qkv": c.hidden_size * (queries + kept) + slots * (c.hidden_size + queries + kept),
        "attention": slots * ((position + 1) * kept + 2 * queries),
        "linear_add": c.hidden_size * (queries + inner) + slots * (queries + inner + 4 * c.hidden_size),
        "gate_up": 2 * inner * c.hidden_size + slots * (c.hidden_size + inner),
    }
    return {name: count * size * layers / speed * 1e6 for name, count in moved.items()}


@torch.no_grad()
def decoding(model: Any, slots: int, position: int, speed: float) -> dict[str, Any]:
    """The profile of one decoding step with all slots at ``position``."""
    forward = KernelForward(model) if DEVICE == "cuda" else CompactForward(model)
    engine = Engine(forward, [-1], slots, captured=DEVICE == "cuda")
    whole = measure(engine, slots, position) * 1000
    before = stand(engine, slots, position)
    replays = 3

    def run() -> None:
        for _ in range(replays):
            engine.slots.state.copy_(before)
            engine.stepper.run(slots, Sampling())

    spans = profiled(run)
    rows, busy, idle = table(spans, replays * engine.stepper.steps, floors(model, slots, position, speed), 14)
    least = sum(row["floor_us"] or 0.0 for row in rows)
    # A kernel that starts before the one before it has ended waits for it inside its own time.
    waits = " (waiting for one another included)" if dependent_launch(torch.device(DEVICE)) else ""
    head = model.config.vocab_size * model.config.hidden_size * 2 / speed * 1e6
    return {
        "title": f"Decoding step, compact path, {slots} slots at position {position}",
        "summary": (
            f"{whole:.0f} µs a step (8 steps a graph, not profiled); in the profile {busy:.0f} µs in "
            f"kernels{waits} and "
            f"{idle:.0f} µs between them, {len(spans) / replays / engine.stepper.steps:.0f} kernels a step. Bytes at "
            f"{speed / 1e12:.2f} TB/s: {least:.0f} µs in the layers' four kernels, {head:.0f} µs in the output layer."
        ),
        "slots": slots,
        "position": position,
        "step_us": whole,
        "kernels_us": busy,
        "between_us": idle,
        "kernels": rows,
    }


def training(job: dict[str, Any], title: str) -> dict[str, Any]:
    """The profile of one training step: forward, backward, clip and AdamW over one batch."""
    work = Step(**job)
    batch = work.batch(*work.rollout(0))
    walls = []
    for step in range(5):
        synchronize()
        began = time.perf_counter()
        work.learn(batch, step)
        synchronize()
        walls.append(time.perf_counter() - began)
    spans = profiled(lambda: work.learn(batch, 9))
    rows, busy, idle = table(spans, 1, {}, 15)
    return {
        "title": title,
        "summary": (
            f"{sorted(walls[2:])[1] * 1000:.1f} ms (wall, not profiled); in the profile {busy / 1000:.1f} ms in "
            f"{len(spans)} kernels and {idle / 1000:.1f} ms between them. The 15 that take most:"
        ),
        "wall_ms": [wall * 1000 for wall in walls],
        "kernels_us": busy,
        "between_us": idle,
        "kernels": rows,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--slots", default="128,8")
    parser.add_argument("--position", type=int, default=256)
    parser.add_argument("--commit", default="")
    parser.add_argument("--rehearse", action="store_true", help="a tiny shape")
    options = parser.parse_args(arguments)
    shape = "tiny" if options.rehearse else "smollm2-135m"
    job: dict[str, Any] = {"shape": shape, "prompts": 8, "group": 16, "limit": 16 if options.rehearse else 512}
    model = make_model(shape, torch.bfloat16, DEVICE)
    speed = bandwidth()
    profiles = []
    for slots in [4, 2] if options.rehearse else [int(each) for each in options.slots.split(",")]:
        profiles.append(decoding(model, slots, options.position, speed))
    profiles.append(training(job, "Training step, 128 completions, float32 masters"))
    profiles.append(training(job | {"graph": False}, "The same without the captured graph"))
    for each in profiles:
        print(each["title"], "–", each["summary"], flush=True)
    written = {"machine": machine(options.commit, " ".join(["python", *sys.argv])), "profiles": profiles}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "profile.json").write_text(json.dumps(written, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
