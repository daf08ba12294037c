"""Learning-rate schedules as functions of the step, and AdamW that keeps float32 masters of 16-bit weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch

__all__ = ["SCHEDULES", "MasterAdamW", "learning_rate", "make_optimizer", "set_learning_rate"]

PART = 2**24
"""Elements whose gradients are float32 at the same time (64 MiB), or one larger tensor's."""
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: 0.5 * (1 + math.cos(math.pi * done)),
}
"""Factor on the peak rate as a function of the share of the steps after warm-up that are done, in [0, 1)."""


def learning_rate(peak: float, step: int, steps: int, warmup: int, schedule: str) -> float:
    """The rate of step ``step`` of ``steps`` (from 0): a linear rise over ``warmup`` steps, then the schedule."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * SCHEDULES[schedule]((step - warmup) / max(steps - warmup, 1))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group the rate ``rate``."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def make_optimizer(parameters: Iterable[torch.nn.Parameter], lr: float) -> torch.optim.AdamW:
    """AdamW (betas 0.9 and 0.99, no weight decay), with float32 masters where weights have 16 bits."""
    learning = list(parameters)
    if any(parameter.dtype in (torch.bfloat16, torch.float16) for parameter in learning):
        return MasterAdamW(learning, lr, (0.9, 0.99))
    return torch.optim.AdamW(learning, lr, (0.9, 0.99), weight_decay=0.0)


class MasterAdamW(torch.optim.AdamW):
    """AdamW on float32 copies of the weights, which are then rounded into the model.

    At a learning rate of 1e-6 an update is far below the spacing of bfloat16 numbers: applied to the weights
    themselves, 99 of 100 of them would never move. The model's own tensors are the 16-bit shadow; sampler and trainer
    both compute with it, and nothing else is copied.
    """

    def __init__(
        self, parameters: Iterable[torch.nn.Parameter], lr: float, betas: tuple[float, float], fused: bool | None = None
    ) -> None:
        self.shadows = list(parameters)
        self.masters = [shadow.detach().float().clone().requires_grad_() for shadow in self.shadows]
        self._parts: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[]]
        for pair in zip(self.shadows, self.masters, strict=True):
            if sum(master.numel() for _, master in self._parts[-1]) >= PART:
                self._parts.append([])
            self._parts[-1].append(pair)
        on_gpu = all(shadow.is_cuda for shadow in self.shadows)
        super().__init__(self.masters, lr, betas, weight_decay=0.0, fused=on_gpu if fused is None else fused)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the model's tensors."""
        for shadow in self.shadows:
            shadow.grad = None

    def step(self, closure: Any = None) -> Any:
        """Move the masters by the gradients of the shadows, then round them into the shadows.

        Part by part, so that the float32 gradients of one part only exist at a time.
        """
        result = None if closure is None else closure()
        for part in self._parts:
            self._widen(part)
            super().step()
            for _, master in part:
                master.grad = None
        with torch.no_grad():
            torch._foreach_copy_(list[torch.Tensor](self.shadows), self.masters)
        return result

    @staticmethod
    def _widen(part: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Give the masters the gradients of their shadows; nothing else holds them, so they go with the part."""
        moved = [(shadow.grad, master) for shadow, master in part if shadow.grad is not None]
        wide = [torch.empty_like(master, requires_grad=False) for _, master in moved]
        if moved:  # one launch for many tensors
            torch._foreach_copy_(wide, [grad for grad, _ in moved])
        for (_, master), gradient in zip(moved, wide, strict=True):
            master.grad = gradient

    def state_dict(self) -> dict[str, Any]:
        """AdamW's state and the masters."""
        return {**super().state_dict(), "masters": [master.detach() for master in self.masters]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what ``state_dict`` gave; the shadows are rounded from the masters."""
        masters = state_dict["masters"]
        super().load_state_dict({key: value for key, value in state_dict.items() if key != "masters"})
        with torch.no_grad():
            for master, stored in zip(self.masters, masters, strict=True):
                master.copy_(stored)
            torch._foreach_copy_(list[torch.Tensor](self.shadows), self.masters)
