"""The fallback sampler: ``model.generate``, for models whose attention or state the own cache cannot hold.

Axes: S slots (the requests of one prompt), V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from r1gym.engine import repetition
from r1gym.engine.request import Request, Sample, check_requests
from r1gym.engine.sampling import draw, uniform
from r1gym.engine.stopping import Decode, StopStrings, matchers
from r1gym.errors import NumericalError
from r1gym.types import Sampling

__all__ = ["generate"]


@torch.no_grad()
def generate(
    model: Any,
    requests: Sequence[Request],
    sampling: Sampling,
    stop_ids: Sequence[int],
    decode: Decode | None = None,
) -> list[Sample]:
    """Draw every request with ``model.generate``, one prompt's requests at a time.

    The tokens are drawn by the same rule and from the same random streams as the own sampler's, so both give the
    same completions; only the way to the logits differs.

    Raises:
        NumericalError: The model gave NaN or infinity.
        PromptTooLongError: A request is longer than the model's context.
        ConfigError: Stop strings without ``decode``.
    """
    from transformers import LogitsProcessorList, StoppingCriteriaList

    check_requests(model, requests)
    stops = matchers([request.stop for request in requests], decode)
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
            drawing = _Drawing(seeds_S, sampling, numbers)
            ending = _Ending(len(prompt), [stops[number] for number in numbers])
            with _plain_settings(model, budget, stop_ids):
                output_SL = model.generate(
                    ids,
                    attention_mask=torch.ones_like(ids),
                    logits_processor=LogitsProcessorList([drawing]),
                    stopping_criteria=StoppingCriteriaList([ending]),
                )
            drawn, logprobs = output_SL[:, len(prompt) :].tolist(), torch.stack(drawing.logprobs, dim=1).tolist()
            for row, number in enumerate(numbers):
                samples[number] = _cut(drawn[row], logprobs[row], set(stop_ids), ending.ends.get(row))
    finally:
        model.train(was_training)
    return [sample for sample in samples if sample is not None]


class _Drawing:
    """A logits processor that draws each token itself and leaves ``generate`` no other choice."""

    def __init__(self, seeds_S: torch.Tensor, sampling: Sampling, numbers: Sequence[int]) -> None:
        self.seeds_S, self.sampling, self.numbers = seeds_S, sampling, numbers
        self.seen_SV: torch.Tensor | None = None
        self.logprobs: list[torch.Tensor] = []
        """Of the tokens drawn so far, [S] each."""

    def __call__(self, input_ids: torch.Tensor, logits_SV: torch.Tensor) -> torch.Tensor:
        noise_S = uniform(self.seeds_S, torch.full_like(self.seeds_S, len(self.logprobs)))
        sampling = self.sampling
        scores_SV = self._penalised(input_ids, logits_SV) if sampling.penalised else None
        tokens_S, logprobs_S = draw(
            logits_SV, noise_S, sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p, scores_SV
        )
        bad_S = ~torch.isfinite(logprobs_S)
        if bool(bad_S.any()):
            slot = int(bad_S.nonzero()[0, 0])
            raise NumericalError(
                f"the model's logits are not finite at token {len(self.logprobs)} of completion {self.numbers[slot]} "
                f"(slot {slot}): lower the learning rate, or check the weights"
            )
        if self.seen_SV is not None:
            repetition.count(self.seen_SV, tokens_S, torch.ones_like(tokens_S, dtype=torch.bool))
        self.logprobs.append(logprobs_S)
        return torch.full_like(logits_SV, float("-inf")).scatter(1, tokens_S[:, None], 0.0)

    def _penalised(self, input_ids: torch.Tensor, logits_SV: torch.Tensor) -> torch.Tensor:
        if self.seen_SV is None:  # the first call: all that stands there is the prompt
            self.seen_SV = torch.zeros(logits_SV.shape, dtype=torch.int32, device=logits_SV.device)
            repetition.remember(self.seen_SV, range(len(input_ids)), input_ids.tolist(), fresh=True)
        return repetition.penalise(logits_SV, self.seen_SV, self.sampling)


class _Ending:
    """A stopping criterion: which rows have written one of their stop strings, and with how many tokens."""

    def __init__(self, start: int, matchers: Sequence[StopStrings | None]) -> None:
        self.start, self.matchers = start, matchers
        self.ends: dict[int, int] = {}

    def __call__(self, input_ids: torch.Tensor, _scores: Any, **_options: Any) -> torch.Tensor:
        for row, matcher in enumerate(self.matchers):
            if matcher is not None and row not in self.ends:
                drawn = input_ids[row, self.start :].tolist()
                if matcher.first(drawn, len(drawn) - 1) is not None:
                    self.ends[row] = len(drawn)
        return torch.tensor([row in self.ends for row in range(len(self.matchers))], device=input_ids.device)


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


def _cut(token_ids: list[int], logprobs: list[float], stop_ids: set[int], end: int | None) -> Sample:
    """End a row at its first stop token, or at ``end`` where a stop string was complete; what follows is padding."""
    for place, token in enumerate(token_ids):
        if token in stop_ids or place + 1 == end:
            return Sample(tuple(token_ids[: place + 1]), tuple(logprobs[: place + 1]), "stop")
    return Sample(tuple(token_ids), tuple(logprobs), "length")
