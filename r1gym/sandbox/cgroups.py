"""Control groups for the local backend: find where one can be made, make one a slot, version 1 or 2."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from dataclasses import dataclass
from pathlib import Path

from r1gym.sandbox.protocol import OVERHEAD_MB

__all__ = ["Cgroup", "find_parents", "remove_stale"]

_PREFIX = "r1gym-"
_NUMBERS = itertools.count()
_PROCESSES = 256


def _own_paths() -> dict[str, str]:
    """Controller to this process's own path, "" for version 2."""
    paths: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            paths[name] = path
    return paths


def _writable(folder: Path) -> bool:
    probe = folder / f"{_PREFIX}{os.getpid()}-probe"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True


def _delegated(folder: Path) -> bool:
    """Whether version 2 children of ``folder`` get the controllers; turns them on where that is allowed."""
    wanted = {"memory", "pids", "cpu"}
    control = folder / "cgroup.subtree_control"
    try:
        missing = wanted - set(control.read_text().split())
        if missing:
            control.write_text(" ".join(f"+{name}" for name in sorted(missing)))
        return not wanted - set(control.read_text().split())
    except OSError:
        return False


def find_parents(root: Path = Path("/sys/fs/cgroup")) -> dict[str, Path]:
    """Controller to the folder in which this process may make a cgroup; "unified" for all of version 2."""
    own = _own_paths()
    parents: dict[str, Path] = {}
    for name in ("memory", "pids", "cpuacct", "cpu"):
        for folder in (root / name / own.get(name, "").lstrip("/"), root / name):
            if (folder / "cgroup.procs").exists() and _writable(folder):
                parents[name] = folder
                break
    if "memory" not in parents and "" in own:
        start = root / own[""].lstrip("/")
        for folder in (
            start,
            start.parent,
        ):  # a folder with processes in it may not have such children: its sibling may
            if root in (folder, *folder.parents) and _delegated(folder) and _writable(folder):
                return {"unified": folder}
    return parents


def remove_stale(parents: dict[str, Path]) -> int:
    """Remove cgroups whose owner died without removing them; how many."""
    removed = 0
    for parent in parents.values():
        for folder in parent.glob(f"{_PREFIX}*"):
            owner = folder.name.removeprefix(_PREFIX).split("-")[0]
            if owner.isdigit() and not Path("/proc", owner).exists():
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    removed += 1
    return removed


@dataclass(frozen=True, slots=True)
class Cgroup:
    """The folders of one slot, by controller."""

    folders: dict[str, Path]

    @classmethod
    def create(cls, parents: dict[str, Path], memory_mb: int) -> Cgroup:
        """Make the folders and set their limits. Raises OSError."""
        name = f"{_PREFIX}{os.getpid()}-{next(_NUMBERS)}"
        made = cls({controller: parent / name for controller, parent in parents.items()})
        for folder in made.folders.values():
            folder.mkdir(exist_ok=True)  # two controllers may share one hierarchy
        made.write("pids", "pids.max", "pids.max", str(_PROCESSES))
        if "cpu" in made.folders:
            (made.folders["cpu"] / "cpu.cfs_period_us").write_text("100000")
            (made.folders["cpu"] / "cpu.cfs_quota_us").write_text("100000")
        elif "unified" in made.folders:
            (made.folders["unified"] / "cpu.max").write_text("100000 100000")
        made.resize(memory_mb)
        return made

    def write(self, controller: str, v1: str, v2: str, value: str) -> None:
        """Write one setting of a controller, where there is one."""
        if controller in self.folders:
            (self.folders[controller] / v1).write_text(value)
        elif "unified" in self.folders:
            (self.folders["unified"] / v2).write_text(value)

    def resize(self, memory_mb: int) -> None:
        """Set the memory limit, swap included where the kernel counts it. Raises OSError."""
        limit = str((memory_mb + OVERHEAD_MB) << 20)
        swap = self.folders.get("memory", Path()) / "memory.memsw.limit_in_bytes"
        counted = "memory" in self.folders and swap.exists()
        if counted and int(swap.read_text()) < int(limit):
            swap.write_text(limit)  # may never be below the memory limit, so it grows first and shrinks last
        self.write("memory", "memory.limit_in_bytes", "memory.max", limit)
        if counted:
            swap.write_text(limit)
        if "unified" in self.folders and (self.folders["unified"] / "memory.swap.max").exists():
            (self.folders["unified"] / "memory.swap.max").write_text("0")

    def remove(self) -> None:
        """Remove the folders, if the keeper has not; its children may take a moment to be gone."""
        deadline = time.monotonic() + 2.0
        for folder in self.folders.values():
            while folder.exists() and time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    folder.rmdir()
                    break
                time.sleep(0.01)
