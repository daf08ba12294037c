"""ReasoningEnv: what reset and step give, and how each misuse is refused."""

from __future__ import annotations

import gymnasium as gym
import pytest
from gymnasium.error import ResetNeeded

import r1gym  # noqa: F401 - registers the ids
from r1gym.errors import ActionError, ConfigError, UnknownNameError


def test_a_right_answer_pays_one_and_a_wrong_one_nothing() -> None:
    env = gym.make("r1/Arithmetic-v0")
    question, info = env.reset(options={"index": 7})
    left, _, right = question.rstrip("=").partition("+")
    total = int(left) + int(right)
    assert info["task_id"] == "arithmetic/train/0/7" and info["index"] == 7 and info["template"] == "none"
    assert info["messages"] == [{"role": "user", "content": question}]
    observation, reward, terminated, truncated, info = env.step(f"<think></think><answer>{total}</answer>")
    assert (observation, reward, terminated, truncated) == ("", 1.0, True, False)
    assert info["verdict"] == "CORRECT" and info["score"] == 1.0 and info["extracted"] == str(total)
    assert info["reward_terms"] == {"accuracy": 1.0, "format": 1.0}
    env.reset(options={"index": 7})
    _, reward, _, _, info = env.step(f"<think></think><answer>{total + 1}</answer>")
    assert reward == 0.0 and info["verdict"] == "WRONG" and info["reward_terms"] == {"accuracy": 0.0, "format": 1.0}


def test_weights_pay_the_named_terms() -> None:
    env = gym.make("r1/Arithmetic-v0", rewards={"accuracy": 1.0, "format": 0.25})
    env.reset(seed=3)
    # 1.0 × 0 for the wrong answer + 0.25 × 1 for the form
    assert env.step("<think>hm</think><answer>-1</answer>")[1] == 0.25


def test_a_seed_restarts_everything() -> None:
    env = gym.make("r1/Arithmetic-v0")
    first = [env.reset(seed=11)[0], *(env.reset()[0] for _ in range(3))]
    assert first == [env.reset(seed=11)[0], *(env.reset()[0] for _ in range(3))]
    assert len(set(first)) == 4


def test_a_wording_is_drawn_by_the_seed_and_named() -> None:
    env = gym.make("r1/GSM8K-v0", split="sample", template="boxed/*")
    asked = {env.reset(seed=seed, options={"index": 2})[1]["template"] for seed in range(60)}
    assert asked == {"boxed", *(f"boxed/{number}" for number in range(1, 9))}
    first = env.reset(seed=9)
    assert first == env.reset(seed=9) and first[1]["messages"][0]["content"] == first[0]
    assert first[0] == gym.make("r1/GSM8K-v0", split="sample", template=first[1]["template"]).reset(seed=9)[0]
    assert env.step("no form")[4]["reward_terms"]["format"] == 0.0
    pinned = {env.reset(options={"index": index})[0]: index for index in range(10) for _ in range(3)}
    assert len(pinned) == 10  # by name and without a seed: one wording a task, so that a group shares it
    assert len({env.reset(options={"index": index})[1]["template"] for index in range(10)}) > 3
    envs = gym.make_vec("r1/GSM8K-v0", num_envs=4, group_size=4, split="sample", template="boxed/*")
    assert len(set(envs.reset(seed=0)[0])) == 1  # a group is asked in one wording


def test_steps_out_of_turn_are_refused() -> None:
    bare = gym.make("r1/Arithmetic-v0").unwrapped
    with pytest.raises(ResetNeeded, match="no question has been asked"):
        bare.step("7")
    bare.reset(seed=0)
    with pytest.raises(ActionError, match="got int 7"):
        bare.step(7)  # type: ignore[arg-type]
    bare.step("7")
    with pytest.raises(ResetNeeded, match="the episode is over"):
        bare.step("7")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"split": "trian"}, "Did you mean 'train'"),
        ({"template": "boxd"}, "Did you mean 'boxed'"),
        ({"extraction": "strict:box"}, "Did you mean 'strict:boxed'"),
        ({"rewards": {"acuracy": 1.0}}, "Did you mean 'accuracy'"),
        ({"digts": 3}, "Did you mean 'digits'"),
        ({"operations": ["-", "++"]}, "unknown operation '\\+\\+'"),
        ({"style": "word"}, "Did you mean 'words'"),
        ({"render_mode": "rgb_array"}, "unknown render_mode"),
    ],
)
def test_an_unknown_name_is_answered_with_the_near_miss(kwargs: dict[str, object], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        r1gym_env(**kwargs)


def r1gym_env(**kwargs: object) -> gym.Env[str, str]:
    from r1gym.envs.reasoning import ReasoningEnv

    return ReasoningEnv("arithmetic", **kwargs)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"index": 10**9}, "out of range: arithmetic \\(train\\) has tasks 0 to 999999"),
        ({"index": -1}, "out of range"),
        ({"index": "3"}, "index must be an int, got str '3'"),
        ({"task_id": "arithmetic/test/0/3"}, "unknown task_id"),
        ({"indx": 3}, "Did you mean 'index'"),
        ({"index": 3, "task_id": "arithmetic/train/0/3"}, "index or task_id, got both"),
    ],
)
def test_a_pin_that_names_no_task_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        r1gym_env().reset(options=options)
