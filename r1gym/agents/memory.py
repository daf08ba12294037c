"""Memory that runs out while learning, as an error that names the option to lower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from r1gym.engine.memory import out_of_memory
from r1gym.errors import ModelError

if TYPE_CHECKING:
    from r1gym.agents.grpo_config import GRPOConfig

__all__ = ["naming_the_option"]


@contextmanager
def naming_the_option(config: GRPOConfig, longest: int) -> Iterator[None]:
    """Turn what torch raises into advice; ``longest`` is the longest row of the minibatch, in tokens.

    Activations grow with the tokens of a micro-batch, and a whole row is the least that one can hold.

    Raises:
        ModelError: Memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        budget = config.micro_batch_tokens
        smaller = max(budget // 2, longest)
        if smaller < budget:
            advice = f"give --micro-batch-tokens {smaller}"
        else:
            shorter = max(config.max_new_tokens // 2, 1)
            advice = f"one row of {longest} tokens is too much: give --max-new-tokens {shorter}, or a smaller model"
        raise ModelError(
            f"no memory for the forward and backward pass over {budget} tokens (--micro-batch-tokens): {advice}"
        ) from error
