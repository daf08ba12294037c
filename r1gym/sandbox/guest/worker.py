"""Process 1 of a slot: takes requests of the judge, runs each test through the fork server, reports raw outcomes.

It knows inputs and limits, never an expected output, and gives no verdict. It ends when the judge hangs up.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from r1gym.sandbox.guest.frames import FrameBuffer, parts
from r1gym.sandbox.guest.meter import Meter, others
from r1gym.sandbox.guest.running import Box, Run

__all__ = ["Worker", "main"]

_FIRST_UID, _LAST_UID = 20_000, 60_000
_PROGRAM = Path("/w/program")
_JOINED = 1 << 20
_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/w/box",
    "TMPDIR": "/tmp",
    "LANG": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONIOENCODING": "utf-8:surrogateescape",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}


class HungUp(Exception):
    """The judge closed its end."""


class Worker:
    """The loop of one slot. ``python`` is the interpreter that the fork server is, ``bundle`` its source."""

    def __init__(self, python: str, bundle: bytes) -> None:
        self.python = python
        self.bundle = bundle
        self.buffer = FrameBuffer()
        self.meter = Meter()
        self.box = Box()
        self.uid = _FIRST_UID
        self.server: subprocess.Popen[bytes] | None = None
        self.channel: socket.socket | None = None
        self.session: Run | None = None
        self.nested = _single_uid()

    def start_server(self) -> None:
        """Start a fresh fork server: a new interpreter, so that its memory holds nothing of any submission."""
        if self.channel is not None:
            self.channel.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        loader = "import sys;exec(compile(sys.stdin.buffer.read(),'bundle','exec'))"
        self.server = subprocess.Popen(
            [self.python, "-s", "-c", loader, "forkserver", str(theirs.fileno())],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=2,
            env=_ENVIRONMENT, pass_fds=[theirs.fileno()], cwd="/",
        )  # fmt: skip
        assert self.server.stdin is not None
        self.server.stdin.write(self.bundle)
        self.server.stdin.close()
        theirs.close()
        self.channel = ours

    def sweep(self) -> bool:
        """Leave no process and no file of the last test; False if a process was left and had to be killed."""
        assert self.server is not None
        served = True
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitpid(-1, os.WNOHANG)[0]:
                served = served and ended != self.server.pid
        quick = served and not others({1, self.server.pid})
        if not quick:
            os.kill(-1, signal.SIGKILL)  # all but process 1, the fork server too: no descendant can outrun this
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.waitpid(-1, 0)
            self.server.returncode = -9
            self.start_server()
        self.box.wipe()
        return quick

    def next_uid(self) -> int:
        """A uid that no test of this slot has had."""
        self.uid += 1
        return self.uid

    def reply(self, head: dict[str, Any], *blobs: bytes | bytearray) -> None:
        """Send one frame to the judge, without a second copy of a large output."""
        pieces = parts(head, blobs)
        for piece in pieces if sum(map(len, blobs)) > _JOINED else [b"".join(pieces)]:
            data = memoryview(piece)
            while data:
                data = data[os.write(1, data) :]

    def poll(self) -> None:
        """Read what the judge sent meanwhile. Raises HungUp where it closed its end."""
        while select.select([0], [], [], 0)[0]:
            data = os.read(0, 1 << 16)
            if not data:
                raise HungUp
            self.buffer.feed(data)

    def wants_stop(self) -> bool:
        """Whether the judge asked to leave out the tests that follow."""
        self.poll()
        frame = self.buffer.next()
        return frame is not None and frame[0]["op"] == "stop"

    def run(self, head: dict[str, Any], blobs: list[bytes]) -> None:
        """Run one program on each of its inputs, one frame a test, then the closing frame."""
        names: list[str] = head["files"]
        program, rest = blobs[0], blobs[1:]
        _PROGRAM.mkdir(mode=0o755)
        for name, content in zip(names, rest, strict=False):
            _place(_PROGRAM / name, content)
        argv = head.get("argv")
        if argv and argv[0] == "python3":
            argv[0] = self.python
        if head["kind"] == "exec" and program:
            _place(_PROGRAM / head["name"], program)
        for number, test in enumerate(rest[len(names) :]):
            if number and self.wants_stop():
                break
            self.one(head, program, argv, number, test)
        self.box.remove(_PROGRAM)
        self.reply({"end": True, "uids_left": _LAST_UID - self.uid})

    def one(self, head: dict[str, Any], program: bytes, argv: list[str] | None, number: int, test: bytes) -> None:
        """Run one test and report it."""
        run = Run(self, head, program, argv, _ENVIRONMENT, test)
        outcome = run.to_the_end()
        artifact = _collect(Path("/w/box") / head["collect"]) if head.get("collect") else b""
        outcome["quick"] = self.sweep()
        self.reply({"test": number, **outcome}, run.stdout.data, run.stderr.data, run.answer, artifact)

    def cell(self, head: dict[str, Any], blobs: list[bytes]) -> None:
        """Run one cell of the session, starting it with the first; a session ends with its process."""
        if self.session is None:
            self.session = Run(self, {**head, "kind": "session"}, b"", None, _ENVIRONMENT, b"")
        outcome = self.session.one_cell(head, blobs[0])
        printed = bytes(self.session.stdout.data), bytes(self.session.stderr.data)
        if outcome["ended"]:
            self.session = None
            self.sweep()
        self.reply({"cell": True, **outcome}, *printed)

    def loop(self) -> None:
        """Serve until the judge hangs up."""
        while True:
            frame = self.buffer.next()
            if frame is None:
                data = os.read(0, 1 << 20)
                if not data:
                    return
                self.buffer.feed(data)
                continue
            head, blobs = frame
            if head["op"] == "run":
                self.run(head, blobs)
            elif head["op"] == "cell":
                self.cell(head, blobs)
            elif head["op"] == "hello":
                self.reply(self.facts())

    def facts(self) -> dict[str, Any]:
        """What this slot is, for the judge's decision whether to trust it."""
        return {
            "pid": os.getpid(),
            "uid": os.getuid(),
            "python": sys.version.split()[0],
            "machine": os.uname().machine,
            "counts_memory": self.meter.counts_memory,
            "counts_cpu": self.meter.counts_cpu,
        }


def _single_uid() -> bool:
    """Whether this user namespace has one uid only, so that no test can get one of its own."""
    return sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines()) == 1


def _place(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o755)
    with open(fd, "wb") as file:
        file.write(content)


def _collect(path: Path, limit: int = 64 << 20) -> bytes:
    """A file that the program made, if it is a plain file of a sane size."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return b""
    with open(fd, "rb") as file:
        facts = os.fstat(fd)
        return file.read() if stat.S_ISREG(facts.st_mode) and facts.st_size <= limit else b""


def main(bundle: bytes) -> None:
    """Be process 1 of a slot."""
    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (hard, hard))  # read at exec: where the heap of the fork server ends
    worker = Worker(sys.executable, bundle)
    worker.box.prepare()
    worker.start_server()
    with contextlib.suppress(HungUp, BrokenPipeError):
        worker.loop()
    os.kill(-1, signal.SIGKILL)
