"""The own sampler against ``model.generate`` and against the trainer's log-probabilities, over model families."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from r1gym.engine import sampler as engine
from r1gym.engine.generate import generate
from r1gym.engine.request import Request, Sample
from r1gym.engine.sampler import Sampler, unsupported
from r1gym.errors import NumericalError
from r1gym.types import Sampling

STOP = 3
ByGenerate = Callable[..., tuple[int, ...]]
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 50)), (8, 9), (96, 95, 94, 93, 92, 91, 90))
GREEDY = Sampling(temperature=0.0)


def teacher_forced(model: Any, prompt: Sequence[int], sample: Sample, temperature: float) -> torch.Tensor:
    """Log-probabilities of a sample's tokens from one forward pass over prompt and completion."""
    ids = torch.tensor([[*prompt, *sample.token_ids]])
    with torch.no_grad():
        logprobs = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0] / (temperature or 1.0), dim=-1)
    places = torch.arange(len(prompt) - 1, ids.shape[1] - 1)
    return logprobs[places, ids[0, len(prompt) :]]


@pytest.mark.parametrize("max_slots", [1, 2, 256])
def test_greedy_tokens_equal_generate(
    own_cache: str, max_slots: int, model_of: Callable[[str], Any], by_generate: ByGenerate
) -> None:
    model = model_of(own_cache)
    assert unsupported(model) == ""
    requests = [Request(prompt, 1, 24 - number) for number, prompt in enumerate(PROMPTS)]
    samples = Sampler(model, [STOP], max_slots).run(requests, GREEDY)
    assert [s.token_ids for s in samples] == [by_generate(model, r.prompt, r.budget) for r in requests]


def test_captured_logprobs_are_the_trainers(own_cache: str, model_of: Callable[[str], Any]) -> None:
    model = model_of(own_cache)
    requests = [Request(prompt, seed, 12) for prompt in PROMPTS[:3] for seed in (1, 2)]
    for sampling in (Sampling(temperature=0.7, top_p=0.8), GREEDY):
        for request, sample in zip(requests, Sampler(model, [STOP], 4).run(requests, sampling), strict=True):
            assert len(sample.token_ids) == len(sample.logprobs)
            expected = teacher_forced(model, request.prompt, sample, sampling.temperature)
            assert torch.allclose(torch.tensor(sample.logprobs), expected, atol=1e-5)


def test_greedy_tokens_follow_an_optimizer_step(fresh_model: Callable[[str], Any], by_generate: ByGenerate) -> None:
    model = fresh_model("llama")
    sampler = Sampler(model, [STOP])
    requests = [Request(prompt, 1, 16) for prompt in PROMPTS]
    before = sampler.run(requests, GREEDY)
    optimizer = torch.optim.AdamW(model.parameters(), 0.05)
    (-model(input_ids=torch.tensor([PROMPTS[2]]), use_cache=False).logits.log_softmax(-1)[0, :, 11].sum()).backward()
    optimizer.step()
    after = sampler.run(requests, GREEDY)
    assert [s.token_ids for s in after] == [by_generate(model, r.prompt, 16) for r in requests]
    assert after != before


def test_a_completion_depends_on_its_own_seed_only(model_of: Callable[[str], Any]) -> None:
    model = model_of("qwen2")
    requests = [Request(prompt, 100 * number + g, 16) for number, prompt in enumerate(PROMPTS) for g in range(2)]
    together = Sampler(model, [STOP]).run(requests, Sampling())
    few_slots = Sampler(model, [STOP], 3).run(requests, Sampling())
    backwards = Sampler(model, [STOP], 5).run(requests[::-1], Sampling())[::-1]
    alone = [Sampler(model, [STOP]).run([request], Sampling())[0] for request in requests]
    for other in (few_slots, backwards, alone):
        assert [s.token_ids for s in other] == [s.token_ids for s in together]
        for one, two in zip(other, together, strict=True):
            assert one.logprobs == pytest.approx(two.logprobs, abs=1e-5)
    assert len({s.token_ids for s in together}) > len(PROMPTS)  # seeds matter
    again = Sampler(model, [STOP]).run(requests, Sampling())
    assert again == together  # to the bit


def test_a_small_prefill_budget_changes_nothing(
    model_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = model_of("llama")
    requests = [Request(prompt, 1, 12) for prompt in PROMPTS]
    whole = Sampler(model, [STOP]).run(requests, GREEDY)
    monkeypatch.setattr(engine, "PREFILL_TOKENS", 7)  # shorter than the longest prompt, which is still read whole
    assert [s.token_ids for s in Sampler(model, [STOP]).run(requests, GREEDY)] == [s.token_ids for s in whole]


def test_stop_tokens_and_budgets_end_completions(model_of: Callable[[str], Any]) -> None:
    model = model_of("llama")
    full = Sampler(model, [96]).run([Request((5, 6, 7), 1, 12)], GREEDY)[0]
    assert (full.finish, len(full.token_ids)) == ("length", 12)
    second = full.token_ids[1]
    first = full.token_ids.index(second)
    stopped, cut = Sampler(model, [96, second]).run([Request((5, 6, 7), 1, 12), Request((5, 6, 7), 1, 1)], GREEDY)
    assert stopped.token_ids == full.token_ids[: first + 1]  # the stop token is kept
    assert stopped.finish == "stop"
    assert len(cut.token_ids) == 1
    # A stop token that is also the last of the budget is a stop.
    exact = Sampler(model, [second]).run([Request((5, 6, 7), 1, first + 1)], GREEDY)[0]
    assert exact.finish == "stop"


def test_a_completion_may_fill_the_context(model_of: Callable[[str], Any]) -> None:
    prompt = tuple(4 + n % 90 for n in range(120))
    sample = Sampler(model_of("gpt2"), [96]).run([Request(prompt, 1, 8)], GREEDY)[0]  # learned positions: 128 of them
    assert len(sample.token_ids) <= 8


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_nan_logits_name_the_token(temperature: float, fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    with torch.no_grad():
        model.lm_head.weight[5] = float("nan")
    for run in (Sampler(model, [STOP]).run, lambda requests, sampling: generate(model, requests, sampling, [STOP])):
        with pytest.raises(NumericalError, match="not finite at token 0"):
            run([Request((5, 6), 1, 4)], Sampling(temperature=temperature))


def test_sampling_leaves_the_training_flag_and_needs_no_gradient(fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("gpt2").train()  # a model with dropout
    request = [Request((5, 6), 1, 8)]
    first, second = (Sampler(model, [STOP]).run(request, Sampling()) for _ in range(2))
    assert first == second  # dropout is off while sampling
    other = generate(model, request, Sampling(), [STOP])
    assert other[0].logprobs == pytest.approx(first[0].logprobs, abs=1e-5)
    assert model.training


def test_models_that_the_cache_cannot_hold_are_named(fall_back: str, model_of: Callable[[str], Any]) -> None:
    assert unsupported(model_of(fall_back)) != ""


def test_a_window_as_long_as_the_context_is_no_window(model_of: Callable[[str], Any]) -> None:
    model = model_of("mistral")
    assert model.config.sliding_window >= model.config.max_position_embeddings
    assert unsupported(model) == ""


def test_the_fallback_is_greedy_like_generate(
    fall_back: str, model_of: Callable[[str], Any], by_generate: ByGenerate
) -> None:
    model = model_of(fall_back)
    requests = [Request(prompt, 1, 12) for prompt in PROMPTS]
    samples = generate(model, requests, GREEDY, [STOP])
    assert [s.token_ids for s in samples] == [by_generate(model, r.prompt, 12) for r in requests]


def test_the_fallback_captures_the_trainers_logprobs(fall_back: str, model_of: Callable[[str], Any]) -> None:
    model = model_of(fall_back)
    requests = [Request(prompt, seed, 12) for prompt in PROMPTS for seed in (1, 2)]
    sampling = Sampling(temperature=0.8, top_p=0.9)
    for request, sample in zip(requests, generate(model, requests, sampling, [STOP]), strict=True):
        expected = teacher_forced(model, request.prompt, sample, 0.8)
        assert torch.allclose(torch.tensor(sample.logprobs), expected, atol=1e-4)


def test_the_fallback_draws_what_the_own_sampler_draws(model_of: Callable[[str], Any]) -> None:
    model = model_of("llama")
    requests = [Request(prompt, seed, 20) for prompt in PROMPTS for seed in (1, 2, 3)]
    sampling = Sampling(temperature=0.9, top_p=0.95, top_k=40)
    own = Sampler(model, [STOP, 17]).run(requests, sampling)
    other = generate(model, requests, sampling, [STOP, 17])
    assert [(s.token_ids, s.finish) for s in other] == [(s.token_ids, s.finish) for s in own]


def test_the_fallback_heeds_no_generation_settings_of_the_model(fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    plain = generate(model, [Request((5, 6, 7), 1, 16)], GREEDY, [96])
    model.generation_config.repetition_penalty = 1.7
    model.generation_config.suppress_tokens = list(plain[0].token_ids[:2])
    own = model.generation_config
    assert generate(model, [Request((5, 6, 7), 1, 16)], GREEDY, [96]) == plain
    assert model.generation_config is own


def test_a_real_tiny_model_is_continued_as_recorded() -> None:
    folder = Path(os.environ.get("R1GYM_DATA", "")) / "stories260k"
    if not (folder / "expected_greedy.json").is_file():
        pytest.skip("R1GYM_DATA holds no stories260k")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    expected = json.loads((folder / "expected_greedy.json").read_text())
    request = Request(tuple(expected["prompt_ids"]), 1, expected["max_new_tokens"])
    sample = Sampler(model, [2]).run([request], GREEDY)[0]
    assert [*expected["prompt_ids"], *sample.token_ids] == expected["token_ids"]
