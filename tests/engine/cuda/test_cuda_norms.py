"""The general path with its RMSNorms as one kernel each, against the model's own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from r1gym.engine import decoding
from r1gym.engine.general import GeneralForward
from r1gym.engine.pages import PagePool

COUNTS = {"llama": 5, "phi3": 5, "qwen3": 9, "gemma": 0}


def decode(forward: GeneralForward, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Logits of three slots: one position, a begun second page, two full pages."""
    pool = PagePool(16, *forward.shape, dtype, device)
    pool.data.copy_(torch.randn(pool.data.shape, generator=torch.Generator().manual_seed(2)))
    tables = torch.tensor([[1, 0], [2, 3], [4, 5]], dtype=torch.int32, device=device)
    with torch.no_grad():
        return forward.decode(*torch.tensor([[4, 5, 6], [0, 70, 127]], device=device), tables, pool).float()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", list(COUNTS))
def test_a_step_with_norms_in_one_kernel(family: str, dtype: torch.dtype, gpu_model: Any, device: torch.device) -> None:
    """As near to the model's own as its type allows: a number that rounds otherwise moves those behind it."""
    model = gpu_model(family, dtype)
    own, fused = (GeneralForward(model, decoding.kernel_attention, each) for each in (False, True))
    by_default = GeneralForward(model, decoding.kernel_attention)
    assert len(own.norms) == 0 and len(fused.norms) == COUNTS[family], f"{family} in {dtype}: {fused.norms}"
    assert len(by_default.norms) == (COUNTS[family] if device.type == "cuda" else 0)
    expected, got = (decode(forward, dtype, device) for forward in (own, fused))
    gap = float((got - expected).abs().max() / expected.abs().max())
    print(f"norms in one kernel, {family} in {dtype}: {gap:.1e} of the largest logit")
    assert gap <= 16 * torch.finfo(dtype).eps, f"{family} in {dtype}: logits part by {gap:.2e} of the largest"
