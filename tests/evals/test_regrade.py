"""Grading stored completions again gives the same verdicts, and shows those that a changed grader flips."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from r1gym.errors import ConfigError, DataError, DataNotFoundError
from r1gym.evals.evaluate import evaluate
from r1gym.evals.regrade import Flip, flips, regrade
from r1gym.evals.samples import Sample, load
from r1gym.evals.store import Store
from r1gym.policy.protocol import Sampling
from r1gym.types import Outcome

Env = Callable[..., gym.Env[str, str]]


@pytest.fixture
def stored(sum_env: Env, policy: Any, tmp_path: Path) -> list[Sample]:
    evaluate(policy, sum_env(), k=3, sampling=Sampling(), seed=0, store=Store(tmp_path, {}, 3))
    return load(tmp_path / "completions.jsonl")


def test_the_same_environment_changes_nothing(stored: list[Sample], sum_env: Env) -> None:
    assert regrade(stored, sum_env()) == stored


def test_an_environment_without_a_list_finds_its_tasks_again(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    env = sum_env(tasks=50, listed=False)
    evaluate(policy, env, k=3, sampling=Sampling(), seed=0, limit=10, store=Store(tmp_path, {}, 3))
    samples = load(tmp_path / "completions.jsonl")
    assert regrade(samples, sum_env(tasks=50, listed=False)) == samples


def test_flips_are_listed(stored: list[Sample], sum_env: Env, make_sample: Callable[..., Sample]) -> None:
    env = sum_env()
    tasks = env.unwrapped.tasks  # type: ignore[attr-defined]
    tasks[2] = make_task(tasks[2], "3")  # the gold of task 2 was 2; the policy answers 2 (even seed) or 3 (odd)
    new = regrade(stored, env)
    expected = [
        Flip("sum-2", each.sample, each.verdict, other[each.verdict], each.extracted, "test: exact")
        for each in stored
        if each.index == 2
    ]
    assert flips(stored, new) == expected
    assert [after.score for after in new if after.index == 2] == [
        float(each.verdict is Outcome.WRONG) for each in stored if each.index == 2
    ]


other = {Outcome.CORRECT: Outcome.WRONG, Outcome.WRONG: Outcome.CORRECT}


def make_task(task: Any, reference: str) -> Any:
    from dataclasses import replace

    return replace(task, reference=reference)


def test_no_answer_of_a_cut_completion_stays_truncated(sum_env: Env, make_sample: Callable[..., Sample]) -> None:
    cut = make_sample(task_id="sum-0", completion="so we", finish="length", verdict=Outcome.TRUNCATED)
    ended = make_sample(task_id="sum-0", completion="so we", sample=1)
    new = regrade([cut, ended], sum_env())
    assert [each.verdict for each in new] == [Outcome.TRUNCATED, Outcome.NO_ANSWER]
    new = regrade([cut, ended])
    assert [each.verdict for each in new] == [Outcome.TRUNCATED, Outcome.NO_ANSWER]


def test_without_an_environment_the_verifier_judges(make_sample: Callable[..., Sample]) -> None:
    samples = [make_sample(completion="\\boxed{2}"), make_sample(completion="\\boxed{1}", sample=1)]
    assert [each.verdict for each in regrade(samples)] == [Outcome.WRONG, Outcome.CORRECT]
    with pytest.raises(ConfigError, match="without a domain"):
        regrade([make_sample(domain="")])


def test_other_data_are_refused(stored: list[Sample], sum_env: Env) -> None:
    env = sum_env()
    env.unwrapped.tasks.reverse()  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="give the data that they were sampled from"):
        regrade(stored, env)


def test_samples_of_two_environments_are_refused(sum_env: Env, make_sample: Callable[..., Sample]) -> None:
    with pytest.raises(ConfigError, match="several environments"):
        regrade([make_sample(), make_sample(env="r1/Other-v0")], sum_env())


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"no stored completions at .*nothing\.jsonl"):
        load(tmp_path / "nothing.jsonl")
