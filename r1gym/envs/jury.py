"""Worker processes that judge the completions of a grouped environment, each started by exec, none forked."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from r1gym.errors import SandboxError
from r1gym.types import Task, Verdict

__all__ = ["Judged", "Jury", "main"]

Judged = tuple[Verdict, dict[str, Verdict]]
"""The verdict of a completion, and the verdict behind each reward term."""

Item = tuple[Task, str]
"""A task and one completion of it."""

READY = "ready"
"""A worker's first word, when its environment is made."""

_PROGRAM = (
    "import pickle, sys; head = pickle.load(sys.stdin.buffer); sys.path[:] = head[0]; "
    "from r1gym.envs.jury import main; main(head)"
)
"""The caller's sys.path comes first, so that an uninstalled checkout is found too."""


class _Died(Exception):
    """The worker is gone; what it was given has not been judged."""


class _Worker:
    """One interpreter that holds an environment of the group's kind and answers portions."""

    def __init__(self, head: bytes) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._head = head
        self._ready = False

    def judge(self, items: Sequence[Item]) -> list[Judged]:
        """The verdicts on ``items``; _Died where none come."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            if not self._ready:
                self.process.stdin.write(self._head)
            self.process.stdin.write(pickle.dumps(list(items)))
            self.process.stdin.flush()
            if not self._ready:
                self._ready = pickle.load(self.process.stdout) == READY
            found: list[Judged] = pickle.load(self.process.stdout)
            return found
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            if not self._ready:
                raise SandboxError(
                    f"a grading worker cannot start ({sys.executable}): its own message stands above; workers=0 "
                    "judges in this process"
                ) from error
            raise _Died from error

    def stop(self) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # bytes that the dead worker did not take: another is given them
                stream.close()
        self.process.wait()


def _stop_all(workers: list[_Worker]) -> None:
    while workers:
        workers.pop().stop()


class Jury:
    """``count`` workers that judge as ``ReasoningEnv(source, **options)`` does; they start when first needed.

    A worker that dies under a portion is replaced and the portion judged one by one; a completion that kills its
    worker alone, twice, is WRONG: its own doing must not mask it.
    """

    def __init__(
        self, count: int, source: str | Mapping[str, Any], options: dict[str, Any], terms: Sequence[str]
    ) -> None:
        self.count, self.source, self.options, self.terms = count, source, options, tuple(terms)
        self._workers: list[_Worker] = []
        self._closer = weakref.finalize(self, _stop_all, self._workers)

    def __reduce__(self) -> tuple[type[Jury], tuple[Any, ...]]:
        return Jury, (self.count, self.source, self.options, self.terms)  # a copy starts workers of its own

    def close(self) -> None:
        """Stop the workers; a later ``judge`` starts new ones."""
        _stop_all(self._workers)

    def judge(self, portions: Sequence[Sequence[Item]]) -> list[list[Judged]]:
        """Judge all items; portions are dealt to whichever worker is free, and come back in order.

        Raises:
            SandboxError: A worker cannot be started.
        """
        queue = iter(enumerate(portions))
        results: list[list[Judged]] = [[] for _ in portions]
        errors: list[BaseException] = []
        lock = threading.Lock()
        while len(self._workers) < min(self.count, len(portions)):
            self._workers.append(self._started())

        def serve(place: int) -> None:
            try:
                while (taken := _next(queue, lock)) is not None and not errors:
                    number, items = taken
                    results[number] = self._judged(place, items)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=serve, args=(place,), daemon=True) for place in range(len(self._workers))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return results

    def _started(self) -> _Worker:
        return _Worker(pickle.dumps((list(sys.path), self.source, self.options)))

    def _judged(self, place: int, items: Sequence[Item]) -> list[Judged]:
        try:
            return self._workers[place].judge(items)
        except _Died:
            self._replace(place)
        found: list[Judged] = []
        for item in items:
            for _ in range(2):
                try:
                    found += self._workers[place].judge([item])
                    break
                except _Died:
                    self._replace(place)
            else:
                wrong = Verdict.wrong("", "grader_error: this completion ended its grading worker twice")
                found.append((wrong, dict.fromkeys(self.terms, wrong)))
        return found

    def _replace(self, place: int) -> None:
        self._workers[place].stop()
        self._workers[place] = self._started()


def _next(queue: Iterator[tuple[int, Sequence[Item]]], lock: threading.Lock) -> tuple[int, Sequence[Item]] | None:
    with lock:
        return next(queue, None)


def main(head: tuple[list[str], str, dict[str, Any]]) -> None:
    """Answer portions until stdin closes: what a worker process runs."""
    from r1gym.envs.reasoning import ReasoningEnv

    _, source, options = head
    inward, outward = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a grader prints must not stand between the answers
    env = ReasoningEnv(source, **options)
    _send(outward, READY)
    while True:
        try:
            items: list[Item] = pickle.load(inward)
        except EOFError:
            return
        _send(outward, [env.verdicts(completion, task) for task, completion in items])


def _send(stream: IO[bytes], answer: object) -> None:
    stream.write(pickle.dumps(answer))
    stream.flush()
