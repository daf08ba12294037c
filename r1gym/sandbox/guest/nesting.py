"""Namespaces for one test, where its user namespace has no uid to spare: it can see, signal and write nothing of ours.

The chain is *relay* (in the slot's pid namespace, ends as the submission ended), *init* (process 1 of the test's own
pid namespace, reaps) and the submission. Killing the relay ends init, and init's end kills every descendant.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from typing import NoReturn

__all__ = ["drop_capabilities", "enter"]

_LIBC = ctypes.CDLL(None, use_errno=True)
_FLAGS = 0x10000000 | 0x20000000 | 0x00020000 | 0x08000000  # CLONE_NEWUSER, NEWPID, NEWNS, NEWIPC
_BIND, _REMOUNT, _RDONLY, _REC, _PRIVATE, _QUIET = 4096, 32, 1, 16384, 1 << 18, 2 | 4 | 8  # nosuid, nodev, noexec
_PDEATHSIG, _DUMPABLE = 1, 4
_UID = 1000


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _private_view() -> None:
    """A /proc of the test's own processes, and /w read-only but for the box."""
    _check(_LIBC.mount(b"none", b"/", None, _REC | _PRIVATE, None), "private mounts")
    _check(_LIBC.mount(b"proc", b"/proc", b"proc", _QUIET, None), "mount of /proc")
    _check(_LIBC.mount(b"/w", b"/w", None, _BIND | _REC, None), "bind of /w")
    _check(_LIBC.mount(b"/w/box", b"/w/box", None, _BIND, None), "bind of the box")
    _check(_LIBC.mount(b"none", b"/w", None, _BIND | _REMOUNT | _RDONLY | 2 | 4, None), "read-only /w")


def _relay(init: int, reader: int) -> NoReturn:
    """Wait for init, then end as the submission ended: the same status, and all its CPU time waited for."""
    status = os.read(reader, 4)
    os.waitpid(init, 0)
    if len(status) < 4:
        os._exit(125)
    code = os.waitstatus_to_exitcode(int.from_bytes(status, "big"))
    if code < 0:
        with contextlib.suppress(OSError):  # SIGKILL has no handler to reset
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)


def _init(submission: int, writer: int) -> NoReturn:
    """Reap until the submission ends, and report how; ending kills whatever it left."""
    while True:
        pid, status = os.wait()
        if pid == submission:
            os.write(writer, status.to_bytes(4, "big"))
            os._exit(0)


def enter(fds: list[int]) -> None:
    """Become the submission's process in fresh namespaces; ``fds`` are what only it may keep. Raises OSError."""
    _LIBC.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _check(_LIBC.unshare(_FLAGS), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{_UID} 0 1")
    Path("/proc/self/gid_map").write_text(f"{_UID} 0 1")
    reader, writer = os.pipe()
    init = os.fork()
    if init:
        for fd in (*fds, writer):
            os.close(fd)
        _relay(init, reader)
    os.close(reader)
    _LIBC.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _private_view()
    submission = os.fork()
    if submission:
        _LIBC.prctl(_DUMPABLE, 0, 0, 0, 0)  # nobody may look into or trace it
        for fd in fds:
            os.close(fd)
        _init(submission, writer)
    os.close(writer)


def drop_capabilities() -> None:
    """Give up every capability that the new user namespace came with. Raises OSError."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _check(_LIBC.capset(header, (ctypes.c_uint32 * 6)()), "capset")
