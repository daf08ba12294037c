"""Symbolic work in killable processes: started by exec, bounded in memory, CPU and wall time, replaced when they hang.

A job is a length-prefixed JSON tree (never a string to be evaluated as Python). The wall clock of a job starts when its
worker says that it has begun, so neither a queue nor a cold start of sympy counts as grading time.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from fractions import Fraction
from typing import Any

from r1gym.verifiers.nodes import Node
from r1gym.verifiers.reasons import WorkerUnavailableError

__all__ = ["WALL_SECONDS", "ask", "shut_down", "tree"]

WALL_SECONDS = 60.0
"""Seconds of wall clock for one job: for starved machines alone, its 1.5 s of CPU (see ``worker``) end it before."""

MAX_JOBS = 500
"""Jobs after which a worker is replaced."""

MAX_MEGABYTES = 180
"""Resident size beyond which a worker is replaced after its job."""

_START_SECONDS = 120.0
_WORKERS = 2

_PROGRAM = "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from r1gym.verifiers.worker import main; main()"


def tree(node: Node) -> list[Any]:
    """``node`` as JSON values; numbers as text."""
    return [node.op, [_plain(part) for part in node.args]]


def _plain(part: object) -> Any:
    if isinstance(part, Node):
        return {"node": tree(part)}
    if isinstance(part, tuple):
        return {"list": [_plain(inner) for inner in part]}
    if isinstance(part, Fraction):
        return f"{part.numerator}/{part.denominator}"
    return part if part is None else str(part)


class _Worker:
    """One child process and the two pipes to it."""

    def __init__(self) -> None:
        # -c with the caller's own path, so that an uninstalled checkout is found too.
        command = [sys.executable, "-c", _PROGRAM, json.dumps(sys.path)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        self.jobs = 0
        assert self.process.stdin is not None and self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin.fileno(), self.process.stdout.fileno()
        if self._read(_START_SECONDS) != {"ready": True}:
            self.kill()
            raise WorkerUnavailableError("a symbolic worker did not start: is sympy installed?")

    def run(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """The reply to ``job``; None where the worker had gone before it began.

        A job that outlives its budget, or takes the worker down, is answered {"result": "over_budget"}.
        """
        data = json.dumps(job).encode()
        try:
            _write(self.stdin, struct.pack(">I", len(data)) + data)
        except OSError:
            self.kill()
            return None
        self.jobs += 1
        if self._read(_START_SECONDS) != {"begun": True}:
            self.kill()
            return None
        try:
            reply = self._read(WALL_SECONDS)
        except ValueError:
            reply = None  # half a message from a worker that was killed while it wrote
        if reply is None:
            self.kill()
            return {"result": "over_budget"}
        if self.jobs >= MAX_JOBS or reply.get("megabytes", 0) > MAX_MEGABYTES:
            self.kill()
        return reply

    def _read(self, seconds: float) -> dict[str, Any] | None:
        """One message; None where it does not come in time or the worker has gone."""
        deadline = time.monotonic() + seconds
        head = self._bytes(4, deadline)
        body = None if head is None else self._bytes(struct.unpack(">I", head)[0], deadline)
        if body is None:
            return None
        message: dict[str, Any] = json.loads(body)
        return message

    def _bytes(self, count: int, deadline: float) -> bytes | None:
        poller = select.poll()
        poller.register(self.stdout, select.POLLIN | select.POLLHUP)
        data = b""
        while len(data) < count:
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                return None
            chunk = os.read(self.stdout, count - len(data))
            if not chunk:
                return None
            data += chunk
        return data

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """End the process at once and reap it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def _write(pipe: int, data: bytes) -> None:
    while data:
        data = data[os.write(pipe, data) :]


class _Pool:
    """A few workers, each made when first needed and used by one thread at a time."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.free = threading.Semaphore(_WORKERS)
        self.lock = threading.Lock()
        self.idle: list[_Worker] = []

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        # No time limit on the queue: whoever holds a worker gives it back within its own limits, and an UNGRADABLE for
        # those who wait behind hanging answers would let completions mask each other.
        self.free.acquire()
        try:
            for fresh in (False, True):
                # The second worker is a new one: a used one may carry what the last answer did to it.
                worker = _Worker() if fresh else self._take()
                reply = worker.run(job)
                if worker.alive:
                    with self.lock:
                        self.idle.append(worker)
                if reply is not None:
                    return reply
            raise WorkerUnavailableError("a symbolic worker ended before it began its job, twice")
        except OSError as error:
            raise WorkerUnavailableError(f"a symbolic worker cannot be started: {error}") from error
        finally:
            self.free.release()

    def _take(self) -> _Worker:
        with self.lock:
            while self.idle:
                worker = self.idle.pop()
                if worker.alive:
                    return worker
                worker.kill()
        return _Worker()

    def close(self) -> None:
        with self.lock:
            while self.idle:
                self.idle.pop().kill()


_pool: _Pool | None = None
_pool_lock = threading.Lock()


def _current() -> _Pool:
    """This process's pool: a forked child makes its own, its parent's pipes are not its to use."""
    global _pool
    with _pool_lock:
        if _pool is None or _pool.owner != os.getpid():
            _pool = _Pool()
        return _pool


def _after_fork() -> None:
    """A lock that another thread held at the fork would stay held in the child for ever."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def ask(job: dict[str, Any]) -> str:
    """What a worker says of ``job``: "equal", "unequal", "undecided", "over_budget" or "refused".

    Raises:
        WorkerUnavailableError: No worker can be had.
    """
    return str(_current().ask(job)["result"])


@atexit.register
def shut_down() -> None:
    """End this process's workers; the next job starts new ones."""
    if _pool is not None and _pool.owner == os.getpid():
        _pool.close()
