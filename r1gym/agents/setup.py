"""From the options of a run to its environment, its policy and its folder, with every check that saves minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gymnasium as gym

import r1gym  # noqa: F401  (registers the environments)
from r1gym.agents.credit import check_offsets
from r1gym.agents.held_out import TASKS_AT_ONCE
from r1gym.config import as_json
from r1gym.envs.registering import explained, registered_spec
from r1gym.envs.vector import GroupedVectorEnv
from r1gym.errors import ConfigError, PromptTooLongError, UnknownNameError
from r1gym.logbook import RunFolder
from r1gym.policy.hf import HFPolicy
from r1gym.rollout import Start, TextEnv

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from r1gym.agents.grpo_config import GRPOConfig
    from r1gym.policy.protocol import Policy

__all__ = ["check_run", "make_env", "make_held_out", "make_policy", "open_folder"]

GROUPED = "r1gym.envs.vector:GroupedVectorEnv"
CHECKED_PROMPTS = 20_000
"""Sets of at most this many tasks have the length of every prompt looked at before a run."""
SPOT_CHECKS = 256
"""Prompts looked at, evenly spread, of a larger set."""


def _make(name: str, num_envs: int, group_size: int, **options: Any) -> TextEnv:
    """The environment ``name``: in groups where it can hold them, so that a whole batch is judged in one step."""
    with explained(name):
        if _grouped(name):
            envs = gym.make_vec(name, num_envs=num_envs, group_size=group_size, **options)
            assert isinstance(envs, GroupedVectorEnv)
            return envs
        return gym.make(name, **options)


def _is_ours(name: str) -> bool:
    """The id is made by r1gym, so it takes ``split``; a third party's environment has options of its own."""
    spec = registered_spec(name)
    return spec is not None and isinstance(spec.entry_point, str) and spec.entry_point.startswith("r1gym.")


def _grouped(name: str) -> bool:
    """The id makes groups, and needs no wrapper that stands around single environments."""
    spec = registered_spec(name)
    return spec is not None and spec.vector_entry_point == GROUPED and not spec.additional_wrappers


def make_env(config: GRPOConfig) -> TextEnv:
    """The environment to learn from."""
    options = config.make_options()
    if _is_ours(config.env):
        options.setdefault("split", config.split)
    return _make(config.env, config.prompts_per_step * config.group_size, config.group_size, **options)


def make_held_out(config: GRPOConfig, env: TextEnv) -> TextEnv | None:
    """The same environment on its test split; None where no tasks are held out.

    That is where the set has no test split, where the run does not learn from "train", where ``data=`` puts one
    file in the place of every split, and where the caller's own ``env`` is not the one that ``config`` names.
    """
    options = config.make_options()
    if env.spec is None or env.spec.id != config.env.rpartition(":")[2]:
        return None
    if not config.eval_tasks or config.split != "train" or "data" in options or not _is_ours(config.env):
        return None
    try:
        return _make(config.env, TASKS_AT_ONCE, 1, **{**options, "split": "test"})
    except UnknownNameError as error:
        if "split" in str(error):
            return None
        raise


def make_policy(config: GRPOConfig, device: torch.device) -> HFPolicy:
    """The model that ``--model`` names, on ``device``."""
    return HFPolicy.from_pretrained(config.model, dtype=config.dtype, device=device)


def open_folder(config: GRPOConfig, accelerator: Accelerator) -> RunFolder:
    """The run folder: the first process makes it, the others are told where it is."""
    from accelerate.utils import broadcast_object_list

    box: list[Any] = [None, None]
    if accelerator.is_main_process:
        folder = RunFolder.open(config.out, as_json(config), config.run_name())
        box = [folder.path, folder.resumed]
    if accelerator.num_processes > 1:
        broadcast_object_list(box)
    path, resumed = box
    return RunFolder(path, resumed, writes=accelerator.is_main_process)


def check_run(config: GRPOConfig, policy: Policy, env: TextEnv, processes: int) -> None:
    """Find out now what would fail later.

    Raises:
        ConfigError: The prompts cannot be dealt evenly to the processes, or the policy cannot map tokens to
            characters for span credit.
        DataNotFoundError: The task set is not at hand (from ``reset``).
        PromptTooLongError: Prompts leave no room for a completion in the model's context.
    """
    if config.prompts_per_step % processes:
        raise ConfigError(
            f"--prompts-per-step {config.prompts_per_step} cannot be dealt evenly to {processes} processes: "
            f"take a multiple of {processes}"
        )
    if config.span_credit:
        check_offsets(policy)
    env = env.single_env if isinstance(env, GroupedVectorEnv) else env
    env.reset(seed=0)
    context = getattr(policy, "context", None)
    if context is None:
        return
    rows = getattr(env.unwrapped, "gradable", None)
    if rows:
        stride = 1 if len(rows) <= CHECKED_PROMPTS else len(rows) // SPOT_CHECKS
        starts = [Start(0, int(rows[place])) for place in range(0, len(rows), stride)]
    else:
        starts = [Start(seed) for seed in range(16)]
    longest, count = 0, 0
    for start in starts:
        observation, info = start.reset(env)
        messages = info.get("messages") or ({"role": "user", "content": observation},)
        length = len(policy.prompt(tuple(messages)).token_ids)
        longest, count = max(longest, length), count + (length >= context)
    if count:
        raise PromptTooLongError(
            f"{count} of {len(starts)} prompts have {context} tokens or more (the longest {longest}) and the model's "
            f"context holds {context}: take a model with a longer context, or leave the long tasks out (data=)"
        )
