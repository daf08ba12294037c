"""Small tables from the host to the device, without waiting for what the device is doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

__all__ = ["send"]


def send(values: Sequence[Any] | torch.Tensor, device: torch.device, dtype: torch.dtype = torch.long) -> torch.Tensor:
    """``values`` as a tensor on the device; to a GPU by way of pinned memory, in the order of the current stream.

    A tensor keeps its type, and on a CPU is returned itself; ``dtype`` is that of other values.
    """
    known = isinstance(values, torch.Tensor)
    tensor: torch.Tensor = values if known else torch.tensor(values, dtype=dtype)  # type: ignore[assignment]
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
