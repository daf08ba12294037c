"""The fallback sampler: ``model.generate``, for models whose attention or state the own cache cannot hold.

Axes: S slots (the requests of one prompt), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from r1gym.engine.sampler import Request, Sample
from r1gym.engine.sampling import draw, uniform
from r1gym.errors import NumericalError
from r1gym.types import Sampling

__all__ = ["generate"]


@torch.no_grad()
def generate(model: Any, requests: Sequence[Request], sampling: Sampling, stop_ids: Sequence[int]) -> list[Sample]:
    """Draw every request with ``model.generate``, one prompt's requests at a time.

    The tokens are drawn by the same rule and from the same random streams as the own sampler's, so both give the
    same completions; only the way to the logits differs.

    Raises:
        NumericalError: The model gave NaN or infinity.
    """
    from transformers import LogitsProcessorList

    samples: list[Sample | None] = [None] * len(requests)
    groups: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for number, request in enumerate(requests):
        groups.setdefault((request.prompt, request.budget), []).append(number)
    was_training = model.training
    model.eval()
    try:
        for (prompt, budget), numbers in groups.items():
            ids = torch.tensor([prompt] * len(numbers), device=model.device)
            seeds_S = torch.tensor([requests[number].seed for number in numbers], device=model.device)
            drawing = _Drawing(seeds_S, sampling)
            with _plain_settings(model, budget, stop_ids):
                output_SL = model.generate(
                    ids, attention_mask=torch.ones_like(ids), logits_processor=LogitsProcessorList([drawing])
                )
            drawn, logprobs = output_SL[:, len(prompt) :].tolist(), torch.stack(drawing.logprobs, dim=1).tolist()
            for row, number in enumerate(numbers):
                samples[number] = _cut(drawn[row], logprobs[row], set(stop_ids))
    finally:
        model.train(was_training)
    return [sample for sample in samples if sample is not None]


class _Drawing:
    """A logits processor that draws each token itself and leaves ``generate`` no other choice."""

    def __init__(self, seeds_S: torch.Tensor, sampling: Sampling) -> None:
        self.seeds_S, self.sampling = seeds_S, sampling
        self.logprobs: list[torch.Tensor] = []
        """Of the tokens drawn so far, [S] each."""

    def __call__(self, input_ids: torch.Tensor, logits_SV: torch.Tensor) -> torch.Tensor:
        noise_S = uniform(self.seeds_S, torch.full_like(self.seeds_S, len(self.logprobs)))
        sampling = self.sampling
        tokens_S, logprobs_S = draw(
            logits_SV, noise_S, sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p
        )
        if not bool(torch.isfinite(logprobs_S).all()):
            raise NumericalError(
                f"the model's logits are not finite at token {len(self.logprobs)} of a completion: lower the learning "
                "rate, or check the weights"
            )
        self.logprobs.append(logprobs_S)
        return torch.full_like(logits_SV, float("-inf")).scatter(1, tokens_S[:, None], 0.0)


@contextmanager
def _plain_settings(model: Any, budget: int, stop_ids: Sequence[int]) -> Iterator[None]:
    """Set the model's own generation settings aside: a repetition penalty there would change what is drawn."""
    from transformers import GenerationConfig

    own = model.generation_config
    model.generation_config = GenerationConfig(
        do_sample=False, max_new_tokens=budget, eos_token_id=list(stop_ids), pad_token_id=stop_ids[0]
    )
    try:
        yield
    finally:
        model.generation_config = own


def _cut(token_ids: list[int], logprobs: list[float], stop_ids: set[int]) -> Sample:
    """End a row at its first stop token; what follows is padding."""
    for place, token in enumerate(token_ids):
        if token in stop_ids:
            return Sample(tuple(token_ids[: place + 1]), tuple(logprobs[: place + 1]), "stop")
    return Sample(tuple(token_ids), tuple(logprobs), "length")
