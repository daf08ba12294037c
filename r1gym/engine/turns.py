"""What an environment answers between the turns of dialogues, worked out in threads while others are decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType

from r1gym.engine.request import Sample

__all__ = ["Answer", "Answers"]

Answer = Callable[[int, Sequence[Sample]], "Sequence[int] | None"]
"""Number of a dialogue and its turns so far, to the tokens that follow, or None where it is over."""


class Answers:
    """The answers that are being worked out."""

    def __init__(self, answer: Answer, workers: int) -> None:
        self._answer, self._pool = answer, ThreadPoolExecutor(workers, thread_name_prefix="r1gym-answer")
        self._futures: dict[int, Future[Sequence[int] | None]] = {}
        self.failure: BaseException | None = None
        """What an answer raised: it is the caller's own, whatever it looks like."""

    @property
    def awaited(self) -> int:
        """Dialogues that wait for their answer."""
        return len(self._futures)

    def ask(self, number: int, turns: Sequence[Sample]) -> None:
        """Begin to work out what follows ``turns`` in dialogue ``number``."""
        self._futures[number] = self._pool.submit(self._answer, number, tuple(turns))

    def take(self, block: bool) -> list[tuple[int, tuple[int, ...] | None]]:
        """The answers that are there, by number of the dialogue; with ``block`` it waits for one."""
        if block and self._futures:
            wait(self._futures.values(), return_when=FIRST_COMPLETED)
        done = sorted(number for number, future in self._futures.items() if future.done())
        taken = []
        for number in done:
            future = self._futures.pop(number)
            self.failure = future.exception()
            taken.append((number, future.result()))
        return [(number, None if tokens is None else tuple(tokens)) for number, tokens in taken]

    def __enter__(self) -> Answers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
