"""Packed training against the model's own forward: the same log-probabilities and the same gradients, in float32."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch

from r1gym.agents.batch import Batch
from r1gym.engine.fused import fuse
from r1gym.engine.packed import packed_logprobs
from r1gym.engine.packing import pack, packed_size


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


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_logprobs_and_gradients_equal_the_plain_forward(
    family: str, recompute: bool, fresh_model: Callable[[str], Any]
) -> None:
    model = fresh_model(family)
    token_ids_BT, mask_BT = rows()
    weights_BT = torch.randn(mask_BT.shape, generator=torch.Generator().manual_seed(0))
    logits = model(input_ids=token_ids_BT).logits[:, :-1] / 0.7
    plain_BT = torch.log_softmax(logits, -1).gather(2, token_ids_BT[:, 1:, None])[:, :, 0]
    plain_BT = torch.nn.functional.pad(plain_BT, (1, 0)) * mask_BT
    (plain_BT * weights_BT).sum().backward()
    expected = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    packed_BT = packed_logprobs(model, fuse(model), token_ids_BT, mask_BT, 0.7, recompute)
    assert torch.allclose(packed_BT, plain_BT, atol=2e-5)
    (packed_BT * weights_BT).sum().backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, expected[name], atol=2e-4, rtol=2e-4), name


def test_a_prompt_is_laid_out_once() -> None:
    token_ids_BT, mask_BT = rows()
    packed = pack(token_ids_BT, mask_BT, torch.device("cpu"))
    # Prompts of 9 and 5 tokens without their last ones; every completion token has one row that predicts it.
    assert packed.prompt_tokens == 8 + 4
    assert len(packed.token_ids_X) == 12 + int(mask_BT.sum()) + 1  # the unwanted token is read all the same
    assert torch.equal(packed.targets, token_ids_BT[mask_BT]) and torch.equal(
        packed.places, mask_BT.flatten().nonzero()[:, 0]
    )
    assert packed.positions_X[packed.rows].tolist() == (mask_BT.nonzero()[:, 1] - 1).tolist()


def test_shared_micro_batches_keep_groups_together_within_the_budget() -> None:
    token_ids_BT, mask_BT = rows((9, 5, 7, 6), each=4)
    batch = Batch(token_ids_BT, mask_BT, torch.zeros(mask_BT.shape), torch.arange(16.0))
    parts = list(batch.micro_batches(80, shared=True))
    assert sorted(int(a) for part in parts for a in part.advantages_B) == list(range(16))
    assert len(parts) > 1
    for part in parts:
        sizes = packed_size(part.token_ids_BT, part.mask_BT)
        assert sum(size for *_, size in sizes) + sum({name: length for name, length, _ in sizes}.values()) <= 80
