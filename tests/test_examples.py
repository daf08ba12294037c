"""The examples run, and the one that learns does learn."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import gymnasium as gym

from r1gym.envs.views import TokenMDP

EXAMPLES = Path(__file__).parents[1] / "examples"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_plain_loop_learns() -> None:
    rewards = load("plain_loop").train(steps=8_000, seed=3)
    # Chance is 1/19; every question must be met several times before its table can know the answer.
    assert rewards[:400].mean() < 0.2
    assert rewards[-400:].mean() > 0.85


def test_the_plain_loop_needs_nothing_of_ours_but_the_registration() -> None:
    source = (EXAMPLES / "plain_loop.py").read_text(encoding="utf-8")
    assert [line for line in source.split("\n") if "import r1gym" in line or "from r1gym" in line] == [
        "import r1gym  # noqa: F401 - registers the ids"
    ]


def test_stable_baselines3_learns_from_a_numeric_view() -> None:
    """The short form of the run whose curve is docs/figures/sb3_curve.png."""
    curve = load("sb3_ppo").train(seed=1, steps=1_536)
    assert curve[0][0] == 0 and curve[-1][0] == 1_536
    # Chance is 1/4; an untrained network has one fixed taste, so it may be off by some.
    assert curve[0][1] < 0.45
    assert curve[-1][1] > 0.8


def test_the_single_file_learns_the_same_task() -> None:
    example = load("cleanrl_style_ppo")
    rewards = example.train(example.Args(seed=1, total_steps=3_072))
    assert rewards[0] < 0.4
    assert sum(rewards[-3:]) / 3 > 0.75


def test_the_masks_of_a_token_mdp_are_those_that_sb3_contrib_asks_for() -> None:
    from sb3_contrib import MaskablePPO
    from sb3_contrib.common.maskable.utils import is_masking_supported
    from stable_baselines3.common.env_checker import check_env

    env = TokenMDP(gym.make("r1/Arithmetic-v0", digits=1), vocabulary="0123456789", prompt_tokens=4, max_tokens=3)
    check_env(env)
    model = MaskablePPO("MlpPolicy", env, n_steps=64, batch_size=32, n_epochs=1, seed=0, device="cpu")
    assert is_masking_supported(model.env)
    model.learn(64)
    seen, _ = env.reset(seed=0)
    choices = {int(model.predict(seen, action_masks=env.action_masks())[0]) for _ in range(100)}
    assert env.end not in choices and len(choices) > 3
