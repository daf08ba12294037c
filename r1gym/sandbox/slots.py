"""One slot as the judge sees it: frames over a link, with a deadline on every wait."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Sequence
from typing import Any

from r1gym.errors import SandboxError
from r1gym.sandbox.guest.frames import Frame, FrameBuffer, encode
from r1gym.sandbox.protocol import Link

__all__ = ["Slot", "SlotDied"]

_FRAME_LIMIT = 256 << 20
_FRAME_ROOM = 128 << 20  # of a frame beyond its output: stderr, a function's answer, a compiled program
_START_SECONDS = 20.0


class SlotDied(SandboxError):
    """A slot ended, hung or talked nonsense; whose fault that was is for the judge to find out."""

    silent = False
    """It may be alive, but did not answer in time."""


class Slot:
    """A worker at the other end of ``link``. Not thread-safe: one thread leases a slot."""

    def __init__(self, link: Link, memory_mb: int) -> None:
        self.link = link
        self.memory_mb = memory_mb
        self.used = 0
        self.uids_left = 1 << 30
        self.doubtful = False
        self._buffer = FrameBuffer(_FRAME_LIMIT)

    def greet(self) -> dict[str, Any]:
        """Wait until the worker answers; its facts. Raises SlotDied with its last words where it does not."""
        self.send({"op": "hello"})
        facts, _ = self.receive(_START_SECONDS)
        if facts.get("pid") != 1 or facts.get("uid") != 0:
            raise SlotDied(f"the worker must be process 1 and root of its own namespace, and is {facts}")
        return facts

    def resize(self, memory_mb: int) -> None:
        """Set the memory that a submission may use."""
        if memory_mb != self.memory_mb:
            self.link.resize(memory_mb)
            self.memory_mb = memory_mb

    def expect(self, output_mb: int) -> None:
        """Take frames with that much output."""
        self._buffer.limit = max(_FRAME_LIMIT, (output_mb << 20) + _FRAME_ROOM)

    def send(self, head: dict[str, Any], blobs: Sequence[bytes] = (), timeout: float = 30.0) -> None:
        """Send one frame. Raises SlotDied where the worker is gone or does not take it within ``timeout`` seconds."""
        data = memoryview(encode(head, blobs))
        deadline = time.monotonic() + timeout
        poller = self._poller(self.link.write_fd, select.POLLOUT)
        while data:
            if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise self._died(f"took no bytes for {timeout:g} s")
            try:
                data = data[os.write(self.link.write_fd, data) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._died(f"cannot be written to ({error.strerror})") from error

    def receive(self, timeout: float) -> Frame:
        """The next frame. Raises SlotDied at the end of the stream, after ``timeout`` seconds, or on nonsense."""
        deadline = time.monotonic() + timeout
        poller = self._poller(self.link.read_fd, select.POLLIN)
        while True:
            try:
                frame = self._buffer.next()
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise self._died(f"sent no frame: {error}") from error
            if frame is not None:
                return frame
            if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
                died = self._died(f"was silent for {timeout:g} s")
                died.silent = True
                raise died
            try:
                data = os.read(self.link.read_fd, 1 << 20)
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._died(f"cannot be read ({error.strerror})") from error
            if not data:
                raise self._died("ended")
            self._buffer.feed(self.link.unwrap(data))

    def _poller(self, fd: int, event: int) -> select.poll:
        if fd < 0:
            raise self._died("was closed")
        poller = select.poll()
        poller.register(fd, event)
        return poller

    def _died(self, what: str) -> SlotDied:
        self.doubtful = True
        words = self.link.last_words()
        return SlotDied(f"the slot {what}" + (f"; its last words: {words}" if words else ""))

    def close(self) -> None:
        """End it."""
        self.doubtful = True
        self.link.close()
