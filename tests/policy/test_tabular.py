"""The tabular policy: softmax, gradient, storage."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from r1gym.errors import ConfigError
from r1gym.policy.toy import TabularPolicy
from r1gym.types import Sampling


def ask(policy: TabularPolicy, text: str) -> int:
    return policy.prompt([{"role": "user", "content": text}]).token_ids[0]


def test_equal_texts_share_a_row() -> None:
    policy = TabularPolicy(("a", "b"))
    assert [ask(policy, text) for text in ("x", "y", "x")] == [0, 1, 0]


def test_logprobs_and_their_gradient_are_those_of_the_softmax() -> None:
    policy = TabularPolicy(("a", "b", "c"))
    with torch.no_grad():
        policy.logits_PC[1] = torch.tensor([0.0, math.log(2), math.log(5)])  # 1/8, 2/8, 5/8
    got = policy.logprobs(torch.tensor([[1, 2]]), torch.tensor([[False, True]]))
    assert got[0].tolist() == pytest.approx([0.0, math.log(5 / 8)])
    got.sum().backward()
    assert policy.logits_PC.grad is not None
    assert policy.logits_PC.grad[1].tolist() == pytest.approx([-1 / 8, -2 / 8, 3 / 8])  # 1[c] - π
    assert policy.logits_PC.grad[0].abs().max() == 0


def test_samples_come_with_their_logprobs_from_their_own_seeds() -> None:
    policy = TabularPolicy(("a", "b"))
    prompt = policy.prompt([{"role": "user", "content": "x"}])
    (row,) = policy.sample([prompt], 50, Sampling(temperature=2.0), [list(range(50))])
    assert {completion.text for completion in row} == {"a", "b"}
    assert [completion.logprobs[0] for completion in row] == pytest.approx([math.log(0.5)] * 50)
    (other,) = policy.sample([prompt], 50, Sampling(), [list(range(49, -1, -1))])
    assert [completion.text for completion in other[::-1]] == [completion.text for completion in row]


@pytest.mark.parametrize("penalty", ["repetition_penalty", "frequency_penalty", "presence_penalty"])
def test_penalties_are_refused(penalty: str) -> None:
    policy = TabularPolicy(("a", "b"))
    prompt = policy.prompt([{"role": "user", "content": "x"}])
    options: dict[str, Any] = {penalty: 1.5}
    with pytest.raises(ConfigError, match=r"one token.*repetition_penalty at 1"):
        policy.sample([prompt], 1, Sampling(**options), [[0]])


@pytest.mark.parametrize(("keep", "cut"), [(True, "one;"), (False, "one")])
def test_a_stop_string_cuts_the_text(keep: bool, cut: str) -> None:
    policy = TabularPolicy(("one; two; three", "four"))
    prompt = policy.prompt([{"role": "user", "content": "x"}])
    sampling = Sampling(stop=(" three", ";"), keep_stop=keep)
    (row,) = policy.sample([prompt], 20, sampling, [list(range(20))])
    assert {(completion.token_ids, completion.text) for completion in row} == {((0,), cut), ((1,), "four")}


def test_more_prompts_than_rows_are_refused() -> None:
    policy = TabularPolicy(("a",), prompts=1)
    ask(policy, "x")
    with pytest.raises(ValueError, match="1 prompts"):
        ask(policy, "y")


def test_saving_loading_and_freezing(tmp_path: Path) -> None:
    policy = TabularPolicy(("a", "b"))
    ask(policy, "x")
    frozen = policy.frozen()
    with torch.no_grad():
        policy.logits_PC[0, 1] = 3.0
    policy.save(tmp_path)
    other = TabularPolicy(("a", "b"))
    other.load(tmp_path)
    assert torch.equal(other.logits_PC, policy.logits_PC)
    assert ask(other, "new") == 1
    assert frozen.logits_PC.abs().max() == 0
