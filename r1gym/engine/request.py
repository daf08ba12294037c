"""What is asked of a sampler and what it gives back, the same on every path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from r1gym.errors import ConfigError, PromptTooLongError, TokenizerError
from r1gym.types import Finish

__all__ = ["Request", "Sample", "check_requests", "check_tokens", "context_of"]


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
        if not -(2**63) <= self.seed < 2**63:
            raise ConfigError(f"a request's seed must fit into 64 bits with a sign, got {self.seed}")


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


def check_tokens(model: Any, token_ids: Sequence[int], where: str) -> None:
    """TokenizerError where token ids lie outside the model's embedding."""
    known = getattr(model.get_input_embeddings(), "num_embeddings", None)
    if known is None or not token_ids or (min(token_ids) >= 0 and max(token_ids) < known):
        return
    strange = next(token for token in token_ids if not 0 <= token < known)
    raise TokenizerError(
        f"{where} holds the token {strange}, and the model knows 0 to {known - 1}: take the tokenizer that belongs to "
        "the model, or give it more embeddings (resize_token_embeddings)"
    )


def check_requests(model: Any, requests: Sequence[Request]) -> None:
    """Refuse what would run over the model's positions or its vocabulary: on a GPU that ends the process, not the call.

    Raises:
        PromptTooLongError: Prompt and budget of a request are longer than the model's context.
        TokenizerError: A prompt holds a token that the model does not know.
    """
    context = context_of(model)
    for number, request in enumerate(requests):
        check_tokens(model, request.prompt, f"the prompt of request {number}")
        if context is not None and len(request.prompt) + request.budget > context:
            raise PromptTooLongError(
                f"request {number} has a prompt of {len(request.prompt)} tokens and a budget of {request.budget}, and "
                f"the model's context holds {context}: shorten the prompt, or give a budget of at most "
                f"{context - len(request.prompt)}"
                if len(request.prompt) < context
                else f"request {number} has a prompt of {len(request.prompt)} tokens and the model's context holds "
                f"{context}: shorten the prompt, or take a model with a longer context"
            )
