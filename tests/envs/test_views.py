"""TokenMDP and ChooseCandidate: what Gymnasium and libraries of numbers ask, and what an episode is worth."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.views import ChooseCandidate, TokenMDP
from r1gym.errors import ActionError, ConfigError, DataError

Make = Callable[[], Any]


def tokens(**options: Any) -> TokenMDP:
    settings = {"vocabulary": "0123456789", "prompt_tokens": 6, "max_tokens": 3, "before": "<answer>"} | options
    return TokenMDP(gym.make("r1/Arithmetic-v0", digits=1), **({"after": "</answer>"} | settings))


def choice(id: str = "r1/Arithmetic-v0", **options: Any) -> ChooseCandidate:
    return ChooseCandidate(gym.make(id), **options)


VIEWS: list[Make] = [
    tokens,
    choice,
    lambda: choice("r1/LanguageConsistency-v0", k=3),
    lambda: TokenMDP(gym.make("r1/MATH500-v0", split="sample")),
]
EVERY_VIEW = pytest.mark.parametrize("make", VIEWS, ids=["tokens", "choice", "language", "math"])


@EVERY_VIEW
def test_check_env_has_nothing_to_say(make: Make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make())


@EVERY_VIEW
def test_a_view_is_rebuilt_from_the_json_of_its_spec(make: Make) -> None:
    env = make()
    twin = gym.make(EnvSpec.from_json(env.spec.to_json()))
    np.testing.assert_equal(twin.reset(seed=5), env.reset(seed=5))
    np.testing.assert_equal(twin.step(1), env.step(1))
    copied = pickle.loads(pickle.dumps(make()))
    np.testing.assert_equal(copied.reset(seed=5), env.reset(seed=5))


@EVERY_VIEW
def test_a_view_pickles_in_the_middle_of_an_episode(make: Make) -> None:
    env = make()
    env.reset(seed=1)
    twin = pickle.loads(pickle.dumps(env))
    np.testing.assert_equal(twin.step(2), env.step(2))


@pytest.mark.parametrize("make", VIEWS[:2], ids=["tokens", "choice"])
def test_views_stand_in_vector_environments(make: Make) -> None:
    sync = SyncVectorEnv([make] * 2)
    several = AsyncVectorEnv([make] * 2, context="forkserver")  # numbers live in shared memory
    try:
        np.testing.assert_equal(sync.reset(seed=3), several.reset(seed=3))
        np.testing.assert_equal(sync.step(np.array([1, 2])), several.step(np.array([1, 2])))
    finally:
        several.close()
        sync.close()


def write(env: TokenMDP, text: str) -> Any:
    for piece in text:
        result = env.step(env.vocabulary.index(piece))
    return result


def test_an_episode_of_tokens_is_one_completion() -> None:
    env = tokens()
    seen, info = env.reset(options={"index": 0})
    question = info["messages"][0]["content"]  # "a+b=": four characters, two of which are no digits
    a, b = int(question[0]), int(question[2])
    assert seen.tolist() == [0, 0, 2 + a, 1, 2 + b, 1, 0, 0, 0] and seen in env.observation_space
    assert info["action_mask"].tolist() == [1] * 10 + [0] == env.action_masks().astype(int).tolist()
    right = str(a + b)
    seen, reward, terminated, truncated, info = write(env, right)
    assert (reward, terminated, truncated, sorted(info)) == (0.0, False, False, ["action_mask"])
    assert info["action_mask"].all() and seen[6] == 2 + int(right[0])
    seen, reward, terminated, truncated, info = env.step(np.int64(env.end))
    assert (reward, terminated, truncated, info["verdict"], info["extracted"]) == (1.0, True, False, "CORRECT", right)
    with pytest.raises(ResetNeeded):
        env.step(0)


def test_the_budget_truncates_and_what_was_written_is_judged() -> None:
    env = tokens(max_tokens=2)
    _, info = env.reset(options={"index": 0})
    a, b = info["messages"][0]["content"].rstrip("=").split("+")
    _, reward, terminated, truncated, info = write(env, f"{int(a) + int(b):02d}")
    assert (reward, terminated, truncated, info["verdict"]) == (1.0, False, True, "CORRECT")


def test_the_end_at_once_is_an_empty_completion_and_pieces_may_be_words() -> None:
    env = tokens(vocabulary=["\\boxed{", "1", "12", "}", "+"], before="", after="")
    seen, info = env.reset(options={"index": 0})
    assert info["messages"][0]["content"][1] == "+" and seen.tolist()[3] == 2 + 4
    assert env.step(env.end)[4]["verdict"] == "NO_ANSWER"
    env.reset(options={"index": 0})
    for action in (0, 2, 3):
        result = env.step(action)
    assert result[4]["extracted"] == "12" and result[3]
    assert env._encoded("112+") == [3, 4, 6]  # the longest piece first


def test_a_choice_is_judged_by_the_environment() -> None:
    for id, options in (("r1/Arithmetic-v0", {}), ("r1/LanguageConsistency-v0", {"k": 3})):
        env = choice(id, **options)
        for index in range(20):
            paid = []
            for action in range(env.k):
                seen, info = env.reset(options={"index": index})
                final, reward, terminated, truncated, told = env.step(action)
                assert (terminated, truncated, told["extracted"]) == (True, False, info["candidates"][action])
                assert seen in env.observation_space and final in env.observation_space
                paid.append(reward)
            assert sorted(paid) == [0.0] * (env.k - 1) + [1.0], "exactly one candidate is right"
    with pytest.raises(DataError, match="makes candidates around integers"):
        choice("r1/Countdown-v0").reset(seed=0)


def test_tasks_without_an_integer_are_not_drawn(tmp_path: Any) -> None:
    rows = ['{"problem": "a?", "solution": "s", "answer": "7", "subject": "x", "level": 1, "unique_id": "seven"}']
    rows.append(rows[0].replace('"7"', '"\\\\frac{1}{2}"').replace("seven", "half"))
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(rows), encoding="utf-8")
    env = ChooseCandidate(gym.make("r1/MATH500-v0", data=str(path)))
    assert {env.reset(seed=seed)[1]["task_id"] for seed in range(12)} == {"seven"}
    with pytest.raises(DataError, match=r"task 'half' has the reference '\\\\frac\{1\}\{2\}'"):
        env.reset(options={"task_id": "half"})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: tokens(vocabulary="aa"), "different, non-empty pieces"),
        (lambda: tokens(vocabulary=[]), "different, non-empty pieces"),
        (lambda: tokens(vocabulary=["a", ""]), "different, non-empty pieces"),
        (lambda: tokens(vocabulary=5), "a text or a list of texts, got 5"),
        (lambda: tokens(vocabulary=["a", 1]), "a text or a list of texts"),
        (lambda: tokens(max_tokens=1), "max_tokens must be an int from 2"),
        (lambda: tokens(prompt_tokens=-1), "prompt_tokens must be an int from 0"),
        (lambda: choice(k=1), "k must be an int from 2 to 64"),
        (lambda: choice(spread=0), "spread must be an int from 1"),
        (lambda: TokenMDP(choice()), "TokenMDP needs an environment whose action is text"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_work_is_refused_at_once(make: Make, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_strange_environment_is_told_apart(word_env: Callable[..., Any]) -> None:
    env = TokenMDP(word_env("ab"), vocabulary="ab", prompt_tokens=2, max_tokens=4)
    env.reset(seed=0)
    write(env, "ab")
    assert env.step(env.end)[1] == 1.0
    with pytest.raises(ConfigError, match="knows its reference"):
        ChooseCandidate(word_env("ab"))


@pytest.mark.parametrize("make", VIEWS[:2], ids=["tokens", "choice"])
def test_actions_that_are_none(make: Make) -> None:
    env = make()
    with pytest.raises(ResetNeeded):
        env.step(0)
    env.reset(seed=0)
    for action in (-1, 11, 1.5, "1", True, None):
        with pytest.raises(ActionError, match="an action is an integer of"):
            env.step(action)
    env.step(0)
