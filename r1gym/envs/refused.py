"""Which rows are not drawn: golds that their own verifier refuses, and tasks by which no completion can be judged."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from r1gym.tasks.taskset import TaskSet

__all__ = ["REFUSED", "drawn"]

logger = logging.getLogger(__name__)

REFUSED: dict[str, frozenset[str]] = {}
"""Task set → ids of its refused rows. A test keeps the table equal to what the verifiers say of every row at hand."""

_told: set[tuple[str, str]] = set()
"""(origin, split) of the task sets of which the log has said what is left out."""


def drawn(tasks: TaskSet, refused: frozenset[str], include_unverifiable: bool = False) -> Sequence[int]:
    """Indices of the tasks that sampling draws from; the log says once a set what is left out, and why."""
    known: Sequence[int] = range(len(tasks))  # no list where nothing is left out: every environment holds one
    if refused:
        known = [index for index, task in enumerate(tasks) if task.id not in refused]
    if len(known) < len(tasks):
        logger.info("%s: %d refused references are not drawn", tasks, len(tasks) - len(known))
    out = tasks.unverifiable()
    if include_unverifiable or not out:
        return known
    if (tasks.origin, tasks.split) not in _told:
        _told.add((tasks.origin, tasks.split))
        logger.warning(
            "%s: %d tasks cannot be verified and are not drawn (%s); include_unverifiable=True asks them too, and they "
            "are UNGRADABLE",
            tasks,
            sum(out.values()),
            "; ".join(f"{count}: {reason}" for reason, count in out.items()),
        )
    return [index for index in known if "unverifiable" not in tasks[index].meta]
