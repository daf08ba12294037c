"""The Triton kernels against what they state in torch: on a GPU, or anywhere with ``TRITON_INTERPRET=1``."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch

from r1gym.engine.compact import CompactForward
from r1gym.engine.decoding import KernelForward
from r1gym.engine.drawing import draw_and_advance
from r1gym.engine.pages import PagePool
from r1gym.engine.race import race
from r1gym.engine.repetition import penalise
from r1gym.engine.slots import COUNT, SEED, Slots
from r1gym.types import Sampling

pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs only")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("no GPU: set TRITON_INTERPRET=1 to check the kernels' logic on the CPU", allow_module_level=True)

SAMPLINGS = (
    Sampling(),
    Sampling(temperature=0.0),
    Sampling(temperature=0.7, top_k=20),
    Sampling(top_k=50, top_p=0.5),
    Sampling(min_p=0.1),
    Sampling(temperature=0.0, repetition_penalty=1.3),
    Sampling(temperature=0.8, top_p=0.9, repetition_penalty=1.3, frequency_penalty=0.5, presence_penalty=0.2),
)


@pytest.mark.parametrize(
    "sampling", SAMPLINGS, ids=lambda s: f"{s.temperature}-{s.top_k}-{s.top_p}-{s.min_p}-{s.repetition_penalty}"
)
def test_drawing_moves_slots_as_torch_does(sampling: Sampling) -> None:
    """Slot 0 goes on, slot 1 comes to its budget, slot 2 is free."""
    logits = torch.randn(3, 5000, generator=torch.Generator().manual_seed(1)).mul(3).to(DEVICE)
    stops = torch.tensor([7, 9], device=DEVICE)
    by_torch, by_kernel = Slots(3, DEVICE), Slots(3, DEVICE)
    for slots in (by_torch, by_kernel):
        slots.reserve(30, 3)
        slots.put([0, 1], [[5, 10, 10, 123456789012345678, 1, 0], [6, 70, 1, 42, 11, 0]])
        slots.set_pages([(0, 0, 3), (1, 0, 4), (1, 1, 5)])
    seen = torch.randint(0, 6, logits.shape, generator=torch.Generator().manual_seed(2)).to(DEVICE)
    scores = penalise(logits, seen, sampling) if sampling.penalised else None
    drawn = race(logits, by_torch.state[SEED], by_torch.state[COUNT], sampling, scores)
    by_torch.advance(*drawn, stops)
    draw_and_advance(logits, by_kernel, stops, sampling, scores)
    assert torch.equal(by_torch.state, by_kernel.state)
    assert torch.equal(by_torch.tables, by_kernel.tables)
    assert torch.equal(by_torch.tokens_X[1:], by_kernel.tokens_X[1:])  # place 0 is nobody's
    assert torch.allclose(by_torch.logprobs_X[1:], by_kernel.logprobs_X[1:], atol=1e-5)


@pytest.mark.parametrize("family", ["llama-wide", "qwen3-wide"])
def test_a_decoding_step_equals_torch(family: str, fresh_model: Callable[[str], Any]) -> None:
    """Three slots: one position, a begun second page, two full pages."""
    model = fresh_model(family).to(DEVICE)
    forwards = CompactForward(model), KernelForward(model)
    logits, pools = [], []
    for forward in forwards:
        pool = PagePool(16, *forward.shape, torch.float32, DEVICE)
        pool.data.copy_(torch.randn(pool.data.shape, generator=torch.Generator().manual_seed(2)))
        tables = torch.tensor([[1, 0], [2, 3], [4, 5]], dtype=torch.int32, device=DEVICE)
        place = torch.tensor([3, 4, 5], device=DEVICE), torch.tensor([0, 70, 127], device=DEVICE)
        with torch.no_grad():
            logits.append(forward.decode(*place, tables, pool))
        pools.append(pool.data)
    assert torch.allclose(logits[0], logits[1], atol=1e-4, rtol=1e-4)
    assert torch.allclose(pools[0], pools[1], atol=1e-5)
