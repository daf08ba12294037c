"""Transformers' bars are silent while r1gym loads and saves, and only then."""

from __future__ import annotations

import io

import pytest
from transformers import modeling_gguf_pytorch_utils as gguf
from transformers.utils import logging

from r1gym.policy.quiet import no_progress_bars


def test_bars_are_silent_inside_and_as_before_afterwards() -> None:
    stream = io.StringIO()
    hook, bar = logging.set_tqdm_hook(None), gguf.tqdm
    logging.set_tqdm_hook(hook)
    with pytest.raises(RuntimeError, match="stop"), no_progress_bars():
        assert list(logging.tqdm(range(3), desc="Loading weights", file=stream)) == [0, 1, 2]
        assert list(gguf.tqdm(range(3), desc="Converting", file=stream)) == [0, 1, 2]
        assert stream.getvalue() == ""
        raise RuntimeError("stop")
    assert logging.set_tqdm_hook(hook) is hook
    assert gguf.tqdm is bar
    if logging.is_progress_bar_enabled():
        assert list(logging.tqdm(range(3), desc="Loading weights", file=stream)) == [0, 1, 2]
        assert "Loading weights" in stream.getvalue()


def test_downloads_keep_their_bar() -> None:
    stream = io.StringIO()
    with no_progress_bars():
        logging.tqdm(total=3, unit="B", desc="model.safetensors", file=stream).close()
    assert ("model.safetensors" in stream.getvalue()) == logging.is_progress_bar_enabled()
