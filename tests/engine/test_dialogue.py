"""Dialogues: a sequence keeps its pages while the environment answers, and goes on behind them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from r1gym.engine.compact import CompactForward
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.request import Request, Sample
from r1gym.errors import TokenizerError
from r1gym.types import Sampling

STOP = 3
GREEDY = Sampling(temperature=0.0)
# Around the edge of a page of 64 positions, before and after an answer.
PROMPTS = ((5, 6, 7), (9,), tuple(range(20, 70)), tuple(range(20, 83)), tuple(range(20, 84)), (5, 6, 7))
ByGenerate = Callable[..., tuple[int, ...]]


def observation(number: int, turn: int) -> tuple[int, ...]:
    """1 to 9 tokens; the second answer of every third dialogue is empty."""
    return () if (number % 3, turn) == (2, 1) else tuple(10 + number + i for i in range(1 + (3 * number + turn) % 9))


def three_turns(number: int, turns: Sequence[Sample]) -> tuple[int, ...] | None:
    return observation(number, len(turns) - 1) if len(turns) < 3 else None


def make(way: str, model: Any, slots: int = 3) -> Engine:
    return Engine(CompactForward(model) if way == "compact" else GeneralForward(model), [STOP], slots)


@pytest.mark.parametrize(
    ("way", "family"),
    [("compact", "llama"), ("compact", "qwen3"), ("general", "qwen2"), ("general", "gpt2"), ("general", "phi3")],
)
def test_three_turns_equal_one_concatenated_prefill(
    way: str, family: str, fresh_model: Callable[[str], Any], by_generate: ByGenerate
) -> None:
    model = fresh_model(family)
    requests = [Request(prompt, n, 5 + n) for n, prompt in enumerate(PROMPTS)]
    engine = make(way, model)
    dialogues = engine.converse(requests, GREEDY, three_turns)
    assert engine.pool.used == 0
    for number, (request, turns) in enumerate(zip(requests, dialogues, strict=True)):
        text = request.prompt
        assert len(turns) == 3
        for turn, sample in enumerate(turns):
            assert sample.token_ids == by_generate(model, text, request.budget)
            with torch.no_grad():
                ids = torch.tensor([[*text, *sample.token_ids]])
                logprobs = torch.log_softmax(model(input_ids=ids, use_cache=False).logits[0, len(text) - 1 : -1], -1)
            expected = logprobs.gather(1, ids[0, len(text) :, None])[:, 0]
            assert torch.allclose(torch.tensor(sample.logprobs), expected, atol=2e-5)
            text = (*text, *sample.token_ids, *observation(number, turn))


def test_sampled_turns_do_not_depend_on_slots_or_on_how_long_answers_take(fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    requests = [Request(prompt, 50 + n, 8) for n, prompt in enumerate(PROMPTS)]
    sampling = Sampling(repetition_penalty=1.2, frequency_penalty=0.3)

    def slow(number: int, turns: Sequence[Sample]) -> tuple[int, ...] | None:
        time.sleep(0.01 * ((number * 7 + len(turns)) % 3))
        return three_turns(number, turns)

    def tokens(dialogues: Any) -> list[list[tuple[int, ...]]]:
        return [[sample.token_ids for sample in turns] for turns in dialogues]

    together = tokens(make("compact", model, 8).converse(requests, sampling, three_turns))
    assert tokens(make("compact", model, 2).converse(requests, sampling, slow, workers=3)) == together
    alone = [make("general", model).converse([request], sampling, three_turns)[0] for request in requests[:1]]
    assert tokens(alone) == together[:1]
    # The random stream runs on: an answer that says nothing does not make the same draws come again.
    first, second = make("compact", model).converse(
        [Request((5,), 1, 8)], Sampling(), lambda n, t: [] if len(t) < 2 else None
    )[0]
    assert first.token_ids != second.token_ids


def test_others_go_on_decoding_while_an_answer_is_awaited(fresh_model: Callable[[str], Any]) -> None:
    """Dialogue 0 is answered only when dialogue 1 has drawn its second turn, which can happen at one slot."""
    second_turn = threading.Event()

    def answer(number: int, turns: Sequence[Sample]) -> tuple[int, ...] | None:
        if number == 1 and len(turns) == 2:
            second_turn.set()
        elif number == 0 and len(turns) == 1:
            assert second_turn.wait(30)
        return (7, 8) if len(turns) < 2 else None

    engine = make("compact", fresh_model("llama"), slots=1)
    dialogues = engine.converse([Request((5, 6), 1, 4), Request((7, 8), 2, 4)], GREEDY, answer)
    assert [len(turns) for turns in dialogues] == [2, 2] and second_turn.is_set()


def test_a_full_context_ends_a_dialogue_and_a_nearly_full_one_shortens_the_turn(
    fresh_model: Callable[[str], Any],
) -> None:
    model = fresh_model("llama")  # 128 positions
    requests = [Request(tuple(4 + n % 90 for n in range(100)), 1, 8), Request((5,), 1, 8)]

    def answer(number: int, turns: Sequence[Sample]) -> Sequence[int] | None:
        if number == 1:
            return None
        used = 100 + sum(len(sample.token_ids) for sample in turns) + (16 if len(turns) > 1 else 0)
        return range(10, 26) if len(turns) == 1 else range(10, 10 + 128 - used)

    first, other = make("general", model).converse(requests, Sampling(temperature=0.0), answer)
    assert [len(sample.token_ids) for sample in first[:2]] == [8, 128 - 100 - 8 - 16]
    assert first[2] == Sample((), (), "abort")
    assert len(other) == 1


def test_an_error_of_the_environment_comes_through_and_leaves_no_page(fresh_model: Callable[[str], Any]) -> None:
    engine = make("compact", fresh_model("llama"))

    def broken(number: int, turns: Sequence[Sample]) -> tuple[int, ...]:
        if number == 2:
            raise LookupError("no such tool")
        return (5,)

    with pytest.raises(LookupError, match="no such tool"):
        engine.converse([Request(prompt, 1, 4) for prompt in PROMPTS], GREEDY, broken)
    assert engine.pool.used == 0
    assert len(engine.run([Request((5, 6), 1, 4)], GREEDY)[0].token_ids) <= 4


def test_answers_longer_than_one_pass(fresh_model: Callable[[str], Any], by_generate: ByGenerate) -> None:
    model = fresh_model("llama-wide")  # 256 positions
    long = tuple(4 + n % 90 for n in range(200))
    engine = make("compact", model)
    turns = engine.converse([Request((5, 6), 1, 6)], GREEDY, lambda _, t: long if len(t) == 1 else None)[0]
    assert turns[1].token_ids == by_generate(model, (5, 6, *turns[0].token_ids, *long), 6)


@pytest.mark.parametrize("error", [MemoryError("the tool's own"), RuntimeError("not enough memory for the tool")])
def test_a_tool_that_runs_out_of_memory_is_not_taken_for_the_sampler(
    error: Exception, fresh_model: Callable[[str], Any]
) -> None:
    def broken(number: int, turns: Sequence[Sample]) -> tuple[int, ...]:
        raise error

    engine = make("compact", fresh_model("llama"))
    with pytest.raises(type(error), match="the tool"):
        engine.converse([Request((5, 6), 1, 4)], GREEDY, broken)
    assert engine.pool.used == 0


@pytest.mark.parametrize("token", [97, -1])
def test_an_answer_outside_the_vocabulary_is_refused(token: int, fresh_model: Callable[[str], Any]) -> None:
    engine = make("general", fresh_model("qwen2"))
    with pytest.raises(TokenizerError, match=f"answer in dialogue 1 holds the token {token}, .* knows 0 to 96"):
        engine.converse(
            [Request((5, 6), n, 4) for n in range(2)], GREEDY, lambda number, turns: (5, token) if number else None
        )
    assert engine.pool.used == 0
