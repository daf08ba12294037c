"""Worker processes that judge portions of completions, each started by exec, none forked, kept until closed."""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from r1gym.errors import SandboxError
from r1gym.types import Verdict

__all__ = ["DEADLY", "Fleet", "main", "pair_judge", "verify_in_processes"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")

READY = "ready"
"""A worker's first word, when it has made what judges."""

DEADLY = "grader_error: this completion ended its grading worker twice"
"""Why a completion that kills whoever judges it is WRONG: its own doing must not mask it."""

LEAST_PORTION = 8
MOST_PORTION = 512
"""Pairs that a worker is given at once: a few hundred cost more to judge than to send."""

_PROGRAM = (
    "import pickle, sys; head = pickle.load(sys.stdin.buffer); sys.path[:] = head[0]; "
    "from r1gym.verifiers.fleet import main; main(head)"
)
"""The caller's sys.path comes first, so that an uninstalled checkout is found too."""


class _Died(Exception):
    """The worker is gone; what it was given has not been judged."""


class _Worker:
    """One interpreter that answers portions."""

    def __init__(self, head: bytes) -> None:
        self.process = subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._head = head
        self._ready = False

    def judge(self, items: Sequence[Any]) -> list[Any]:
        """The answers to ``items``; _Died where none come, and what the worker raised."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            if not self._ready:
                self.process.stdin.write(self._head)
            self.process.stdin.write(pickle.dumps(list(items)))
            self.process.stdin.flush()
            if not self._ready:
                self._ready = pickle.load(self.process.stdout) == READY
            answers, error = pickle.load(self.process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as died:
            if not self._ready:
                raise SandboxError(
                    f"a grading worker cannot start ({sys.executable}): its own message stands above; workers=0 "
                    "judges in this process"
                ) from died
            raise _Died from died
        if error is not None:
            raise error
        return list(answers)

    def stop(self) -> None:
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):  # bytes that the dead worker did not take: another is given them
                stream.close()
        self.process.wait()


def _stop_all(workers: list[_Worker], owner: int) -> None:
    while workers:
        worker = workers.pop()
        if os.getpid() == owner:  # a forked copy of the owner leaves them alone
            worker.stop()


class Fleet(Generic[Item, Answer]):
    """``count`` interpreters that each hold what ``make(*arguments)`` returns and answer portions with it.

    They start when first needed. One that dies under a portion is replaced, and the portion judged one by one; an
    item that kills its worker alone, twice, is answered by ``condemned``.

    Args:
        count: Processes at the most.
        make: "module:function"; what it returns takes a list of items and returns as many answers. What it raises
            about a portion is raised by ``judge``.
        arguments: Of ``make``; picklable.
        condemned: The answer to an item that ends its workers.
    """

    def __init__(self, count: int, make: str, arguments: tuple[Any, ...], condemned: Callable[[Item], Answer]) -> None:
        self.count = count
        self._make, self._arguments, self._condemned = make, arguments, condemned
        self._turn = threading.Lock()
        self._crew()

    def _crew(self) -> None:
        self._owner = os.getpid()
        self._workers: list[_Worker] = []
        self._closer = weakref.finalize(self, _stop_all, self._workers, self._owner)

    def close(self) -> None:
        """Stop the workers; a later ``judge`` starts new ones."""
        _stop_all(self._workers, self._owner)

    def judge(self, portions: Sequence[Sequence[Item]]) -> list[list[Answer]]:
        """Judge all items; portions are dealt to whichever worker is free, and come back in order.

        Raises:
            SandboxError: A worker cannot be started.
        """
        if os.getpid() != self._owner:  # forked since: the workers and the lock are the parent's
            self._turn = threading.Lock()
            self._crew()
        with self._turn:
            return self._dealt(portions)

    def _dealt(self, portions: Sequence[Sequence[Item]]) -> list[list[Answer]]:
        queue = iter(enumerate(portions))
        results: list[list[Answer]] = [[] for _ in portions]
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
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        except BaseException:  # interrupted: an answer that is on its way would be taken for the next portion's
            errors.append(KeyboardInterrupt())
            self.close()
            raise
        if errors:
            raise errors[0]
        return results

    def _started(self) -> _Worker:
        return _Worker(pickle.dumps((list(sys.path), self._make, self._arguments)))

    def _judged(self, place: int, items: Sequence[Item]) -> list[Answer]:
        try:
            return self._workers[place].judge(items)
        except _Died:
            self._replace(place)
        found: list[Answer] = []
        for item in items:
            for _ in range(2):
                try:
                    found += self._workers[place].judge([item])
                    break
                except _Died:
                    self._replace(place)
            else:
                found.append(self._condemned(item))
        return found

    def _replace(self, place: int) -> None:
        self._workers[place].stop()
        self._workers[place] = self._started()


def _next(queue: Iterator[tuple[int, Sequence[Item]]], lock: threading.Lock) -> tuple[int, Sequence[Item]] | None:
    with lock:
        return next(queue, None)


def main(head: tuple[list[str], str, tuple[Any, ...]]) -> None:
    """Answer portions until stdin closes: what a worker process runs."""
    _, make, arguments = head
    inward, outward = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr  # what a grader prints must not stand between the answers
    module, _, name = make.partition(":")
    judge = getattr(importlib.import_module(module), name)(*arguments)
    pickle.dump(READY, outward)
    outward.flush()
    while True:
        try:
            items = pickle.load(inward)
        except EOFError:
            return
        try:
            answer = pickle.dumps((judge(items), None))
        except Exception as error:
            answer = _packed(error)
        outward.write(answer)
        outward.flush()


def _packed(error: Exception) -> bytes:
    try:
        return pickle.dumps(([], error))
    except Exception:  # an error that cannot travel is told, or the completion would be blamed for the silence
        return pickle.dumps(([], RuntimeError(f"{type(error).__name__} in a grading worker: {error}")))


Pair = tuple[str, Any]
_FLEETS: dict[tuple[str, int, bytes], Fleet[Pair, Verdict]] = {}
_FLEETS_LOCK = threading.Lock()


def pair_judge(domain: str, options: dict[str, Any]) -> Callable[[Sequence[Pair]], list[Verdict]]:
    """What a worker of ``verify_in_processes`` holds."""
    from r1gym.verifiers.domains import verify_batch

    return lambda pairs: verify_batch([text for text, _ in pairs], [gold for _, gold in pairs], domain, **options)


def verify_in_processes(
    completions: Sequence[str], references: Sequence[Any], domain: str, workers: int, options: dict[str, Any]
) -> list[Verdict]:
    """Judge the pairs in ``workers`` processes; the verdicts come back in order.

    The processes are kept for the next call with the same domain, options and number, and end with this one.
    """
    key = domain, workers, pickle.dumps(sorted(options.items()))
    with _FLEETS_LOCK:
        fleet = _FLEETS.get(key)
        if fleet is None:
            while len(_FLEETS) >= 2:  # a caller who goes through many options must not pile up processes
                _FLEETS.pop(next(iter(_FLEETS)))
            fleet = _FLEETS[key] = Fleet(workers, "r1gym.verifiers.fleet:pair_judge", (domain, options), _condemned)
    pairs = list(zip(completions, references, strict=True))
    size = min(MOST_PORTION, max(LEAST_PORTION, -(-len(pairs) // (4 * workers))))
    portions = [pairs[start : start + size] for start in range(0, len(pairs), size)]
    return [verdict for part in fleet.judge(portions) for verdict in part]


def _condemned(_: Pair) -> Verdict:
    return Verdict.wrong("", DEADLY)
