"""The sandbox room: hostile programs run in warm, hardened slots, and are judged on the trusted side."""

from __future__ import annotations

import importlib
from typing import Any

_HOMES = {
    "Judgement": "records",
    "LocalBackend": "local",
    "DockerBackend": "docker",
    "Ruling": "records",
    "Sandbox": "chooser",
    "Session": "sessions",
    "TestResult": "records",
    "close": "chooser",
    "judge": "judging",
    "judge_async": "judging",
    "judge_many": "judging",
    "open_sandbox": "chooser",
}

__all__ = [
    "DockerBackend",
    "Judgement",
    "LocalBackend",
    "Ruling",
    "Sandbox",
    "Session",
    "TestResult",
    "close",
    "judge",
    "judge_async",
    "judge_many",
    "open_sandbox",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
