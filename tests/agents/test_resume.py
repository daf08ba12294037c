"""Reruns and interrupted runs, to the last bit."""

from __future__ import annotations

import pickle
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from r1gym.agents import checkpoint
from r1gym.agents.demo import build_policy
from r1gym.agents.grpo import STAGE, train
from r1gym.errors import RunFolderError
from r1gym.policy.toy import TabularPolicy


def tabular(options: Any, word_env: Any, name: str, **changes: Any) -> tuple[Any, Any, Any]:
    return options(name, minibatches=2, **changes), TabularPolicy("abc"), word_env("a", "b")


def language_model(options: Any, word_env: Any, name: str, **changes: Any) -> tuple[Any, Any, Any]:
    # Fresh weights answer no sum, and without a right answer nothing is learned: odd digits are paid instead.
    env = word_env("12", "345", pay=lambda word, action: sum(letter in "13579" for letter in action) / 6)
    small = {"max_new_tokens": 6, "lr": 1e-3, "beta": 0.1, "prompts_per_step": 2, "group_size": 4}
    return options(name, **(small | changes)), build_policy(3), env


def weights(policy: Any) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in policy.parameters()]


@pytest.mark.parametrize("kind", [tabular, language_model])
def test_the_same_seed_gives_the_same_bits(
    kind: Any, options: Any, word_env: Any, interrupting: Any, lines: Any
) -> None:
    runs = [train(*kind(options, word_env, name), screen=interrupting()) for name in ("one", "two")]
    one, two = (weights(run.policy) for run in runs)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert all(line["grad_norm"] > 0 for line in lines(runs[0].folder, "metrics.jsonl"))
    for name in ("metrics.jsonl", "completions.jsonl"):
        assert lines(runs[0].folder, name) == lines(runs[1].folder, name)
    other = train(*kind(options, word_env, "three", seed=1), screen=interrupting())
    assert lines(other.folder, "completions.jsonl") != lines(runs[0].folder, "completions.jsonl")


@pytest.mark.parametrize("kind", [tabular, language_model])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_to_the_same_bits(
    kind: Any, number: int, options: Any, word_env: Any, interrupting: Any, lines: Any
) -> None:
    straight = train(*kind(options, word_env, "straight", steps=5), screen=interrupting())
    first = train(*kind(options, word_env, "cut", steps=5), screen=interrupting(at=2, number=number))
    assert (first.steps, first.finished) == (2, False)
    second = train(*kind(options, word_env, "cut", steps=5), screen=interrupting())
    assert (second.steps, second.finished) == (5, True)
    one, two = weights(straight.policy), weights(second.policy)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    for name in ("metrics.jsonl", "completions.jsonl"):
        assert lines(second.folder, name) == lines(straight.folder, name)


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    options: Any, word_env: Any, interrupting: Any, lines: Any
) -> None:
    straight = train(*tabular(options, word_env, "straight", steps=5), screen=interrupting())
    # Killed after step 3 was logged, with a checkpoint of step 2 and half a line on disk.
    cut = train(*tabular(options, word_env, "cut", steps=5, save_every=2), screen=interrupting(at=3))
    (checkpoints,) = (cut.folder.path / "checkpoints",)
    assert checkpoint.latest(checkpoints, STAGE) == checkpoints / "grpo-000003"
    for file in (checkpoints / "grpo-000003").iterdir():
        file.unlink()
    (checkpoints / "grpo-000003").rmdir()
    metrics = cut.folder.path / "metrics.jsonl"
    metrics.write_text(metrics.read_text() + '{"stage": "grpo", "step": 4, "rewa')
    second = train(*tabular(options, word_env, "cut", steps=5, save_every=2), screen=interrupting())
    assert torch.equal(weights(second.policy)[0], weights(straight.policy)[0])
    for name in ("metrics.jsonl", "completions.jsonl"):
        assert lines(second.folder, name) == lines(straight.folder, name)


def test_a_request_to_stop_before_the_first_step_makes_none(
    options: Any, word_env: Any, interrupting: Any, lines: Any
) -> None:
    class Early(type(interrupting())):  # type: ignore[misc]
        def stage(self, name: str, steps: int, done: int = 0) -> None:
            signal.raise_signal(signal.SIGTERM)

    result = train(*tabular(options, word_env, "cut"), screen=Early())
    assert (result.steps, result.finished) == (0, False)
    again = train(*tabular(options, word_env, "cut"), screen=interrupting())
    assert [line["step"] for line in lines(again.folder, "metrics.jsonl")] == [1, 2, 3, 4]


def test_handlers_are_put_back(options: Any, word_env: Any, interrupting: Any) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    train(*tabular(options, word_env, "run", steps=1), screen=interrupting())
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_second_ctrl_c_stops_at_once(options: Any, word_env: Any, interrupting: Any) -> None:
    class Twice(type(interrupting())):  # type: ignore[misc]
        def note(self, text: str) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(*tabular(options, word_env, "run"), screen=Twice(at=1))


def test_a_folder_of_another_run_is_refused_with_the_options_that_differ(
    options: Any, word_env: Any, interrupting: Any
) -> None:
    train(*tabular(options, word_env, "run", steps=1), screen=interrupting())
    with pytest.raises(RunFolderError, match=r"differs in lr, temperature"):
        train(*tabular(options, word_env, "run", steps=1, lr=0.2, temperature=0.5), screen=interrupting())


def test_half_a_checkpoint_is_ignored_and_two_are_kept(tmp_path: Path) -> None:
    policy = TabularPolicy("ab")
    optimizer = torch.optim.AdamW(policy.parameters(), 0.1)
    for step in (8, 9, 10, 11):
        with torch.no_grad():
            policy.logits_PC.fill_(float(step))
        checkpoint.save(tmp_path, "grpo", step, policy, optimizer)
    checkpoint.save(tmp_path, "cold-start", 1, policy, optimizer)
    (tmp_path / ".part-grpo-000012").mkdir()
    assert sorted(path.name for path in tmp_path.glob("grpo-*")) == ["grpo-000010", "grpo-000011"]
    newest = checkpoint.latest(tmp_path, "grpo")
    assert newest == tmp_path / "grpo-000011"
    fresh = TabularPolicy("ab")
    assert checkpoint.restore(newest, fresh) == 11
    assert fresh.logits_PC[0, 0] == 11.0
    assert checkpoint.latest(tmp_path, "control") is None
    # A save that breaks off leaves no folder of the checkpoint's name.

    class Full(TabularPolicy):
        def save(self, path: Path) -> None:
            super().save(path)
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        checkpoint.save(tmp_path, "grpo", 13, Full("ab"), optimizer)
    assert checkpoint.latest(tmp_path, "grpo") == newest


@pytest.mark.parametrize("broken", [b"", bytes(4096), b"no pickle at all", pickle.dumps({"step": 1}, protocol=2)])
def test_an_unreadable_checkpoint_says_what_to_do(broken: bytes, tmp_path: Path) -> None:
    policy = TabularPolicy("ab")
    path = checkpoint.save(tmp_path, "grpo", 1, policy, torch.optim.AdamW(policy.parameters(), 0.1))
    (path / "optimizer.pt").write_bytes(broken)
    with pytest.raises(RunFolderError, match="remove it to go on from the one before"):
        checkpoint.restore(path, policy, torch.optim.AdamW(policy.parameters(), 0.1))
