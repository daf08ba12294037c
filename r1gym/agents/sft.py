"""Supervised fine-tuning on worked examples: the cold start before reinforcement learning.

Axes: B rows (one example each), T tokens (prompt, then completion).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from r1gym.agents.optim import learning_rate, set_learning_rate
from r1gym.config import run_command
from r1gym.errors import ConfigError, NumericalError
from r1gym.rollout import derive_seed

if TYPE_CHECKING:
    from r1gym.policy.protocol import Policy

__all__ = ["Example", "SFTConfig", "main", "supervise"]

Example = tuple[tuple[int, ...], tuple[int, ...]]
"""Token ids of a prompt, and of the completion to imitate (its stop token included)."""


@dataclass(frozen=True)
class SFTConfig:
    """How a supervised stage learns."""

    steps: int = 1500
    """Optimizer steps."""
    batch_size: int = 32
    """Examples a step."""
    lr: float = 3e-3
    """Peak learning rate of AdamW, after a short warm-up, with cosine decay to 0."""
    warmup: int = 50
    """Steps of linear rise of the learning rate."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""


def supervise(
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    examples: Sequence[Example],
    config: SFTConfig,
    seed: int,
    on_step: Callable[[int, float, int], bool],
    first: int = 0,
) -> int:
    """Minimise -log p(completion | prompt), the mean over completion tokens of a batch.

    Args:
        policy: Learns in place.
        optimizer: From ``optim.make_optimizer``; holds its state over an interruption.
        examples: Gone through in a new seeded order each epoch.
        config: Steps, batch size, rates.
        seed: Of the order; batch ``n`` is a function of (seed, n).
        on_step: Called after each step with (steps done, loss in nats a token, tokens passed); returns False to stop.
        first: Steps done before.

    Returns:
        Steps done.
    """
    orders: dict[int, Any] = {}
    for step in range(first, config.steps):
        rows = []
        for position in range(step * config.batch_size, (step + 1) * config.batch_size):
            epoch, place = divmod(position, len(examples))
            if epoch not in orders:
                orders = {epoch - 1: orders.get(epoch - 1), epoch: _order(seed, epoch, len(examples))}
            rows.append(examples[int(orders[epoch][place])])
        token_ids_BT, mask_BT = _tensors(rows)
        set_learning_rate(optimizer, learning_rate(config.lr, step, config.steps, config.warmup, "cosine"))
        optimizer.zero_grad()
        loss = -policy.logprobs(token_ids_BT, mask_BT).sum() / mask_BT.sum()
        if not bool(torch.isfinite(loss)):
            raise NumericalError(f"the supervised loss of step {step} is {loss.item()}: lower the learning rate")
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(policy.parameters(), config.max_grad_norm)
        optimizer.step()
        if not on_step(step + 1, float(loss.detach()), token_ids_BT.numel()):
            return step + 1
    policy.sync()
    return config.steps


def _order(seed: int, epoch: int, size: int) -> Any:
    return np.random.default_rng(derive_seed(seed, "examples", epoch)).permutation(size)


def _tensors(rows: Sequence[Example]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids padded on the right with 0, and True at completion tokens; both [B, T]."""
    width = max(len(prompt) + len(completion) for prompt, completion in rows)
    token_ids_BT = torch.zeros(len(rows), width, dtype=torch.long)
    mask_BT = torch.zeros(len(rows), width, dtype=torch.bool)
    for row, (prompt, completion) in enumerate(rows):
        end = len(prompt) + len(completion)
        token_ids_BT[row, :end] = torch.tensor(prompt + completion)
        mask_BT[row, len(prompt) : end] = True
    return token_ids_BT, mask_BT


def main() -> None:
    """Say where the supervised stage is run: it is a part of other programs, without a command of its own."""

    def command() -> int:
        raise ConfigError(
            "supervised fine-tuning has no command of its own: python -m r1gym.agents.grpo begins with it in its "
            "embedded default, and r1gym.agents.sft.supervise(policy, optimizer, examples, ...) runs it from Python"
        )

    run_command(command)


if __name__ == "__main__":
    from r1gym.agents.sft import main

    main()
