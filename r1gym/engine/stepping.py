"""Runs the decoding step for a number of slots: directly, or some steps at a time as a captured CUDA graph.

One graph a slot count serves all lengths, because positions and page tables are read on the device. Graphs hold
addresses: when a tensor has moved or the sampling is another, they are captured again.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from r1gym.engine import repetition
from r1gym.engine.capturing import capture, side_stream
from r1gym.engine.pages import PagePool
from r1gym.engine.race import race
from r1gym.engine.slots import COUNT, DONE, LIVE, POSITION, SEED, TOKEN, Slots
from r1gym.types import Sampling

if TYPE_CHECKING:
    from r1gym.engine.engine import Forward

__all__ = ["Stepper"]

STEPS = 8
"""Tokens a graph draws; between graphs the host looks which slots are done."""

log = logging.getLogger(__name__)


class Stepper:
    """Moves the first slots on by some tokens."""

    def __init__(self, forward: Forward, slots: Slots, pool: PagePool, stop_ids: Sequence[int], captured: bool) -> None:
        self.forward, self.slots, self.pool, self.captured = forward, slots, pool, captured
        self.stops = torch.tensor(sorted(set(stop_ids)), dtype=torch.long, device=slots.device)
        self.sizes = [1]
        while self.sizes[-1] < slots.size:
            self.sizes.append(min(self.sizes[-1] * 2, slots.size))
        self.steps = STEPS if captured else 1
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}
        self._key: object = None
        self._memory: Any = None
        self.refusal: str | None = None
        """Why the forward cannot be captured, "" where it can; None before the first capture."""

    def size_for(self, count: int) -> int:
        """The smallest slot count that holds ``count`` sequences."""
        return next(size for size in self.sizes if size >= count)

    def run(self, count: int, sampling: Sampling) -> None:
        """Draw the next tokens of the first ``count`` slots."""
        if not self.captured:
            self._step(count, sampling)
            return
        # Budgets and stop strings are no part of a graph.
        key = replace(sampling, max_new_tokens=1, stop=(), keep_stop=True)
        current = (key, self.slots.version, self.pool.version)
        if current != self._key:
            self.drop()
            self._key = current
        if count not in self._graphs and not self.refusal:
            self._capture(count, sampling)
        if self.refusal:
            for _ in range(STEPS):
                self._step(count, sampling)
        else:
            self._graphs[count].replay()

    def drop(self) -> None:
        """Forget all graphs, and with the last one their memory."""
        self._graphs.clear()
        self._memory = None

    def _step(self, count: int, sampling: Sampling) -> None:
        state = self.slots.state[:, :count]
        tables = self.slots.tables[:count]
        logits_SV = self.forward.decode(state[TOKEN], state[POSITION], tables, self.pool)
        seen_SV = self.slots.seen_SV
        scores_SV = None if seen_SV is None else repetition.penalise(logits_SV, seen_SV[:count], sampling)
        live_S = None if seen_SV is None else state[DONE] == LIVE
        if self.captured:
            from r1gym.engine.drawing import draw_and_advance

            draw_and_advance(logits_SV, self.slots, self.stops, sampling, scores_SV)
        else:
            drawn = race(logits_SV, state[SEED], state[COUNT], sampling, scores_SV)
            self.slots.advance(*drawn, self.stops)
        if seen_SV is not None and live_S is not None:
            repetition.count(seen_SV[:count], state[TOKEN], live_S)

    def _capture(self, count: int, sampling: Sampling) -> None:
        """Capture STEPS steps. The warm-up must not move anybody on, so it runs while all slots are free."""
        state, tables = self.slots.state.clone(), self.slots.tables.clone()
        self.slots.clear()
        side = side_stream(self.slots.device)
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            self._step(count, sampling)
            if self.refusal is None:
                self.refusal = _waits(lambda: self._step(count, sampling))
                if self.refusal:
                    log.warning("sampling runs without captured graphs, which is slower: %s", self.refusal)
        torch.cuda.current_stream().wait_stream(side)
        if not self.refusal:
            graph = torch.cuda.CUDAGraph()
            with capture(graph, self._memory, side):
                for _ in range(STEPS):
                    self._step(count, sampling)
            self._memory = self._memory or graph.pool()
            self._graphs[count] = graph
        self.slots.state.copy_(state)
        self.slots.tables.copy_(tables)


def _waits(step: Callable[[], None]) -> str:
    """Why ``step`` cannot be captured: its host waits for the device (experts picked by ``nonzero``); "" where it can.

    Asked before a capture, because one that breaks off leaves the allocator and the current stream as they were in it.
    """
    before, here = torch.cuda.get_sync_debug_mode(), threading.get_ident()
    told: list[str] = []

    def note(message: Warning | str, *_: Any) -> None:
        if threading.get_ident() == here:  # others may wait as they like
            told.append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note  # type: ignore[assignment]
        torch.cuda.set_sync_debug_mode("warn")
        try:
            step()
        finally:
            torch.cuda.set_sync_debug_mode(before)
    waits = any("called a synchronizing" in each for each in told)
    return "a step of this model waits for the device, so it cannot be captured" if waits else ""
