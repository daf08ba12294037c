"""Run one program on many inputs: over as many slots as are free, with retries where a slot dies."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from r1gym.errors import SandboxError
from r1gym.sandbox.pool import Pool
from r1gym.sandbox.slots import Slot, SlotDied
from r1gym.types import Limits

__all__ = ["Execution", "Raw", "Request", "run_once"]

Kind = Literal["python", "exec", "call", "check"]
_GRACE_SECONDS = 20.0
_BATCH_TESTS, _BATCH_BYTES = 16, 32 << 20
_PARALLEL_FROM = 4
_ROOM_MB, _STEP_MB = 16, 64  # of input or output in transit, what a slot's own overhead holds; and steps beyond it


@dataclass(frozen=True, slots=True)
class Request:
    """What to run and under which limits; inputs come apart."""

    kind: Kind
    program: bytes
    limits: Limits
    argv: tuple[str, ...] = ()
    name: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    """Further files, read-only beside the program."""
    collect: str = ""
    """A file of the box to bring back."""

    def head(self) -> dict[str, Any]:
        """The worker's form of it."""
        limits = {
            "cpu_seconds": self.limits.cpu_seconds,
            "wall_seconds": self.limits.wall_seconds,
            "memory_bytes": self.limits.memory_mb << 20,
            "output_bytes": self.limits.output_mb << 20,
            "processes": self.limits.processes,
        }
        argv = list(self.argv) or None
        head = {"op": "run", "kind": self.kind, "limits": limits, "argv": argv, "name": self.name}
        return head | {"files": list(self.files), "collect": self.collect}


@dataclass(frozen=True, slots=True)
class Raw:
    """What a slot observed of one run; no judgement yet."""

    status: int = 0
    """As ``os.wait`` gives it."""
    cause: str = ""
    """The limit for which the watch ended it: "cpu", "wall", "memory", "output"; "" where it ended by itself."""
    fault: str = ""
    """Why this is no observation of the program at all: our own fault."""
    report: str = ""
    oom_kills: int = 0
    cpu: float = 0.0
    wall: float = 0.0
    peak_bytes: int = 0
    """Most memory seen: of one process, or of all together."""
    rss_bytes: int = 0
    """Most memory of one process, counted by the kernel."""
    stdout: bytes = b""
    stderr: bytes = b""
    answer: bytes = b""
    artifact: bytes = b""

    @classmethod
    def from_frame(cls, head: dict[str, Any], blobs: list[bytes]) -> Raw:
        """Read a worker's frame. Raises KeyError, ValueError or TypeError where it is none."""
        report = str(head["report"])
        fault = report if report.startswith("setup:") else ""
        stdout, stderr, answer, artifact = blobs
        return cls(
            status=int(head["status"]), cause=str(head["cause"]), fault=fault, report=report,
            oom_kills=int(head["oom_kills"]), cpu=float(head["cpu"]), wall=float(head["wall"]),
            peak_bytes=int(head["peak_bytes"]), rss_bytes=int(head["rss_bytes"]),
            stdout=stdout, stderr=stderr, answer=answer, artifact=artifact,
        )  # fmt: skip


class Execution:
    """One request over its inputs. ``on_result(index, raw)`` says whether what follows ``index`` is still wanted."""

    def __init__(
        self, pool: Pool, request: Request, inputs: Sequence[bytes], on_result: Callable[[int, Raw], bool]
    ) -> None:
        self.pool = pool
        self.request = request
        self.inputs = inputs
        self.on_result = on_result
        self._todo = collections.deque(range(len(inputs)))
        self._deaths: collections.Counter[int] = collections.Counter()
        self._cut = len(inputs)
        self._lock = threading.Lock()
        self._error: BaseException | None = None

    def run(self) -> None:
        """Run all inputs, or those up to the first that ends the wish for more."""
        helpers = []
        if len(self.inputs) >= _PARALLEL_FROM:
            for _ in range(self.pool.size - 1):
                helpers.append(threading.Thread(target=self._help, daemon=True))
                helpers[-1].start()
        try:
            self._work(wait=True)
        except BaseException:
            self._abandon()
            raise
        finally:
            for helper in helpers:
                helper.join()
        while self._todo and self._error is None:  # what a helper put back after the rest was done
            self._work(wait=True)
        if self._error is not None:
            raise self._error

    def _help(self) -> None:
        try:
            self._work(wait=False)
        except BaseException as error:  # handed over to the caller's thread by run()
            self._error = error
            self._abandon()

    def _abandon(self) -> None:
        """Start no further test: an error or an interrupt goes up, and whoever waits for the others need not."""
        with self._lock:
            self._todo.clear()
            self._cut = -1

    def _batch(self) -> list[int]:
        """The next tests to run on one slot, in order."""
        batch: list[int] = []
        size = 0
        with self._lock:
            most = max(1, min(_BATCH_TESTS, len(self._todo) // 2))
            while self._todo and len(batch) < most and size < _BATCH_BYTES:
                index = self._todo.popleft()
                if index <= self._cut:
                    batch.append(index)
                    size += len(self.inputs[index])
        return batch

    def _memory_mb(self, batch: list[int]) -> int:
        """What a slot needs for ``batch``: the submission's limit, and room for large inputs and outputs in transit."""
        incoming = sum(len(self.inputs[index]) for index in batch) >> 20
        extra = 3 * (max(0, incoming - _ROOM_MB) + max(0, self.request.limits.output_mb - _ROOM_MB))
        return self.request.limits.memory_mb + -(-extra // _STEP_MB) * _STEP_MB

    def _work(self, wait: bool) -> None:
        while batch := self._batch():
            try:
                slot = self.pool.acquire(self._memory_mb(batch), wait)
            except SandboxError as error:
                if self.pool.started == 0:
                    raise
                self._lost(batch, f"no slot: {error}", None)
                continue
            if slot is None:
                with self._lock:
                    self._todo.extendleft(reversed(batch))
                return
            died: tuple[str, bool] | None = None
            try:
                self._drive(slot, batch)
            except SlotDied as error:
                died = str(error), not error.silent and slot.link.died_of_memory()
            except BaseException:
                slot.doubtful = True
                raise
            finally:
                slot.doubtful = slot.doubtful or died is not None
                self.pool.release(slot)
            if died is not None:
                self._lost(batch, *died)

    def _drive(self, slot: Slot, batch: list[int]) -> None:
        """Run ``batch`` on ``slot``; takes out of ``batch`` what is done."""
        blobs = [self.request.program, *self.request.files.values(), *(self.inputs[index] for index in batch)]
        slot.expect(self.request.limits.output_mb)
        slot.send(self.request.head(), blobs)
        stopping = False
        while True:
            head, parts = slot.receive(self.request.limits.wall_seconds + _GRACE_SECONDS)
            if "end" in head:
                slot.uids_left = int(head["uids_left"])
                batch.clear()
                return
            try:
                raw = Raw.from_frame(head, parts)
            except (KeyError, ValueError, TypeError) as error:
                raise SlotDied(f"the slot sent no result: {error!r}") from error
            if raw.fault:
                raise SlotDied(raw.fault)
            index = batch.pop(0)
            if not self.on_result(index, raw):
                with self._lock:
                    self._cut = min(self._cut, index)
            if batch and batch[0] > self._cut and not stopping:
                stopping = True
                slot.send({"op": "stop"})

    def _lost(self, batch: list[int], why: str, of_memory: bool | None) -> None:
        """A slot died under ``batch[0]``: again on another, and after a second time find out whose fault it is.

        ``of_memory`` is None where there was no slot at all.
        """
        if not batch:
            return
        first = batch[0]
        self._deaths[first] += 1
        again = self._deaths[first] < 2
        with self._lock:
            if self._cut < 0:
                return
            self._todo.extendleft(reversed(batch if again else batch[1:]))
            if not again and of_memory is None:  # the others would wait for an engine in vain, one by one
                lost = [first, *self._todo]
                self._todo.clear()
            else:
                lost = [first]
        if again:
            return
        raw = self._blame(why, of_memory)
        for index in lost:
            if not self.on_result(index, raw):
                with self._lock:
                    self._cut = min(self._cut, index)

    def _blame(self, why: str, of_memory: bool | None) -> Raw:
        """Whether a fresh slot runs an honest program: if so it was the submission that ended two, else it is ours.

        Without this a submission that can kill its slot would be masked instead of losing.
        """
        if of_memory is None:
            return Raw(fault=why)
        if of_memory:
            return Raw(status=9, oom_kills=1, report=why)
        probe = Request("python", b"print(6*7)", Limits(2.0, 10.0, self.request.limits.memory_mb))
        try:
            with self.pool.lease(probe.limits.memory_mb) as fresh:
                fresh.send(probe.head(), [probe.program, b""])
                raw = Raw.from_frame(*fresh.receive(20.0))
                fresh.receive(20.0)
        except (SandboxError, KeyError, ValueError, TypeError) as error:
            return Raw(fault=f"{why}; a probe failed too: {error}")
        if raw.stdout != b"42\n":
            return Raw(fault=f"{why}; a probe went wrong too")
        return Raw(status=9, report=f"ended its slot twice, while a probe ran well: {why}")


def run_once(pool: Pool, request: Request, stdin: bytes = b"") -> Raw:
    """Run ``request`` on one input."""
    results: list[Raw] = []

    def take(_: int, raw: Raw) -> bool:
        results.append(raw)
        return True

    Execution(pool, request, [stdin], take).run()
    return results[0]
