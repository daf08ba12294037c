"""One call of the engine: admits requests to slots, runs them some tokens at a time, retires, refills and shrinks.

Every prompt is read once; its full pages are shared by all its requests, the begun page is copied. The first decoding
step reads the prompt's last token again, so that the first token needs no sampler of its own; the turns of a dialogue
begin in the same way, behind the pages of the turns before.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from r1gym.engine import repetition
from r1gym.engine.cache import PAGE
from r1gym.engine.request import Request, Sample, check_tokens
from r1gym.engine.slots import BROKEN, LIVE, STOP
from r1gym.engine.stopping import StopStrings, matchers
from r1gym.errors import NumericalError
from r1gym.types import Finish, Sampling

if TYPE_CHECKING:
    from r1gym.engine.engine import Engine
    from r1gym.engine.turns import Answers

__all__ = ["Run"]

PREFILL_TOKENS = 16_384
"""Prompt tokens, padding included, that one prefill pass reads at most (but always a whole prompt)."""
UNLIMITED = 1 << 16
"""Positions that a dialogue may take where the model names no limit: page tables have a width."""
APPENDED_ROWS = 128
"""Tokens of answers that one pass reads: as many as the kernels' smaller tiles take."""


@dataclass(slots=True)
class _Turn:
    """Where the current turn of a request stands."""

    text: list[int]
    """Everything before this turn's first token; the last of it is read by the first step."""
    budget: int
    before: int = 0
    """Tokens drawn in earlier turns: the random stream runs on."""
    known: list[int] = field(default_factory=list)
    """This turn's tokens as far as the host has looked at them (for stop strings)."""
    begun: int = 0
    """Chunks run when it was admitted."""


class Run:
    """Who sits in which slot and owns which pages."""

    def __init__(
        self,
        engine: Engine,
        requests: Sequence[Request],
        sampling: Sampling,
        answers: Answers | None,
        context: int | None,
    ) -> None:
        self.engine, self.requests, self.sampling, self.answers = engine, requests, sampling, answers
        self.pool, self.slots = engine.pool, engine.slots
        self.context = UNLIMITED if context is None else context
        self.stops: list[StopStrings | None] = matchers([request.stop for request in requests], engine.decode)
        self.turns = [_Turn(list(request.prompt), request.budget) for request in requests]
        self.samples: list[list[Sample]] = [[] for _ in requests]
        self.queue = deque(range(len(requests)))
        self.answered: deque[int] = deque()  # dialogues whose next turn waits for a slot
        self.waiting = Counter(request.prompt for request in requests)
        self.read: dict[tuple[int, ...], list[int]] = {}  # pages of prompts that requests still wait for
        self.owners: list[int | None] = []
        self.pages: dict[int, list[int]] = {}
        self.slot_of: dict[int, int] = {}
        self.due: dict[int, list[int]] = {}  # chunk number: requests that need a page before it
        self.chunks = 0  # run so far
        self.ends: dict[int, tuple[int, int]] = {}
        self.offsets: list[int] = []
        place = 1
        for request in requests:
            self.offsets.append(place)
            place += request.budget
        longest = max(len(request.prompt) + request.budget for request in requests) if answers is None else self.context
        vocabulary = engine.forward.model.config.get_text_config().vocab_size if sampling.penalised else 0
        self.slots.reserve(place, -(-longest // PAGE) + 1, vocabulary)

    def finish(self) -> list[tuple[Sample, ...]]:
        """Run until everything is drawn; no page stays behind, whatever happens."""
        try:
            while self.queue or self.pages:
                self._take_answers()
                self._admit()
                if not self.slot_of:
                    continue
                size = self._size()
                self._extend()
                self.engine.stepper.run(size, self.sampling)
                self.chunks += 1
                self._extend()  # for the next one, while the device is at this one
                self._retire(size)
        finally:
            for pages in (*self.pages.values(), *self.read.values()):  # only where something broke off
                self.pool.release(pages)
            self.slots.clear()
        return self._drawn() if self.answers is None else [tuple(turns) for turns in self.samples]

    def _admit(self) -> None:
        """Fill free slots from the queue; a prefill waits until a quarter of the slots is free."""
        free = self.slots.size - len(self.slot_of)
        later = [self.answered.popleft() for _ in range(min(len(self.answered), free))]
        free -= len(later)
        numbers: list[int] = []
        while self.queue and len(numbers) < free:
            known = self.requests[self.queue[0]].prompt in self.read
            if not known and self.slot_of and free < self.slots.size // 4:
                break
            numbers.append(self.queue.popleft())
        if numbers:
            self._prefill([self.requests[number].prompt for number in numbers])
            self._own(numbers)
        self._seat([*later, *numbers])
        self._forget([self.requests[number].prompt for number in numbers])

    def _own(self, numbers: Sequence[int]) -> None:
        """Give every new request its prompt's full pages and a copy of the begun one."""
        sources, targets = [], []
        for number in numbers:
            prompt = self.requests[number].prompt
            read, full = self.read[prompt], (len(prompt) - 1) // PAGE
            self.pool.share(read[:full])
            # Entered at once: what breaks off from here on gives back all pages entered.
            self.pages[number] = read[:full]
            own = self.pool.take(1)
            self.pages[number] = read[:full] + own
            if len(read) > full:
                sources.append(read[full])
                targets += own
        self.pool.copy(sources, targets)

    def _seat(self, numbers: Sequence[int]) -> None:
        """Start the current turns of these requests in free slots."""
        if not numbers:
            return
        empty = [slot for slot, owner in enumerate(self.owners) if owner is None]
        while len(empty) < len(numbers):
            empty.append(len(self.owners))
            self.owners.append(None)
        rows, triples = [], []
        for slot, number in zip(empty, numbers, strict=False):
            turn = self.turns[number]
            self.owners[slot], self.slot_of[number] = number, slot
            turn.begun = self.chunks
            # Every turn writes into the same place of the outputs; the count runs on, so the place is set back.
            place = self.offsets[number] - turn.before
            position, end = len(turn.text) - 1, turn.before + turn.budget
            rows.append([turn.text[-1], position, end, self.requests[number].seed, place, turn.before])
            self.due.setdefault(self.chunks, []).append(number)
            triples += [(slot, column, page) for column, page in enumerate(self.pages[number])]
        self.slots.put(empty[: len(rows)], rows)
        self.slots.set_pages(triples)
        if self.slots.seen_SV is not None:
            self._recall(empty[: len(rows)], numbers)

    def _recall(self, slots: Sequence[int], numbers: Sequence[int]) -> None:
        """Enter what these requests have read and drawn so far, for the penalties."""
        seen_SV = self.slots.seen_SV
        assert seen_SV is not None
        repetition.remember(seen_SV, slots, [self.turns[number].text for number in numbers], fresh=True)
        for slot, number in zip(slots, numbers, strict=True):
            drawn = [token for sample in self.samples[number] for token in sample.token_ids]
            if drawn:
                places = torch.tensor(drawn, device=seen_SV.device)
                added = torch.full((len(drawn),), repetition.DRAWN, dtype=seen_SV.dtype, device=seen_SV.device)
                seen_SV[slot].index_add_(0, places, added)

    def _take_answers(self) -> None:
        """Append the answers that have come to their dialogues, and end those that are over."""
        if self.answers is None or not self.answers.awaited:
            return
        idle = not (self.slot_of or self.queue or self.answered)
        tokens_T: list[int] = []
        positions_T: list[int] = []
        owners_T: list[int] = []
        for number, tokens in self.answers.take(block=idle):
            check_tokens(self.engine.forward.model, tokens or (), f"the answer in dialogue {number}")
            turn, last = self.turns[number], self.samples[number][-1]
            begin = len(turn.text) + len(last.token_ids) - 1  # the last token drawn has not been read yet
            text = [*turn.text, *last.token_ids, *(tokens or ())]
            if tokens is None or len(text) >= self.context:
                if tokens is not None:
                    self.samples[number].append(Sample((), (), "abort"))
                self.pool.release(self.pages.pop(number))
                continue
            request = self.requests[number]
            budget = min(request.budget, self.context - len(text))
            self.turns[number] = _Turn(text, budget, turn.before + len(last.token_ids))
            missing = -(-len(text) // PAGE) - len(self.pages[number])
            if missing > 0:
                self.pages[number] += self.pool.take(missing)
            tokens_T += text[begin:-1]
            positions_T += range(begin, len(text) - 1)
            owners_T += [number] * (len(text) - 1 - begin)
            self.answered.append(number)
        self._append(tokens_T, positions_T, owners_T)

    def _append(self, tokens_T: list[int], positions_T: list[int], owners_T: list[int]) -> None:
        """Write keys and values of tokens behind what their dialogues hold.

        Rows of one sequence stand in one decoding pass like slots that share their pages: every layer stores all keys
        before any row attends, and a row looks at its own position and those before it.
        """
        device = self.pool.data.device
        for start in range(0, len(tokens_T), APPENDED_ROWS):
            part = slice(start, start + APPENDED_ROWS)
            width = max(len(self.pages[number]) for number in owners_T[part])
            tables = [self.pages[number] + [0] * (width - len(self.pages[number])) for number in owners_T[part]]
            self.engine.forward.decode(
                torch.tensor(tokens_T[part], device=device),
                torch.tensor(positions_T[part], device=device),
                torch.tensor(tables, dtype=torch.int32, device=device),
                self.pool,
            )

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
            if number not in self.slot_of:
                continue
            turn, pages, slot = self.turns[number], self.pages[number], self.slot_of[number]
            start = len(turn.text) - 1
            position = start + (self.chunks - turn.begun) * chunk
            end = start + turn.budget  # the last token drawn is never read
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
        seated = [(slot, number) for slot, number in enumerate(self.owners[:size]) if number is not None]
        counts = {number: drawn[slot] - self.turns[number].before for slot, number in seated}
        cuts = self._complete_texts(counts)
        self.slots.park([slot for slot, number in seated if number in cuts and done[slot] == LIVE])
        for slot, number in seated:
            state = STOP if number in cuts else done[slot]
            if state == LIVE:
                continue
            if state == BROKEN:
                raise NumericalError(
                    f"the model's logits are not finite at token {drawn[slot] - 1} of completion {number} (slot "
                    f"{slot}): lower the learning rate, or check the weights"
                )
            self.owners[slot] = None
            del self.slot_of[number]
            self._end(number, cuts.get(number, counts[number]), state)

    def _complete_texts(self, counts: dict[int, int]) -> dict[int, int]:
        """Requests whose text holds one of their stop strings, with the tokens up to and with that string."""
        new = {n: range(len(self.turns[n].known), count) for n, count in counts.items() if self.stops[n] is not None}
        if not new:
            return {}
        tokens = iter(self.slots.read([self.offsets[n] + place for n, places in new.items() for place in places])[0])
        cuts = {}
        for number, places in new.items():
            known, matcher = self.turns[number].known, self.stops[number]
            known += [next(tokens) for _ in places]
            end = None if matcher is None else matcher.first(known, places.start)
            if end is not None:
                cuts[number] = end
        return cuts

    def _end(self, number: int, count: int, state: int) -> None:
        """A turn is complete: keep it, and ask for what follows, or give back the pages."""
        if self.answers is None:
            self.ends[number] = (count, state)
            self.pool.release(self.pages.pop(number))
            return
        start = self.offsets[number]
        tokens, logprobs = self.slots.read(range(start, start + count))
        self.samples[number].append(Sample(tuple(tokens), tuple(logprobs), _finish(state)))
        self.answers.ask(number, self.samples[number])

    def _drawn(self) -> list[tuple[Sample, ...]]:
        """All samples, read from the device in one piece."""
        tokens, logprobs = self.slots.tokens_X.tolist(), self.slots.logprobs_X.tolist()
        samples: list[tuple[Sample, ...]] = []
        for number, start in enumerate(self.offsets):
            count, end = self.ends[number]
            places = slice(start, start + count)
            samples.append((Sample(tuple(tokens[places]), tuple(logprobs[places]), _finish(end)),))
        return samples


def _finish(state: int) -> Finish:
    return "stop" if state == STOP else "length"
