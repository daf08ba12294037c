"""TaskSet: an immutable sequence of tasks, indexed by row number in file order and by task id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import overload

from r1gym.errors import ConfigError, DataError, unknown_name
from r1gym.types import Task

__all__ = ["ProceduralTaskSet", "StoredTaskSet", "TaskSet"]


class TaskSet(Sequence[Task]):
    """Tasks of one split of one source.

    ``taskset[i]`` is row ``i`` of the file (or item ``i`` of a generator), from 0; negative indices are refused,
    because an index names a task in logs and must have one spelling.
    """

    source: str
    split: str
    origin: str
    """Where the rows came from: a path, or "generated"."""

    def at(self, index: int) -> Task:
        """The task at ``index``.

        Raises:
            ConfigError: ``index`` is not an int in ``range(len(self))``.
        """
        if isinstance(index, bool) or not hasattr(index, "__index__"):
            raise ConfigError(f"index must be an int, got {type(index).__name__} {index!r:.60}")
        if not 0 <= index < len(self):
            raise ConfigError(
                f"index {index} is out of range: {self.source} ({self.split}) has tasks 0 to {len(self) - 1}"
            )
        return self._task(int(index))

    def index_of(self, task_id: str) -> int:
        """The row number of the task called ``task_id``; UnknownNameError names the near miss."""
        raise unknown_name(f"task_id of {self.source} ({self.split})", task_id, ())

    def line_of(self, index: int) -> int:
        """The line (from 1) of the file that holds task ``index``; the index + 1 where there is no file."""
        return index + 1

    def unverifiable(self) -> dict[str, int]:
        """Reason → how many tasks no completion can be judged by (``Task.meta["unverifiable"]``), commonest first.

        Where a reason has a detail after a colon, the part before it counts.
        """
        return {}

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Task, ...]: ...
    def __getitem__(self, index: int | slice) -> Task | tuple[Task, ...]:
        """The task at ``index`` (IndexError past the end, as a Sequence must), or a tuple of tasks for a slice."""
        if isinstance(index, slice):
            return tuple(self._task(i) for i in range(*index.indices(len(self))))
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._task(index)

    def _task(self, index: int) -> Task:
        raise IndexError(index)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source!r}, split={self.split!r}, {len(self)} tasks, {self.origin})"


class StoredTaskSet(TaskSet):
    """Tasks read from a file and held in memory."""

    def __init__(self, source: str, split: str, tasks: Iterable[Task], origin: str, lines: Sequence[int] = ()) -> None:
        """Hold ``tasks``; ``lines`` are their line numbers in ``origin``. DataError on a repeated task id."""
        self.source, self.split, self.origin = source, split, origin
        self._tasks = tuple(tasks)
        self._lines = tuple(lines)
        self._index: dict[str, int] = {}
        for index, task in enumerate(self._tasks):
            first = self._index.setdefault(task.id, index)
            if first != index:
                raise DataError(
                    f"{origin}: task id {task.id!r} stands on line {self.line_of(first)} and again on line "
                    f"{self.line_of(index)}; ids must be unique within a set"
                )

    def __len__(self) -> int:
        return len(self._tasks)

    def _task(self, index: int) -> Task:
        return self._tasks[index]

    def index_of(self, task_id: str) -> int:
        """The row number of the task called ``task_id``; UnknownNameError names the near miss."""
        index = self._index.get(task_id)
        if index is None:
            raise unknown_task(self, task_id, self._index)
        return index

    def unverifiable(self) -> dict[str, int]:
        """Reason → how many tasks no completion can be judged by."""
        reasons = (str(task.meta["unverifiable"]) for task in self._tasks if "unverifiable" in task.meta)
        return dict(Counter(reason.partition(":")[0] for reason in reasons).most_common())

    def line_of(self, index: int) -> int:
        """The line (from 1) of the file that holds task ``index``."""
        return self._lines[index] if self._lines else index + 1


class ProceduralTaskSet(TaskSet):
    """Tasks computed on demand; item ``i`` is a pure function of ``i``."""

    def __init__(self, source: str, split: str, size: int, make: Callable[[int], Task], prefix: str) -> None:
        """Compute item ``i`` with ``make(i)``, whose id must be ``prefix`` followed by ``i``."""
        self.source, self.split, self.origin = source, split, "generated"
        self._size = size
        self._make = make
        self._prefix = prefix

    def __len__(self) -> int:
        return self._size

    def _task(self, index: int) -> Task:
        return self._make(index)

    def index_of(self, task_id: str) -> int:
        """The item number in ``task_id``; UnknownNameError shows the form of an id."""
        digits = task_id.removeprefix(self._prefix) if isinstance(task_id, str) else ""
        if f"{self._prefix}{digits}" == task_id and digits.isascii() and digits.isdecimal():
            index = int(digits)
            if str(index) == digits and index < self._size:
                return index
        raise unknown_task(self, task_id, (f"{self._prefix}0", f"{self._prefix}{self._size - 1}"))


def unknown_task(tasks: TaskSet, task_id: object, known: Iterable[str]) -> Exception:
    """The error for a ``task_id`` that is not in ``tasks``; long lists of ids are cut to their ends."""
    error = unknown_name(f"task_id of {tasks.source} ({tasks.split})", task_id, known)
    text = str(error)
    if len(text) <= 400:
        return error
    return type(error)(f"{text[:300]} … ({len(tasks)} ids)")
