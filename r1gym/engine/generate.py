"""The fallback sampler: ``model.generate``, for models whose attention or state the own cache cannot hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from r1gym.engine.sampler import Request, Sample
from r1gym.types import Sampling

__all__ = ["generate"]


@torch.no_grad()
def generate(model: Any, requests: Sequence[Request], sampling: Sampling, stop_ids: Sequence[int]) -> list[Sample]:
    """Draw every request with ``model.generate``, one prompt's requests at a time.

    Seeding is coarser than the own sampler's: the requests of one prompt share a random stream that the seed of the
    first one starts, so a completion depends on its place in the group.
    """
    samples: list[Sample | None] = [None] * len(requests)
    groups: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for number, request in enumerate(requests):
        groups.setdefault((request.prompt, request.budget), []).append(number)
    for (prompt, budget), numbers in groups.items():
        ids = torch.tensor([prompt] * len(numbers), device=model.device)
        choice: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if sampling.temperature > 0:
            choice = {
                "do_sample": True,
                "temperature": sampling.temperature,
                "top_p": sampling.top_p,
                "top_k": sampling.top_k,
            }
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            torch.manual_seed(requests[numbers[0]].seed)
            output = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=budget,
                eos_token_id=list(stop_ids),
                pad_token_id=stop_ids[0],
                return_dict_in_generate=True,
                output_logits=True,
                **choice,
            )
        logits_BTV = torch.stack(output.logits, dim=1).float() / (sampling.temperature or 1.0)
        drawn_BT = output.sequences[:, len(prompt) :]
        logprobs_BT = torch.log_softmax(logits_BTV, dim=-1).gather(2, drawn_BT[:, :, None])[:, :, 0]
        for row, number in enumerate(numbers):
            samples[number] = _cut(drawn_BT[row].tolist(), logprobs_BT[row].tolist(), set(stop_ids))
    return [sample for sample in samples if sample is not None]


def _cut(token_ids: list[int], logprobs: list[float], stop_ids: set[int]) -> Sample:
    """End a row at its first stop token; what follows is padding."""
    for place, token in enumerate(token_ids):
        if token in stop_ids:
            return Sample(tuple(token_ids[: place + 1]), tuple(logprobs[: place + 1]), "stop")
    return Sample(tuple(token_ids), tuple(logprobs), "length")
