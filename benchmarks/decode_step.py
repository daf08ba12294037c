"""Milliseconds of one decoding step in its graph, by slots and positions, beside the bytes that it must move."""

from __future__ import annotations

import json
import statistics

import torch
from job import make_model, make_requests

from r1gym.engine.cache import PAGE
from r1gym.engine.decoding import KernelForward, kernel_attention
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.request import Request
from r1gym.engine.slots import BUDGET, DONE, LIVE, POSITION
from r1gym.types import Sampling

__all__ = ["bandwidth", "measure"]


def bandwidth() -> float:
    """Bytes a second of a large copy on the device, read and written."""
    a, b = torch.empty(2, 2**31, dtype=torch.uint8, device="cuda")
    times = []
    for _ in range(10):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        b.copy_(a)
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / 1000)
    return 2 * a.numel() / statistics.median(times)


@torch.no_grad()
def measure(engine: Engine, slots: int, position: int) -> float:
    """Milliseconds of one step with all slots at ``position``."""
    pages = position // PAGE + 2
    engine.slots.reserve(slots * 8 + 8, pages)
    engine.pool.grow(slots * pages + 2)
    engine.slots.clear()
    state = engine.slots.state
    state[POSITION], state[BUDGET], state[DONE] = position, 100_000, LIVE
    owned = torch.arange(1, slots * pages + 1, device="cuda", dtype=torch.int32).view(slots, pages)
    engine.slots.tables[:, :pages] = owned
    before = state.clone()
    engine.stepper.run(slots, Sampling())
    times = []
    for _ in range(5):
        state.copy_(before)
        torch.cuda.synchronize()
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        engine.stepper.run(slots, Sampling())
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) / engine.stepper.steps)
    return statistics.median(times)


def equal_completions(model: object) -> dict[str, int]:
    """Of 256 completions with their own seeds, how many are the same under other slot counts as under 512."""
    texts, lengths = make_requests(16, 16, 49152, 256)
    requests = [Request(tuple(texts[i // 16]), i, length) for i, length in enumerate(lengths)]
    drawn = {
        slots: Engine(KernelForward(model), [-1], slots, captured=True).run(requests, Sampling())
        for slots in (512, 128, 48)
    }
    return {
        f"equal at {slots}": sum(a.token_ids == b.token_ids for a, b in zip(drawn[512], drawn[slots], strict=True))
        for slots in (128, 48)
    }


def main() -> None:
    model = make_model("smollm2-135m", torch.bfloat16, "cuda")
    config = model.config
    speed = bandwidth()
    weights = sum(parameter.numel() for parameter in model.parameters()) * 2
    per_position = config.num_hidden_layers * config.num_key_value_heads * 64 * 2 * 2
    rows = []
    for slots in (512, 128, 64, 16, 1):
        paths = {"compact": KernelForward(model)}
        if slots in (128, 1):
            paths["general"] = GeneralForward(model, kernel_attention)
        for name, forward in paths.items():
            engine = Engine(forward, [-1], slots, captured=True)
            for position in (256, 640):
                floor = (weights + slots * position * per_position) / speed * 1000
                taken = measure(engine, slots, position)
                rows.append([name, slots, position, round(taken, 3), round(floor, 3), round(floor / taken, 2)])
                print(rows[-1], flush=True)
    result = {"what": "decode step", "bandwidth_tb_s": round(speed / 1e12, 2), "rows": rows, **equal_completions(model)}
    print("RESULT " + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
