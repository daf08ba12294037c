"""Ctrl-C and SIGTERM as a request that is heeded between steps, so that nothing half-made is stored."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Interrupt"]


class Interrupt:
    """While open: the first SIGINT or SIGTERM only sets ``requested``; a second SIGINT stops at once.

    Args:
        notify: Called with a line for the person when the request comes.
    """

    def __init__(self, notify: Callable[[str], None]) -> None:
        self.requested = False
        self._notify = notify
        self._previous: dict[int, signal._HANDLER] = {}

    def heard(self, accelerator: Accelerator) -> bool:
        """Whether any process was asked to stop: all of them have to stop after the same step."""
        if accelerator.num_processes == 1:
            return self.requested
        requests = torch.tensor(int(self.requested), device=accelerator.device)
        return bool(accelerator.reduce(requests, "sum").item())

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.requested = True
        self._notify("stopping after this step, then saving a checkpoint (Ctrl-C again stops at once)")

    def __enter__(self) -> Interrupt:
        # Python lets only the main thread set handlers; elsewhere the caller's own rules hold.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
