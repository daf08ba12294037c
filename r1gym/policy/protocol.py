"""What a trainer or an evaluation asks of a policy, whatever stands behind it.

Axes: P prompts, G completions of one prompt (the group), B rows, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from r1gym.types import Completion, Message, Prompt, Sampling

if TYPE_CHECKING:
    import torch

__all__ = ["Policy", "Sampling"]


class Policy(Protocol):
    """A distribution over completions that can be sampled, differentiated and stored."""

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """Chat messages as this policy's tokens: a ``Prompt`` with its token ids."""
        ...

    def sample(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[list[Completion]]:
        """Draw ``group_size`` completions of each prompt: a [P][G] list.

        ``seeds`` is [P][G] as well; a completion is a function of (weights, prompt, sampling, its own seed).
        """
        ...

    def logprobs(self, token_ids_BT: torch.Tensor, mask_BT: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """Log-probabilities with gradient, in nats.

        Args:
            token_ids_BT: Prompt and completion of each row, padded on the right.
            mask_BT: True at the tokens whose log-probability is wanted (those of completions).
            temperature: The sampling temperature; the logits are divided by it (1 where sampling was greedy).

        Returns:
            [B, T], log p(token t | tokens before t) where the mask is True, 0 elsewhere.
        """
        ...

    def parameters(self) -> Iterable[torch.nn.Parameter]:
        """What an optimizer updates."""
        ...

    def sync(self) -> int:
        """Bring the sampler to the newest weights; returns the new version."""
        ...

    def frozen(self) -> Policy:
        """A copy that does not change when this policy learns: the reference of a KL term."""
        ...

    def save(self, path: Path) -> None:
        """Write the weights (and what reading them needs) into the folder ``path``."""
        ...

    def load(self, path: Path) -> None:
        """Replace the weights by those that ``save`` wrote into ``path``."""
        ...
