"""One whole GRPO step of r1gym: rollout with forced lengths, host work, forward, backward, clip, AdamW."""

from __future__ import annotations

import os
import statistics
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from gpu import DEVICE, Peaks, bandwidth, floor_bytes, synchronize, weight_bytes
from job import make_model, make_requests

from r1gym.agents.advantages import ADVANTAGES
from r1gym.agents.batch import Batch
from r1gym.agents.grpo import learn
from r1gym.agents.grpo_config import GRPOConfig
from r1gym.agents.optim import make_optimizer
from r1gym.agents.reporting import Figures
from r1gym.engine.adapters import unwrap
from r1gym.engine.cache import PAGE
from r1gym.engine.choice import Drawer
from r1gym.engine.compact import CompactForward
from r1gym.engine.decoding import kernel_attention
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.request import Request
from r1gym.policy.hf import HFPolicy
from r1gym.types import Sampling

__all__ = ["Step", "run", "unending"]

ADAPTED = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM_UP = 4


def unending(policy: HFPolicy, slots: int, general: bool = False) -> Engine:
    """Let the policy draw over pages and without a stop token, so that a completion ends at its forced length.

    On a CPU, where a policy samples through a dense cache, this is the paged engine uncaptured: the same code path.
    """
    engine = policy._sampler._engine
    if general or not isinstance(engine, Engine):
        model = unwrap(policy.model)
        general = general or model is not policy.model
        attend = kernel_attention if DEVICE == "cuda" else None
        forward: Any = GeneralForward(model, attend) if general else CompactForward(model)
        engine = Engine(forward, [-1], slots, captured=DEVICE == "cuda")
        policy._sampler = Drawer("general" if general else "compact", "asked for", engine)
    engine.stepper.stops.fill_(-1)
    return engine


class Step:
    """A policy with its optimizer and its job, and the phases of one step."""

    def __init__(
        self,
        shape: str,
        prompts: int,
        group: int,
        limit: int,
        *,
        masters: bool = True,
        general: bool = False,
        lora: int = 0,
        recompute: bool = False,
        graph: bool = True,
        micro: int = 32768,
        slots: int = 512,
        sampling: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        from accelerate import Accelerator

        model = make_model(shape, torch.bfloat16, DEVICE, seed)
        vocabulary = model.config.vocab_size
        self.policy = HFPolicy(_adapted(model, lora) if lora else model, SimpleNamespace(eos_token_id=2), slots)
        self.policy.recompute = recompute
        self.policy.graph = graph  # type: ignore[attr-defined,unused-ignore]
        self.engine = unending(self.policy, slots, general)
        self.accelerator = Accelerator(cpu=DEVICE == "cpu")
        learning = list(self.policy.parameters())
        self.optimizer: Any = self.accelerator.prepare(
            make_optimizer(learning, 1e-6)
            if masters
            else torch.optim.AdamW(learning, 1e-6, (0.9, 0.99), weight_decay=0.0, fused=DEVICE == "cuda")
        )
        self.config = GRPOConfig(group_size=group, micro_batch_tokens=micro, max_new_tokens=limit)
        self.texts, self.lengths = make_requests(prompts, group, vocabulary, limit)
        self.sampling = Sampling(temperature=1.0, max_new_tokens=limit, **(sampling or {}))
        self.rewards_PG = torch.rand(prompts, group, generator=torch.Generator().manual_seed(1)).round()
        self.figures = Figures()

    def rollout(self, step: int) -> tuple[list[Request], list[Any]]:
        """Draw all completions."""
        group = self.config.group_size
        requests = [
            Request(tuple(self.texts[i // group]), step * 100_000 + i, length) for i, length in enumerate(self.lengths)
        ]
        return requests, self.policy._sampler.run(requests, self.sampling)

    def batch(self, requests: list[Request], samples: list[Any]) -> Batch:
        """Advantages and tensors by ``Batch.build``; what it reads of an episode, without environments in between."""
        keep_PG = torch.ones_like(self.rewards_PG, dtype=torch.bool)
        episodes: list[Any] = [
            SimpleNamespace(
                turns=(SimpleNamespace(prompt=SimpleNamespace(token_ids=request.prompt), completion=sample),)
            )
            for request, sample in zip(requests, samples, strict=True)
        ]
        group = self.config.group_size
        groups_PG = [episodes[start : start + group] for start in range(0, len(episodes), group)]
        return Batch.build(groups_PG, ADVANTAGES["group"](self.rewards_PG, keep_PG), keep_PG)

    def learn(self, batch: Batch, step: int) -> None:
        """Forward, backward, clip, AdamW."""
        self.figures = Figures()
        learn(self.config, self.policy, None, self.optimizer, self.accelerator, batch, self.figures, step)
        self.policy.sync()


def run(steps: int, name: str = "", **job: Any) -> dict[str, Any]:
    """Medians over ``steps`` steps after ``WARM_UP``; ``job`` as ``Step`` takes it."""
    peaks = Peaks()
    kernels = _triton_kernels()
    began = time.perf_counter()
    work = Step(**job)
    counts = _count_chunks(work.engine)
    synchronize()
    ready = time.perf_counter()
    rows: list[tuple[float, float, float]] = []
    first = 0.0
    for step in range(steps + WARM_UP):
        synchronize()
        counts.clear()
        peaks.begin("rollout")
        clock = time.perf_counter()
        requests, samples = work.rollout(step)
        rollout = time.perf_counter()
        batch = work.batch(requests, samples)
        host = time.perf_counter()
        peaks.begin("train")
        work.learn(batch, step)
        synchronize()
        end = time.perf_counter()
        peaks.begin("between")
        rows.append((rollout - clock, host - rollout, end - host))
        first = first or end - clock
    assert [len(sample.token_ids) for sample in samples] == work.lengths
    result = {
        "name": name,
        "what": f"{job['shape']} {len(work.lengths)} x {job['limit']}",
        "job": job,
        "way": work.policy._sampler.name,
        **_times(rows[WARM_UP:], sum(work.lengths)),
        "first_step_s": round(first, 2),
        "setup_s": round(ready - began, 2),
        "triton": "no kernel compiled before" if kernels == 0 else f"{kernels} kernels on disk before",
        "triton_after": _triton_kernels(),
        "decode_steps": {
            str(slots): chunks * work.engine.stepper.steps for slots, chunks in sorted(counts.items(), reverse=True)
        },
        **peaks.figures(),
        **_parity(work),
    }
    return result | _floor(work, requests, counts, result["rollout_s"])


def _adapted(model: Any, rank: int) -> Any:
    import peft

    config = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=ADAPTED, task_type="CAUSAL_LM")
    return peft.get_peft_model(model, config, autocast_adapter_dtype=False)


def _count_chunks(engine: Engine) -> Counter[int]:
    """Chunks of steps run at each slot count; counting is one dictionary entry a chunk."""
    counts: Counter[int] = Counter()
    stepper: Any = engine.stepper
    own = stepper.run

    def counted(slots: int, sampling: Sampling) -> None:
        counts[slots] += 1
        own(slots, sampling)

    stepper.run = counted
    return counts


def _times(rows: list[tuple[float, float, float]], tokens: int) -> dict[str, Any]:
    totals = sorted(sum(row) for row in rows)
    rollout = statistics.median(row[0] for row in rows)
    return {
        "steps": len(rows),
        "step_s": round(statistics.median(totals), 4),
        "step_range": [round(totals[0], 4), round(totals[-1], 4)],
        "rollout_s": round(rollout, 4),
        "host_s": round(statistics.median(row[1] for row in rows), 4),
        "train_s": round(statistics.median(row[2] for row in rows), 4),
        "tokens": tokens,
        "tokens_per_s": round(tokens / rollout),
    }


def _parity(work: Step) -> dict[str, float]:
    measured = work.figures.metrics(work.accelerator)
    return {
        "parity_mean": round(measured["parity/mean"], 5),
        "parity_max": round(measured["parity/max"], 4),
        "parity_ratio": round(measured["parity/ratio"], 4),
    }


def _floor(work: Step, requests: list[Request], counts: Counter[int], rollout: float) -> dict[str, Any]:
    """The rollout's share of what the measured bandwidth would allow; after the peaks, because the copy needs room."""
    moved = floor_bytes(
        [len(request.prompt) for request in requests],
        work.lengths,
        sum(counts.values()) * work.engine.stepper.steps,
        weight_bytes(work.policy.model),
        work.engine.pool.page_bytes // PAGE,
    )
    speed = bandwidth()
    return {
        "floor_gb": round(moved / 1e9, 2),
        "bandwidth_tb_s": round(speed / 1e12, 3),
        "floor_s": round(moved / speed, 4),
        "floor_share": round(moved / speed / rollout, 3),
    }


def _triton_kernels() -> int:
    """Compiled kernels in Triton's disk cache."""
    folder = Path(os.environ.get("TRITON_CACHE_DIR", Path.home() / ".triton" / "cache"))
    return sum(1 for _ in folder.glob("*/*.cubin"))
