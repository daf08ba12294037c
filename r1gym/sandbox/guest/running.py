"""One run of one program: its descriptors, the watch over it, and the box that it may write to."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import select
import signal
import socket
import time
from pathlib import Path
from typing import Any

from r1gym.sandbox.guest.frames import FrameBuffer, encode
from r1gym.sandbox.guest.meter import Meter, others

__all__ = ["Box", "Run"]

_TICK = 0.02
_MEMORY_SLACK = 16 << 20  # what a count of the whole slot may be off by; a single process is counted exactly
_STDERR_KEPT = 1 << 16
_FLOOR_SLACK = 2 << 20
_ANSWER_LIMIT = 1 << 25


class Box:
    """The places that a submission may write to, emptied after every test."""

    places = (Path("/w/box"), Path("/tmp"), Path("/dev/shm"))
    trash = Path("/w/trash")

    def prepare(self) -> None:
        """Make the box, and keep the rest of /w to ourselves."""
        os.umask(0)
        Path("/w").chmod(0o755)
        self.places[0].mkdir(mode=0o777)
        self.trash.mkdir(mode=0o700)
        os.umask(0o022)

    def wipe(self) -> None:
        """Empty every place, whatever was left there."""
        for place in self.places:
            for name in os.listdir(os.fsencode(place)):
                self.remove(os.path.join(os.fsencode(place), name))

    def remove(self, path: Path | bytes) -> None:
        """Remove a file or a tree of any depth: nested folders are moved up first, so no path grows with the depth."""
        queue, number = [os.fsencode(path)], 0
        while queue:
            path = queue.pop()
            try:
                os.unlink(path)
                continue
            except (IsADirectoryError, PermissionError):
                os.chmod(path, 0o700) if os.stat(path, follow_symlinks=False).st_uid == 0 else None
            for entry in os.listdir(path):
                inner = os.path.join(path, entry)
                if os.path.isdir(inner) and not os.path.islink(inner):
                    number += 1
                    moved = os.fsencode(self.trash / str(number))
                    os.rename(inner, moved)
                    queue.append(moved)
                else:
                    os.unlink(inner)
            os.rmdir(path)


class _Capped:
    """What came through a pipe, up to ``keep`` bytes; all of it is counted."""

    def __init__(self, keep: int) -> None:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.reader, False)
        os.fchmod(self.writer, 0o666)  # open("/dev/stdout") asks the inode, which is ours
        self.keep = keep
        self.data = bytearray()
        self.total = 0

    def drain(self, rounds: int = 1) -> None:
        """Take what is there; closes at the end of the stream."""
        for _ in range(rounds):
            if self.reader < 0:
                return
            try:
                chunk = os.read(self.reader, 1 << 18)
            except BlockingIOError:
                return
            if not chunk:
                self.close()
                return
            self.total += len(chunk)
            if len(self.data) < self.keep:
                self.data += chunk[: self.keep - len(self.data)]

    def close(self) -> None:
        """Close our end."""
        if self.reader >= 0:
            os.close(self.reader)
            self.reader = -1


def _sealed(content: bytes) -> int:
    """A descriptor on ``content`` that nobody can change: a stdin that needs no feeding and cannot block."""
    fd = os.memfd_create("stdin", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Run:
    """One process tree from fork to the last byte. The cause of an end is what the watch itself did or counted."""

    def __init__(
        self, worker: Any, head: dict[str, Any], program: bytes, argv: Any, environment: Any, test: bytes
    ) -> None:
        self.worker = worker
        self.meter: Meter = worker.meter
        self.limits: dict[str, Any] = head["limits"]
        kind: str = head["kind"]
        self.stdout = _Capped(int(self.limits["output_bytes"]))
        self.stderr = _Capped(_STDERR_KEPT)
        self.answered = _Capped(_ANSWER_LIMIT) if kind in ("call", "session") else None
        self.requests = -1
        self.cause = ""
        self.done: dict[str, Any] | None = None
        self.pid = 0
        self.peak = 0
        self.executed = kind == "exec"
        self._start(kind, program, argv, environment, test)

    @property
    def answer(self) -> bytes:
        """What a function problem wrote on its own descriptor."""
        return bytes(self.answered.data) if self.answered else b""

    def _start(self, kind: str, program: bytes, argv: Any, environment: Any, test: bytes) -> None:
        own = [_sealed(b"" if kind in ("call", "session") else test), self.stdout.writer, self.stderr.writer]
        if kind != "exec":
            own.append(_sealed(program))
        if kind == "call" and self.answered:
            own += [_sealed(test), self.answered.writer]
        elif self.answered:
            reader, self.requests = os.pipe2(os.O_CLOEXEC)
            own += [reader, self.answered.writer]
        message = {"kind": kind, "argv": argv, "environment": environment, "uid": self.worker.next_uid()}
        message["nested"] = self.worker.nested
        # Within the slot's own share of the CPU the watch comes first; outside a cgroup it would cost the program.
        message["nice"] = 5 if self.meter.counts_cpu else 0
        message["limits"] = self._rlimits()
        self.base_kills = self.meter.oom_kills() or 0
        self.base_usage = self.meter.usage()  # with the inputs in it, which are not the program's
        self._start_cpu()
        channel: socket.socket = self.worker.channel
        socket.send_fds(channel, [json.dumps(message).encode()], own)
        for fd in own:
            os.close(fd)
        self.started = time.monotonic()
        self._hear()

    def _start_cpu(self) -> None:
        self.base_cpu, self.own_cpu = self.meter.cpu(), time.process_time()

    def _rlimits(self) -> dict[str, int]:
        memory = int(self.limits["memory_bytes"])
        values = {
            "RLIMIT_CPU": math.ceil(self.limits["cpu_seconds"]) + 1,
            "RLIMIT_FSIZE": 64 << 20,
            "RLIMIT_NOFILE": 64,
            "RLIMIT_NPROC": int(self.limits["processes"]),
            "RLIMIT_STACK": memory + (64 << 20),  # a runaway recursion shows as memory, not as a crash
            "RLIMIT_CORE": 0,
            "RLIMIT_MSGQUEUE": 0,
        }
        if not self.meter.counts_memory:
            # Bounds what the watch can miss between two looks; the C library reserves a whole stack for each thread.
            values["RLIMIT_DATA"] = memory + (1 << 30) + values["RLIMIT_NPROC"] * values["RLIMIT_STACK"]
        return values

    def _hear(self) -> None:
        data = self.worker.channel.recv(1 << 16)
        if not data:  # the fork server is gone: whoever ended it, this run has no trustworthy end
            self.done = {"status": -1, "cpu": 0.0, "wall": 0.0, "peak_kb": 0, "floor_kb": 0}
            self.done["report"] = "setup: fork server is gone"
            return
        message = json.loads(data)
        if "pid" in message:
            self.pid = message["pid"]
        else:
            self.done = message

    def _kill(self, cause: str) -> None:
        if not self.cause:
            self.cause = cause
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _used_cpu(self) -> float:
        now = self.meter.cpu()
        if now is None or self.base_cpu is None:
            return self.meter.walk(self._pids(), self.worker.server.pid)[0]
        return now - self.base_cpu - (time.process_time() - self.own_cpu)  # the worker's share is in the count

    def _pids(self) -> list[int]:
        return others({1, self.worker.server.pid})

    def _flooded(self) -> bool:
        return self.stdout.total > self.stdout.keep or self.stderr.total > self.stdout.keep + _STDERR_KEPT

    def _watch(self) -> float:
        """Compare with the limits; seconds until the next look."""
        wall = time.monotonic() - self.started
        if self._flooded():
            self._kill("output")
        if wall > self.limits["wall_seconds"]:
            self._kill("wall")
        used = self._used_cpu()
        if used > self.limits["cpu_seconds"]:
            self._kill("cpu")
        if self.meter.counts_memory:  # our own copy of the output is in the same cgroup
            captured = sum(len(pipe.data) for pipe in (self.stdout, self.stderr, self.answered) if pipe)
            usage = self.meter.usage() - self.base_usage - 2 * captured
        else:
            usage = self.meter.walk(self._pids(), self.worker.server.pid)[1]
            if usage > self.limits["memory_bytes"]:
                usage = self.meter.proportional(self._pids(), usage)
        self.peak = max(self.peak, usage)
        if usage > self.limits["memory_bytes"] + (_MEMORY_SLACK if self.meter.counts_memory else 0):
            self._kill("memory")
        left: float = min(self.limits["wall_seconds"] - wall, self.limits["cpu_seconds"] - used)
        return max(0.001, min(left, _TICK if wall > _TICK else _TICK / 4))

    def _wait(self, timeout: float) -> None:
        """Let bytes and news come in for at most ``timeout`` seconds."""
        pipes = {pipe.reader: pipe for pipe in (self.stdout, self.stderr, self.answered) if pipe and pipe.reader >= 0}
        channel = self.worker.channel.fileno()
        ready = select.select([channel, 0, *pipes], [], [], timeout)[0]
        for fd in ready:
            if fd in pipes:
                pipes[fd].drain()
        if channel in ready:
            self._hear()
        if 0 in ready:
            self.worker.poll()

    def to_the_end(self) -> dict[str, Any]:
        """Wait for the process, whoever still holds its pipes; the raw outcome."""
        timeout = _TICK / 4
        while self.done is None:
            self._wait(timeout)
            timeout = self._watch() if self.done is None else 0
        return self._outcome()

    def _outcome(self) -> dict[str, Any]:
        assert self.done is not None
        for pipe in (self.stdout, self.stderr, self.answered):
            if pipe is not None:
                pipe.drain(rounds=1 << 12)  # bounded: a descendant may still be writing
                pipe.close()
        if self.requests >= 0:
            os.close(self.requests)
        if not self.cause and self._flooded():
            self.cause = "output"
        kills = (self.meter.oom_kills() or 0) - self.base_kills
        resident = self.done["peak_kb"] * 1024
        peak = max(self.peak, resident)
        if self.executed and resident <= self.done["floor_kb"] * 1024 + _FLOOR_SLACK:
            resident = 0  # an exec keeps the high-water mark of the interpreter before it: nothing is known
        return {
            "status": self.done["status"],
            "report": self.done["report"],
            "cause": self.cause,
            "oom_kills": kills,
            "cpu": self.done["cpu"],
            "wall": self.done["wall"],
            "peak_bytes": peak,
            "rss_bytes": resident,
        }

    def one_cell(self, head: dict[str, Any], source: bytes) -> dict[str, Any]:
        """Send one cell to the session and wait for its answer or its end."""
        assert self.answered is not None
        self.limits, self.started = head["limits"], time.monotonic()
        self._start_cpu()
        for pipe in (self.stdout, self.stderr, self.answered):
            pipe.data.clear()
            pipe.total = 0
        self.stdout.keep = int(self.limits["output_bytes"])
        request = memoryview(encode({"nonce": head["nonce"]}, [source]))
        with contextlib.suppress(BrokenPipeError):
            while request:
                request = request[os.write(self.requests, request) :]
        buffer, seen, timeout = FrameBuffer(1 << 16), 0, _TICK / 4
        while self.done is None:
            self._wait(timeout)
            buffer.feed(bytes(self.answered.data[seen:]))
            seen = len(self.answered.data)
            with contextlib.suppress(ValueError, KeyError, TypeError):
                frame = buffer.next()
                if frame is not None and frame[0]["nonce"] == head["nonce"]:
                    self.stdout.drain(1 << 12)
                    used = time.monotonic() - self.started
                    state = str(frame[0]["state"])[:20]
                    if state != "exit":
                        return {"ended": False, "state": state, "cause": "", "wall": used, "cpu": self._used_cpu()}
            timeout = self._watch() if self.done is None else 0
        return {"ended": True, "state": "ended", **self._outcome()}
