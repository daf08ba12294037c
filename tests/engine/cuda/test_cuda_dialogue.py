"""Dialogues on captured graphs: turns behind kept pages, refill while others wait, threads that use the device too."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from r1gym.engine.request import Request, Sample
from r1gym.types import Completion, Sampling

GREEDY = Sampling(temperature=0.0)
# Around the edge of a page of 64 positions, before and after an answer.
PROMPTS = ((5, 6, 7), (9,), tuple(range(20, 70)), tuple(range(20, 83)), tuple(range(20, 84)), (5, 6, 7))


def observation(number: int, turn: int) -> tuple[int, ...]:
    """1 to 9 tokens; the second answer of every third dialogue is empty."""
    return () if (number % 3, turn) == (2, 1) else tuple(10 + number + i for i in range(1 + (3 * number + turn) % 9))


def three_turns(number: int, turns: Sequence[Sample]) -> tuple[int, ...] | None:
    return observation(number, len(turns) - 1) if len(turns) < 3 else None


@pytest.mark.parametrize(
    ("way", "family"),
    [("compact", "llama-wide"), ("compact", "qwen3-wide"), ("general", "qwen2"), ("general", "gpt2")],
)
def test_three_turns_equal_one_concatenated_prefill(
    way: str, family: str, gpu_model: Any, gpu_engine: Any, by_generate: Any, same_tokens: Any
) -> None:
    model = gpu_model(family)
    requests = [Request(prompt, n, 5 + n) for n, prompt in enumerate(PROMPTS)]
    engine = gpu_engine(way, model)
    dialogues = engine.converse(requests, GREEDY, three_turns)
    assert engine.pool.used == 0
    for number, (request, turns) in enumerate(zip(requests, dialogues, strict=True)):
        text = request.prompt
        assert len(turns) == 3
        for turn, sample in enumerate(turns):
            label = f"{way} {family}, dialogue {number}, turn {turn}"
            same_tokens(label, model, text, sample.token_ids, by_generate(model, text, request.budget))
            text = (*text, *sample.token_ids, *observation(number, turn))


def test_a_long_answer_over_pages_is_read_in_parts(
    gpu_model: Any, gpu_engine: Any, by_generate: Any, same_tokens: Any
) -> None:
    """200 tokens: more than one pass appends, and four pages of the table."""
    model = gpu_model("llama-wide")
    long = tuple(4 + n % 90 for n in range(200))
    for way in ("compact", "general"):
        engine = gpu_engine(way, model)
        (turns,) = engine.converse([Request((5, 6), 1, 6)], GREEDY, lambda _, t: long if len(t) == 1 else None)
        text = (5, 6, *turns[0].token_ids, *long)
        same_tokens(way, model, text, turns[1].token_ids, by_generate(model, text, 6))


@pytest.mark.parametrize("penalised", [False, True])
def test_captured_turns_equal_torch_whoever_waits(penalised: bool, gpu_model: Any, gpu_engine: Any) -> None:
    """Eight dialogues through two slots, answers that take their time, the seed's stream running on over turns."""
    model = gpu_model("llama-wide")
    sampling = Sampling(repetition_penalty=1.2, frequency_penalty=0.3) if penalised else Sampling(top_k=30)
    requests = [Request(prompt, 50 + n, 8) for n, prompt in enumerate((*PROMPTS, (11, 12), tuple(range(30, 93))))]

    def slow(number: int, turns: Sequence[Sample]) -> tuple[int, ...] | None:
        time.sleep(0.005 * ((number * 7 + len(turns)) % 3))
        return three_turns(number, turns)

    expected = gpu_engine("compact", model, 8, False).converse(requests, sampling, three_turns)
    captured = gpu_engine("compact", model, 2).converse(requests, sampling, slow, workers=3)
    for number, (one, two) in enumerate(zip(captured, expected, strict=True)):
        assert [s.token_ids for s in one] == [s.token_ids for s in two], f"dialogue {number}, penalised {penalised}"


def test_answers_may_use_the_device_while_graphs_are_captured(gpu_model: Any, gpu_engine: Any, device: Any) -> None:
    """A tool or reward model on the same GPU allocates and waits in its thread: no capture may break on it."""
    engine = gpu_engine("compact", gpu_model("llama-wide"), 8)
    heard = []

    def busy(number: int, turns: Sequence[Sample]) -> tuple[int, ...] | None:
        for size in range(40):
            heard.append(float(torch.ones(1 << 16 | size * 4096, device=device).sum()))
        return (7, number) if len(turns) < 4 else None

    requests = [Request((5 + n,), n, 1 + 2 * n) for n in range(8)]  # they end one by one: sizes 8, 4, 2 and 1
    dialogues = engine.converse(requests, Sampling(), busy, workers=4)
    assert [len(turns) for turns in dialogues] == [4] * 8 and len(heard) == 8 * 4 * 40
    quiet = gpu_engine("compact", engine.forward.model, 8).converse(
        requests, Sampling(), lambda number, turns: (7, number) if len(turns) < 4 else None
    )
    assert [[s.token_ids for s in turns] for turns in dialogues] == [[s.token_ids for s in turns] for turns in quiet]


@pytest.mark.parametrize("family", ["llama-wide", "gpt2"])
def test_a_policy_converses_and_the_trainer_agrees(family: str, gpu_policy: Any) -> None:
    policy = gpu_policy(family)
    prompts = [policy.prompt([{"role": "user", "content": text}]) for text in ("1+1=", "a" * 63)]
    observed = tuple(policy.tokenizer("?+12")["input_ids"])

    def answer(p: int, g: int, turns: Sequence[Completion]) -> Sequence[int] | None:
        return observed if len(turns) < 2 + g else None

    dialogues = policy.converse(prompts, 2, Sampling(max_new_tokens=7), [[1, 2], [3, 4]], answer)
    assert [[len(turns) for turns in row] for row in dialogues] == [[2, 3], [2, 3]]
    for prompt, row in zip(prompts, dialogues, strict=True):
        for turns in row:
            ids, mask, drawn = list(prompt.token_ids), [False] * len(prompt.token_ids), []
            for turn in turns:
                ids += [*turn.token_ids, *observed]
                mask += [True] * len(turn.token_ids) + [False] * len(observed)
                drawn += turn.logprobs
            with torch.no_grad():
                got = policy.logprobs(torch.tensor([ids]), torch.tensor([mask])).cpu()[0][torch.tensor(mask)]
            assert got.tolist() == pytest.approx(drawn, abs=2e-5), f"{family}: trainer and dialogue disagree"


def test_an_error_of_the_environment_leaves_no_page_and_good_graphs(gpu_model: Any, gpu_engine: Any) -> None:
    engine = gpu_engine("compact", gpu_model("llama-wide"))
    requests = [Request(prompt, 1, 4) for prompt in PROMPTS]
    expected = engine.run(requests, GREEDY)

    def broken(number: int, turns: Sequence[Sample]) -> tuple[int, ...]:
        if number == 2:
            raise LookupError("no such tool")
        return (5,)

    with pytest.raises(LookupError, match="no such tool"):
        engine.converse(requests, GREEDY, broken)
    assert engine.pool.used == 0
    assert engine.run(requests, GREEDY) == expected
