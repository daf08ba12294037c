"""Picks the way to sample from a model: captured kernels, its own forward over pages, the CPU sampler, or generate."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch

from r1gym.engine.adapters import unwrap
from r1gym.engine.compact import CompactForward
from r1gym.engine.decoding import KernelForward, kernel_attention, no_kernels
from r1gym.engine.dense import DenseForward
from r1gym.engine.engine import Engine
from r1gym.engine.fused import FusedModel, not_compact
from r1gym.engine.general import GeneralForward
from r1gym.engine.generate import generate
from r1gym.engine.request import Request, Sample
from r1gym.engine.sampler import Sampler, unsupported
from r1gym.engine.stopping import Decode
from r1gym.engine.turns import Answer
from r1gym.errors import ModelError
from r1gym.types import Sampling

__all__ = ["Drawer", "choose"]

LEAST_WIDTH = 256
"""Hidden size from which a CPU samples through fused weights."""

log = logging.getLogger(__name__)


class Drawer:
    """Draws requests by one of the ways; ``name`` says which, ``reason`` why not by a faster one."""

    def __init__(self, name: str, reason: str, engine: Any, pages: Callable[[], Engine] | None = None) -> None:
        self.name, self.reason, self._engine, self._pages = name, reason, engine, pages
        self._paged: Engine | None = None

    def run(self, requests: Sequence[Request], sampling: Sampling) -> list[Sample]:
        """Draw every request; the results stand in the order of ``requests``."""
        samples: list[Sample] = self._engine.run(requests, sampling)
        return samples

    def converse(
        self, requests: Sequence[Request], sampling: Sampling, answer: Answer, workers: int = 16
    ) -> list[tuple[Sample, ...]]:
        """Draw dialogues, as ``Engine.converse``; on a CPU over pages too, which ``run`` there does without.

        Raises:
            ModelError: The model can be sampled by ``generate`` only, which keeps no cache between turns.
        """
        if isinstance(self._engine, Engine):
            return self._engine.converse(requests, sampling, answer, workers)
        if self._pages is None:
            raise ModelError(f"dialogues need the paged cache, and this model cannot use it: {self.reason}")
        if self._paged is None or self._paged.forward.stale:
            self._paged = self._pages()
        return self._paged.converse(requests, sampling, answer, workers)

    @property
    def stale(self) -> bool:
        """The model has changed under the sampler."""
        forward = getattr(self._engine, "forward", None)
        return forward is not None and bool(forward.stale)

    @property
    def packed_weights(self) -> FusedModel | None:
        """The fused weights, where training can run on them (16-bit weights on a GPU)."""
        forward = self._engine.forward if isinstance(self._engine, Engine) else None
        if isinstance(forward, CompactForward) and forward.weights.embed.element_size() == 2:
            return forward.weights
        return None


class _Generate:
    def __init__(self, model: Any, stop_ids: Sequence[int], decode: Decode | None) -> None:
        self.model, self.stop_ids, self.decode = model, stop_ids, decode

    def run(self, requests: Sequence[Request], sampling: Sampling) -> list[Sample]:
        return generate(self.model, requests, sampling, self.stop_ids, self.decode)


def choose(model: Any, stop_ids: Sequence[int], max_slots: int, decode: Decode | None = None) -> Drawer:
    """The fastest way that this model and its device allow; slower ones are logged with the reason."""
    whole, model = model, unwrap(model)
    why = unsupported(model)
    if why:
        log.warning("sampling falls back to model.generate, which is slower: %s", why)
        return Drawer("generate", why, _Generate(whole, stop_ids, decode))
    device: torch.device = model.device
    dense = DenseForward(model) if _pays_on_cpu(model) else None

    def pages() -> Engine:
        own = GeneralForward(model) if not_compact(model) else CompactForward(model)
        return Engine(own, stop_ids, max_slots, False, decode)

    why = no_kernels(device)
    if why:
        if device.type != "cpu":
            log.warning("sampling runs without captured graphs, which is slower: %s", why)
        return Drawer("sampler", why, Sampler(model, stop_ids, max_slots, decode, dense), pages)
    why = not_compact(model) or _odd_width(model)
    try:
        forward = GeneralForward(model, kernel_attention) if why else KernelForward(model)
    except ModelError as error:
        log.warning("sampling runs without captured graphs, which is slower: %s", error)
        return Drawer("sampler", str(error), Sampler(model, stop_ids, max_slots, decode))
    if why:
        log.info("sampling runs through the model's own forward: %s", why)
    return Drawer("general" if why else "compact", why, Engine(forward, stop_ids, max_slots, True, decode))


def _pays_on_cpu(model: Any) -> bool:
    """The compact forward on a CPU, for models whose products cost more than the calls around them.

    A tiny model gains nothing worth having, and keeps drawing what it has always drawn, to the bit.
    """
    return model.device.type == "cpu" and not not_compact(model) and model.config.hidden_size >= LEAST_WIDTH


def _odd_width(model: Any) -> str:
    width = model.model.layers[0].self_attn.head_dim
    return "" if width >= 32 and width & (width - 1) == 0 else f"its heads are {width} wide, not a power of two from 32"
