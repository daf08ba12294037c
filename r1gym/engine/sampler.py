"""Batched sampling from a transformers decoder: each prompt is read once, finished sequences leave the batch.

The forward pass is the model's own; the cache, the batching and the sampling are ours. Prompts are prefilled once a
group and copied into the group's slots, each slot stands at its own position (no left padding), finished slots are
squeezed out or refilled from the queue, and the log-probability of every token is kept from the draw.
Axes: S slots, V vocabulary, L positions.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch

from r1gym.engine import memory, repetition
from r1gym.engine.cache import SlotCache
from r1gym.engine.dense import DenseForward
from r1gym.engine.request import Request, Sample, check_requests
from r1gym.engine.sampling import draw, uniform
from r1gym.engine.stopping import Decode, StopStrings, matchers
from r1gym.errors import NumericalError
from r1gym.types import Sampling

__all__ = ["Sampler", "unsupported"]

PREFILL_TOKENS = 16_384
"""Prompt tokens, padding included, that one prefill pass reads at most (but always a whole prompt)."""


def unsupported(model: Any) -> str:
    """Why this model's own attention cannot run on ``SlotCache``; "" where it can."""
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None)
    if kinds != {"full_attention"}:
        return f"its layers are {', '.join(sorted(kinds))}"
    if window and getattr(config, "use_sliding_window", True) and window < config.max_position_embeddings:
        return f"its attention looks back {window} positions only"
    if getattr(model, "_is_stateful", False):
        return "it keeps a recurrent state"
    if getattr(config, "alibi", False):
        return "its attention biases (ALiBi) need a two-dimensional mask"
    if getattr(config, "is_encoder_decoder", False):
        return "it is an encoder-decoder"
    if config._attn_implementation not in ("sdpa", "eager"):
        return f"its attention implementation is {config._attn_implementation}"
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return "its forward takes no position_ids"
    return ""


class Sampler:
    """Draws completions with a model that the trainer goes on changing (the weights are shared).

    Args:
        model: A transformers causal LM whose attention runs on ``SlotCache``.
        stop_ids: Tokens that end a completion.
        max_slots: Sequences side by side.
        decode: Token ids to text; only stop strings need it.
        forward: An own forward pass; None takes the model's.
    """

    def __init__(
        self,
        model: Any,
        stop_ids: Sequence[int],
        max_slots: int = 256,
        decode: Decode | None = None,
        forward: DenseForward | None = None,
    ) -> None:
        self.model, self.decode, self.forward = model, decode, forward
        self.stop_ids = torch.tensor(sorted(set(stop_ids)), dtype=torch.long)
        self.max_slots = max_slots
        names = inspect.signature(model.forward).parameters
        self._cache_name = "cache" if "cache" in names else "past_key_values"

    @torch.no_grad()
    def run(self, requests: Sequence[Request], sampling: Sampling) -> list[Sample]:
        """Draw every request; the results stand in the order of ``requests``.

        Raises:
            NumericalError: The model gave NaN; the message names the request, the token and the slot.
            PromptTooLongError: A request is longer than the model's context.
            ConfigError: Stop strings without ``decode``.
            ModelError: Memory ran out; the message names what would fit.
        """
        check_requests(self.model, requests)
        was_training = self.model.training
        self.model.eval()
        try:
            if self.forward is None or not requests:
                return self._run(requests, sampling)
            slots = min(len(requests), self.max_slots)
            with self.forward.sampling(slots, max(request.budget for request in requests)):
                return self._run(requests, sampling)
        except (RuntimeError, MemoryError) as error:
            if not memory.out_of_memory(error):
                raise
            raise memory.advise(
                memory.free_bytes(self.model.device),
                memory.position_bytes(self.model),
                min(self.max_slots, len(requests)),
                max(len(request.prompt) for request in requests),
                max(request.budget for request in requests),
            ) from error
        finally:
            self.model.train(was_training)

    def _run(self, requests: Sequence[Request], sampling: Sampling) -> list[Sample]:
        samples: list[Sample | None] = [None] * len(requests)
        queue = deque(range(len(requests)))
        vocabulary = self.model.config.get_text_config().vocab_size if sampling.penalised else 0
        stops = matchers([request.stop for request in requests], self.decode)
        batch = _Slots(self.model.device, self.stop_ids, vocabulary, stops)
        while queue or batch.size:
            # Refilling means copying the cache: wait until a quarter of the slots is free.
            if queue and batch.size <= self.max_slots * 3 // 4:
                numbers = [queue.popleft() for _ in range(min(len(queue), self.max_slots - batch.size))]
                batch.admit(numbers, requests, self._prefill([requests[number].prompt for number in numbers]))
            logits_SV = self._step(batch)
            batch.draw(logits_SV, sampling)
            for number, sample in batch.retire(squeeze_at=0.75):
                samples[number] = sample
        return [sample for sample in samples if sample is not None]

    def _prefill(self, prompts: Sequence[tuple[int, ...]]) -> SlotCache:
        """Read each different prompt once, all but its last token, and give every sequence its copy."""
        # Of similar length side by side: less padding, and a bounded number of tokens at once.
        unique = sorted(set(prompts), key=lambda prompt: (len(prompt), prompt))
        cache = SlotCache()
        start = 0
        while start < len(unique):
            stop = start + 1
            while stop < len(unique) and len(unique[stop]) * (stop + 1 - start) <= PREFILL_TOKENS:
                stop += 1
            cache.append(self._read(unique[start:stop]))
            start = stop
        rows = {prompt: row for row, prompt in enumerate(unique)}
        cache.select(torch.tensor([rows[prompt] for prompt in prompts], device=self.model.device))
        return cache

    def _read(self, prompts: Sequence[tuple[int, ...]]) -> SlotCache:
        length = max(len(prompt) for prompt in prompts)
        # Padding stands on the right: causal attention never looks there, and decoding overwrites it.
        ids = torch.tensor([list(prompt) + [0] * (length - len(prompt)) for prompt in prompts])
        ids = ids[:, : max(length - 1, 1)].to(self.model.device)
        if self.forward is not None:
            cache = SlotCache()
            self.forward.read(ids, cache)
            return cache
        positions = torch.arange(ids.shape[1], device=ids.device)[None].expand_as(ids)
        cache = SlotCache()
        named: dict[str, Any] = {self._cache_name: cache}
        self.model(input_ids=ids, position_ids=positions, use_cache=True, logits_to_keep=1, **named)
        return cache

    def _step(self, batch: _Slots) -> torch.Tensor:
        visible = int(batch.positions_S.max()) + 1
        batch.cache.begin_step(batch.positions_S, visible)
        mask_S11L = (torch.arange(visible, device=self.model.device)[None, :] <= batch.positions_S[:, None])[
            :, None, None, :
        ]
        if self.forward is not None:
            return self.forward.step(batch.tokens_S, batch.positions_S, mask_S11L, batch.cache)
        if self.model.config.get_text_config()._attn_implementation == "eager":
            zero = torch.zeros((), dtype=self.model.dtype, device=self.model.device)
            mask_S11L = torch.where(mask_S11L, zero, torch.finfo(self.model.dtype).min)
        output = self.model(
            input_ids=batch.tokens_S[:, None],
            position_ids=batch.positions_S[:, None],
            attention_mask=mask_S11L,
            use_cache=True,
            **{self._cache_name: batch.cache},
        )
        logits_SV: torch.Tensor = output.logits[:, -1]
        return logits_SV


class _Slots:
    """The sequences being sampled: where each stands and what it has drawn."""

    def __init__(
        self,
        device: torch.device,
        stop_ids: torch.Tensor,
        vocabulary: int = 0,
        matchers: Sequence[StopStrings | None] = (),
    ) -> None:
        self.device, self.vocabulary, self.matchers = device, vocabulary, matchers
        self.cache = SlotCache()
        self.seen_SV = torch.zeros(0, vocabulary, dtype=torch.int32, device=device)
        """As in `repetition.py`; of no width where nothing is penalised."""
        self.stop_ids = stop_ids.to(device)
        self.numbers: list[int] = []
        long = {"dtype": torch.long, "device": device}
        self.tokens_S = torch.empty(0, **long)  # type: ignore[call-overload]
        self.positions_S = torch.empty(0, **long)  # type: ignore[call-overload]
        self.counts_S = torch.empty(0, **long)  # type: ignore[call-overload]
        self.budgets_S = torch.empty(0, **long)  # type: ignore[call-overload]
        self.seeds_S = torch.empty(0, **long)  # type: ignore[call-overload]
        self.done_S = torch.empty(0, dtype=torch.bool, device=device)
        self.stopped_S = torch.empty(0, dtype=torch.bool, device=device)
        self.drawn_SL = torch.empty(0, 0, **long)  # type: ignore[call-overload]
        self.logprobs_SL = torch.empty(0, 0, device=device)

    @property
    def size(self) -> int:
        return len(self.numbers)

    def admit(self, numbers: list[int], requests: Sequence[Request], cache: SlotCache) -> None:
        self.cache.append(cache)
        self.numbers += numbers
        new = [requests[number] for number in numbers]

        def add(old: torch.Tensor, values: list[int]) -> torch.Tensor:
            return torch.cat([old, torch.tensor(values, dtype=old.dtype, device=self.device)])

        self.tokens_S = add(self.tokens_S, [request.prompt[-1] for request in new])
        self.positions_S = add(self.positions_S, [len(request.prompt) - 1 for request in new])
        self.counts_S = add(self.counts_S, [0] * len(new))
        self.budgets_S = add(self.budgets_S, [request.budget for request in new])
        self.seeds_S = add(self.seeds_S, [request.seed for request in new])
        self.done_S = add(self.done_S, [0] * len(new))
        self.stopped_S = add(self.stopped_S, [0] * len(new))
        self.seen_SV = torch.nn.functional.pad(self.seen_SV, (0, 0, 0, len(new)))
        if self.vocabulary:
            rows = range(self.size - len(new), self.size)
            repetition.remember(self.seen_SV, rows, [request.prompt for request in new], fresh=True)
        width = int(self.budgets_S.max())
        grow = (0, width - self.drawn_SL.shape[1], 0, len(new))
        self.drawn_SL = torch.nn.functional.pad(self.drawn_SL, grow)
        self.logprobs_SL = torch.nn.functional.pad(self.logprobs_SL, grow)

    def draw(self, logits_SV: torch.Tensor, sampling: Sampling) -> None:
        noise_S = uniform(self.seeds_S, self.counts_S)
        scores_SV = repetition.penalise(logits_SV, self.seen_SV, sampling) if self.vocabulary else None
        tokens_S, logprobs_S = draw(
            logits_SV, noise_S, sampling.temperature, sampling.top_p, sampling.top_k, sampling.min_p, scores_SV
        )
        if self.vocabulary:
            repetition.count(self.seen_SV, tokens_S, ~self.done_S)
        bad_S = ~torch.isfinite(logprobs_S) & ~self.done_S
        if bool(bad_S.any()):
            slot = int(bad_S.nonzero()[0, 0])
            raise NumericalError(
                f"the model's logits are not finite at token {int(self.counts_S[slot])} of completion "
                f"{self.numbers[slot]} (slot {slot}): lower the learning rate, or check the weights"
            )
        live_S = (~self.done_S).nonzero()[:, 0]
        self.drawn_SL[live_S, self.counts_S[live_S]] = tokens_S[live_S]
        self.logprobs_SL[live_S, self.counts_S[live_S]] = logprobs_S[live_S]
        self.counts_S[live_S] += 1
        self.positions_S[live_S] += 1
        self.tokens_S = tokens_S
        self.stopped_S |= torch.isin(tokens_S, self.stop_ids) & ~self.done_S
        self._stop_by_text()
        self.done_S |= self.stopped_S | (self.counts_S >= self.budgets_S)

    def _stop_by_text(self) -> None:
        """End the sequences whose text now holds one of their stop strings."""
        for slot in (~self.done_S).nonzero()[:, 0].tolist():
            matcher = self.matchers[self.numbers[slot]] if self.matchers else None
            if matcher is not None:
                count = int(self.counts_S[slot])
                if matcher.first(self.drawn_SL[slot, :count].tolist(), count - 1) is not None:
                    self.stopped_S[slot] = True

    def retire(self, squeeze_at: float) -> list[tuple[int, Sample]]:
        """Finished sequences, once they make up enough of the batch to be worth a copy of the cache."""
        live = (~self.done_S).nonzero()[:, 0]
        if live.shape[0] > self.size * squeeze_at:
            return []
        finished = self.done_S.nonzero()[:, 0].tolist()
        counts, drawn = self.counts_S.tolist(), self.drawn_SL.tolist()
        logprobs, stopped = self.logprobs_SL.tolist(), self.stopped_S.tolist()
        samples = []
        for slot in finished:
            n = counts[slot]
            sample = Sample(tuple(drawn[slot][:n]), tuple(logprobs[slot][:n]), "stop" if stopped[slot] else "length")
            samples.append((self.numbers[slot], sample))
        self._keep(live)
        return samples

    def _keep(self, rows: torch.Tensor) -> None:
        self.cache.select(rows)
        self.numbers = [self.numbers[row] for row in rows.tolist()]
        for name in ("tokens", "positions", "counts", "budgets", "seeds", "done", "stopped"):
            setattr(self, f"{name}_S", getattr(self, f"{name}_S")[rows])
        self.seen_SV = self.seen_SV[rows]
        self.drawn_SL, self.logprobs_SL = self.drawn_SL[rows], self.logprobs_SL[rows]
