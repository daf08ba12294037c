"""What a slot's cgroup counted, read from inside, version 1 or 2; and /proc where there is no cgroup."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["Meter", "others"]

_ROOT = Path("/sys/fs/cgroup")
_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


def others(known: set[int]) -> list[int]:
    """Process ids of this pid namespace that are not ``known``."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if pid not in known]


def _first(*paths: str) -> int | None:
    for path in paths:
        try:
            return os.open(_ROOT / path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue
    return None


def _field(text: bytes, name: bytes) -> int | None:
    for line in text.splitlines():
        key, _, value = line.partition(b" ")
        if key == name:
            return int(value)
    return None


class Meter:
    """Counters of this slot: memory in bytes, CPU in seconds, processes killed for memory."""

    def __init__(self) -> None:
        self._events = _first("memory/memory.oom_control", "memory.events")
        self._stat = _first("memory/memory.stat", "memory.stat")
        self._cpu_v1 = _first("cpuacct/cpuacct.usage", "cpu,cpuacct/cpuacct.usage")
        self._cpu_v2 = _first("cpu.stat")

    @property
    def counts_memory(self) -> bool:
        """Whether a cgroup counts memory and its out-of-memory kills."""
        return self._events is not None and self.oom_kills() is not None

    @property
    def counts_cpu(self) -> bool:
        """Whether a cgroup counts CPU time."""
        return self._cpu_v1 is not None or self._cpu_v2 is not None

    def oom_kills(self) -> int | None:
        """Processes of this slot that the kernel killed for memory; None without a cgroup that counts them."""
        return None if self._events is None else _field(os.pread(self._events, 4096, 0), b"oom_kill")

    def usage(self) -> int:
        """Bytes that processes and tmpfs hold now; 0 without a cgroup.

        Not the cgroup's whole usage: that counts cached files and directory entries, which a program that only reads
        (an import of numpy) would be charged with.
        """
        if self._stat is None:
            return 0
        text = os.pread(self._stat, 1 << 14, 0)
        anonymous = _field(text, b"rss") if b"\nrss " in text else _field(text, b"anon")
        return (anonymous or 0) + (_field(text, b"shmem") or 0)

    def cpu(self) -> float | None:
        """CPU seconds that this slot has used; None without a cgroup that counts them."""
        if self._cpu_v1 is not None:
            return int(os.pread(self._cpu_v1, 64, 0)) / 1e9
        if self._cpu_v2 is not None:
            microseconds = _field(os.pread(self._cpu_v2, 4096, 0), b"usage_usec")
            return None if microseconds is None else microseconds / 1e6
        return None

    @staticmethod
    def proportional(pids: list[int], resident: int) -> int:
        """Bytes of ``pids`` where a page that several share counts once; ``resident`` where that may not be read."""
        total = 0
        for pid in pids:
            try:
                found = re.search(rb"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_bytes(), re.MULTILINE)
                total += int(found[1]) * 1024 if found else 0
            except (ProcessLookupError, FileNotFoundError):
                continue
            except OSError:
                return resident
        return total

    @staticmethod
    def walk(pids: list[int], server: int) -> tuple[float, int]:
        """CPU seconds and resident bytes of ``pids`` by /proc: the watchdog where no cgroup counts.

        Each is counted beyond what it shares with the fork ``server`` that it came from.
        """
        cpu, resident, shared = 0.0, 0, 0
        for pid in (server, *pids):
            try:
                fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            pages = int(fields[21]) * _PAGE
            if pid == server:
                shared = pages
                continue
            cpu += (int(fields[11]) + int(fields[12])) / _TICK
            resident += max(0, pages - shared)
        return cpu, resident
