"""The compact path on CPUs against ``model.generate``, with the weights as they lie and laid out for oneDNN."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from r1gym.engine import choice, dense
from r1gym.engine.dense import DenseForward
from r1gym.engine.request import Request
from r1gym.engine.sampler import Sampler
from r1gym.types import Sampling

STOP = 3
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 50)), (8, 9), tuple(range(20, 90)))
GREEDY = Sampling(temperature=0.0)
ByGenerate = Callable[..., tuple[int, ...]]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral"])
def test_greedy_tokens_equal_generate_after_an_optimizer_step_too(
    family: str,
    packed: bool,
    fresh_model: Callable[[str], Any],
    by_generate: ByGenerate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six slots for ten requests: rows come and go between one and six, with packed matrices from four on."""
    monkeypatch.setattr(dense, "FEWEST_STEPS", 1 if packed else 10**9)
    model = fresh_model(family)
    forward = DenseForward(model)
    used = []
    times = forward._times
    monkeypatch.setattr(forward, "_times", lambda *rest: (used.append(len(forward._packed)), times(*rest))[1])
    sampler = Sampler(model, [STOP], 6, forward=forward)
    requests = [Request(prompt, 1, 10 + 2 * n) for n, prompt in enumerate(PROMPTS) for _ in range(2)]
    optimizer = torch.optim.AdamW(model.parameters(), 0.05)
    for _ in range(2):
        samples = sampler.run(requests, GREEDY)
        assert [s.token_ids for s in samples] == [by_generate(model, r.prompt, r.budget) for r in requests]
        model(input_ids=torch.tensor([PROMPTS[2]])).logits.log_softmax(-1)[0, :, 11].sum().neg().backward()
        optimizer.step()
    assert max(used) == (4 * 2 + 1 if packed else 0) and forward._packed == {}


def test_logprobs_are_the_trainers(fresh_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "FEWEST_STEPS", 1)
    model = fresh_model("qwen3")
    requests = [Request(prompt, seed, 12) for prompt in PROMPTS for seed in (1, 2)]
    samples = Sampler(model, [STOP], forward=DenseForward(model)).run(requests, Sampling(temperature=0.7, top_p=0.9))
    for request, sample in zip(requests, samples, strict=True):
        ids = torch.tensor([[*request.prompt, *sample.token_ids]])
        with torch.no_grad():
            logprobs = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0] / 0.7, dim=-1)
        places = torch.arange(len(request.prompt) - 1, ids.shape[1] - 1)
        expected = logprobs[places, ids[0, len(request.prompt) :]]
        assert torch.allclose(torch.tensor(sample.logprobs), expected, atol=2e-5)


def test_without_onednn_the_plain_products_serve(
    fresh_model: Callable[[str], Any], by_generate: ByGenerate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "FEWEST_STEPS", 1)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    model = fresh_model("llama")
    requests = [Request(prompt, 1, 12) for prompt in PROMPTS]
    samples = Sampler(model, [STOP], forward=DenseForward(model)).run(requests, GREEDY)
    assert [s.token_ids for s in samples] == [by_generate(model, r.prompt, 12) for r in requests]


def test_a_cpu_takes_it_for_models_that_gain_and_notices_their_change(
    fresh_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choice.choose(fresh_model("llama"), [STOP], 4)._engine.forward is None
    monkeypatch.setattr(choice, "LEAST_WIDTH", 32)
    assert choice.choose(fresh_model("phi3"), [STOP], 4)._engine.forward is None  # its weights are fused another way
    model = fresh_model("llama")
    drawer = choice.choose(model, [STOP], 4)
    assert isinstance(drawer._engine.forward, DenseForward) and not drawer.stale
    model.to(torch.bfloat16)
    assert drawer.stale
