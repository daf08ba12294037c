"""Groups of judged episodes, seeds, and what an environment may not do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import gymnasium as gym
import pytest

import r1gym  # noqa: F401  (registers the environments)
from r1gym.errors import ConfigError, NumericalError
from r1gym.rollout import Start, derive_seed, draw_starts, rollout
from r1gym.types import Completion, Finish, Message, Outcome, Prompt, Sampling

SAMPLING = Sampling(max_new_tokens=4)


class Scripted:
    """Writes the same text for every task, ended as told; keeps the seeds that it was given."""

    def __init__(self, text: str, finish: Finish = "stop") -> None:
        self.text, self.finish = text, finish
        self.seeds: Sequence[Sequence[int]] = ()

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        return Prompt(tuple(messages), (1, 2))

    def sample(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[list[Completion]]:
        self.seeds = seeds
        one = Completion((7, 8), (-0.5, -0.25), self.text, self.finish)
        return [[one] * group_size for _ in prompts]


def judged(text: str, finish: Finish = "stop", **options: Any) -> Any:
    env = gym.make("r1/Arithmetic-v0", digits=1, **options)
    ((episode,),) = rollout(Scripted(text, finish), env, [Start(0, 3)], 1, SAMPLING, seed=0)  # type: ignore[arg-type]
    return episode


def answer() -> str:
    env = gym.make("r1/Arithmetic-v0", digits=1)
    env.reset(options={"index": 3})
    return str(env.unwrapped.tasks[3].reference)  # type: ignore[attr-defined]


def test_no_answer_before_the_budget_ran_out_is_truncated() -> None:
    episode = judged("let me think", "length")
    assert (episode.verdict.outcome, episode.truncated) == (Outcome.TRUNCATED, True)
    assert episode.verdict.score == episode.reward.total == 0.0
    assert "budget of 2 ran out" in episode.verdict.reason


def test_a_right_answer_before_the_cut_stays_right() -> None:
    episode = judged(f"\\boxed{{{answer()}}} and furthermore", "length")
    assert (episode.verdict.outcome, episode.truncated, episode.reward.total) == (Outcome.CORRECT, True, 1.0)


def test_a_wrong_answer_before_the_cut_stays_wrong() -> None:
    episode = judged("\\boxed{123456} and furthermore", "length")
    assert (episode.verdict.outcome, episode.truncated) == (Outcome.WRONG, True)


def test_no_answer_of_a_completion_that_stopped_is_no_answer() -> None:
    episode = judged("let me think")
    assert (episode.verdict.outcome, episode.truncated) == (Outcome.NO_ANSWER, False)


def test_terms_and_tokens_reach_the_episode() -> None:
    episode = judged(f"\\boxed{{{answer()}}}")
    assert episode.reward.terms["accuracy"] == 1.0
    assert "format" in episode.reward.terms
    (turn,) = episode.turns
    assert (turn.prompt.token_ids, turn.completion.token_ids) == ((1, 2), (7, 8))
    assert episode.task.meta["index"] == 3


class Judge(gym.Env[str, str]):
    """Answers with the ``info`` and the reward that it was made with."""

    def __init__(self, info: dict[str, Any], reward: float = 0.0, asks: Sequence[Any] = ("q",), ends: bool = True):
        self.info, self.reward, self.asks, self.ends, self.resets = info, reward, asks, ends, 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        self.resets += 1
        return self.asks[min(self.resets, len(self.asks)) - 1], {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return "", self.reward, self.ends, False, self.info


def one(env: gym.Env[str, str], finish: Finish = "stop") -> Any:
    ((episode,),) = rollout(Scripted("x", finish), env, [Start(5)], 1, SAMPLING, seed=0)  # type: ignore[arg-type]
    return episode


def test_ungradable_stays_ungradable_where_the_budget_ran_out() -> None:
    info = {"verdict": "UNGRADABLE", "score": 0.0, "extracted": "", "reason": "crash: no sandbox"}
    assert one(Judge(info), "length").verdict.outcome is Outcome.UNGRADABLE


@pytest.mark.parametrize("info", [{}, {"verdict": "fine"}, {"verdict": "CORRECT"}])
def test_a_plain_environment_is_right_where_it_pays(info: dict[str, Any]) -> None:
    # Its info may use our words in its own way.
    assert one(Judge(info, 0.5)).verdict.outcome is Outcome.CORRECT
    assert one(Judge(info, 2.0)).verdict.score == 1.0
    for reward in (0.0, -1.0):
        verdict = one(Judge(info, reward)).verdict
        assert (verdict.outcome, verdict.score) == (Outcome.WRONG, 0.0)


@pytest.mark.parametrize("reward", [math.nan, math.inf])
def test_a_reward_that_is_no_number_is_an_error(reward: float) -> None:
    with pytest.raises(NumericalError, match="seed-5"):
        one(Judge({}, reward))


def test_an_environment_that_goes_on_or_asks_no_text_or_forgets_its_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="single-turn"):
        one(Judge({}, ends=False))
    with pytest.raises(ConfigError, match="type int"):
        one(Judge({}, asks=(3,)))
    with pytest.raises(ConfigError, match="reset with the same seed 5"):
        one(Judge({}, asks=("first", "second")))


def test_seeds_hang_on_the_group_and_the_sample_only(word_env: Callable[..., Any]) -> None:
    policy, env, starts = Scripted("x"), word_env("yes", "no"), [Start(seed) for seed in range(4)]
    rollout(policy, env, starts, 3, SAMPLING, 9, first_group=8)  # type: ignore[arg-type]
    whole = policy.seeds
    rollout(policy, env, starts[2:], 3, SAMPLING, 9, first_group=10)  # type: ignore[arg-type]
    assert policy.seeds == whole[2:]
    assert whole[0] == [derive_seed(9, 8, g) for g in range(3)]
    assert len({seed for row in whole for seed in row}) == 12


def test_derived_seeds_are_fixed_and_separate_their_parts() -> None:
    assert derive_seed(0, "task", 1) == derive_seed(0, "task", 1)
    assert len({derive_seed(1, 23), derive_seed(12, 3), derive_seed(123), derive_seed("1", "2", "3")}) == 4
    assert all(0 <= derive_seed("x", n) < 2**63 for n in range(100))


def test_every_task_is_met_once_an_epoch_in_an_order_of_the_seed() -> None:
    env = gym.make("r1/GSM8K-v0", split="sample")
    env.reset(seed=0)
    rows = list(env.unwrapped.gradable)  # type: ignore[attr-defined]
    steps = -(-2 * len(rows) // 3)
    drawn = [start.index for step in range(steps) for start in draw_starts(env, 0, step, 3)]
    assert sorted(drawn[: len(rows)]) == sorted(drawn[len(rows) : 2 * len(rows)]) == sorted(rows)
    assert drawn[: len(rows)] != drawn[len(rows) : 2 * len(rows)]
    assert draw_starts(env, 0, 5, 3) == draw_starts(env, 0, 5, 3)  # a run that goes on needs no history
    assert draw_starts(env, 0, 0, 3) != draw_starts(env, 1, 0, 3)


def grouped(count: int, size: int, **options: Any) -> Any:
    return gym.make_vec("r1/Arithmetic-v0", num_envs=count, group_size=size, digits=1, **options)


def test_a_grouped_environment_gives_the_episodes_of_a_single_one() -> None:
    policy, single = Scripted(f"\\boxed{{{answer()}}}", "length"), gym.make("r1/Arithmetic-v0", digits=1)
    for starts in ([Start(4, 3), Start(5, 9)], [Start(4), Start(5, 9)], [Start(11)]):
        one, many = (
            rollout(policy, env, starts, 2, SAMPLING, seed=1, first_group=6)  # type: ignore[arg-type]
            for env in (single, grouped(6, 2))
        )
        assert one == many and [episode.group_id for episode in many[0]] == [6, 6]
    assert draw_starts(grouped(6, 2), 3, 1, 4) == draw_starts(single, 3, 1, 4)


def test_groups_that_do_not_fit_are_refused() -> None:
    policy: Any = Scripted("x")
    with pytest.raises(ConfigError, match="1 groups of 3 do not fit an environment of 2 groups of 2"):
        rollout(policy, grouped(4, 2), [Start(1)], 3, SAMPLING, seed=1)
    with pytest.raises(ConfigError, match="num_envs=6, group_size=2"):
        rollout(policy, grouped(4, 2), [Start(1)] * 3, 2, SAMPLING, seed=1)
