"""Span credit: the formula by hand, the means of a group, and that it reaches the right tokens of the loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
import pytest
import torch

import r1gym  # noqa: F401 - registers the ids
from r1gym.agents.batch import Batch
from r1gym.agents.credit import check_offsets, span_credit, term_means, token_credit
from r1gym.agents.demo import build_policy
from r1gym.agents.grpo import train
from r1gym.agents.losses import LOSSES, LossInputs, clipped_share
from r1gym.errors import ConfigError
from r1gym.policy.toy import TabularPolicy
from r1gym.rollout import Start, rollout
from r1gym.types import Completion, Episode, Prompt, Reward, Sampling, Span, Task, Turn, Verdict


def test_credit_is_the_centred_value_of_the_spans_over_a_token() -> None:
    # Tokens:        ab      c       d       (nothing)
    offsets = [(0, 2), (2, 3), (3, 4), (4, 4)]
    spans = [Span(1, 3, "language", 0.0), Span(3, 4, "answer", 1.0), Span(2, 2, "answer", 1.0)]
    # language: 0 - 0.75 on ab and c; answer: 1 - 0.25 on d; an empty span touches nothing. Weight 2.
    assert token_credit(offsets, spans, {"language": 0.75, "answer": 0.25}, 2.0) == [-1.5, -1.5, 1.5, 0.0]
    both = [Span(2, 4, "language", 0.0), Span(3, 4, "answer", 1.0)]
    assert token_credit(offsets, both, {"language": 0.5, "answer": 0.0}, 1.0) == [0.0, -0.5, 0.5, 0.0]
    assert token_credit(offsets, [], {}, 1.0) == [0.0] * 4


def member(text: str, verdict: Verdict, terms: dict[str, float]) -> Episode:
    completion = Completion(tuple(range(len(text))), (-1.0,) * len(text), text, "stop")
    turn = Turn(Prompt((), (1,)), completion, "", 0.0)
    return Episode(Task("t", "", "", None), 0, 0, (turn,), verdict, Reward(0.0, terms), False)


class Letters:
    """A token is a character."""

    def offsets(self, completion: Completion) -> list[tuple[int, int]]:
        return [(place, place + 1) for place in range(len(completion.text))]


RIGHT = Verdict.correct("7", "rule: right", (Span(2, 3, "answer", 1.0), Span(0, 1, "language", 0.0)))
WRONG = Verdict.wrong("8", "rule: wrong", (Span(1, 2, "answer", 0.0), Span(0, 1, "odd", 0.5)))
GROUP = [
    member("ab7", RIGHT, {"accuracy": 1.0, "language": 0.5}),
    member("a8", WRONG, {"accuracy": 0.0, "language": 1.0}),
    member("c", Verdict.no_answer("rule: none"), {"accuracy": 0.0, "language": 0.9}),
    member("dd", replace(RIGHT, outcome=Verdict.ungradable("x").outcome), {"accuracy": 0.0, "language": 0.0}),
]


def test_means_are_those_of_the_group_and_leave_out_what_could_not_be_judged() -> None:
    # accuracy (1 + 0 + 0) / 3, language (0.5 + 1 + 0.9) / 3; nobody rewards "odd": the mean of its spans.
    assert term_means(GROUP) == pytest.approx({"answer": 1 / 3, "language": 0.8, "odd": 0.5})
    ((first, second, third, masked),) = span_credit([GROUP], Letters(), 3.0, [False]) or []  # type: ignore[arg-type]
    assert first == pytest.approx([3 * (0 - 0.8), 0.0, 3 * (1 - 1 / 3)])
    assert second == pytest.approx([3 * (0.5 - 0.5), 3 * (0 - 1 / 3)])
    assert (third, masked) == ([0.0], [0.0, 0.0])
    assert span_credit([GROUP], Letters(), 0.0, [False]) is None  # type: ignore[arg-type]


def test_credit_lies_on_the_completions_tokens_of_the_batch() -> None:
    credit = span_credit([GROUP], Letters(), 3.0, [False])  # type: ignore[arg-type]
    keep = torch.tensor([[True, True, False, False]])
    batch = Batch.build([GROUP], torch.tensor([[1.0, -1.0, 0.0, 0.0]]), keep, credit)
    assert batch.credit_BT is not None
    assert batch.credit_BT.tolist() == [pytest.approx([0, -2.4, 0, 2]), pytest.approx([0, 0, -1, 0])]
    part = batch.take(torch.tensor([1]))
    assert part.credit_BT is not None and part.credit_BT.tolist() == [pytest.approx([0, 0, -1])]
    assert Batch.build([GROUP], torch.zeros(1, 4), keep).credit_BT is None


@pytest.mark.parametrize("loss", list(LOSSES))
def test_an_objective_adds_the_credit_to_its_token(loss: str) -> None:
    mask_BT = torch.tensor([[False, True, True]])
    logprobs_BT = torch.zeros(1, 3, requires_grad=True)
    inputs = LossInputs(logprobs_BT, torch.zeros(1, 3), torch.tensor([0.5]), mask_BT, 1, 2, 4)
    inputs = replace(inputs, credit_BT=torch.tensor([[0.0, -2.0, 0.0]]))
    LOSSES[loss](inputs).backward()
    # ρ = 1: the gradient of a token is -(A + c) over the denominator: -(0.5 - 2) and -(0.5).
    denominator = {"grpo": 2, "dr_grpo": 4, "dapo": 2}[loss]
    assert logprobs_BT.grad is not None
    assert logprobs_BT.grad.tolist() == [pytest.approx([0, 1.5 / denominator, -0.5 / denominator])]
    # ρ = 0.5 < 1 - ε: the clip bites where the token's own advantage is negative, at one token of two.
    low = replace(inputs, logprobs_BT=torch.full((1, 3), 0.5).log())
    assert clipped_share(low).item() == 1 and clipped_share(replace(low, credit_BT=None)).item() == 0


def test_a_run_with_credit_moves_otherwise_and_one_without_not(options: Any, interrupting: Any) -> None:
    config = options(env="r1/Arithmetic-v0", env_options='{"digits": 1, "operations": ["+"]}', steps=2, group_size=32)
    tables = []
    for number, weight in enumerate((0.0, 0.0, 0.5)):
        run = replace(config, span_credit=weight, out=f"{config.out}-{number}")
        policy = TabularPolicy([f"\\boxed{{{number}}}" for number in range(19)])
        train(run, policy, screen=interrupting())
        tables.append(policy.logits_PC.detach())
    assert tables[0].any() and torch.equal(tables[0], tables[1]) and not torch.equal(tables[0], tables[2])
    with pytest.raises(ConfigError, match="--span-credit must be 0 or above"):
        options(span_credit=-1.0)
    with pytest.raises(ConfigError, match="object has no method offsets"):
        check_offsets(object())  # type: ignore[arg-type]


@pytest.mark.parametrize("beta", [0.0, 1e-3])
def test_a_group_of_equal_rewards_moves_nothing(beta: float, word_env: Any, options: Any, interrupting: Any) -> None:
    """With a KL term such a group stays in the batch; what its spans say must not count for that."""
    env = word_env("b", pay=lambda *_: 1.0)
    plain = env.step
    terms = {"accuracy": 1.0, "language": 0.5}  # a foreign half in each
    told = {"verdict": "CORRECT", "score": 1.0, "extracted": "", "reason": "test: x", "reward_terms": terms}
    # The spans of "a" are worse than its group, those of "b" better.
    env.step = lambda action: (*plain(action)[:4], {**told, "spans": ((0, 1, "language", float(action == "b")),)})
    policy = TabularPolicy("ab")
    train(options(steps=1, beta=beta, span_credit=1.0), policy, env, screen=interrupting())
    assert policy.logits_PC.abs().max() == 0


def test_a_real_policys_tokens_meet_the_answers_span() -> None:
    policy = build_policy(0)
    env = gym.make("r1/Arithmetic-v0", digits=4, style="bare", template="none")
    ((episode,),) = rollout(policy, env, [Start(0, 3)], 1, Sampling(max_new_tokens=8), 0)
    text = "<think>1,2</think><answer>+12</answer>"
    ids = policy.tokenizer(text)["input_ids"] + [policy.tokenizer.eos_token_id]
    completion = replace(episode.turns[0].completion, token_ids=tuple(ids), text=text)
    env.reset(options={"index": 3})
    spans = [Span(*span) for span in env.step(text)[4]["spans"]]
    assert [text[span.start : span.end] for span in spans] == ["<answer>+12</answer>"]
    credit = token_credit(policy.offsets(completion), spans, {"answer": 1.0}, 1.0)
    # <think> 1 , 2 </think> | <answer> + 1 2 </answer> | <eos>
    assert credit == [0, 0, 0, 0, 0, -1, -1, -1, -1, -1, 0]


@pytest.mark.parametrize(
    ("id", "options", "text", "expected"),
    [
        ("r1/MATH500-v0", {"split": "sample"}, "So \\boxed{99}.", [("\\boxed{99}", "answer", 0.0)]),
        ("r1/Countdown-v0", {}, "<answer>1+1</answer>", [("<answer>1+1</answer>", "answer", 0.0)]),
        (
            "r1/LanguageConsistency-v0",
            {"languages": ["de"]},
            "<think>Wir rechnen zuerst die Summe aus und prüfen sie. Then we subtract the number of all the apples "
            "that were eaten.</think> \\boxed{-3}",
            [
                ("\\boxed{-3}", "answer", 0.0),
                ("Then we subtract the number of all the apples that were eaten", "language", 0.0),
            ],
        ),
    ],
)
def test_environments_fill_their_spans(id: str, options: Any, text: str, expected: list[Any]) -> None:
    env = gym.make(id, **options)
    env.reset(seed=0)
    spans = env.step(text)[4]["spans"]
    assert [(text[start:end].rstrip("."), term, value) for start, end, term, value in spans] == expected
