"""Worker processes that judge portions: kept, healed, and the caller's alone."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from r1gym import verify_batch
from r1gym.types import Outcome
from r1gym.verifiers import fleet
from r1gym.verifiers.fleet import Fleet


class Deadly:
    """Ends the interpreter that unpickles it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (3,)


class Moody:
    """Ends the interpreters that unpickle it, until it has ended two: that is an accident, and no trait of the item."""

    def __init__(self, diary: Path) -> None:
        self.diary = diary

    def __reduce__(self) -> tuple[Any, ...]:
        return moody, (str(self.diary),)


def moody(diary: str) -> int:
    with open(diary, "a+", encoding="utf-8") as file:
        file.write("x")
        file.flush()
        file.seek(0)
        if len(file.read()) <= 2:
            os._exit(3)
    return 21


class Shy(Exception):
    """Cannot travel."""

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("stays here")


def doubling() -> Callable[[Sequence[Any]], list[Any]]:
    def judge(items: Sequence[Any]) -> list[Any]:
        if "shy" in items:
            raise Shy("hidden")
        return [2 * item for item in items]

    return judge


@pytest.fixture
def doubles() -> Any:
    made: Fleet[Any, Any] = Fleet(2, f"{__name__}:doubling", (), lambda item: "condemned")
    yield made
    made.close()


def test_answers_in_order_and_the_same_processes_again(doubles: Fleet[Any, Any]) -> None:
    assert doubles.judge([[1, 2], [], [3]]) == [[2, 4], [], [6]]
    pids = [worker.process.pid for worker in doubles._workers]
    assert doubles.judge([[4]] * 5) == [[8]] * 5
    assert [worker.process.pid for worker in doubles._workers] == pids


def test_what_a_worker_raises_is_raised_here_and_nothing_is_out_of_step(doubles: Fleet[Any, Any]) -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        doubles.judge([[1], [None], [2], [3]])
    with pytest.raises(RuntimeError, match="Shy in a grading worker: hidden"):
        doubles.judge([["shy"]])
    assert doubles.judge([[1], [2], [3]]) == [[2], [4], [6]]


def test_an_item_that_kills_its_worker_is_condemned_alone(doubles: Fleet[Any, Any]) -> None:
    assert doubles.judge([[1, Deadly(), 2], [3]]) == [[2, "condemned", 4], [6]]


def test_an_item_is_not_condemned_for_one_death_alone(doubles: Fleet[Any, Any], tmp_path: Path) -> None:
    # The first interpreter dies of the portion, the second of the item alone; the third reads it.
    assert doubles.judge([[1, Moody(tmp_path / "diary"), 2]]) == [[2, 42, 4]]


def test_threads_take_turns(doubles: Fleet[Any, Any]) -> None:
    found: dict[int, Any] = {}

    def ask(number: int) -> None:
        found[number] = doubles.judge([[number, number + 1]] * 3)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [[2 * number, 2 * number + 2]] * 3 for number in range(6)}


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_copy_has_workers_of_its_own(doubles: Fleet[Any, Any]) -> None:
    doubles.judge([[1], [2]])
    pids = [worker.process.pid for worker in doubles._workers]
    child = os.fork()
    if child == 0:
        stop, stopped = fleet._Worker.stop, []
        fleet._Worker.stop = stopped.append  # type: ignore[assignment,method-assign]
        doubles.close()  # ends none of the parent's
        fleet._Worker.stop = stop  # type: ignore[method-assign]
        right = not stopped and doubles.judge([[5], [6]]) == [[10], [12]]
        mine = [worker.process.pid for worker in doubles._workers]
        doubles.close()
        os._exit(0 if right and not set(mine) & set(pids) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert doubles.judge([[1], [2]]) == [[2], [4]]
    assert [worker.process.pid for worker in doubles._workers] == pids


def test_batches_share_processes_and_options_do_not() -> None:
    texts, golds = ["\\boxed{7}", "\\boxed{8}", "\\boxed{2.5}", "#### 7"] * 10, ["7", "7", "5/2", "7"] * 10
    right = [verdict.outcome is Outcome.CORRECT for verdict in verify_batch(texts, golds, workers=2)]
    assert right == [True, False, True, True] * 10
    (mine,) = [made for (domain, workers, _), made in fleet._FLEETS.items() if (domain, workers) == ("math", 2)]
    pids = [worker.process.pid for worker in mine._workers]
    strict = verify_batch(texts, golds, workers=2, extraction="strict:boxed")
    assert [verdict.outcome for verdict in strict[3::4]] == [Outcome.NO_ANSWER] * 10
    verify_batch(texts, golds, workers=2)
    assert [worker.process.pid for worker in mine._workers] == pids
    for made in fleet._FLEETS.values():
        made.close()
