"""GroupedVectorEnv: one task a group, resets on whole groups, completions in any order."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.error import ResetNeeded

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.vector import GroupedVectorEnv, columns
from r1gym.errors import ActionError, ConfigError, UnknownNameError


def answer(question: str, off: int = 0) -> str:
    return f"<answer>{sum(map(int, question.rstrip('=').split('+'))) + off}</answer>"


def grouped(num_envs: int = 6, group_size: int = 3) -> GroupedVectorEnv:
    return GroupedVectorEnv("arithmetic", num_envs=num_envs, group_size=group_size)


def test_a_group_shares_its_task_and_each_completion_is_judged() -> None:
    envs = gym.make_vec("r1/Arithmetic-v0", num_envs=6, group_size=3)
    texts, info = envs.reset(seed=7)
    alone = gym.make("r1/Arithmetic-v0")
    assert texts == (alone.reset(seed=7)[0],) * 3 + (alone.reset(seed=8)[0],) * 3
    assert list(info["group_id"]) == [0, 0, 0, 1, 1, 1] and len(set(info["task_id"])) == 2
    completions = [answer(text, off) for text, off in zip(texts, (0, 1, 0, 1, 0, 1), strict=True)]
    texts, rewards, terminated, truncated, info = envs.step(completions)
    assert texts == ("",) * 6 and rewards.tolist() == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    assert terminated.tolist() == [True] * 6 and truncated.tolist() == [False] * 6
    assert list(info["verdict"]) == ["CORRECT", "WRONG"] * 3 and info["score"].tolist() == rewards.tolist()
    assert (
        info["reward_terms"]["accuracy"].tolist() == rewards.tolist() and info["group_id"].tolist() == [0] * 3 + [1] * 3
    )


def test_completions_arrive_in_any_order() -> None:
    envs = grouped()
    texts, _ = envs.reset(seed=1)
    _, rewards, _, _, info = envs.step_subset([5, 0], [answer(texts[5]), answer(texts[0], 1)])
    assert rewards.tolist() == [1.0, 0.0] and info["group_id"].tolist() == [1, 0]
    with pytest.raises(ResetNeeded, match="environment 0 waits for no completion"):
        envs.step([answer(text) for text in texts])
    _, rewards, _, _, _ = envs.step_subset([1, 2, 3, 4], [answer(text) for text in texts[1:5]])
    assert rewards.tolist() == [1.0] * 4
    assert envs.num_envs == 6


def test_whole_groups_are_reset_and_the_others_kept() -> None:
    envs = grouped()
    before, _ = envs.reset(seed=1)
    mask = np.array([False] * 3 + [True] * 3)
    after, info = envs.reset(options={"reset_mask": mask, "index": [41]})
    assert after[:3] == before[:3] and after[3] != before[3]
    assert info["index"].tolist()[3:] == [41] * 3 and info["_index"].tolist() == mask.tolist()
    with pytest.raises(ConfigError, match="cuts group 1"):
        envs.reset(options={"reset_mask": np.array([False] * 3 + [True, False, True])})
    with pytest.raises(ConfigError, match="booleans of shape"):
        envs.reset(options={"reset_mask": [1, 0]})


def test_pins_and_seeds_are_one_a_group() -> None:
    envs = grouped()
    _, info = envs.reset(options={"task_id": ["arithmetic/train/0/5", "arithmetic/train/0/6"]})
    assert info["index"].tolist() == [5, 5, 5, 6, 6, 6]
    assert envs.reset(seed=[3, 9])[0] == envs.reset(seed=[3, 9])[0]
    for wrong in ({"index": [1]}, {"index": 1}, {"task_id": "arithmetic/train/0/5"}):
        with pytest.raises(ConfigError, match="must list 2 values"):
            envs.reset(options=wrong)
    with pytest.raises(ConfigError, match="expected 2 seeds"):
        envs.reset(seed=[1, 2, 3])
    with pytest.raises(UnknownNameError, match="Did you mean 'index'"):
        envs.reset(options={"indx": [1, 2]})


def test_a_refused_step_changes_nothing() -> None:
    envs = grouped()
    texts, _ = envs.reset(seed=0)
    with pytest.raises(ActionError, match="completion 1 must be str, got int"):
        envs.step_subset([0, 1], ["7", 7])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="expected 2 completions"):
        envs.step_subset([0, 1], ["7"])
    with pytest.raises(ConfigError, match="index 6 is out of range"):
        envs.step_subset([6], ["7"])
    with pytest.raises(ResetNeeded):
        envs.step_subset([0, 0], ["7", "7"])
    assert envs.step([answer(text) for text in texts])[1].tolist() == [1.0] * 6


@pytest.mark.parametrize(("num_envs", "group_size"), [(5, 2), (0, 1), (4, 0), (2, 4), (4, "2"), (4.0, 2)])
def test_broken_groups_are_refused(num_envs: int, group_size: int) -> None:
    with pytest.raises(ConfigError, match="multiple of group_size"):
        grouped(num_envs, group_size)


@pytest.mark.parametrize("id", ["r1/Arithmetic-v0", "r1/LanguageConsistency-v0", "r1/Countdown-v0"])
def test_a_grouped_step_tells_what_single_steps_tell(id: str) -> None:
    """The same keys in the same order, the same values and bits, column by column."""
    weights = {"accuracy": 0.7, "format": 0.1}
    envs, single = gym.make_vec(id, num_envs=6, group_size=3, rewards=weights), gym.make(id, rewards=weights)
    envs.reset(seed=2)
    completions = [
        "<think>so eins two</think><answer>\\boxed{3}</answer>",
        "",
        "\\boxed{7}",
        "x",
        "<answer>1",
        "\\boxed{",
    ]
    _, rewards, _, _, info = envs.step(completions)
    told = []
    for place, text in enumerate(completions):
        single.reset(seed=2 + place // 3)
        _, reward, _, _, one = single.step(text)
        assert reward == rewards[place]
        told.append({**one, "group_id": place // 3})
    expected = columns(told)
    assert list(info) == list(expected) and list(info["reward_terms"]) == list(expected["reward_terms"])
    np.testing.assert_equal(info, expected)
    assert envs.step_subset([], [])[1].shape == (0,)


def test_one_text_is_no_list_of_completions() -> None:
    envs = grouped(4, 2)
    envs.reset(seed=0)
    with pytest.raises(ActionError, match=r"list of one is \[completion\]"):
        envs.step("abcd")
    with pytest.raises(ActionError, match="got one str"):
        envs.step_subset([0, 1], "ab")
    assert envs.step(["a"] * 4)[1].shape == (4,)  # nothing was taken


@pytest.mark.parametrize("options", ["index", [1], 3])
def test_options_that_are_no_dict_are_named(options: Any) -> None:
    for env in (grouped(4, 2), gym.make("r1/Arithmetic-v0").unwrapped):
        with pytest.raises(ConfigError, match=r"options of reset must be a dict, got (str|list|int)"):
            env.reset(options=options)
