"""A started interpreter that forks one submission at a time; it never sees inputs of another test.

The worker sends a small JSON message with the descriptors of one run; the server forks, the child gives up every
privilege and becomes the submission: by ``execve`` or, without one, in this very interpreter (1–2 ms instead of 10).
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import os
import resource
import signal
import socket
import time
from typing import Any, NoReturn

from r1gym.sandbox.guest import nesting, seccomp

__all__ = ["PRELOADED", "serve"]

PRELOADED = (
    *("bisect", "builtins", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "io"),
    *("itertools", "json", "linecache", "math", "operator", "random", "re", "string", "sys", "threading", "time"),
    *("traceback", "types", "typing"),
)
"""What most contest programs import, loaded once."""

_FILTER = seccomp.program(os.uname().machine)
_BOX = "/w/box"
_STATUS_FD = 5
_LAST_FD = 1024


def _become(message: dict[str, Any], fds: list[int], status_fd: int) -> None:
    """Turn this fresh child into the submission's process: descriptors, limits, uid, filter."""
    os.setsid()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 64) for fd in [*fds, status_fd]]
    passed = 0
    for target, fd in enumerate(high[:3]):
        os.dup2(fd, target)
    for passed, fd in enumerate(
        high[4:-1], 1
    ):  # the program's own descriptor stays out, a function's two go to 3 and 4
        os.dup2(fd, 2 + passed)
    os.closerange(3 + passed, _STATUS_FD)
    os.dup2(high[-1], _STATUS_FD, inheritable=False)
    os.closerange(_STATUS_FD + 1, _LAST_FD)
    os.umask(0o022)
    os.nice(message["nice"])
    os.chdir(_BOX)
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")
    limits: dict[str, int] = message["limits"]
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]  # what the machine allows; only a privileged process could raise it
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    if message["nested"]:
        nesting.drop_capabilities()
    else:
        uid: int = message["uid"]
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    seccomp.install(_FILTER)


def _exec(argv: list[str], environment: dict[str, str]) -> NoReturn:
    for name in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and ignored signals outlive an exec
        signal.signal(name, signal.SIG_DFL)
    os.execve(argv[0], argv, environment)


def _child(message: dict[str, Any], fds: list[int], status_fd: int) -> NoReturn:
    program = b""
    try:
        if message["kind"] != "exec":
            program = os.pread(fds[3], os.fstat(fds[3]).st_size, 0)
        if message["nested"]:
            nesting.enter([*fds, status_fd])
        _become(message, fds, status_fd)
        if message["kind"] == "exec":
            _exec(message["argv"], message["environment"])
    except BaseException as error:  # a child that failed to become the submission must never fall back into the server
        with contextlib.suppress(OSError):
            text = f"setup: {type(error).__name__}: {error}".encode()[:500]
            os.write(status_fd if os.path.exists(f"/proc/self/fd/{status_fd}") else _STATUS_FD, text)
        os._exit(125)
    from r1gym.sandbox.guest import programs

    programs.run(message["kind"], program, _STATUS_FD)


def _serve_one(channel: socket.socket, message: dict[str, Any], fds: list[int]) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        _child(message, fds, writer)
    started = time.monotonic()
    os.close(writer)
    for fd in fds:
        os.close(fd)
    try:
        channel.send(json.dumps({"pid": pid}).encode())
        report = b""
        while chunk := os.read(reader, 1000):
            report += chunk
    finally:
        os.close(reader)
    _, status, usage = os.wait4(pid, 0)
    done = {
        "status": status,
        "cpu": usage.ru_utime + usage.ru_stime,
        "wall": time.monotonic() - started,
        "peak_kb": usage.ru_maxrss,
        "floor_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "report": report.decode(errors="replace"),
    }
    channel.send(json.dumps(done).encode())


def serve(channel: socket.socket) -> None:
    """Fork what the worker asks for until it hangs up."""
    for name in (*PRELOADED, "r1gym.sandbox.guest.programs"):
        __import__(name)
    gc.collect()
    gc.freeze()
    while True:
        data, fds, _, _ = socket.recv_fds(channel, 1 << 16, 8)
        if not data:
            return
        _serve_one(channel, json.loads(data), fds)
