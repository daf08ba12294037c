"""The local backend: a slot is a jail of raw namespaces, for machines without an engine."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from r1gym.errors import SandboxError, SandboxUnavailableError
from r1gym.sandbox import toolchain
from r1gym.sandbox.cgroups import Cgroup, find_parents, remove_stale
from r1gym.sandbox.guest import bundle, seccomp
from r1gym.sandbox.records import Protection

__all__ = ["LocalBackend", "LocalLink"]

_SLOTS = itertools.count()
_TMPFS_MB, _INODES = 64, 4096
_JAIL = Path(__file__).with_name("jail.py").read_text(encoding="utf-8")


_SYSTEM_PYTHON = "/usr/bin/python3"


@functools.cache
def _python() -> tuple[str, list[str]]:
    """The interpreter of the jail (3.10 or newer), and what must be bound besides /usr to run it."""
    check = [_SYSTEM_PYTHON, "-I", "-S", "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]
    if Path(_SYSTEM_PYTHON).exists() and subprocess.run(check, timeout=20).returncode == 0:
        return _SYSTEM_PYTHON, []
    base = Path(sys.base_prefix).resolve()
    python = next((base / "bin").glob("python3*"), Path(sys.executable)).resolve()
    return str(python), [] if base.is_relative_to("/usr") else [str(base)]


class LocalLink:
    """The pipes of one jail. Closing them is enough: the worker ends at the end of its input, the keeper after it."""

    def __init__(self, process: subprocess.Popen[bytes], cgroup: Cgroup, words: int) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._cgroup = cgroup
        self._words = words
        self.read_fd = process.stdout.fileno()
        self.write_fd = process.stdin.fileno()
        os.set_blocking(self.read_fd, False)
        os.set_blocking(self.write_fd, False)

    def unwrap(self, data: bytes) -> bytes:
        """The bytes as they are."""
        return data

    def resize(self, memory_mb: int) -> None:
        """Set the submission's memory limit."""
        try:
            self._cgroup.resize(memory_mb)
        except OSError as error:
            raise SandboxError(f"cannot set the slot's memory limit to {memory_mb} MB: {error}") from error

    def died_of_memory(self) -> bool:
        """Whether the dead slot's cgroup counted the end of process 1."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        return self._process.returncode == 247 and bool(re.search(r"oom_kill [1-9]", self._all_words()))

    def _all_words(self) -> str:
        return os.pread(self._words, 1 << 20, 0).decode(errors="replace") if self._words >= 0 else ""

    def last_words(self) -> str:
        """The end of what jail and worker wrote on stderr."""
        return self._all_words()[-500:].strip()

    def hang_up(self) -> None:
        """End the keeper: its children are told to die with it."""
        self._process.kill()

    def close(self) -> None:
        """End it: by the end of its input, by force where that does not help."""
        self.read_fd = self.write_fd = -1
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(3)
        except subprocess.TimeoutExpired:
            self.hang_up()
            self._process.wait()
        self._cgroup.remove()
        if self._words >= 0:
            os.close(self._words)
            self._words = -1


class LocalBackend:
    """Jails on this machine. As root each test gets a uid of its own, else namespaces of its own within the jail.

    Raises SandboxUnavailableError.
    """

    name = "local"

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise SandboxUnavailableError("the local sandbox needs Linux: use Docker")
        self._parents = find_parents()
        self._ranged = os.geteuid() == 0
        remove_stale(self._parents)

    def start(self, memory_mb: int) -> LocalLink:
        """A fresh jail."""
        problem = self.problem()
        if problem:
            raise SandboxUnavailableError(f"the local sandbox cannot run here: {problem}")
        python, binds = _python()
        headers = toolchain.local_binds()
        number = next(_SLOTS)
        try:
            cgroup = Cgroup.create(self._parents, memory_mb)
        except OSError as error:
            raise SandboxUnavailableError(f"no cgroup could be made for a slot: {error}") from error
        config = {
            "python": python,
            "bootstrap": bundle.BOOTSTRAP,
            "cgroups": {name: str(path) for name, path in cgroup.folders.items()},
            "binds": [(path, path) for path in binds] + [(str(p), toolchain.HEADER_FOLDER) for p in headers],
            "keep_usr_local": any(path.startswith("/usr/local") for path in (python, *binds)),
            "first_uid": 1_000_000 + (os.getpid() % 300 * 100 + number % 100) * 65_536 if self._ranged else None,
            "tmpfs_mb": _TMPFS_MB,
            "inodes": _INODES,
        }
        words = os.memfd_create("last-words", os.MFD_CLOEXEC)  # a file would stay behind where we are killed
        try:
            process = subprocess.Popen(
                [python, "-I", "-S", "-c", _JAIL, json.dumps(config)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words,
                start_new_session=True, bufsize=0, cwd="/",
            )  # fmt: skip
        except BaseException:
            os.close(words)
            cgroup.remove()
            raise
        assert process.stdin is not None
        source = bundle.build()
        with contextlib.suppress(BrokenPipeError):  # a jail that failed says so on stderr, and greet() reports it
            process.stdin.write(len(source).to_bytes(4, "big"))
            view = memoryview(source)
            while view:
                view = view[process.stdin.write(view) or 0 :]
        return LocalLink(process, cgroup, words)

    def problem(self) -> str:
        """Why it cannot run here at all, "" where it can."""
        if os.uname().machine not in seccomp.ARCHITECTURES:
            return f"no system call filter is known for {os.uname().machine}"
        return _namespaces()

    def protections(self) -> tuple[Protection, ...]:
        """What a jail keeps away here."""
        problem = self.problem()
        memory = "memory" in self._parents or "unified" in self._parents
        pids = "pids" in self._parents or "unified" in self._parents
        cpu = "cpu" in self._parents or "unified" in self._parents
        fine = not problem
        counted = "cgroup" if memory else "no cgroup is writable: RSS watchdog every 20 ms, and RLIMIT_DATA"
        own = "a fresh uid a test" if self._ranged else "and again for each test, as only one uid can be mapped here"
        return (
            Protection("network", fine, problem or "own network namespace, sockets denied by filter"),
            Protection("files", fine, problem or "read-only root of /usr and five devices; box of tmpfs"),
            Protection("processes of others", fine, problem or f"own pid, IPC and user namespaces; {own}"),
            Protection("privileges", fine, problem or "unprivileged root, no_new_privs, no capabilities, seccomp"),
            Protection("number of processes", fine, "cgroup and RLIMIT_NPROC" if pids else "RLIMIT_NPROC"),
            Protection("memory", memory and fine, counted, required=False),
            Protection("CPU share", cpu and fine, "cgroup" if cpu else "CPU seconds only", required=False),
            Protection("separate kernel", False, "the host's kernel is the boundary", required=False),
        )

    def toolchain(self) -> str:
        """The machine's own g++."""
        return toolchain.local_identity()

    def close(self) -> None:
        """Nothing is held beside the slots."""


@functools.cache
def _namespaces() -> str:
    """Why namespaces cannot be made here, "" where they can; tried once."""
    command = ["unshare", "--user", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "true"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except OSError as error:
        return f"cannot try namespaces: {error} (apt-get install util-linux)"
    hint = "allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0), or use Docker"
    return "" if done.returncode == 0 else f"{done.stderr.strip()}: {hint}"
