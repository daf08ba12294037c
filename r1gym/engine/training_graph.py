"""Training passes as captured CUDA graphs: a micro-batch is two replays instead of thousands of launches.

A graph serves every packed row of its capacity. It is captured when a capacity comes for the second time; the first
time its kernels are compiled. All graphs share their memory, since one runs at a time.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch

from r1gym.engine.capturing import capture, side_stream
from r1gym.engine.gradients import Gradients
from r1gym.engine.packing import Capacity, Packed
from r1gym.engine.training_pass import TrainingPass

__all__ = ["Replayed", "TrainingGraphs"]

GRAPHS = 16
"""Kept at most; the one that was used least recently goes first."""
Key = tuple[Capacity, float, bool]


class Replayed:
    """A forward pass by graph whose way back is open; as long as it lives and is open, its activations are its own."""

    def __init__(self, graph: _Graph) -> None:
        self.graph, self.open = graph, True


@dataclass(slots=True)
class _Graph:
    whole: torch.Tensor
    """The packed row."""
    logprobs_Y: torch.Tensor
    grad_Y: torch.Tensor
    ahead: torch.cuda.CUDAGraph
    back: torch.cuda.CUDAGraph
    gradients: Gradients
    """What ``back`` adds to."""


class TrainingGraphs:
    """The graphs of one training pass, by capacity, temperature and whether layers are run again."""

    def __init__(self, passes: TrainingPass) -> None:
        self.passes = passes
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self._graphs: OrderedDict[Key, _Graph] = OrderedDict()
        self._memory: Any = None
        self._last: weakref.ref[Replayed] | None = None

    def forward(
        self, capacity: Capacity, whole: torch.Tensor, temperature: float, recompute: bool
    ) -> tuple[torch.Tensor, Replayed] | None:
        """Replay the pass on this row; None where it has to be run: a new size, or an open pass holds the memory."""
        last = None if self._last is None else self._last()
        if last is not None and last.open:
            return None
        key = capacity, temperature, recompute
        if key not in self._graphs:
            if key not in self._seen:
                self._seen[key] = None
                return None
            self._graphs[key] = self._capture(whole, *key)
            if len(self._graphs) > GRAPHS:
                self._graphs.popitem(last=False)
        self._graphs.move_to_end(key)
        graph = self._graphs[key]
        graph.whole.copy_(whole)
        graph.ahead.replay()
        replayed = Replayed(graph)
        self._last = weakref.ref(replayed)
        return graph.logprobs_Y.clone(), replayed

    def backward(self, replayed: Replayed, grad_Y: torch.Tensor) -> None:
        """Add the gradients of ``replayed`` to those attached."""
        replayed.open = False
        replayed.graph.grad_Y.copy_(grad_Y)
        replayed.graph.back.replay()

    def drop(self) -> None:
        """Forget all graphs, and with the last one their memory; sizes that come twice more are captured anew."""
        if self._graphs:
            torch.cuda.synchronize()  # one may still run
        self._graphs.clear()
        self._seen.clear()
        self._memory = None
        torch.cuda.empty_cache()

    def _capture(self, whole: torch.Tensor, capacity: Capacity, temperature: float, recompute: bool) -> _Graph:
        """Nothing is computed; what the two graphs share is given back to their common memory for the next capture."""
        packed, own = Packed.empty(capacity, whole.device)
        own.copy_(whole)
        out_Y = torch.empty(capacity.predicting, device=whole.device)
        grad_Y = torch.zeros_like(out_Y)
        gradients = self.passes.gradients  # made here at the latest: inside, their memory would be the graphs' own
        ahead, back = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        side = side_stream(whole.device)
        side.wait_stream(torch.cuda.current_stream())
        with capture(ahead, self._memory, side):
            logprobs_Y, kept = self.passes.forward(packed, temperature, recompute)
            out_Y.copy_(logprobs_Y)
        memory = self._memory or ahead.pool()
        with capture(back, memory, side):
            self.passes.backward(kept, grad_Y)
        # Not before both are captured: with the last graph that uses it a pool dies, and torch refuses a dead one.
        self._memory = memory
        return _Graph(own, out_Y, grad_Y, ahead, back, gradients)
