"""Warm slots: started when first needed, leased to one submission at a time, replaced on any doubt."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

from r1gym.errors import SandboxError
from r1gym.sandbox.protocol import Backend
from r1gym.sandbox.slots import Slot

__all__ = ["Pool"]

_UIDS_SPARE = 2_000


class Pool:
    """At most ``size`` slots of one backend. Thread-safe; waiting for a slot is not grading time.

    ``recycle_after`` leases a slot is replaced by a fresh one, and so is one that a lease left in doubt.
    """

    def __init__(self, backend: Backend, size: int, recycle_after: int = 1000) -> None:
        self.backend = backend
        self.size = size
        self.recycle_after = recycle_after
        self.started = 0
        """Slots started so far."""
        self._free: list[Slot] = []
        self._leased: set[Slot] = set()
        self._changed = threading.Condition()
        self._pending = 0
        self._ending = 0
        """Slots that a thread is about to end; a closed pool waits for them."""
        self._closed = False
        self._owner = os.getpid()

    def _take(self, memory_mb: int) -> Slot | None:
        """A free slot, of the same memory if there is one; None where one may be started. Call with the lock."""
        if self._free:
            same = next((slot for slot in self._free if slot.memory_mb == memory_mb), self._free[-1])
            self._free.remove(same)
            self._leased.add(same)
            return same
        self._pending += 1
        return None

    def _start(self, memory_mb: int) -> Slot:
        slot = None
        try:
            link = self.backend.start(memory_mb)
            fresh = Slot(link, memory_mb)
            try:
                fresh.greet()
            except SandboxError:
                link.close()
                raise
            slot = fresh
        finally:
            with self._changed:
                self._pending -= 1
                if slot is not None:
                    self.started += 1
                    if self._closed:
                        self._ending += 1
                    else:
                        self._leased.add(slot)
                self._changed.notify()
                late = slot is not None and slot not in self._leased
        if late:
            self._end(slot)
            raise SandboxError("the pool was closed")
        return slot

    def _end(self, slot: Slot) -> None:
        """Close a slot that was counted in ``_ending``."""
        try:
            slot.close()
        finally:
            with self._changed:
                self._ending -= 1
                self._changed.notify()

    def check_owner(self) -> None:
        """Raise SandboxError in a process that was forked: two of them would mix their frames on one pipe."""
        if self._owner != os.getpid():
            raise SandboxError("a sandbox that was opened in another process cannot be used in this one: open one here")

    def acquire(self, memory_mb: int, wait: bool = True) -> Slot | None:
        """A slot with room for ``memory_mb``; None where all are busy and ``wait`` is False.

        Raises SandboxError where no slot can be started, or the pool was closed.
        """
        self.check_owner()
        with self._changed:
            while not self._free and len(self._leased) + self._pending >= self.size and not self._closed:
                if not wait:
                    return None
                self._changed.wait()
            if self._closed:
                raise SandboxError("the pool was closed")
            slot = self._take(memory_mb)
        if slot is None:
            return self._start(memory_mb)
        try:
            slot.resize(memory_mb)
        except BaseException as error:
            slot.doubtful = True
            self.release(slot)
            if not isinstance(error, SandboxError):
                raise
            with self._changed:
                self._pending += 1
            return self._start(memory_mb)
        return slot

    def release(self, slot: Slot) -> None:
        """Give a slot back; a worn or doubtful one is ended."""
        slot.used += 1
        keep = not slot.doubtful and slot.used < self.recycle_after and slot.uids_left > _UIDS_SPARE
        with self._changed:
            self._leased.discard(slot)
            keep = keep and not self._closed
            if keep:
                self._free.append(slot)
            else:
                self._ending += 1
            self._changed.notify()
        if not keep:
            self._end(slot)

    @contextlib.contextmanager
    def lease(self, memory_mb: int) -> Iterator[Slot]:
        """A slot for the time of a ``with``; any exception leaves it in doubt."""
        slot = self.acquire(memory_mb)
        assert slot is not None
        try:
            yield slot
        except BaseException:
            slot.doubtful = True
            raise
        finally:
            self.release(slot)

    @property
    def _busy(self) -> bool:
        """A slot is in use, being started, or being ended by another thread."""
        return bool(self._leased or self._pending or self._ending)

    def close(self, wait_seconds: float = 5.0) -> None:
        """End every slot; those in use get ``wait_seconds`` to come back and are ended then.

        In a process that was forked from the one that opened it, nothing: the slots are its parent's.
        """
        if self._owner != os.getpid():
            return
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            free, self._free = self._free, []
        for slot in free:
            slot.close()
        deadline = time.monotonic() + wait_seconds
        while self._busy and time.monotonic() < deadline:
            time.sleep(0.01)
        for slot in list(self._leased):
            slot.link.hang_up()  # the thread that waits on it closes it: its descriptors must stay its own until then
        while self._busy and time.monotonic() < deadline + wait_seconds:
            time.sleep(0.01)
        for slot in list(self._leased):
            slot.close()
