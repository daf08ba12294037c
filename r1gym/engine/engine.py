"""The paged engine: admits requests to slots, runs them some tokens at a time, retires, refills and shrinks.

Every prompt is read once; its full pages are shared by all its requests, the begun page is copied. The first decoding
step reads the prompt's last token again, so that the first token needs no sampler of its own. A sample depends on its
prompt and seed only: not on its slot, its neighbours or the number of slots.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any, Protocol

import torch

from r1gym.engine.cache import PAGE
from r1gym.engine.pages import PagePool
from r1gym.engine.sampler import Request, Sample
from r1gym.engine.slots import BROKEN, LIVE, STOP, Slots
from r1gym.engine.stepping import Stepper
from r1gym.errors import NumericalError
from r1gym.types import Finish, Sampling

__all__ = ["Engine", "Forward"]

PREFILL_TOKENS = 16_384
"""Prompt tokens, padding included, that one prefill pass reads at most (but always a whole prompt)."""


class Forward(Protocol):
    """What the engine asks of a path."""

    model: Any

    @property
    def shape(self) -> tuple[int, int, int]:
        """Layers, key-value heads and head width."""
        ...

    @property
    def stale(self) -> bool:
        """The model has changed under the engine."""
        ...

    def prefill(self, prompts: list[tuple[int, ...]], pages: list[list[int]], pool: PagePool) -> None:
        """Write the keys and values of each prompt into its pages."""
        ...

    def decode(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, tables_SM: torch.Tensor, pool: PagePool
    ) -> torch.Tensor:
        """Logits [S, V] after each slot's token."""
        ...


class Engine:
    """Draws completions over pages; one for the life of a model.

    Args:
        forward: The compact or the general path.
        stop_ids: Tokens that end a completion.
        max_slots: Sequences side by side.
        captured: Run the steps as CUDA graphs with the GPU kernels.
    """

    def __init__(self, forward: Forward, stop_ids: Sequence[int], max_slots: int = 512, captured: bool = False) -> None:
        self.forward = forward
        parameter = next(iter(forward.model.parameters()))
        layers, heads, width = forward.shape
        self.pool = PagePool(64, layers, heads, width, parameter.dtype, parameter.device)
        self.slots = Slots(max_slots, parameter.device)
        self.stepper = Stepper(forward, self.slots, self.pool, stop_ids, captured)

    @torch.no_grad()
    def run(self, requests: Sequence[Request], sampling: Sampling) -> list[Sample]:
        """Draw every request; the results stand in the order of ``requests``.

        Raises:
            NumericalError: The model gave NaN; the message names the request and the token.
            ModelError: The device has no memory for the pages that are needed.
        """
        if not requests:
            return []
        model = self.forward.model
        was_training = model.training
        model.eval()
        try:
            return _Run(self, requests, sampling).finish()
        finally:
            model.train(was_training)


class _Run:
    """One call of ``Engine.run``: who sits in which slot and owns which pages."""

    def __init__(self, engine: Engine, requests: Sequence[Request], sampling: Sampling) -> None:
        self.engine, self.requests, self.sampling = engine, requests, sampling
        self.pool, self.slots = engine.pool, engine.slots
        self.queue = deque(range(len(requests)))
        self.waiting = Counter(request.prompt for request in requests)
        self.read: dict[tuple[int, ...], list[int]] = {}  # pages of prompts that requests still wait for
        self.owners: list[int | None] = []
        self.pages: dict[int, list[int]] = {}
        self.slot_of: dict[int, int] = {}
        self.due: dict[int, list[int]] = {}  # chunk number: requests that need a page before it
        self.begun: dict[int, int] = {}
        self.chunks = 0  # run so far
        self.ends: dict[int, tuple[int, int]] = {}
        self.offsets: list[int] = []
        place = 1
        for request in requests:
            self.offsets.append(place)
            place += request.budget
        longest = max(len(request.prompt) + request.budget for request in requests)
        self.slots.reserve(place, -(-longest // PAGE) + 1)

    def finish(self) -> list[Sample]:
        try:
            while self.queue or self.pages:
                self._admit()
                size = self._size()
                self._extend()
                self.engine.stepper.run(size, self.sampling)
                self.chunks += 1
                self._retire(size)
        finally:
            for pages in (*self.pages.values(), *self.read.values()):  # only where something broke off
                self.pool.release(pages)
            self.slots.clear()
        return self._samples()

    def _admit(self) -> None:
        """Fill free slots from the queue; a prefill waits until a quarter of the slots is free."""
        free = self.slots.size - len(self.pages)
        numbers: list[int] = []
        while self.queue and len(numbers) < free:
            known = self.requests[self.queue[0]].prompt in self.read
            if not known and self.pages and free < self.slots.size // 4:
                break
            numbers.append(self.queue.popleft())
        if not numbers:
            return
        self._prefill([self.requests[number].prompt for number in numbers])
        empty = [slot for slot, owner in enumerate(self.owners) if owner is None]
        while len(empty) < len(numbers):
            empty.append(len(self.owners))
            self.owners.append(None)
        rows, triples, sources, targets = [], [], [], []
        for slot, number in zip(empty, numbers, strict=False):
            request = self.requests[number]
            read, full = self.read[request.prompt], (len(request.prompt) - 1) // PAGE
            self.pool.share(read[:full])
            own = self.pool.take(1)
            if len(read) > full:
                sources.append(read[full])
                targets += own
            self.owners[slot], self.pages[number], self.slot_of[number] = number, read[:full] + own, slot
            place = self.offsets[number]
            rows.append([request.prompt[-1], len(request.prompt) - 1, request.budget, request.seed, place])
            self.begun[number] = self.chunks
            self.due.setdefault(self.chunks, []).append(number)
            triples += [(slot, column, page) for column, page in enumerate(self.pages[number])]
        self.pool.copy(sources, targets)
        self.slots.put(empty[: len(rows)], rows)
        self.slots.set_pages(triples)
        self._forget([self.requests[number].prompt for number in numbers])

    def _prefill(self, prompts: Sequence[tuple[int, ...]]) -> None:
        """Read the prompts that nobody has read yet, all but the last token, those of similar length together."""
        new = sorted(set(prompts) - self.read.keys(), key=lambda prompt: (len(prompt), prompt))
        start = 0
        for prompt in new:
            self.read[prompt] = self.pool.take(-(-(len(prompt) - 1) // PAGE))
        new = [prompt for prompt in new if len(prompt) > 1]
        while start < len(new):
            stop = start + 1
            while stop < len(new) and len(new[stop]) * (stop + 1 - start) <= PREFILL_TOKENS:
                stop += 1
            batch = new[start:stop]
            self.engine.forward.prefill(
                [prompt[:-1] for prompt in batch], [self.read[prompt] for prompt in batch], self.pool
            )
            start = stop

    def _forget(self, prompts: Sequence[tuple[int, ...]]) -> None:
        """Give up the own hold on prompts that no request waits for any more."""
        self.waiting.subtract(prompts)
        for prompt in set(prompts):
            if self.waiting[prompt] == 0:
                self.pool.release(self.read.pop(prompt))

    def _size(self) -> int:
        """Slots to run: the smallest size that holds all, after moving them together where that makes it smaller."""
        live = [slot for slot, owner in enumerate(self.owners) if owner is not None]
        size = self.engine.stepper.size_for(len(live))
        if size < self.engine.stepper.size_for(len(self.owners)):
            self.slots.permute(live)
            self.owners = [self.owners[slot] for slot in live]
            self.slot_of = {number: slot for slot, number in enumerate(self.owners) if number is not None}
        return max(size, self.engine.stepper.size_for(len(self.owners)))

    def _extend(self) -> None:
        """Give every slot that comes to the end of its pages the next ones, before it writes there.

        A live slot moves on by the same number of positions in every chunk, so the chunk in which it needs another
        page is known when it gets one.
        """
        chunk, triples = self.engine.stepper.steps, []
        for number in self.due.pop(self.chunks, ()):
            if number not in self.pages:
                continue
            request, pages, slot = self.requests[number], self.pages[number], self.slot_of[number]
            position = len(request.prompt) - 1 + (self.chunks - self.begun[number]) * chunk
            end = len(request.prompt) + request.budget - 1  # the last token drawn is never read
            missing = -(-min(position + chunk, end) // PAGE) - len(pages)
            if missing > 0:
                new = self.pool.take(missing)
                triples += [(slot, len(pages) + i, page) for i, page in enumerate(new)]
                pages += new
            if len(pages) * PAGE < end:
                safe = (len(pages) * PAGE - position) // chunk  # whole chunks that fit, this one included
                self.due.setdefault(self.chunks + safe, []).append(number)
        self.slots.set_pages(triples)

    def _retire(self, size: int) -> None:
        drawn, done = self.slots.progress(size)
        ended = [slot for slot, state in enumerate(done) if state != LIVE]
        for slot in ended:
            number = self.owners[slot] if slot < len(self.owners) else None
            if number is None:
                continue
            if done[slot] == BROKEN:
                raise NumericalError(
                    f"the model's logits are not finite at token {drawn[slot] - 1} of completion {number} (slot "
                    f"{slot}): lower the learning rate, or check the weights"
                )
            self.ends[number] = (drawn[slot], done[slot])
            self.pool.release(self.pages.pop(number))
            self.owners[slot] = None

    def _samples(self) -> list[Sample]:
        tokens, logprobs = self.slots.tokens_X.tolist(), self.slots.logprobs_X.tolist()
        samples = []
        for number, start in enumerate(self.offsets):
            count, end = self.ends[number]
            places = slice(start, start + count)
            finish: Finish = "stop" if end == STOP else "length"
            samples.append(Sample(tuple(tokens[places]), tuple(logprobs[places]), finish))
        return samples
