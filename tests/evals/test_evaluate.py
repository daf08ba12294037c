"""An evaluation end to end with a policy that answers by a rule: figures, batches, interruption, wrong input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest

from r1gym.errors import ConfigError, DataError, RowError, RunFolderError
from r1gym.evals.evaluate import Progress, evaluate
from r1gym.evals.samples import load
from r1gym.evals.store import Store
from r1gym.policy.protocol import Sampling
from r1gym.types import Outcome

OPTIONS: dict[str, Any] = {"k": 4, "sampling": Sampling(max_new_tokens=8), "seed": 3}
Env = Callable[..., gym.Env[str, str]]


def test_figures_are_those_of_the_policy(policy: Any, sum_env: Env, tmp_path: Path) -> None:
    store = Store(tmp_path, {"model": "rule"}, 4)
    report = evaluate(policy, sum_env(), **OPTIONS, store=store)
    lines = load(tmp_path / "completions.jsonl")
    assert (report.tasks, len(lines), policy.sampled) == (6, 24, 24)
    # The policy is right where its seed is even; task 1 cannot be graded and counts for nothing.
    shares = [sum(line.seed % 2 == 0 for line in lines if line.index == i) / 4 for i in (0, 2, 3, 4, 5)]
    assert report.figures["pass@1"].value == pytest.approx(sum(shares) / 5)
    assert report.figures["ungradable"].value == pytest.approx(1 / 6)
    assert report.ungradable == ("sum-1",)
    # Length of a completion: 2 + seed mod 3.
    assert report.figures["mean_length"].value == pytest.approx(sum(2 + line.seed % 3 for line in lines) / 24)
    assert report.sampled_tokens == sum(line.tokens for line in lines)
    assert (lines[9].task_id, lines[9].reference, lines[9].domain, lines[9].env) == ("sum-2", "2", "math", "SumEnv")


def test_batches_do_not_change_what_is_sampled(sum_env: Env, policy: Any) -> None:
    reports = []
    for size in (1, 4, 100):
        policy.seeds = []
        reports.append((evaluate(policy, sum_env(), **OPTIONS, batch_tasks=size).figures, list(policy.seeds)))
    assert reports[0] == reports[1] == reports[2]


def test_the_seed_changes_what_is_sampled(sum_env: Env, policy: Any) -> None:
    evaluate(policy, sum_env(), **OPTIONS)
    first, policy.seeds = policy.seeds, []
    evaluate(policy, sum_env(), **(OPTIONS | {"seed": 4}))
    assert not set(first) & set(policy.seeds)


def test_limit_takes_the_first_tasks(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    store = Store(tmp_path, {}, 4)
    assert evaluate(policy, sum_env(), **OPTIONS, limit=2, store=store).tasks == 2
    assert [line.index for line in load(tmp_path / "completions.jsonl")] == [0] * 4 + [1] * 4
    # A larger limit goes on from there.
    policy.sampled = 0
    assert evaluate(policy, sum_env(), **OPTIONS, limit=100, store=Store(tmp_path, {}, 4)).tasks == 6
    assert policy.sampled == 16


def test_interruption_keeps_finished_tasks_and_the_rest_follows(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    whole = evaluate(policy, sum_env(), **OPTIONS)
    policy.sampled, policy.fail_after = 0, 16
    with pytest.raises(KeyboardInterrupt):
        evaluate(policy, sum_env(), **OPTIONS, batch_tasks=2, store=Store(tmp_path, {}, 4))
    assert len(load(tmp_path / "completions.jsonl")) == 16
    policy.sampled, policy.fail_after = 0, None
    seen: list[Progress] = []
    resumed = evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4), on_progress=seen.append)
    assert policy.sampled == 8  # two tasks of four were left
    assert resumed.figures == whole.figures
    assert [(each.done, each.stored, each.tasks) for each in seen] == [(4, 4, 6), (6, 4, 6)]
    assert seen[0].seconds_left is None and seen[1].seconds_left == 0


def test_a_torn_task_is_sampled_again(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    whole = evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    file = tmp_path / "completions.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:21]) + lines[21][:40])  # task 5 holds one line and a half
    policy.sampled = 0
    store = Store(tmp_path, {}, 4)
    assert store.dropped == 1
    assert evaluate(policy, sum_env(), **OPTIONS, store=store).figures == whole.figures
    assert policy.sampled == 4
    assert "".join(lines) == file.read_text()


def test_a_hole_is_filled_with_what_stood_there(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    file = tmp_path / "completions.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:4] + lines[8:12] + lines[16:]))  # tasks 1 and 3 are gone
    evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    assert sorted(file.read_text().splitlines(keepends=True)) == sorted(lines)


def test_a_smaller_limit_reads_only_its_tasks(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    small = evaluate(policy, sum_env(), **OPTIONS, limit=3)
    evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    seen: list[Progress] = []
    again = evaluate(policy, sum_env(), **OPTIONS, limit=3, store=Store(tmp_path, {}, 4), on_progress=seen.append)
    assert again.figures == small.figures
    assert [(each.done, each.tasks) for each in seen] == [(3, 3)]


def test_a_finished_evaluation_samples_nothing(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    policy.sampled = 0
    again = evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    assert (policy.sampled, again.sampled_tokens, again.tokens_per_second) == (0, 0, None)


def test_an_environment_without_a_list_is_drawn_from_by_seed(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    env = sum_env(tasks=50, listed=False)
    assert evaluate(policy, env, **OPTIONS, limit=20, store=Store(tmp_path, {}, 4)).tasks == 20
    lines = load(tmp_path / "completions.jsonl")
    assert len({line.task_seed for line in lines}) == 20
    assert len({line.task_id for line in lines}) > 10  # 20 draws from 50 tasks
    with pytest.raises(ConfigError, match="--limit"):
        evaluate(policy, env, **OPTIONS)


@pytest.mark.parametrize("option", ["k", "limit", "batch_tasks"])
def test_nothing_below_one(sum_env: Env, policy: Any, option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option} must be at least 1, got 0"):
        evaluate(policy, sum_env(), **(OPTIONS | {option: 0}))
    assert policy.sampled == 0


def test_changed_data_are_noticed(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    env = sum_env()
    env.unwrapped.tasks.reverse()  # type: ignore[attr-defined]
    with pytest.raises(DataError, match="data changed"):
        evaluate(policy, env, **OPTIONS, store=Store(tmp_path, {}, 4))


def test_a_folder_of_another_evaluation_is_refused(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {"temperature": 0.6}, 4))
    with pytest.raises(RunFolderError, match=r"temperature was 0\.6, is 1\.0"):
        Store(tmp_path, {"temperature": 1.0}, 4)


@pytest.mark.parametrize("name, text", [("config.json", '{"steps": 3}'), ("config.json", "{"), ("metrics.jsonl", "")])
def test_a_folder_of_something_else_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(RunFolderError, match="choose another folder"):
        Store(tmp_path, {}, 4)
    with pytest.raises(RunFolderError, match="is a file"):
        Store(tmp_path / name, {}, 4)


def test_a_store_without_a_completion_leaves_no_trace(tmp_path: Path) -> None:
    Store(tmp_path / "new", {"model": "mistyped"}, 4)
    assert not (tmp_path / "new").exists()


def test_two_writers_are_noticed(sum_env: Env, policy: Any, tmp_path: Path) -> None:
    evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    file = tmp_path / "completions.jsonl"
    file.write_text(file.read_text() * 2)
    with pytest.raises(RunFolderError, match="two evaluations wrote"):
        Store(tmp_path, {}, 4)


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ('"verdict": ', '"verdict": "MAYBE", "was": ', "'verdict' must be one of CORRECT"),
        ('"tokens": ', '"tokens": "4", "was": ', "'tokens' must be int, got '4'"),
        ('"score": ', '"score": true, "was": ', "'score' must be int or float, got True"),
        ('"completion": ', '"text": ', "'completion' is missing"),
        ("{", "", "not a JSON object"),
        ("{", "[{", "not a JSON object"),
    ],
)
def test_a_malformed_line_is_named(
    sum_env: Env, policy: Any, tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    evaluate(policy, sum_env(), **OPTIONS, store=Store(tmp_path, {}, 4))
    file = tmp_path / "completions.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    lines[2] = lines[2].replace(old, new, 1)
    file.write_text("".join(lines))
    with pytest.raises(RowError, match=complaint) as caught:
        Store(tmp_path, {}, 4)
    assert f"{file}, line 3: " in str(caught.value)


def test_texts_come_back_as_they_were(make_sample: Any, tmp_path: Path) -> None:
    odd = make_sample(completion='a\u2028b\n"c" \x00 ∑ \ud83d', verdict=Outcome.WRONG, reference={"a": [1, None]})
    store = Store(tmp_path, {}, 1)
    store.append([[odd]])
    assert load(store.completions) == [odd]
    assert Store(tmp_path, {}, 1).groups == {0: (odd,)}


def test_a_folder_that_cannot_be_written_any_more_is_one_clear_error(tmp_path: Path) -> None:
    store = Store(tmp_path / "made" / "later", {}, 4)
    (tmp_path / "made").write_text("in the way", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"cannot write the evaluation's folder .*later .*choose another with --out"):
        store.append([])
