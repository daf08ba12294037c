"""The paged engine on the CPU: both paths against ``model.generate``, page sharing, refill, shrink, faults."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from typing import Any

import pytest
import torch

from r1gym.engine.compact import CompactForward
from r1gym.engine.engine import Engine, Forward
from r1gym.engine.fused import not_compact
from r1gym.engine.general import GeneralForward
from r1gym.engine.pages import PagePool
from r1gym.engine.request import Request
from r1gym.engine.sampler import unsupported
from r1gym.errors import NumericalError
from r1gym.types import Sampling

STOP = 3
ByGenerate = Callable[..., tuple[int, ...]]
# 63, 64 and 65 tokens stand around the edge of a page; the second prompt leaves nothing to prefill.
PROMPTS = (tuple(range(10, 40)), (5,), (8, 9), tuple(range(20, 83)), tuple(range(20, 84)), tuple(range(20, 85)))
GREEDY = Sampling(temperature=0.0)
COMPACT = ("llama", "qwen2", "qwen3", "mistral")
GENERAL = ("llama", "qwen3", "phi3", "olmo2", "gpt2", "gpt-neox", "gemma")


def requests(each: int = 2) -> list[Request]:
    """Every prompt ``each`` times, with budgets of 9 to 24 tokens."""
    return [Request(prompt, 100 + i, 9 + 3 * n) for n, prompt in enumerate(PROMPTS) for i in range(each)]


def path(name: str, model: Any) -> Forward:
    return CompactForward(model) if name == "compact" else GeneralForward(model)


@pytest.mark.parametrize(("way", "family"), [("compact", f) for f in COMPACT] + [("general", f) for f in GENERAL])
def test_greedy_tokens_equal_generate(
    way: str, family: str, fresh_model: Callable[[str], Any], by_generate: ByGenerate
) -> None:
    """Three slots for twelve requests: they are refilled, pages are shared and given back, the tail shrinks."""
    model = fresh_model(family)
    expected = {request: by_generate(model, request.prompt, request.budget) for request in requests()}
    engine = Engine(path(way, model), [STOP], max_slots=3)
    samples = engine.run(requests(), GREEDY)
    assert [sample.token_ids for sample in samples] == [expected[request] for request in requests()]
    assert engine.pool.used == 0
    for request, sample in zip(requests(), samples, strict=True):
        assert sample.finish == ("stop" if sample.token_ids[-1] == STOP else "length")
        assert sample.finish == "stop" or len(sample.token_ids) == request.budget


@pytest.mark.parametrize("way", ["compact", "general"])
def test_a_sample_does_not_depend_on_its_slot_or_neighbours(way: str, fresh_model: Callable[[str], Any]) -> None:
    forward = path(way, fresh_model("llama"))
    together = Engine(forward, [STOP], max_slots=16).run(requests(), Sampling())
    apart = Engine(forward, [STOP], max_slots=2).run(list(reversed(requests())), Sampling())
    assert [sample.token_ids for sample in together] == [sample.token_ids for sample in reversed(apart)]
    assert len({sample.token_ids for sample in together}) > len(PROMPTS)  # seeds make a difference


def test_logprobs_are_those_of_a_forward_pass(fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("qwen3")
    sampling = Sampling(temperature=0.7, top_k=20, top_p=0.9)
    for request, sample in zip(
        requests(1), Engine(CompactForward(model), [STOP], 8).run(requests(1), sampling), strict=True
    ):
        ids = torch.tensor([[*request.prompt, *sample.token_ids]])
        with torch.no_grad():
            logprobs = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0] / 0.7, dim=-1)
        places = torch.arange(len(request.prompt) - 1, ids.shape[1] - 1)
        expected = logprobs[places, ids[0, len(request.prompt) :]]
        assert torch.allclose(torch.tensor(sample.logprobs), expected, atol=2e-5)


def test_weights_are_shared_so_nothing_is_synchronised(
    fresh_model: Callable[[str], Any], by_generate: ByGenerate
) -> None:
    model = fresh_model("qwen2")
    engine = Engine(CompactForward(model), [STOP], max_slots=4)
    before = engine.run(requests(), GREEDY)
    optimizer = torch.optim.AdamW(model.parameters(), 0.05)
    ids = torch.tensor([list(PROMPTS[0])])
    torch.nn.functional.cross_entropy(model(input_ids=ids).logits[0, :-1], ids[0, 1:]).backward()
    optimizer.step()
    assert not engine.forward.stale
    after = engine.run(requests(), GREEDY)
    assert [s.token_ids for s in after] == [by_generate(model, r.prompt, r.budget) for r in requests()]
    assert [s.token_ids for s in after] != [s.token_ids for s in before]


def test_a_checkpoint_of_fused_weights_can_be_read(fresh_model: Callable[[str], Any], tmp_path: Any) -> None:
    model = fresh_model("qwen2")
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    CompactForward(model)
    model.save_pretrained(tmp_path)
    stored = type(model).from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(stored[name], value) for name, value in plain.items())


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_fusing_twice_moves_nothing(family: str, fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model(family)
    first, second = CompactForward(model), CompactForward(model)
    assert not first.stale and not second.stale
    for one, two in zip(first.weights.layers, second.weights.layers, strict=True):
        for a, b in ((one.qkv, two.qkv), (one.gate_up, two.gate_up), (one.qkv_bias, two.qkv_bias)):
            assert (a is None and b is None) or (a.data_ptr() == b.data_ptr() and torch.equal(a, b))
    copy = CompactForward(deepcopy(model))  # of its own memory, laid out alike
    assert copy.weights.layers[0].qkv.data_ptr() != first.weights.layers[0].qkv.data_ptr()
    assert Engine(copy, [STOP], 4).run(requests(), GREEDY) == Engine(first, [STOP], 4).run(requests(), GREEDY)


def test_a_changed_model_is_noticed(fresh_model: Callable[[str], Any]) -> None:
    for way in ("compact", "general"):
        model = fresh_model("llama")
        forward = path(way, model)
        assert not forward.stale
        model.resize_token_embeddings(120)
        assert forward.stale


def test_nan_names_the_token_and_leaves_no_page_behind(fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    engine = Engine(CompactForward(model), [STOP], max_slots=4)
    good = engine.run(requests(), GREEDY)
    kept = model.lm_head.weight.detach().clone()
    with torch.no_grad():
        model.lm_head.weight.fill_(torch.nan)
    with pytest.raises(NumericalError, match=r"token 0 of completion \d+ \(slot \d\)"):
        engine.run(requests(), GREEDY)
    assert engine.pool.used == 0
    with torch.no_grad():
        model.lm_head.weight.copy_(kept)
    assert engine.run(requests(), GREEDY) == good


def test_fifty_rollouts_need_no_more_pages_than_one(fresh_model: Callable[[str], Any]) -> None:
    engine = Engine(CompactForward(fresh_model("llama")), [STOP], max_slots=4)
    engine.run(requests(1), GREEDY)
    pages, peak = engine.pool.pages, engine.pool.peak
    for _ in range(49):
        engine.run(requests(1)[:2], GREEDY)
    assert (engine.pool.pages, engine.pool.peak, engine.pool.used) == (pages, peak, 0)


def test_what_the_compact_path_refuses_is_named(fresh_model: Callable[[str], Any]) -> None:
    assert "families llama" in not_compact(fresh_model("phi3"))
    model = fresh_model("llama")
    assert not_compact(model) == "" and unsupported(model) == ""
    model.model.layers[0].mlp.up_proj = torch.nn.Sequential(model.model.layers[0].mlp.up_proj)
    assert "up_proj is a Sequential" in not_compact(model)


def test_two_models_are_read_from_two_threads_at_once(fresh_model: Callable[[str], Any]) -> None:
    """As where an answer in a dialogue asks another model. Each attends while both are in their forward."""
    prompts = [(5, 6, 7, 8), (9, 10, 11)]
    forwards = [GeneralForward(fresh_model(family)) for family in ("qwen2", "gpt2")]

    def read(forward: GeneralForward, prompt: tuple[int, ...]) -> torch.Tensor:
        pool = PagePool(2, *forward.shape, torch.float32, torch.device("cpu"))
        with torch.inference_mode():
            forward.prefill([prompt], [[1]], pool)
        return pool.data

    alone = [read(forward, prompt) for forward, prompt in zip(forwards, prompts, strict=True)]
    together = threading.Barrier(2, timeout=20)

    def meet(*_arguments: Any) -> None:
        together.wait()

    for forward in forwards:
        forward.model.register_forward_pre_hook(meet)
        forward.model.register_forward_hook(meet)
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(read, forwards, prompts))
    assert all(torch.equal(own, other) for own, other in zip(both, alone, strict=True))
    assert all(data[1].any() for data in both)
