"""Repetition control: by hand, against ``generate(repetition_penalty=...)``, and the log-probabilities kept with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from r1gym.engine.compact import CompactForward
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.generate import generate
from r1gym.engine.repetition import count, penalise, remember
from r1gym.engine.request import Request
from r1gym.engine.sampler import Sampler
from r1gym.errors import ConfigError
from r1gym.types import Sampling

STOP = 3
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 40)), (8, 9, 8, 8), tuple(range(20, 84)))
WAYS = ("compact", "general", "sampler", "generate")
ByGenerate = Callable[..., tuple[int, ...]]


def run(way: str, model: Any, requests: list[Request], sampling: Sampling, slots: int = 3) -> Any:
    if way == "generate":
        return generate(model, requests, sampling, [STOP])
    if way == "sampler":
        return Sampler(model, [STOP], slots).run(requests, sampling)
    forward = CompactForward(model) if way == "compact" else GeneralForward(model)
    return Engine(forward, [STOP], slots).run(requests, sampling)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("penalty", [1.3, 0.8])
def test_greedy_tokens_equal_generate(
    way: str, penalty: float, fresh_model: Callable[[str], Any], by_generate: ByGenerate
) -> None:
    """Three slots for ten requests, so that slots are refilled and moved with what they have seen."""
    model = fresh_model("qwen2")
    requests = [Request(prompt, 1, 10 + 2 * n) for n, prompt in enumerate(PROMPTS) for _ in range(2)]
    expected = [by_generate(model, r.prompt, r.budget, repetition_penalty=penalty) for r in requests]
    samples = run(way, model, requests, Sampling(temperature=0.0, repetition_penalty=penalty))
    assert [sample.token_ids for sample in samples] == expected
    assert expected != [by_generate(model, r.prompt, r.budget) for r in requests]


@pytest.mark.parametrize("way", WAYS)
def test_the_logprobs_kept_are_the_trainers(way: str, fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    sampling = Sampling(temperature=0.8, top_p=0.9, repetition_penalty=1.5, frequency_penalty=0.7, presence_penalty=0.3)
    requests = [Request(prompt, 7 * n, 16) for n, prompt in enumerate(PROMPTS)]
    for request, sample in zip(requests, run(way, model, requests, sampling), strict=True):
        ids = torch.tensor([[*request.prompt, *sample.token_ids]])
        with torch.no_grad():
            logprobs = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0] / 0.8, dim=-1)
        places = torch.arange(len(request.prompt) - 1, ids.shape[1] - 1)
        expected = logprobs[places, ids[0, len(request.prompt) :]]
        assert torch.allclose(torch.tensor(sample.logprobs), expected, atol=2e-5)


def test_paths_with_the_same_random_streams_draw_the_same(fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    sampling = Sampling(repetition_penalty=1.2, frequency_penalty=0.5, presence_penalty=0.5, top_k=30)
    requests = [Request(prompt, 10 * n + g, 20) for n, prompt in enumerate(PROMPTS) for g in range(2)]
    for one, two in (("compact", "general"), ("sampler", "generate")):
        drawn = [[s.token_ids for s in run(way, model, requests, sampling)] for way in (one, two)]
        assert drawn[0] == drawn[1]
    apart = [s.token_ids for s in run("compact", model, requests, sampling, slots=16)]
    assert apart == [s.token_ids for s in run("compact", model, requests, sampling, slots=2)]


def test_a_strong_frequency_penalty_lets_no_token_come_twice(fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    for way in WAYS:
        plain, strict = (
            run(way, model, [Request((5, 6, 7), 1, 40)], Sampling(temperature=0.0, frequency_penalty=penalty))[0]
            for penalty in (0.0, 1e6)
        )
        assert len(set(plain.token_ids)) < len(plain.token_ids)
        assert len(set(strict.token_ids)) == len(strict.token_ids)


def test_penalties_by_hand() -> None:
    seen = torch.zeros(2, 4, dtype=torch.int32)
    remember(seen, [0, 1], [(1, 1), (0,)], fresh=True)  # how often the prompt has a token does not matter
    for _ in range(2):
        count(seen, torch.tensor([2, 3]), torch.tensor([True, False]))  # slot 0 draws token 2 twice, slot 1 is done
    logits = torch.tensor([[1.0, 2.0, -2.0, 0.5], [1.0, 2.0, -2.0, 0.5]])
    # Read or drawn: 2 / 2 = 1 and -2 * 2 = -4 in slot 0, 1 / 2 in slot 1.
    got = penalise(logits, seen, Sampling(repetition_penalty=2.0))
    assert got.tolist() == [[1.0, 1.0, -4.0, 0.5], [0.5, 2.0, -2.0, 0.5]]
    # Drawn twice: -2 - 2 * 0.25 - 1 = -3.5; the prompt does not count.
    got = penalise(logits, seen, Sampling(frequency_penalty=0.25, presence_penalty=1.0))
    assert got.tolist() == [[1.0, 2.0, -3.5, 0.5], [1.0, 2.0, -2.0, 0.5]]
    remember(seen, [0], [(3,)], fresh=True)
    assert seen[0].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("options", [{"repetition_penalty": 0.0}, {"frequency_penalty": float("nan")}])
def test_penalties_that_cannot_be_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="penalty must be"):
        Sampling(**options)  # type: ignore[arg-type]
