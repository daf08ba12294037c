"""Captured graphs against the same engine in torch, token for token, and a sample's independence of its neighbours."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from r1gym.engine.generate import generate
from r1gym.engine.request import Request, Sample
from r1gym.types import Sampling

STOPS = (3, 17)
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 40)), tuple(range(20, 84)), tuple(range(20, 85)))
SAMPLINGS = {
    "plain": Sampling(),
    "top-k": Sampling(temperature=0.7, top_k=20),
    "top-p": Sampling(top_p=0.9),
    "min-p": Sampling(min_p=0.1),
    "all cuts": Sampling(temperature=1.3, top_k=30, top_p=0.8, min_p=0.02),
    "repetition": Sampling(temperature=0.0, repetition_penalty=1.3),
    "penalties and cuts": Sampling(
        temperature=0.8, top_p=0.9, repetition_penalty=1.2, frequency_penalty=0.4, presence_penalty=-0.3
    ),
}


def decode(ids: Sequence[int]) -> str:
    return "".join(chr(200 + token) for token in ids)


def requests() -> list[Request]:
    """Fifteen, with seeds and budgets (1 to 37) of their own; negative and 64-bit seeds among them."""
    seeds = (1, -7, 2**63 - 3, -(2**63), 123456789012345678)
    return [Request(p, seeds[n] + i, 1 + 4 * i + 7 * n) for n, p in enumerate(PROMPTS) for i in range(3)]


def compare(label: str, got: Sequence[Sample], expected: Sequence[Sample]) -> None:
    for number, (one, two) in enumerate(zip(got, expected, strict=True)):
        assert one.token_ids == two.token_ids and one.finish == two.finish, (
            f"{label}, request {number}: captured drew {one.token_ids} ({one.finish}), "
            f"torch {two.token_ids} ({two.finish})"
        )
        assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4), f"{label}, request {number}"


@pytest.mark.parametrize("way", ["compact", "general"])
@pytest.mark.parametrize("name", SAMPLINGS)
def test_captured_draws_equal_those_in_torch(name: str, way: str, gpu_model: Any, gpu_engine: Any) -> None:
    """The same Philox stream, cuts and penalties; two stop ids, refill of five slots, stop strings inside chunks."""
    model, label = gpu_model("llama-wide"), f"{way}, {name}"
    plain = gpu_engine(way, model, 5, False, STOPS, decode=decode)
    captured = gpu_engine(way, model, 5, True, STOPS, decode=decode)
    expected = plain.run(requests(), SAMPLINGS[name])
    compare(label, captured.run(requests(), SAMPLINGS[name]), expected)
    assert {sample.token_ids[-1] for sample in expected if sample.finish == "stop"} <= set(STOPS)
    # Stop strings cut out of what is drawn: over token borders, and one that never comes.
    strings = [
        Request(r.prompt, r.seed, r.budget, (decode(s.token_ids[5:7]) or "never", "never"))
        for r, s in zip(requests(), expected, strict=True)
    ]
    expected = plain.run(strings, SAMPLINGS[name])
    assert any(s.finish == "stop" and s.token_ids[-1] not in STOPS for s in expected), f"{label}: no string was met"
    compare(f"{label}, stop strings", captured.run(strings, SAMPLINGS[name]), expected)
    assert captured.pool.used == plain.pool.used == 0


def test_switching_samplings_captures_anew_and_comes_back(gpu_model: Any, gpu_engine: Any) -> None:
    """Training draws at one temperature, evaluation at another, penalties come and go: each time the right graphs."""
    model = gpu_model("llama-wide")
    engine = gpu_engine("compact", model, 4)
    first = {name: engine.run(requests(), sampling) for name, sampling in SAMPLINGS.items()}
    for name, sampling in reversed(SAMPLINGS.items()):
        assert engine.run(requests(), sampling) == first[name], f"{name} gives other draws the second time"


@pytest.mark.parametrize("family", ["llama-wide", "qwen3-wide"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "fp32"])
def test_a_sample_depends_on_its_prompt_and_seed_only(
    family: str, dtype: torch.dtype, gpu_model: Any, gpu_engine: Any
) -> None:
    """Not on the slot count (1 to 160), the neighbours, the order or the chunk it begins in; bf16, to the token."""
    model = gpu_model(family, dtype)
    wanted = [Request(p, 1000 + i, 20 + i % 9) for i in range(32) for p in PROMPTS]
    expected = dict(zip(wanted, gpu_engine("compact", model, 160).run(wanted, Sampling()), strict=True))
    assert len({sample.token_ids for sample in expected.values()}) > len(wanted) / 2  # seeds make a difference
    for slots, count in ((1, 6), (5, 40), (48, 160)):
        part = random.Random(slots).sample(wanted, count)
        drawn = gpu_engine("compact", model, slots).run(part, Sampling())
        differ = [n for n, (r, s) in enumerate(zip(part, drawn, strict=True)) if s.token_ids != expected[r].token_ids]
        assert not differ, f"{family} {dtype}, {slots} slots: {len(differ)} of {count} completions differ: {differ[:9]}"


def test_bf16_runs_on_both_paths_and_repeats(gpu_model: Any, gpu_engine: Any) -> None:
    for way, family in (("compact", "qwen2-wide"), ("general", "gpt2"), ("general", "llama-wide")):
        engine = gpu_engine(way, gpu_model(family, torch.bfloat16), 4)
        first = engine.run(requests(), Sampling(temperature=0.9))
        assert engine.run(requests(), Sampling(temperature=0.9)) == first, f"{way} {family} does not repeat"


def test_draws_follow_the_distribution(gpu_model: Any, gpu_engine: Any) -> None:
    """First tokens of 4,096 seeds: each probable token as often as its probability says, within 5 deviations."""
    model = gpu_model("llama-wide")
    drawn = gpu_engine("compact", model, 512).run([Request((5, 6, 7), seed, 1) for seed in range(4096)], Sampling())
    ids = torch.tensor([[5, 6, 7]], device=model.device)
    with torch.no_grad():
        probs = torch.softmax(model(input_ids=ids).logits[0, -1].float(), -1).cpu()
    counts = torch.bincount(torch.tensor([sample.token_ids[0] for sample in drawn]), minlength=len(probs))
    spread = (4096 * probs * (1 - probs)).sqrt()
    off = ((counts - 4096 * probs).abs() / spread)[4096 * probs > 10]
    assert float(off.max()) < 5, f"token counts are up to {float(off.max()):.1f} deviations from their probabilities"


def test_generate_draws_repeat_on_a_gpu(gpu_model: Any) -> None:
    """The last way that is left to a model: sampled with penalties and stop strings on the device."""
    model = gpu_model("gemma2")
    sampling = Sampling(top_p=0.9, repetition_penalty=1.2)
    wanted = [Request(prompt, n, 9, (decode((5, 6)),)) for n, prompt in enumerate(PROMPTS[:3])]
    first = generate(model, wanted, sampling, STOPS, decode)
    assert generate(model, wanted, sampling, STOPS, decode) == first and len(first) == 3
