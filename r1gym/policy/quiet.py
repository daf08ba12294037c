"""Loading and saving without transformers' progress bars, which would break a live display and fill logs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

__all__ = ["no_progress_bars"]


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Silence the bars of transformers while open ("Loading weights", "Writing model shards", the GGUF one).

    What the caller had set is put back at the end; bars of downloads, which can take minutes, stay.
    """
    from transformers import modeling_gguf_pytorch_utils as gguf
    from transformers.utils import logging

    def silent(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Bars with a name of their own for bytes are downloads.
        return factory(*args, **kwargs) if kwargs.get("unit") == "B" else factory(*args, **{**kwargs, "disable": True})

    previous, bar = logging.set_tqdm_hook(silent), gguf.tqdm
    gguf.tqdm = partial(bar, disable=True)  # this reader takes its bar from tqdm itself, past the hook
    try:
        yield
    finally:
        logging.set_tqdm_hook(previous)
        gguf.tqdm = bar
