"""Memory that runs out while learning names the option and a value that is smaller."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from r1gym.agents.grpo import train
from r1gym.errors import ModelError
from r1gym.policy.toy import TabularPolicy


class Greedy(TabularPolicy):
    """Has no memory for more than ``rows`` rows at once."""

    rows = 4

    def logprobs(self, token_ids_BT: torch.Tensor, mask_BT: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        if len(token_ids_BT) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return super().logprobs(token_ids_BT, mask_BT, temperature)


def test_a_smaller_micro_batch_is_named(word_env: Any, options: Any, interrupting: Any, tmp_path: Any) -> None:
    def run(tokens: int, rows: int) -> None:
        Greedy.rows = rows
        config = options(
            steps=1,
            prompts_per_step=1,
            group_size=16,
            micro_batch_tokens=tokens,
            out=str(tmp_path / f"{tokens}-{rows}"),
        )
        train(config, Greedy("abc"), word_env("b"), screen=interrupting())

    with pytest.raises(ModelError, match=r"--micro-batch-tokens 16$"):  # a row has two tokens
        run(32, 4)
    with pytest.raises(ModelError, match="one row of 2 tokens is too much: give --max-new-tokens"):
        run(2, 0)
    run(8, 4)
