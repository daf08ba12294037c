"""Captured graphs, greedy, float32: the tokens of ``model.generate``, also when weights change under the graphs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from r1gym.engine.choice import choose
from r1gym.engine.request import Request
from r1gym.types import Sampling

STOP = 3
GREEDY = Sampling(temperature=0.0)
# 63, 64 and 65 tokens stand around the edge of a page; the second prompt leaves nothing to prefill.
PROMPTS = (tuple(range(10, 40)), (5,), (8, 9), tuple(range(20, 83)), tuple(range(20, 84)), tuple(range(20, 85)))
COMPACT = ("llama-wide", "llama-deep", "qwen2-wide", "qwen3-wide", "mistral-wide")
GENERAL = ("llama", "qwen3", "phi3", "olmo2", "gpt2", "gpt-neox", "gemma", "qwen3-moe")


def requests(each: int = 2) -> list[Request]:
    """Every prompt ``each`` times, with budgets of 9 to 24 tokens."""
    return [Request(prompt, 100 + i, 9 + 3 * n) for n, prompt in enumerate(PROMPTS) for i in range(each)]


def learn(model: Any, rate: float = 0.05) -> None:
    """One optimizer step in place."""
    optimizer = torch.optim.AdamW(model.parameters(), rate)
    ids = torch.tensor([list(PROMPTS[0])], device=model.device)
    torch.nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1].float(), ids[0, 1:]).backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize(("way", "family"), [("compact", f) for f in COMPACT] + [("general", f) for f in GENERAL])
def test_greedy_tokens_equal_generate_before_and_after_a_step(
    way: str, family: str, gpu_model: Any, gpu_engine: Any, by_generate: Any, same_tokens: Any, check_greedy: Any
) -> None:
    """Three slots for twelve requests: refill, shared prompts, a shrinking tail; then new weights, the same graphs."""
    model, label = gpu_model(family), f"{way} {family}"
    if family == "qwen3-moe":
        model.set_experts_implementation("eager")  # which waits for the device: no graphs, the same kernels
    engine = gpu_engine(way, model)
    samples = engine.run(requests(), GREEDY)
    assert engine.pool.used == 0
    check_greedy(label, model, requests(), samples)
    for request, sample in zip(requests(), samples, strict=True):
        expected = by_generate(model, request.prompt, request.budget)
        same_tokens(label, model, request.prompt, sample.token_ids, expected)
    graphs = dict(engine.stepper._graphs)
    if family != "qwen3-moe":
        assert not engine.stepper.refusal, f"{label} is not captured: {engine.stepper.refusal}"
        assert graphs and set(graphs) <= {1, 2, 3}, f"{label}: graphs of {set(graphs)}"
    learn(model)
    assert not engine.forward.stale, f"{label}: an optimizer step is no change of the model"
    after = engine.run(requests(), GREEDY)
    check_greedy(f"{label} after a step", model, requests(), after)
    assert [s.token_ids for s in after] != [s.token_ids for s in samples], f"{label}: old weights were drawn from"
    assert all(engine.stepper._graphs[size] is graph for size, graph in graphs.items()), f"{label}: captured again"


@pytest.mark.parametrize("way", ["compact", "general"])
def test_left_over_slots_and_every_size_on_the_way_down(
    way: str, gpu_model: Any, gpu_engine: Any, check_greedy: Any
) -> None:
    """32 slots for 13 requests, then one slot alone, then more requests than the outputs and tables had room for."""
    model = gpu_model("llama-wide")
    engine = gpu_engine(way, model, 32)
    wanted = [*requests(), Request((7,), 1, 150)]
    check_greedy(f"{way}, 32 slots", model, wanted, engine.run(wanted, GREEDY))
    check_greedy(f"{way}, one request", model, wanted[:1], engine.run(wanted[:1], GREEDY))
    pages, version = engine.pool.pages, engine.slots.version
    many = [Request((4 + n, *range(4, 90), *range(4, 90)), n, 60) for n in range(40)]
    check_greedy(f"{way}, 40 requests", model, many, engine.run(many, GREEDY))
    assert engine.slots.version > version and engine.pool.pages > pages and engine.pool.used == 0


@pytest.mark.parametrize("family", ["llama-wide", "gpt2"])
def test_a_checkpoint_is_read_into_the_graphs(
    family: str, gpu_policy: Any, tmp_path: Path, allocated: Callable[[], int]
) -> None:
    policy = gpu_policy(family)
    prompt = policy.prompt([{"role": "user", "content": "12+3="}])
    sampling, seeds = Sampling(max_new_tokens=20), [[1, 2, 3]]
    first = policy.sample([prompt], 3, sampling, seeds)
    policy.save(tmp_path)
    learn(policy.model)
    moved = policy.sample([prompt], 3, sampling, seeds)
    assert moved != first, "an optimizer step changes what is drawn"
    sampler, held = policy._sampler, allocated()
    policy.load(tmp_path)
    assert policy.sample([prompt], 3, sampling, seeds) == first, "the loaded weights are not those that were stored"
    assert policy._sampler is sampler, "loading in place must not start the sampler anew"
    assert allocated() == held, f"loading kept {allocated() - held} bytes on the device"


@pytest.mark.parametrize(
    ("family", "name"),
    [("llama-wide", "compact"), ("qwen3-wide", "compact"), ("llama", "general"), ("gpt2", "general")],
)
def test_which_way_a_gpu_takes(family: str, name: str, gpu_model: Any) -> None:
    drawer = choose(gpu_model(family), [STOP], 4)
    assert drawer.name == name, f"{family} took {drawer.name}: {drawer.reason}"


@pytest.mark.parametrize("family", ["gemma2", "bloom"])
def test_what_the_pages_do_not_hold_goes_to_generate(
    family: str, gpu_model: Any, by_generate: Any, same_tokens: Any, caplog: pytest.LogCaptureFixture
) -> None:
    model = gpu_model(family)
    with caplog.at_level(logging.WARNING):
        drawer = choose(model, [STOP], 4)
    assert drawer.name == "generate" and "falls back to model.generate" in caplog.text
    wanted = requests(1)[:4]
    for request, sample in zip(wanted, drawer.run(wanted, GREEDY), strict=True):
        same_tokens(family, model, request.prompt, sample.token_ids, by_generate(model, request.prompt, request.budget))


@pytest.mark.parametrize("family", ["llama-wide", "qwen2-wide", "qwen3-wide", "gpt2", "phi3"])
def test_the_trainer_finds_the_log_probabilities_that_were_drawn(
    family: str, gpu_policy: Any, trained_logprobs: Any
) -> None:
    """Parity in float32: 1e-5 in the mean."""
    policy = gpu_policy(family)
    prompts = [policy.prompt([{"role": "user", "content": text}]) for text in ("12+3=", "a" * 66, "7*8+9=")]
    sampling = Sampling(max_new_tokens=40, top_p=0.95)
    gaps = []
    drawn = policy.sample(prompts, 4, sampling, [[10 * p + g for g in range(4)] for p in range(3)])
    for prompt, row in zip(prompts, drawn, strict=True):
        for completion in row:
            trained = trained_logprobs(policy, prompt.token_ids, completion)
            gaps += [abs(a - b) for a, b in zip(trained, completion.logprobs, strict=True)]
    mean = sum(gaps) / len(gaps)
    print(f"parity {family}: mean {mean:.2e}, largest {max(gaps):.2e} over {len(gaps)} tokens")
    assert mean <= 1e-5, f"{family}: |sampler - trainer| is {mean:.2e} in the mean, {max(gaps):.2e} at most"
