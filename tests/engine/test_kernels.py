"""The Triton kernels against what they state in torch: on a GPU, or anywhere with ``TRITON_INTERPRET=1``."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from r1gym.engine.attention import paged_attention, write_pages
from r1gym.engine.cache import PAGE
from r1gym.engine.compact import CompactForward
from r1gym.engine.decoding import KernelForward, kernel_attention
from r1gym.engine.drawing import draw_and_advance
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.pages import PagePool
from r1gym.engine.race import race
from r1gym.engine.repetition import penalise
from r1gym.engine.request import Request, Sample
from r1gym.engine.slots import COUNT, SEED, Slots
from r1gym.engine.stepping import STEPS, Stepper
from r1gym.engine.tiles import FEW, MANY, SOME, Tiles
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


def compare_a_step(
    model: Any, tokens: Sequence[int], positions: Sequence[int], cut: Tiles | None, most_pages: int
) -> None:
    """One decoding step of torch and of the kernels, over the same random keys and values; every slot owns its pages.

    ``cut`` None: the tiles in use. Biases and norms get random numbers, as after training.
    """
    if cut is not None and DEVICE.type == "cuda":
        pytest.skip("on a GPU tiles that hold columns are for 16-bit numbers: cuda/test_cuda_tiles.py")
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
    forwards = CompactForward(model.to(DEVICE)), KernelForward(model.to(DEVICE))
    if cut is not None:
        forwards[1].tiles = lambda slots: cut
    tables = torch.zeros(len(positions), most_pages, dtype=torch.int32, device=DEVICE)
    taken = 1
    for row, position in enumerate(positions):
        own = position // PAGE + 1
        tables[row, :own] = torch.arange(taken, taken + own)
        taken += own
    pool = PagePool(taken, *forwards[0].shape, torch.float32, DEVICE)
    kept = torch.randn(pool.data.shape, generator=generator).to(DEVICE)
    logits, pools = [], []
    for forward in forwards:
        pool.data = kept.clone()
        place = torch.tensor(tokens, device=DEVICE), torch.tensor(positions, device=DEVICE)
        with torch.no_grad():
            logits.append(forward.decode(*place, tables, pool))
        pools.append(pool.data[1:])  # page 0 is nobody's
    assert torch.allclose(logits[0], logits[1], atol=1e-4, rtol=1e-4)
    assert torch.allclose(pools[0], pools[1], atol=1e-5)
    assert (pools[0] != kept[1:]).flatten(1).any(1).sum() == len(positions), "each slot writes to one page"


TILES = {"in use": None, "few": FEW, "some": SOME, "many": MANY}


@pytest.mark.parametrize("family", ["llama-wide", "qwen2-wide", "qwen3-wide"])
@pytest.mark.parametrize("cut", TILES)
def test_a_decoding_step_equals_torch(cut: str, family: str, fresh_model: Callable[[str], Any]) -> None:
    """Three slots: one position, a begun second page, two full pages."""
    compare_a_step(fresh_model(family), (3, 4, 5), (0, 70, 127), TILES[cut], 2)


@pytest.mark.parametrize("cut", TILES)
def test_a_step_of_held_columns_equals_torch(cut: str) -> None:
    """576 columns are held as 512 and 64, of the MLP's 672 the first 512 or none."""
    compare_a_step(long_model(576, 672), (3, 4, 5), (0, 70, 127), TILES[cut], 2)


@pytest.mark.parametrize("cut", TILES)
def test_a_step_of_many_and_long_slots_equals_torch(cut: str) -> None:
    """Nineteen slots, more than a tile's 16 rows: lengths of one page to 21, on both sides of the borders of runs.

    Up to 16 pages a slot is read in four runs, beyond in eight, the short ones beside it as before.
    """
    positions = [0, 62, 63, 64, 127, 128, 300, 511, 512, 1022, 1023, 1024, 1025, 1087, 1088, 1300, 5, 40, 90]
    compare_a_step(long_model(64, 96), range(3, 3 + len(positions)), positions, TILES[cut], 1300 // PAGE + 1)


def long_model(channels: int, wide: int) -> Any:
    """One layer of heads of 32 with biases, for 2,048 positions."""
    import transformers

    config = transformers.Qwen2Config(
        vocab_size=97,
        hidden_size=channels,
        intermediate_size=wide,
        num_hidden_layers=1,
        num_attention_heads=channels // 32,
        num_key_value_heads=channels // 64,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return transformers.Qwen2ForCausalLM(config).eval()


class Graph:
    """Stands for a captured graph where there is no GPU to capture on: the same steps, run one by one."""

    def __init__(self, stepper: Stepper, count: int, sampling: Sampling) -> None:
        self.run = lambda: [stepper._step(count, sampling) for _ in range(STEPS)]

    def replay(self) -> None:
        self.run()


@pytest.fixture
def captured_here(monkeypatch: pytest.MonkeyPatch) -> None:
    if DEVICE.type != "cuda":
        monkeypatch.setattr(
            Stepper, "_capture", lambda stepper, *given: stepper._graphs.update({given[0]: Graph(stepper, *given)})
        )


@pytest.mark.parametrize("way", ["compact", "general"])
@pytest.mark.parametrize(
    "sampling",
    [Sampling(temperature=0.0), Sampling(top_p=0.9), Sampling(repetition_penalty=1.3, frequency_penalty=0.4)],
    ids=["greedy", "top-p", "penalties"],
)
def test_chunks_of_eight_steps_in_kernels_equal_single_steps_in_torch(
    way: str, sampling: Sampling, captured_here: None, fresh_model: Callable[[str], Any]
) -> None:
    """Two slots for three requests; refill, budgets that end inside a chunk, and a stop string that does."""
    model = fresh_model("llama-wide").to(DEVICE)

    def decode(ids: Sequence[int]) -> str:
        return "".join(chr(200 + token) for token in ids)

    def make(captured: bool) -> Engine:
        own = KernelForward(model) if captured else CompactForward(model)
        if way == "general":
            own = GeneralForward(model, kernel_attention if captured else None)  # type: ignore[assignment]
        return Engine(own, [3], 2, captured, decode)

    prompts = ((5, 6, 7), tuple(range(10, 75)), (8,))  # one goes over a page
    engine = make(False)
    plain = engine.run([Request(prompt, 9, 11) for prompt in prompts], sampling)
    requests = [Request(p, 9, 11, (decode(s.token_ids[4:6]),)) for p, s in zip(prompts, plain, strict=True)]
    expected = engine.run(requests, sampling)
    assert any(len(sample.token_ids) < 11 for sample in expected)
    engine = make(True)
    assert engine.stepper.steps == STEPS == 8
    samples = engine.run(requests, sampling)
    assert [(s.token_ids, s.finish) for s in samples] == [(s.token_ids, s.finish) for s in expected]
    for one, two in zip(samples, expected, strict=True):
        assert one.logprobs == pytest.approx(two.logprobs, abs=1e-4)
    assert engine.pool.used == 0


def test_a_dialogue_in_kernels_equals_torch(captured_here: None, fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama-wide").to(DEVICE)

    def answer(number: int, turns: Sequence[Sample]) -> tuple[int, ...] | None:
        return tuple(range(20, 40 + number)) if len(turns) < 2 else None

    requests = [Request((5, 6, 7), 1, 5), Request(tuple(range(10, 72)), 2, 7), Request((5,), 3, 3)]
    drawn = [
        Engine(forward, [3], 2, captured).converse(requests, Sampling(), answer)
        for captured, forward in ((False, CompactForward(model)), (True, KernelForward(model)))
    ]
    texts = [[[sample.token_ids for sample in turns] for turns in dialogues] for dialogues in drawn]
    assert texts[0] == texts[1] and [len(turns) for turns in texts[0]] == [2, 2, 2]


@pytest.mark.parametrize("order", ["apart", "one product", "last dimension apart"])
def test_attention_reads_keys_and_values_where_they_stand(order: str) -> None:
    """Two slots, 6 heads of queries over 2 of keys, 32 wide; parts of one product stand 10 heads apart."""
    both = torch.randn(2, 1, 10, 32, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    if order == "last dimension apart":
        both = both.transpose(2, 3).contiguous().transpose(2, 3)
    q, k, v = (part.transpose(1, 2) for part in both.split([6, 2, 2], dim=2))
    if order == "apart":
        k, v = k.contiguous(), v.contiguous()
    positions, tables = torch.tensor([3, 70], device=DEVICE), torch.tensor([[1, 0], [2, 3]], device=DEVICE).int()
    by_torch, by_kernel = (PagePool(4, 2, 2, 32, torch.float32, DEVICE).data for _ in range(2))
    for data in (by_torch, by_kernel):
        data.copy_(torch.randn(data.shape, generator=torch.Generator().manual_seed(2)))
    got = kernel_attention(q, k, v, by_kernel, 1, positions, tables, 32**-0.5)
    write_pages(by_torch, 1, k[:, :, 0], v[:, :, 0], positions, tables.long())
    expected = paged_attention(q[:, :, 0].contiguous(), by_torch, 1, positions, tables.long(), 32**-0.5)
    assert torch.equal(by_torch, by_kernel)
    assert got.shape == (2, 1, 6, 32) and torch.allclose(got[:, 0], expected, atol=1e-5)
