"""The Triton kernels of training against torch: on a GPU, or anywhere with ``TRITON_INTERPRET=1``."""

from __future__ import annotations

import os

import pytest
import torch

from r1gym.engine import parts
from r1gym.engine.norms import in_one_kernel, norms_of

pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs only")
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("no GPU: set TRITON_INTERPRET=1 to check the kernels' logic on the CPU", allow_module_level=True)

ROWS, HEADS, KV_HEADS, WIDTH = 20, 6, 2, 32
ENDS = torch.tensor([13], dtype=torch.int32), torch.tensor([17], dtype=torch.int32)
"""Completions in rows 0 to 12, prompts in 13 to 16, padding behind."""


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def by_both(monkeypatch: pytest.MonkeyPatch, call: object) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """What ``call`` gives in torch and by the kernels."""
    results = []
    for kernels in (False, True):
        monkeypatch.setattr(parts, "on_gpu", lambda x, kernels=kernels: kernels)
        results.append(call())  # type: ignore[operator]
    return results[0], results[1]


def test_attention_over_other_keys_is_merged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that have no other keys stay as they are, whatever stands in the other attention's."""

    def call() -> list[torch.Tensor]:
        output, lse = noise(1, ROWS, HEADS, WIDTH), noise(2, HEADS, ROWS)
        other, other_lse = noise(3, ROWS, HEADS, WIDTH), noise(4, HEADS, ROWS)
        other[13:], other_lse[:, 13:] = torch.nan, torch.inf
        parts.merge_attention(output, lse, other, other_lse, torch.tensor([0, 5, 13], dtype=torch.int32, device=DEVICE))
        return [output, lse]

    by_torch, by_kernel = by_both(monkeypatch, call)
    for one, two in zip(by_torch, by_kernel, strict=True):
        assert torch.allclose(one, two, atol=1e-5) and torch.isfinite(one).all()
    assert torch.equal(by_kernel[0][13:], noise(1, ROWS, HEADS, WIDTH)[13:])


def test_gradients_of_both_attentions_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    """Added where both are valid, and turned back."""
    ends = ENDS[0].to(DEVICE), ENDS[1].to(DEVICE)
    angle = noise(9, ROWS, WIDTH // 2)

    def call() -> list[torch.Tensor]:
        own = [noise(seed, ROWS, heads, WIDTH) for seed, heads in ((1, HEADS), (2, KV_HEADS), (3, KV_HEADS))]
        across = [noise(seed, ROWS, heads, WIDTH) for seed, heads in ((4, HEADS), (5, KV_HEADS), (6, KV_HEADS))]
        across[0][13:] = torch.nan
        for part in across[1:]:
            part[:13] = part[17:] = torch.nan
        return [parts.join_gradients(own, across, ends, (angle.cos(), angle.sin()))]

    by_torch, by_kernel = by_both(monkeypatch, call)
    assert torch.isfinite(by_torch[0]).all() and torch.allclose(by_torch[0], by_kernel[0], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_norms_kernel_stands_for_transformers_norm(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of heads 24 wide that are a part of a larger product; one 16-bit number in a hundred may round otherwise."""
    if dtype == torch.bfloat16 and DEVICE.type == "cpu":
        pytest.skip("the interpreter cuts float32 off where bfloat16 is rounded")
    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    module = llama.LlamaRMSNorm(24, 1e-5).to(device=DEVICE, dtype=dtype)
    module.weight.copy_(noise(1, 24))
    x = noise(2, 3, 5, 4, 40).to(dtype)[..., :24]
    monkeypatch.setattr(parts, "on_gpu", lambda _: True)
    norms = norms_of(module)
    assert [each for each, _ in norms] == [module]
    expected = module(x)
    with in_one_kernel(norms):
        got = module(x)
    assert got.shape == x.shape and torch.allclose(
        got.float(), expected.float(), rtol=2 * torch.finfo(dtype).eps + 1e-6
    )
    assert dtype == torch.float32 or (got == expected).float().mean() >= 0.99


@pytest.mark.skipif(DEVICE.type == "cpu", reason="the interpreter gives loops plain integers, which have no type")
def test_the_norms_gradient_is_added_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def call() -> list[torch.Tensor]:
        into = noise(4, ROWS, 96)
        return [parts.norm_backward(noise(1, ROWS, 96), noise(2, 96), noise(3, ROWS, 96), into, 1e-6), into]

    for one, two in zip(*by_both(monkeypatch, call), strict=True):
        assert torch.allclose(one, two, atol=1e-4)
