"""What is asked of a sampler and what it gives back, the same on every path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from r1gym.errors import ConfigError, PromptTooLongError
from r1gym.types import Finish

__all__ = ["Request", "Sample", "check_context", "context_of"]


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to draw."""

    prompt: tuple[int, ...]
    seed: int
    budget: int
    """Most tokens to draw, the stop token included; of a dialogue, in one turn."""
    stop: tuple[str, ...] = ()
    """Strings that end the completion as soon as its text holds one."""

    def __post_init__(self) -> None:
        if not self.prompt:
            raise ConfigError("a request needs a prompt of at least one token, got none")
        if self.budget < 1:
            raise ConfigError(f"a request's budget must be at least 1 token, got {self.budget}")


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion drawn."""

    token_ids: tuple[int, ...]
    """As drawn: whole up to and with the stop token, or the token that completes a stop string."""
    logprobs: tuple[float, ...]
    """In nats, of the distribution that the trainer computes again: this temperature, nothing cut off or penalised."""
    finish: Finish
    """"abort" ends a dialogue whose context is full: that turn has no tokens."""


def context_of(model: Any) -> int | None:
    """Most positions that the model can hold; None where nothing limits them."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return int(limit) if limit else None


def check_context(model: Any, requests: Sequence[Request]) -> None:
    """Refuse what would run over the model's positions: on a GPU that ends the process, not the call.

    Raises:
        PromptTooLongError: Prompt and budget of a request are longer than the model's context.
    """
    context = context_of(model)
    for number, request in enumerate(requests):
        if context is not None and len(request.prompt) + request.budget > context:
            raise PromptTooLongError(
                f"request {number} has a prompt of {len(request.prompt)} tokens and a budget of {request.budget}, and "
                f"the model's context holds {context}: shorten the prompt, or give a budget of at most "
                f"{context - len(request.prompt)}"
                if len(request.prompt) < context
                else f"request {number} has a prompt of {len(request.prompt)} tokens and the model's context holds "
                f"{context}: shorten the prompt, or take a model with a longer context"
            )
