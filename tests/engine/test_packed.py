"""Packed training against the model's own forward: the same log-probabilities and the same gradients, in float32."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch

from r1gym.agents.batch import Batch
from r1gym.engine.fused import fuse
from r1gym.engine.packed import PackedTrainer
from r1gym.engine.packing import Capacity, lay_out, packed_size
from r1gym.errors import ModelError


def rows(lengths: tuple[int, ...] = (9, 5), each: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Groups of completions of 1 to 12 tokens after shared prompts; one token in the middle is not wanted."""
    rng = random.Random(3)
    prompts = [[rng.randrange(4, 97) for _ in range(length)] for length in lengths]
    texts = [
        (len(p), p + [rng.randrange(4, 97) for _ in range(rng.randint(4, 12))]) for p in prompts for _ in range(each)
    ]
    width = max(len(text) for _, text in texts)
    token_ids_BT = torch.tensor([text + [0] * (width - len(text)) for _, text in texts])
    mask_BT = torch.zeros_like(token_ids_BT, dtype=torch.bool)
    for row, (start, text) in enumerate(texts):
        mask_BT[row, start : len(text)] = True
    mask_BT[1, lengths[0] + 1] = False
    return token_ids_BT, mask_BT


def plain(model: Any, token_ids_BT: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=token_ids_BT).logits[:, :-1] / 0.7
    plain_BT = torch.log_softmax(logits, -1).gather(2, token_ids_BT[:, 1:, None])[:, :, 0]
    return torch.nn.functional.pad(plain_BT, (1, 0)) * mask_BT


@pytest.mark.parametrize("filled", [False, True], ids=["exact", "filled"])
@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_logprobs_and_gradients_equal_the_plain_forward(
    family: str, recompute: bool, filled: bool, fresh_model: Callable[[str], Any]
) -> None:
    """Twice, to see gradients add up; also in a row filled up to a coarser size, as on a GPU."""
    model = fresh_model(family)
    token_ids_BT, mask_BT = rows()
    weights_BT = torch.randn(mask_BT.shape, generator=torch.Generator().manual_seed(0))
    plain_BT = plain(model, token_ids_BT, mask_BT)
    (plain_BT * weights_BT).sum().backward()
    expected = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    trainer = PackedTrainer(model, fuse(model))
    trainer.captures = filled
    for times in (1, 2):
        packed_BT = trainer.logprobs(token_ids_BT, mask_BT, 0.7, recompute)
        assert torch.allclose(packed_BT, plain_BT, atol=2e-5)
        (packed_BT * weights_BT).sum().backward()
        for name, parameter in model.named_parameters():
            assert torch.allclose(parameter.grad, times * expected[name], atol=2e-4, rtol=2e-4), name


def test_gradients_join_those_that_stand_there(fresh_model: Callable[[str], Any]) -> None:
    """Gradients of another's making are added to, what does not learn gets none, a second way back is refused."""
    model = fresh_model("llama")
    token_ids_BT, mask_BT = rows()
    trainer = PackedTrainer(model, fuse(model))
    trainer.logprobs(token_ids_BT, mask_BT, 1.0).sum().backward()
    once = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    frozen = model.model.layers[0].mlp.up_proj.weight
    frozen.requires_grad_(False).grad = None
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter) if parameter is not frozen else None
    loss = trainer.logprobs(token_ids_BT, mask_BT, 1.0).sum()
    loss.backward(retain_graph=True)
    assert frozen.grad is None
    for name, parameter in model.named_parameters():
        if parameter is not frozen:
            assert torch.allclose(parameter.grad, once[name] + 1, atol=1e-4), name
    with pytest.raises(ModelError, match="twice"):
        loss.backward()
    with torch.no_grad():
        assert not trainer.logprobs(token_ids_BT, mask_BT, 1.0).requires_grad


def test_a_prompt_is_laid_out_once() -> None:
    token_ids_BT, mask_BT = rows()
    layout = lay_out(token_ids_BT, mask_BT)
    tokens_X, positions_X, targets_Y, segments, groups, prompts = layout.parts
    # Prompts of 9 and 5 tokens without their last ones; every completion token has one row that predicts it.
    size = layout.capacity
    assert size.tokens == len(tokens_X) == len(positions_X) == segments[-1] == prompts[-1]
    assert size.predicting == int(mask_BT.sum()) + 1 == groups[-1] == prompts[0]  # the unwanted token is read as well
    assert (prompts - prompts[0]).tolist() == [0, 8, 12]
    assert torch.equal(torch.from_numpy(targets_Y).long()[layout.rows], token_ids_BT[mask_BT])
    assert torch.equal(layout.places, mask_BT.flatten().nonzero()[:, 0])
    assert positions_X[layout.rows].tolist() == (mask_BT.nonzero()[:, 1] - 1).tolist()


def test_a_filled_row_holds_the_exact_one() -> None:
    layout = lay_out(*rows())
    size = layout.capacity.roomier()
    assert size.roomier() == size, "rounding up twice gives another size"
    for name in ("tokens", "predicting", "segments", "groups", "longest_segment", "longest_group", "longest_prompt"):
        assert getattr(size, name) >= getattr(layout.capacity, name), name
    whole = layout.filled(size)
    assert torch.equal(whole[: layout.capacity.tokens], torch.from_numpy(layout.parts[0]))


@pytest.mark.parametrize(("budget", "most"), [(2048, 3), (8192, 2), (16384, 1)])
def test_micro_batches_of_many_steps_share_few_sizes(budget: int, most: int) -> None:
    """Each size is captured once: over twelve orders of the same 64 completions there are hardly more than one."""
    rng = random.Random(1)
    prompts = [[rng.randrange(4, 97) for _ in range(rng.randint(100, 140))] for _ in range(4)]
    texts = [p + [7] * rng.randint(20, 400) for p in prompts for _ in range(16)]
    width = max(map(len, texts))
    token_ids_BT = torch.tensor([text + [0] * (width - len(text)) for text in texts])
    mask_BT = (token_ids_BT == 7) & (torch.arange(width) >= 100)
    for row in range(64):
        mask_BT[row, : len(prompts[row // 16])] = False
    batch = Batch(token_ids_BT, mask_BT, torch.zeros(mask_BT.shape), torch.zeros(64))
    sizes: Counter[Capacity] = Counter()
    for step in range(12):
        for minibatch in batch.minibatches(1, step):
            parts = list(minibatch.micro_batches(budget, shared=True))
            exact = [lay_out(part.token_ids_BT, part.mask_BT).capacity for part in parts]
            assert max(size.tokens for size in exact) <= budget + 140  # a prompt is counted once more with each part
            sizes.update(size.roomier() for size in exact)
    assert len([size for size, seen in sizes.items() if seen > 2]) <= most, sizes


def test_shared_micro_batches_keep_groups_together_within_the_budget() -> None:
    token_ids_BT, mask_BT = rows((9, 5, 7, 6), each=4)
    batch = Batch(token_ids_BT, mask_BT, torch.zeros(mask_BT.shape), torch.arange(16.0))
    parts = list(batch.micro_batches(80, shared=True))
    assert sorted(int(a) for part in parts for a in part.advantages_B) == list(range(16))
    assert len(parts) > 1
    for part in parts:
        sizes = packed_size(part.token_ids_BT, part.mask_BT)
        assert sum(size for *_, size in sizes) + sum({name: length for name, length, _ in sizes}.values()) <= 80
