"""Milliseconds of one decoding step in its graph, by slots and positions, beside the bytes that it must move."""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

import torch
from gpu import DEVICE, bandwidth, synchronize, weight_bytes
from job import make_model, make_requests

from r1gym.engine.cache import PAGE
from r1gym.engine.compact import CompactForward
from r1gym.engine.decoding import KernelForward, kernel_attention
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.request import Request
from r1gym.engine.slots import BUDGET, DONE, LIVE, POSITION
from r1gym.types import Sampling

__all__ = ["measure", "stand"]

REPLAYS = 4
"""Chunks of steps between two looks at the clock; positions move on by 32 meanwhile."""


def stand(engine: Engine, slots: int, position: int) -> torch.Tensor:
    """Give every slot pages of its own and let it stand at ``position``, without an end; its state."""
    pages = position // PAGE + 2
    engine.slots.reserve(slots * 8 + 64, pages)
    engine.pool.grow(slots * pages + 2)
    engine.slots.clear()
    state = engine.slots.state
    state[POSITION], state[BUDGET], state[DONE] = position, 100_000, LIVE
    owned = torch.arange(1, slots * pages + 1, device=DEVICE, dtype=torch.int32).view(slots, pages)
    engine.slots.tables[:, :pages] = owned
    return state.clone()


@torch.no_grad()
def measure(engine: Engine, slots: int, position: int) -> float:
    """Milliseconds of one step with all slots at ``position``."""
    before = stand(engine, slots, position)
    engine.stepper.run(slots, Sampling())
    times = []
    for _ in range(5):
        engine.slots.state.copy_(before)
        synchronize()
        began = time.perf_counter()
        for _ in range(REPLAYS):
            engine.stepper.run(slots, Sampling())
        synchronize()
        times.append((time.perf_counter() - began) * 1000 / (REPLAYS * engine.stepper.steps))
    return statistics.median(times)


def equal_completions(model: Any, limit: int) -> dict[str, int]:
    """Of 256 completions with their own seeds, how many are the same under other slot counts as under 512."""
    texts, lengths = make_requests(16, 16, model.config.vocab_size, limit)
    requests = [Request(tuple(texts[i // 16]), i, length) for i, length in enumerate(lengths)]
    drawn = {
        slots: Engine(_compact(model), [-1], slots, captured=DEVICE == "cuda").run(requests, Sampling())
        for slots in (512, 128, 48)
    }
    return {
        f"equal at {slots}": sum(a.token_ids == b.token_ids for a, b in zip(drawn[512], drawn[slots], strict=True))
        for slots in (128, 48)
    }


def _compact(model: Any) -> Any:
    return KernelForward(model) if DEVICE == "cuda" else CompactForward(model)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rehearse", action="store_true", help="a tiny shape")
    tiny = parser.parse_args().rehearse
    model = make_model("tiny" if tiny else "smollm2-135m", torch.bfloat16, DEVICE)
    config = model.config
    speed = bandwidth()
    weights = weight_bytes(model)
    rows = []
    for slots in (4, 1) if tiny else (512, 128, 64, 16, 1):
        paths: dict[str, Any] = {"compact": _compact(model)}
        if slots in (128, 4, 1):
            paths["general"] = GeneralForward(model, kernel_attention if DEVICE == "cuda" else None)
        for name, forward in paths.items():
            engine = Engine(forward, [-1], slots, captured=DEVICE == "cuda")
            for position in (256, 640):
                per_position = engine.pool.page_bytes // PAGE
                floor = (weights + slots * position * per_position) / speed * 1000
                taken = measure(engine, slots, position)
                rows.append([name, slots, position, round(taken, 3), round(floor, 3), round(floor / taken, 2)])
                print(rows[-1], flush=True)
    result = {
        "what": f"decode step, {config.num_hidden_layers} layers of {config.hidden_size}",
        "bandwidth_tb_s": round(speed / 1e12, 2),
        "rows": rows,
        **equal_completions(model, 16 if tiny else 256),
    }
    print("RESULT " + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
