"""Multiple choice: the options of a question in an order that a seed gives, and the question as it is asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

from r1gym.errors import ConfigError
from r1gym.tasks.procedural import Stream
from r1gym.tasks.taskset import TaskSet
from r1gym.types import Task

__all__ = ["LETTERS", "Shuffled", "asked", "check_seed", "shuffled"]

LETTERS = "ABCDEFGHIJ"
INSTRUCTION = "Answer with the letter of one option."

_ABOVE = re.compile(r"\b(?:above|preceding|foregoing)\b", re.IGNORECASE)
_BY_LETTER = re.compile(
    r"\b[A-J]\s*(?:and|or|&|,)\s*[A-J]\b|\b(?:both|either|neither|only|options?|choices?|answers?)\s+\(?[A-J]\)?(?![\w'’])"
)


def asked(question: str, options: Sequence[str]) -> str:
    """The question, its lettered options and what to answer with."""
    lines = [f"{letter}) {text}" for letter, text in zip(LETTERS, options, strict=False)]
    return "\n".join([question, "", *lines, "", INSTRUCTION])


def shuffled(task: Task, seed: int, ordered: bool = True) -> Task:
    """``task`` with its options in the order of (``seed``, task id), and asked with them.

    The same on every machine and in every release of Python. "All of the above" and its like go last. Options that
    name one another by letter ("both A and C") keep the order in which they were written; with ``ordered=False``
    there is no such order, and a letter in an option is the name of something else.
    """
    options: list[str] = list(task.reference["options"])
    gold = LETTERS.index(task.reference["answer"])
    order = list(range(len(options)))
    if not ordered or not any(_BY_LETTER.search(text) for text in options):
        order = _order(options, seed, task.id)
    texts = [options[place] for place in order]
    reference = {"answer": LETTERS[order.index(gold)], "options": texts}
    return replace(task, question=asked(task.question, texts), reference=reference)


def _order(options: Sequence[str], seed: int, task_id: str) -> list[int]:
    stream = Stream(seed, int.from_bytes(hashlib.blake2b(task_id.encode(), digest_size=8).digest(), "big"))
    order = [place for place, text in enumerate(options) if not _ABOVE.search(text)]
    for last in range(len(order) - 1, 0, -1):  # Fisher and Yates, as in Knuth's algorithm P
        other = stream.below(last + 1)
        order[last], order[other] = order[other], order[last]
    return order + [place for place in range(len(options)) if place not in order]


class Shuffled(TaskSet):
    """A set of multiple-choice tasks as they are asked under one ``option_seed``; the stored rows are shared."""

    def __init__(self, tasks: TaskSet, seed: int, ordered: bool = True) -> None:
        """Shuffle ``tasks`` by ``seed`` as they are read; ``ordered`` as in ``shuffled``."""
        self.source, self.split, self.origin = tasks.source, tasks.split, tasks.origin
        self._stored, self._seed, self._ordered = tasks, seed, ordered

    def __len__(self) -> int:
        return len(self._stored)

    def _task(self, index: int) -> Task:
        return shuffled(self._stored[index], self._seed, self._ordered)

    def index_of(self, task_id: str) -> int:
        """The row number of the task called ``task_id``; UnknownNameError names the near miss."""
        return self._stored.index_of(task_id)

    def line_of(self, index: int) -> int:
        """The line (from 1) of the file that holds task ``index``."""
        return self._stored.line_of(index)


def check_seed(value: object) -> int:
    """``value`` as an option seed. ConfigError unless it is an int from 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigError(f"option_seed must be an int from 0, got {value!r:.60}")
    return value
