"""Symbolic workers: proofs, refutations, limits, and the same verdict from every kind of caller."""

import asyncio
import concurrent.futures
import multiprocessing
import threading
import time

import pytest

from r1gym.types import Outcome, Task
from r1gym.verifiers import prepare, verify
from r1gym.verifiers.workers import shut_down

PROVEN = [
    (r"\frac{\pi}{4}", r"\arctan 1"),
    (r"-\frac12", r"\cos\frac{2\pi}{7}+\cos\frac{4\pi}{7}+\cos\frac{6\pi}{7}"),
    ("1", r"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}"),
    (r"\frac18", r"\sin 10^\circ \sin 50^\circ \sin 70^\circ"),
    (r"\int_0^1 x^2 dx", r"\frac13"),
    (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}"),
]
REFUTED = [
    (r"\int_0^1 x^2 dx", r"\frac14"),
    (r"\frac18", r"\sin 10^\circ \sin 50^\circ \sin 71^\circ"),
    ("5", r"\sqrt{25+10^{-100}}"),
    (r"\sum_{k=1}^{n} k", r"\frac{n^2}{2}"),
]
HANGING = (r"\int_0^1 x^2 dx", r"9^{9^{9^{9}}}")


def boxed(answer: str) -> str:
    return f"\\boxed{{{answer}}}"


@pytest.mark.parametrize(("gold", "answer"), PROVEN)
def test_proven(gold, answer):
    verdict = verify(boxed(answer), gold)
    assert verdict.outcome is Outcome.CORRECT, verdict
    assert verdict.reason.startswith("symbolic: ")


@pytest.mark.parametrize(("gold", "answer"), REFUTED)
def test_refuted(gold, answer):
    assert verify(boxed(answer), gold).outcome is Outcome.WRONG


def test_a_hanging_answer_is_wrong_and_the_next_is_on_time():
    began = time.monotonic()
    verdict = verify(boxed(HANGING[1]), HANGING[0])
    # 1.5 s of CPU at most; the rest of the allowance is a cold start of the worker on a busy machine.
    assert time.monotonic() - began < 60
    assert verdict.outcome is Outcome.WRONG
    assert verdict.reason.startswith("over_budget: ")
    assert verify(boxed(r"\frac13"), HANGING[0]).outcome is Outcome.CORRECT


def test_a_gold_that_nothing_reads_is_refused():
    assert verify(boxed("1"), r"\frobnicate{3}").outcome is Outcome.UNGRADABLE


def _outcomes() -> list[Outcome]:
    pairs = PROVEN[:3] + REFUTED[:1] + [("7", "7"), (r"\cos 2x", r"1-2\sin^2 x"), ("7", "9^{9^{9^9}}")]
    return [verify(boxed(answer), gold).outcome for gold, answer in pairs]


def _in_process(queue) -> None:
    queue.put(_outcomes())
    shut_down()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_the_same_from_threads_asyncio_and_processes():
    expected = _outcomes()
    assert expected == [Outcome.CORRECT] * 3 + [Outcome.WRONG, Outcome.CORRECT, Outcome.CORRECT, Outcome.WRONG]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert [job.result() for job in [pool.submit(_outcomes) for _ in range(4)]] == [expected] * 4

    async def within_a_loop():
        return _outcomes()

    assert asyncio.run(within_a_loop()) == expected
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        process = context.Process(target=_in_process, args=(queue,))
        process.start()
        assert queue.get(timeout=120) == expected
        process.join(60)
        assert process.exitcode == 0


def test_threads_share_graders():
    grader = prepare(Task("t", "math", "", r"\sin 2x"))
    results: list[Outcome] = []

    def judge() -> None:
        for answer in (r"2\sin x\cos x", r"\sin x\cos x") * 5:
            results.append(grader.grade(boxed(answer)).outcome)

    threads = [threading.Thread(target=judge) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count(Outcome.CORRECT) == results.count(Outcome.WRONG) == 20


def test_waiting_behind_hanging_answers_is_never_ungradable():
    """Three hanging answers for two workers, and three honest ones behind them."""
    grader = prepare(Task("t", "math", "", HANGING[0]))

    def judge(answer: str) -> str:
        return grader.grade(boxed(answer)).reason.split(":")[0]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        hanging = [pool.submit(judge, HANGING[1]) for _ in range(3)]
        honest = [pool.submit(judge, r"\frac13") for _ in range(3)]
        assert [job.result() for job in hanging] == ["over_budget"] * 3
        assert [job.result() for job in honest] == ["symbolic"] * 3


def test_a_hopeless_size_needs_no_worker(monkeypatch):
    grader = prepare(Task("t", "math", "", HANGING[0]))

    def refuse(_):
        raise AssertionError("asked a worker")

    monkeypatch.setattr("r1gym.verifiers.workers.ask", refuse)
    for answer in ("(x+1)^{100000}", r"\binom{10^6}{5\cdot 10^5}", "((9!)!)!", "1+" * 300 + "1"):
        assert grader.grade(boxed(answer)).reason.split(":")[0] in ("over_budget", "too_long")
