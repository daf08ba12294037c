"""Faults: what each says, and that none leaves a page, a tensor or a wrong token behind."""

from __future__ import annotations

import gc
import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from r1gym.engine import choice, decoding
from r1gym.engine.compact import CompactForward
from r1gym.engine.dense import DenseForward
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.generate import generate
from r1gym.engine.memory import advise, budget_that_fits, out_of_memory, position_bytes, slots_that_fit
from r1gym.engine.pages import PagePool
from r1gym.engine.request import Request
from r1gym.engine.sampler import Sampler
from r1gym.errors import ConfigError, ModelError, NumericalError, PromptTooLongError, TokenizerError
from r1gym.types import Sampling

STOP = 3
GREEDY = Sampling(temperature=0.0)
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 40)), tuple(range(20, 84)), tuple(range(20, 85)))
ByGenerate = Callable[..., tuple[int, ...]]


def requests(each: int = 2) -> list[Request]:
    return [Request(prompt, 100 + i, 9 + 3 * n) for n, prompt in enumerate(PROMPTS) for i in range(each)]


def engine(way: str, model: Any, slots: int = 4) -> Engine:
    return Engine(CompactForward(model) if way == "compact" else GeneralForward(model), [STOP], slots)


# ---- Memory


def test_sizes_by_hand(fresh_model: Callable[[str], Any]) -> None:
    # Keys and values of 2 layers, 2 heads of 8 numbers, 4 bytes each: 2 * 2 * 2 * 8 * 4 = 256.
    model = fresh_model("llama")
    assert position_bytes(model) == 256
    pool = PagePool(4, *GeneralForward(model).shape, torch.float32, torch.device("cpu"))
    assert pool.page_bytes == 64 * 256
    # 100 tokens take two pages of 64: 2 * 64 * 256 = 32,768 bytes.
    assert slots_that_fit(10 * 32_768, 256, 100) == 10
    assert slots_that_fit(32_767, 256, 100) == 0
    # Of 10 pages each of 2 slots has 5: 320 tokens, 300 of them behind a prompt of 20.
    assert budget_that_fits(10 * 64 * 256, 256, 2, 20) == 300
    assert budget_that_fits(64 * 256, 256, 2, 20) == 0


def test_advice_names_the_option_and_the_size() -> None:
    page = 64 * 256
    error = str(advise(12 * page, 256, slots=8, prompt=20, budget=100))  # 2 pages each: 6 fit; one each for 8 slots
    assert "max_slots=6" in error and "--max-new-tokens 44" in error
    assert "not even one such sequence" in str(advise(page, 256, slots=8, prompt=20, budget=100))
    assert "max_slots=4" in str(advise(None, 256, slots=8, prompt=20, budget=100))


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (MemoryError(), True),
        (RuntimeError("shapes do not match"), False),
    ],
)
def test_which_errors_are_about_memory(error: Exception, is_it: bool) -> None:
    assert out_of_memory(error) is is_it


def test_a_pool_that_cannot_grow_by_half_grows_by_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = PagePool(100, 1, 1, 4, torch.float32, torch.device("cpu"))
    pool.take(99)
    grow = pool.grow

    def limited(pages: int) -> None:
        if pages > 110:
            raise torch.OutOfMemoryError("no more")
        grow(pages)

    monkeypatch.setattr(pool, "grow", limited)
    assert len(pool.take(3)) == 3 and pool.pages == 103
    with pytest.raises(torch.OutOfMemoryError):
        pool.take(20)
    assert pool.used == 102


def test_no_memory_in_a_rollout_is_advice_and_leaves_no_page(
    fresh_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    paged = engine("compact", fresh_model("llama"))
    expected = paged.run(requests(), GREEDY)

    def full(pages: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    own = paged.pool.grow
    paged.pool._free[:] = paged.pool._free[:5]  # nearly all pages are gone, and more cannot be had
    monkeypatch.setattr(paged.pool, "grow", full)
    with pytest.raises(ModelError, match=r"4 sequences side by side.*max_slots=2") as caught:
        paged.run(requests(), GREEDY)
    assert isinstance(caught.value.__cause__, torch.OutOfMemoryError)
    monkeypatch.setattr(paged.pool, "grow", own)
    assert len(paged.pool._free) == 5
    assert paged.run(requests(), GREEDY) == expected


# ---- Requests that cannot be


@pytest.mark.parametrize("way", ["compact", "general", "sampler", "generate"])
def test_what_does_not_fit_the_context_is_refused(way: str, fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")  # 128 positions
    run = {
        "sampler": Sampler(model, [STOP]).run,
        "generate": lambda asked, sampling: generate(model, asked, sampling, [STOP]),
    }.get(way) or engine(way, model).run
    with pytest.raises(
        PromptTooLongError, match="request 1 has a prompt of 128 tokens and the model's context holds 128"
    ):
        run([Request((5,), 1, 4), Request((5,) * 128, 1, 1)], GREEDY)
    with pytest.raises(PromptTooLongError, match="a budget of at most 28"):
        run([Request((5,) * 100, 1, 29)], GREEDY)
    assert len(run([Request((5,) * 127, 1, 1)], GREEDY)[0].token_ids) == 1


def test_an_empty_request_is_refused() -> None:
    with pytest.raises(ConfigError, match="budget must be at least 1 token, got 0"):
        Request((5,), 1, 0)
    with pytest.raises(ConfigError, match="at least one token"):
        Request((), 1, 1)
    with pytest.raises(ConfigError, match="max_new_tokens must be at least 1"):
        Sampling(max_new_tokens=0)


# ---- Interruptions, and rollout after rollout


@pytest.mark.parametrize("way", ["compact", "general"])
def test_an_interrupted_rollout_leaves_nothing(
    way: str, fresh_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted in the prefill, in a step, and while results are read: fifty times, then the same tokens again."""
    paged = engine(way, fresh_model("llama"))
    expected = paged.run(requests(1)[1:4], GREEDY)
    pages, version = paged.pool.pages, paged.slots.version
    for number in range(50):
        owner, name = [(paged.forward, "prefill"), (paged.stepper, "run"), (paged.slots, "progress")][number % 3]
        real, calls = getattr(owner, name), iter(range(number % 7))

        def breaking(*given: Any, real: Any = real, calls: Any = calls) -> Any:
            if next(calls, None) is None:
                raise KeyboardInterrupt
            return real(*given)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(owner, name, breaking)
            while True:  # an interruption after more calls than one rollout makes comes in the next
                paged.run(requests(1)[1:4], GREEDY)
        assert paged.pool.used == 0
    assert (paged.pool.pages, paged.slots.version) == (pages, version)
    assert paged.run(requests(1)[1:4], GREEDY) == expected


def tensors() -> tuple[int, int]:
    """How many tensors there are, and the bytes they hold."""
    gc.collect()
    found = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]
    return len(found), sum(each.numel() * each.element_size() for each in found)


@pytest.mark.parametrize("way", ["compact", "general", "dense", "dialogue", "penalties"])
def test_fifty_rollouts_keep_memory_flat(way: str, fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    sampling = Sampling(repetition_penalty=1.2) if way == "penalties" else Sampling()
    if way == "dense":
        run: Any = Sampler(model, [STOP], 4, forward=DenseForward(model)).run
    elif way == "dialogue":
        paged = engine("compact", model)
        run = lambda asked, sampling: paged.converse(asked, sampling, lambda _, t: (7, 8) if len(t) < 3 else None)  # noqa: E731
    else:
        run = engine("general" if way == "general" else "compact", model).run
    for _ in range(2):
        run(requests(1), sampling)
    before = tensors()
    for number in range(50):
        run(requests(1)[number % 4 :], sampling)
    assert tensors() == before


@pytest.mark.parametrize("way", ["compact", "general"])
def test_what_is_not_finite_does_not_stay_in_the_pages(way: str, fresh_model: Callable[[str], Any]) -> None:
    """NaN in keys and values, not in the logits alone: the same pages serve the weights that are loaded then."""
    model = fresh_model("llama")
    paged = engine(way, model)
    good = paged.run(requests(), GREEDY)
    weight = model.get_input_embeddings().weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[good[0].token_ids[1]] = torch.nan  # what is read after the second token
    with pytest.raises(NumericalError, match=r"token \d of completion \d+ \(slot \d\)"):
        paged.run(requests(), GREEDY)
    with torch.no_grad():
        weight.copy_(kept)
    assert paged.run(requests(), GREEDY) == good


# ---- A model that changes, a Triton that does not work


@pytest.mark.parametrize("way", ["compact", "general"])
def test_a_model_changed_under_the_engine_is_refused(way: str, fresh_model: Callable[[str], Any]) -> None:
    for change in (lambda m: m.resize_token_embeddings(120), lambda m: m.to(torch.bfloat16)):
        model = fresh_model("llama")
        paged = engine(way, model)
        change(model)
        with pytest.raises(ModelError, match="have moved since the engine was made"):
            paged.run(requests(), GREEDY)


@pytest.fixture
def asked_anew() -> Any:
    decoding.no_kernels.cache_clear()
    yield
    decoding.no_kernels.cache_clear()


CUDA = torch.device("cuda", 0)


def test_an_absent_triton_is_the_reason(monkeypatch: pytest.MonkeyPatch, asked_anew: None) -> None:
    monkeypatch.setitem(sys.modules, "r1gym.engine.kernels", None)  # as where importing it fails
    monkeypatch.delattr("r1gym.engine.kernels", raising=False)
    assert "Triton cannot be used" in decoding.no_kernels(CUDA)


def test_a_triton_that_cannot_compile_is_the_reason(monkeypatch: pytest.MonkeyPatch, asked_anew: None) -> None:
    class NoCompiler:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("Failed to find C compiler.\nPlease specify via CC")

    for name in ("kernels", "drawing_kernels"):
        monkeypatch.setitem(sys.modules, f"r1gym.engine.{name}", NoCompiler())
        monkeypatch.setattr(f"r1gym.engine.{name}", NoCompiler(), raising=False)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(decoding, "_launch_one", lambda device: NoCompiler().final_norm)
    assert decoding.no_kernels(CUDA) == "Triton cannot compile here: RuntimeError: Failed to find C compiler."


@pytest.mark.parametrize("early", [False, True])
def test_the_first_launch_is_like_all_others(early: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver or a Triton without dependent launch is noticed before a rollout, not in it."""
    told: list[dict[str, Any]] = []

    def final_norm(x: torch.Tensor, weight: torch.Tensor, out: torch.Tensor, eps: float, **options: Any) -> None:
        told.append(options)
        out.copy_(x)

    kernels = SimpleNamespace(final_norm={(1,): final_norm})
    monkeypatch.setitem(sys.modules, "r1gym.engine.kernels", kernels)  # type: ignore[arg-type]
    monkeypatch.setattr("r1gym.engine.kernels", kernels, raising=False)
    monkeypatch.setattr(decoding, "dependent_launch", lambda device: early)
    decoding._launch_one(torch.device("cpu"))
    assert [each.get("launch_pdl", False) for each in told] == [each["PDL"] for each in told] == [early]


def test_without_triton_a_gpu_samples_through_the_own_cache(
    fresh_model: Callable[[str], Any],
    by_generate: ByGenerate,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The choice is made as for a GPU; what it gives is run here."""
    model = fresh_model("llama")
    monkeypatch.setattr(choice, "no_kernels", lambda device: "Triton cannot compile here: no C compiler")
    with monkeypatch.context() as patch:
        patch.setattr(type(model), "device", property(lambda _: CUDA))
        drawer = choice.choose(model, [STOP], 3)
    assert drawer.name == "sampler" and "without captured graphs, which is slower: Triton cannot compile" in caplog.text
    samples = drawer.run(requests(), GREEDY)
    assert [s.token_ids for s in samples] == [by_generate(model, r.prompt, r.budget) for r in requests()]
    with caplog.at_level(logging.WARNING):
        assert choice.choose(model, [STOP], 3).reason  # a CPU needs no warning
    assert caplog.text.count("without captured graphs") == 1


# ---- Requests that no model can take


@pytest.mark.parametrize("way", ["compact", "general", "sampler", "generate"])
@pytest.mark.parametrize("token", [97, -1])
def test_a_prompt_outside_the_vocabulary_is_refused(token: int, way: str, fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    wanted = [Request((5, 6), 1, 4), Request((5, token, 6), 1, 4)]
    with pytest.raises(TokenizerError, match=f"request 1 holds the token {token}, and the model knows 0 to 96"):
        if way == "generate":
            generate(model, wanted, GREEDY, [STOP])
        else:
            (Sampler(model, [STOP]) if way == "sampler" else engine(way, model)).run(wanted, GREEDY)


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1])
def test_a_seed_beyond_64_bits_is_refused(seed: int) -> None:
    with pytest.raises(ConfigError, match="seed must fit into 64 bits"):
        Request((5,), seed, 4)
