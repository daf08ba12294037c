"""One whole GRPO step of r1gym on a GPU: rollout with forced lengths, host work, forward, backward, clip, AdamW."""

from __future__ import annotations

import statistics
import time
from types import SimpleNamespace
from typing import Any

import torch
from job import make_model, make_requests

from r1gym.agents.advantages import ADVANTAGES
from r1gym.agents.batch import Batch
from r1gym.agents.grpo import learn
from r1gym.agents.grpo_config import GRPOConfig
from r1gym.agents.optim import make_optimizer
from r1gym.agents.reporting import Figures
from r1gym.engine.choice import Drawer
from r1gym.engine.decoding import kernel_attention
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.request import Request
from r1gym.policy.hf import HFPolicy
from r1gym.types import Sampling

__all__ = ["run"]


def run(
    shape: str,
    prompts: int,
    group: int,
    limit: int,
    steps: int,
    *,
    masters: bool = True,
    general: bool = False,
    recompute: bool = False,
    micro: int = 32768,
    slots: int = 512,
    top_p: float = 1.0,
    seed: int = 0,
) -> dict[str, Any]:
    """Medians over ``steps`` steps after two that warm up."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    model = make_model(shape, torch.bfloat16, "cuda", seed)
    vocabulary = model.config.vocab_size
    began = time.perf_counter()
    policy = HFPolicy(model, SimpleNamespace(eos_token_id=2), slots)
    policy.recompute = recompute
    # No stop token exists: a completion ends at its forced length.
    if general:
        forward: Any = GeneralForward(model, kernel_attention)
        policy._sampler = Drawer("general", "asked for", Engine(forward, [-1], slots, captured=True))
    else:
        policy._sampler._engine.stepper.stops.fill_(-1)
    optimizer: Any = (
        make_optimizer(policy.parameters(), 1e-6)
        if masters
        else torch.optim.AdamW(policy.parameters(), 1e-6, (0.9, 0.99), weight_decay=0.0, fused=True)
    )
    from accelerate import Accelerator

    accelerator = Accelerator()
    optimizer = accelerator.prepare(optimizer)
    config = GRPOConfig(group_size=group, micro_batch_tokens=micro, max_new_tokens=limit)
    texts, lengths = make_requests(prompts, group, vocabulary, limit)
    sampling = Sampling(temperature=1.0, top_p=top_p, max_new_tokens=limit)
    rewards_PG = torch.rand(prompts, group, generator=torch.Generator().manual_seed(1)).round()
    rows: list[tuple[float, float, float]] = []
    figures = Figures()
    for step in range(steps + 2):
        torch.cuda.synchronize()
        clock = time.perf_counter()
        requests = [Request(tuple(texts[i // group]), step * 100_000 + i, length) for i, length in enumerate(lengths)]
        samples = policy._sampler.run(requests, sampling)
        rollout = time.perf_counter()
        advantages_PG = ADVANTAGES["group"](rewards_PG, torch.ones_like(rewards_PG, dtype=torch.bool))
        batch = _batch(requests, samples, advantages_PG.flatten())
        host = time.perf_counter()
        figures = Figures()
        learn(config, policy, None, optimizer, accelerator, batch, figures, step)
        policy.sync()
        torch.cuda.synchronize()
        end = time.perf_counter()
        rows.append((rollout - clock, host - rollout, end - host))
        if step == 0:
            first = end - began
    kept = rows[2:]
    totals = sorted(sum(row) for row in kept)
    free, total = torch.cuda.mem_get_info()
    measured = figures.metrics(accelerator)
    result = {
        "what": f"{shape} {prompts * group} x {limit}" + (" general" if general else ""),
        "masters": masters,
        "recompute": recompute,
        "micro": micro,
        "slots": slots,
        "top_p": top_p,
        "step_s": round(statistics.median(totals), 4),
        "step_range": [round(totals[0], 4), round(totals[-1], 4)],
        "rollout_s": round(statistics.median(row[0] for row in kept), 4),
        "host_s": round(statistics.median(row[1] for row in kept), 4),
        "train_s": round(statistics.median(row[2] for row in kept), 4),
        "first_step_s": round(first, 2),
        "tokens": sum(lengths),
        "tokens_per_s": round(sum(lengths) / statistics.median(row[0] for row in kept)),
        "alloc_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2),
        "device_gib": round((total - free) / 2**30, 2),
        "parity_mean": round(measured["parity/mean"], 5),
        "parity_max": round(measured["parity/max"], 4),
    }
    del policy, model, optimizer
    return result


def _batch(requests: list[Request], samples: list[Any], advantages_B: torch.Tensor) -> Batch:
    """As ``Batch.build`` does it, without environments in between."""
    width = max(len(r.prompt) + len(s.token_ids) for r, s in zip(requests, samples, strict=True))
    starts_B = torch.tensor([len(request.prompt) for request in requests])
    ends_B = starts_B + torch.tensor([len(sample.token_ids) for sample in samples])
    places_T = torch.arange(width)
    filled_BT = places_T < ends_B[:, None]
    mask_BT = filled_BT & (places_T >= starts_B[:, None])
    token_ids_BT = torch.zeros(len(samples), width, dtype=torch.long)
    logprobs_BT = torch.zeros(len(samples), width)
    rows = [request.prompt + sample.token_ids for request, sample in zip(requests, samples, strict=True)]
    token_ids_BT[filled_BT] = torch.tensor([token for row in rows for token in row])
    logprobs_BT[mask_BT] = torch.tensor([value for sample in samples for value in sample.logprobs])
    return Batch(token_ids_BT, mask_BT, logprobs_BT, advantages_B)
