"""The trainer's groups come from the grouped vector environment, and teach what single environments would."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import WrapperSpec

from r1gym.agents.grpo import train
from r1gym.agents.setup import make_env, make_held_out
from r1gym.envs.vector import GroupedVectorEnv
from r1gym.policy.toy import TabularPolicy

ANSWERS = [f"\\boxed{{{number}}}" for number in range(19)]


def test_the_trainer_makes_groups_and_learns_the_same_bits(options: Any, interrupting: Any, lines: Any) -> None:
    config = options(env="r1/Arithmetic-v0", steps=3, prompts_per_step=3, group_size=4, eval_tasks=5)
    config = replace(config, env_options='{"digits": 1, "operations": ["+"]}')
    made = make_env(config)
    assert isinstance(made, GroupedVectorEnv) and (made.num_envs, made.group_size) == (12, 4)
    assert isinstance(make_held_out(config, made), GroupedVectorEnv)
    workers = replace(config, env_options='{"digits": 1, "operations": ["+"], "workers": 2}')
    single = gym.make("r1/Arithmetic-v0", digits=1, operations=["+"])
    runs = []
    for number, (setting, env) in enumerate(((config, None), (config, single), (workers, None))):
        run = replace(setting, out=f"{config.out}-{number}")
        runs.append(lines(train(run, TabularPolicy(ANSWERS), env, screen=interrupting()).folder, "completions.jsonl"))
    assert runs[0] == runs[1] == runs[2] and len(runs[0]) == 3 * 12


def test_an_id_with_wrappers_of_its_own_is_asked_one_by_one(options: Any) -> None:
    registered = gym.spec("r1/Arithmetic-v0")
    arguments = {"target": "fr", "weight": 0.2, "strict": False}
    wrapper = WrapperSpec(
        "LanguageConsistency",
        "r1gym.envs.wrappers:LanguageConsistency",
        arguments,
    )
    gym.register(
        "r1test/Wrapped-v0",
        entry_point=registered.entry_point,
        vector_entry_point=registered.vector_entry_point,
        additional_wrappers=(wrapper,),
        kwargs=dict(registered.kwargs),
    )
    try:
        env = make_env(options(env="r1test/Wrapped-v0"))
        assert isinstance(env, gym.Env)
        env.reset(seed=0)
        assert "language" in env.step("Bonjour.")[4]["reward_terms"]
    finally:
        del gym.registry["r1test/Wrapped-v0"]
