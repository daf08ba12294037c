"""How CUDA graphs are captured here, those of decoding and those of training."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch

__all__ = ["capture", "side_stream"]


@lru_cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """One for all captures: cuBLAS keeps a workspace (32 MiB on an H100) for every stream that it has seen."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


@contextmanager
def capture(graph: torch.cuda.CUDAGraph, memory: Any, stream: torch.cuda.Stream) -> Iterator[None]:
    """Record what runs inside into ``graph``, its memory from the pool ``memory`` (None begins one).

    What other threads do on the device meanwhile (answers of a dialogue) is no part of it. Nothing is collected: that
    could destroy a forgotten graph in the middle of a capture, which CUDA may refuse. What fails inside is what is
    raised, and the stream is the one before: torch raises over it that the broken capture cannot be ended, and leaves
    the stream set.
    """
    collecting, before = gc.isenabled(), torch.cuda.current_stream(stream.device)
    failure: BaseException | None = None
    gc.disable()
    try:
        with torch.cuda.graph(graph, memory, stream, capture_error_mode="thread_local"):
            try:
                yield
            except BaseException as error:
                failure = error
                raise
    except BaseException as error:
        torch.cuda.set_stream(before)
        if failure is None or error is failure:
            raise
        raise failure from None
    finally:
        failure = None  # an error that knows itself through this frame would keep its tensors
        if collecting:
            gc.enable()
