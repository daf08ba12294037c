"""Random jobs in chunks of eight steps against the same requests drawn alone, step by step: tokens and pages.

On a GPU a chunk is a captured graph; here its steps run in torch, one by one, between the same looks of the host.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from r1gym.engine.compact import CompactForward
from r1gym.engine.engine import Engine
from r1gym.engine.pages import PagePool
from r1gym.engine.request import Request, Sample
from r1gym.engine.stepping import STEPS, Stepper
from r1gym.errors import ModelError
from r1gym.types import Sampling

STOP = 3
LENGTHS = (1, 2, 7, 62, 63, 64, 65, 66)
ENDS = (63, 64, 65, 66, 100, 126, 127)


class Steps:
    """Stands for a graph."""

    def __init__(self, stepper: Stepper, count: int, sampling: Sampling) -> None:
        self.stepper, self.given = stepper, (count, sampling)

    def replay(self) -> None:
        self.stepper.captured = False  # draw in torch
        for _ in range(STEPS):
            self.stepper._step(*self.given)
        self.stepper.captured = True


@pytest.fixture
def chunked(monkeypatch: pytest.MonkeyPatch, fresh_model: Callable[[str], Any]) -> Callable[..., Engine]:
    """``chunked(slots, captured)``: an engine of a pool that has to grow."""

    def capture(stepper: Stepper, count: int, sampling: Sampling) -> None:
        stepper._graphs[count] = Steps(stepper, count, sampling)  # type: ignore[assignment]

    monkeypatch.setattr(Stepper, "_capture", capture)
    model = fresh_model("llama")

    def make(slots: int, captured: bool) -> Engine:
        engine = Engine(CompactForward(model), [STOP], slots, captured, text)
        engine.pool = engine.stepper.pool = PagePool(3, *engine.forward.shape, torch.float32, torch.device("cpu"))
        assert engine.stepper.steps == (8 if captured else 1)
        return engine

    return make


def text(ids: Sequence[int]) -> str:
    return "".join(chr(200 + token) for token in ids)


def job(draw: random.Random) -> list[Request]:
    """Few prompts, their last page full or begun; budgets that end before, at and behind the end of a page."""
    prompts = [tuple(draw.randrange(4, 97) for _ in range(draw.choice(LENGTHS))) for _ in range(3)]
    requests = []
    for number in range(draw.randint(2, 8)):
        prompt = draw.choice(prompts)
        budget = draw.choice([end - len(prompt) for end in ENDS if end > len(prompt)])
        requests.append(Request(prompt, number, budget))
    return requests


def answer(number: int, turns: Sequence[Sample]) -> tuple[int, ...] | None:
    return tuple(range(20, 21 + 9 * number)) if len(turns) < 3 else None


def told(samples: Sequence[Sample]) -> list[tuple[tuple[int, ...], str]]:
    return [(sample.token_ids, sample.finish) for sample in samples]


def nothing_is_left(engine: Engine) -> bool:
    return engine.pool.used == 0 and sorted(engine.pool._free) == list(range(1, engine.pool.pages))


@pytest.mark.parametrize("seed", range(10))
def test_random_jobs_equal_those_drawn_alone(
    seed: int, chunked: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With stop strings, and once more after a call that found no memory for a page."""
    draw = random.Random(seed)
    sampling = draw.choice([Sampling(), Sampling(top_p=0.9), Sampling(repetition_penalty=1.2)])
    alone, requests = chunked(1, False), job(draw)
    for place, request in enumerate(requests):
        (sample,) = alone.run([request], sampling)
        if draw.random() < 0.5 and len(sample.token_ids) > 3:
            middle = draw.randrange(len(sample.token_ids) - 2)
            requests[place] = replace(request, stop=(text(sample.token_ids[middle : middle + 2]),))
    expected = told([alone.run([request], sampling)[0] for request in requests])
    engine = chunked(draw.randint(1, 4), True)
    assert told(engine.run(requests, sampling)) == expected
    assert nothing_is_left(engine) and engine.pool.pages > 3

    left, take = draw.randint(0, 9), PagePool.take

    def run_short(pool: PagePool, count: int) -> list[int]:
        nonlocal left
        left -= 1
        if left == -1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return take(pool, count)

    with monkeypatch.context() as patch:
        patch.setattr(PagePool, "take", run_short)
        try:
            engine.run(requests, sampling)
        except ModelError as error:
            assert "max_slots=" in str(error)
        assert nothing_is_left(engine)
    assert told(engine.run(requests, sampling)) == expected and nothing_is_left(engine)


@pytest.mark.parametrize("seed", range(5))
def test_random_dialogues_equal_those_held_alone(seed: int, chunked: Callable[..., Engine]) -> None:
    draw = random.Random(seed)
    requests = [replace(request, budget=draw.randint(1, 30)) for request in job(draw)]
    alone, engine = chunked(1, False), chunked(draw.randint(1, 4), True)
    dialogues = engine.converse(requests, Sampling(), answer)
    for number, (request, turns) in enumerate(zip(requests, dialogues, strict=True)):
        (expected,) = alone.converse([request], Sampling(), lambda _, turns, number=number: answer(number, turns))
        assert told(turns) == told(expected)
    assert nothing_is_left(engine)
