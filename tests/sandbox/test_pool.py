"""The pool and the execution over it, with slots made of a script: deaths, retries, blame, order, early stop."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from r1gym.errors import SandboxError, SandboxUnavailableError
from r1gym.sandbox.execution import Execution, Raw, Request
from r1gym.sandbox.guest.frames import FrameBuffer, encode
from r1gym.sandbox.pool import Pool
from r1gym.sandbox.records import Protection
from r1gym.types import Limits

QUICK = Limits(cpu_seconds=0.1, wall_seconds=0.1)
Behaviour = Callable[["ScriptedLink", dict[str, Any], list[bytes]], None]


class ScriptedLink:
    """A worker in a thread of this process that does as the test says."""

    def __init__(self, behaviour: Behaviour, of_memory: bool = False) -> None:
        down, up = os.pipe(), os.pipe()
        self._worker_in, self.write_fd = down
        self.read_fd, self._worker_out = up
        os.set_blocking(self.read_fd, False)
        os.set_blocking(self.write_fd, False)
        self.behaviour, self.of_memory, self.closed = behaviour, of_memory, 0
        self.memory: list[int] = []
        self._ended = threading.Lock()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.thread.start()

    def say(self, head: dict[str, Any], *blobs: bytes) -> None:
        os.write(self._worker_out, encode(head, blobs))

    def result(self, number: int, stdout: bytes = b"", **changes: Any) -> None:
        head = {"test": number, "status": 0, "cause": "", "report": "", "oom_kills": 0, "cpu": 0.0, "wall": 0.0}
        self.say({**head, "peak_bytes": 0, "rss_bytes": 0, **changes}, stdout, b"", b"", b"")

    def die(self) -> None:
        with self._ended:
            if self._worker_out >= 0:
                os.close(self._worker_out)
                self._worker_out = -1

    def _work(self) -> None:
        buffer = FrameBuffer()
        while data := os.read(self._worker_in, 1 << 16):
            buffer.feed(data)
            while frame := buffer.next():
                if frame[0]["op"] == "hello":
                    self.say({"pid": 1, "uid": 0})
                elif frame[0]["op"] == "run":
                    self.behaviour(self, *frame)
        os.close(self._worker_in)
        self.die()

    def unwrap(self, data: bytes) -> bytes:
        return data

    def resize(self, memory_mb: int) -> None:
        self.memory.append(memory_mb)

    def died_of_memory(self) -> bool:
        return self.of_memory

    def last_words(self) -> str:
        return "words"

    def hang_up(self) -> None:
        self.die()

    def close(self) -> None:
        self.closed += 1
        if self.closed == 1:
            os.close(self.write_fd)
            os.close(self.read_fd)
            self.thread.join(5)


class ScriptedBackend:
    name = "scripted"

    def __init__(self, *behaviours: Behaviour, of_memory: bool = False) -> None:
        self.behaviours, self.of_memory, self.links = list(behaviours), of_memory, []  # type: ignore[var-annotated]

    def start(self, memory_mb: int) -> ScriptedLink:
        if not self.behaviours:
            raise SandboxUnavailableError("nothing left to start")
        behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        self.links.append(ScriptedLink(behaviour, self.of_memory))
        return self.links[-1]

    def protections(self) -> tuple[Protection, ...]:
        return ()

    def toolchain(self) -> str:
        return "none"

    def close(self) -> None:
        pass


def echo(link: ScriptedLink, head: dict[str, Any], blobs: list[bytes]) -> None:
    for number, text in enumerate(blobs[1:]):
        link.result(number, b"42\n" if blobs[0] == b"print(6*7)" else text)
    link.say({"end": True, "uids_left": 30_000})


def die(link: ScriptedLink, head: dict[str, Any], blobs: list[bytes]) -> None:
    link.die()


def die_on_killer(link: ScriptedLink, head: dict[str, Any], blobs: list[bytes]) -> None:
    if b"killer" in blobs[1:]:
        for number, text in enumerate(blobs[1 : blobs.index(b"killer")]):
            link.result(number, text)
        link.die()
    else:
        echo(link, head, blobs)


@pytest.fixture
def make() -> Iterator[Callable[..., Pool]]:
    pools: list[Pool] = []

    def open_pool(*behaviours: Behaviour, size: int = 1, recycle_after: int = 1000, of_memory: bool = False) -> Pool:
        pools.append(Pool(ScriptedBackend(*behaviours, of_memory=of_memory), size, recycle_after))
        return pools[-1]

    yield open_pool
    for pool in pools:
        pool.close()
        backend = pool.backend
        assert isinstance(backend, ScriptedBackend) and all(link.closed for link in backend.links)


def run(pool: Pool, inputs: list[bytes], stop_at: bytes = b"") -> dict[int, Raw]:
    results: dict[int, Raw] = {}

    def take(index: int, raw: Raw) -> bool:
        assert index not in results, "every test is reported once"
        results[index] = raw
        return not stop_at or raw.stdout != stop_at

    Execution(pool, Request("python", b"program", QUICK), inputs, take).run()
    return results


def test_every_input_gets_its_result(make: Callable[..., Pool]) -> None:
    inputs = [b"%d" % number for number in range(50)]
    results = run(make(echo, size=3), inputs)
    assert [results[index].stdout for index in range(50)] == inputs


def test_a_slot_that_dies_once_costs_nothing(make: Callable[..., Pool]) -> None:
    pool = make(die, echo)
    assert [raw.stdout for _, raw in sorted(run(pool, [b"a", b"b"]).items())] == [b"a", b"b"]
    assert pool.started == 2


def test_a_submission_that_ends_its_slot_twice_is_to_blame(make: Callable[..., Pool]) -> None:
    results = run(make(die_on_killer), [b"a", b"killer", b"b"])
    assert results[0].stdout == b"a" and results[2].stdout == b"b"
    assert not results[1].fault and results[1].status == 9 and "ended its slot twice" in results[1].report


def test_where_a_probe_dies_too_the_fault_is_ours(make: Callable[..., Pool]) -> None:
    results = run(make(die), [b"a"])
    assert "a probe failed too" in results[0].fault and "words" in results[0].fault


def test_a_slot_killed_by_its_memory_limit_is_counted_as_such(make: Callable[..., Pool]) -> None:
    results = run(make(die_on_killer, of_memory=True), [b"killer"])
    assert results[0].oom_kills == 1 and not results[0].fault


def test_a_silent_slot_is_given_up(make: Callable[..., Pool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r1gym.sandbox.execution._GRACE_SECONDS", 0.2)
    started = time.monotonic()
    pool = make(lambda link, head, blobs: None, echo)
    assert run(pool, [b"a"])[0].stdout == b"a"
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("nonsense", [b"\xff" * 64, encode({"test": "x"}, [b""]), encode({"status": 1}), b"\0\0\0\1{"])
def test_nonsense_of_a_slot_is_no_result(make: Callable[..., Pool], nonsense: bytes, monkeypatch: Any) -> None:
    monkeypatch.setattr("r1gym.sandbox.execution._GRACE_SECONDS", 0.2)

    def babble(link: ScriptedLink, head: dict[str, Any], blobs: list[bytes]) -> None:
        os.write(link._worker_out, nonsense)

    assert run(make(babble, echo), [b"a"])[0].stdout == b"a"


def test_an_early_stop_reports_all_up_to_the_failure(make: Callable[..., Pool]) -> None:
    # Many, for the other slots run ahead while the failure is on its way.
    inputs = [b"ok"] * 10 + [b"bad"] + [b"ok"] * 5000
    results = run(make(echo, size=3), inputs, stop_at=b"bad")
    assert set(range(11)) <= set(results) and len(results) < 5011


def test_no_slot_at_all_is_an_error_and_later_a_fault(make: Callable[..., Pool]) -> None:
    with pytest.raises(SandboxUnavailableError):
        run(make(), [b"a"])
    pool = make(die)
    backend = pool.backend
    assert isinstance(backend, ScriptedBackend)
    run(pool, [b"a"])
    backend.behaviours.clear()
    assert "no slot" in run(pool, [b"a", b"b"])[1].fault


def test_slots_are_replaced_after_their_time(make: Callable[..., Pool]) -> None:
    pool = make(echo, recycle_after=3)
    for _ in range(7):
        run(pool, [b"a"])
    assert pool.started == 3


def test_a_slot_is_resized_only_where_the_limit_differs(make: Callable[..., Pool]) -> None:
    pool = make(echo)
    for memory in (64, 64, 128, 128, 64):
        with pool.lease(memory):
            pass
    backend = pool.backend
    assert isinstance(backend, ScriptedBackend) and backend.links[0].memory == [128, 64] and pool.started == 1


def test_waiting_threads_all_get_a_slot(make: Callable[..., Pool]) -> None:
    pool, most, now, lock = make(echo, size=2), 0, 0, threading.Lock()

    def use() -> None:
        nonlocal most, now
        with pool.lease(64):
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.01)
            with lock:
                now -= 1

    threads = [threading.Thread(target=use) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert most == 2 and pool.started == 2 and pool.acquire(64, wait=False) is not None
    pool.release(next(iter(pool._leased)))


def test_a_closed_pool_starts_nothing(make: Callable[..., Pool]) -> None:
    pool = make(echo)
    pool.close()
    pool.close()
    with pytest.raises(SandboxError, match="closed"):
        pool.acquire(64)


def test_closing_ends_a_lease_that_hangs(make: Callable[..., Pool]) -> None:
    pool, results = make(lambda link, head, blobs: None), []
    thread = threading.Thread(target=lambda: results.append(run(pool, [b"a"])))
    thread.start()
    while not pool._leased:
        time.sleep(0.01)
    pool.close(wait_seconds=0.2)
    thread.join(5)
    assert not thread.is_alive() and "the pool was closed" in results[0][0].fault


def test_frames_are_bounded_and_cut_anywhere() -> None:
    data = encode({"a": 1}, [b"x" * 100, b""]) + encode({"b": 2})
    buffer, frames = FrameBuffer(), []
    for position in range(len(data)):
        buffer.feed(data[position : position + 1])
        while frame := buffer.next():
            frames.append(frame)
    assert frames == [({"a": 1}, [b"x" * 100, b""]), ({"b": 2}, [])]
    small = FrameBuffer(limit=50)
    small.feed(data)
    with pytest.raises(ValueError, match="limit"):
        small.next()
