"""P tasks × G completions through an environment: groups of judged episodes.

The one room in which environments and policies meet. It alone knows how a completion ended: where the token budget
cut it and the environment found no answer, the verdict becomes TRUNCATED; a right answer before the cut stays
CORRECT. Axes: P tasks, G completions of one task.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gymnasium as gym

from r1gym.envs.vector import GroupedVectorEnv, row
from r1gym.errors import ConfigError, NumericalError
from r1gym.types import Completion, Episode, Outcome, Prompt, Reward, Span, Task, Turn, Verdict

if TYPE_CHECKING:
    from r1gym.policy.protocol import Policy, Sampling

__all__ = ["Start", "TextEnv", "derive_seed", "draw_starts", "rollout"]

TextEnv = gym.Env[str, str] | GroupedVectorEnv
"""What is asked: one environment, reset again for each completion, or one that holds whole groups."""

Step = tuple[str, float, bool, bool, dict[str, Any]]
"""Observation, reward, terminated, truncated, info."""

MAX_SHUFFLED_TASKS = 200_000
"""Above this many tasks a set is drawn from instead of shuffled: repeats are rare, and a permutation costs time."""


@dataclass(frozen=True, slots=True)
class Start:
    """How one task is chosen: arguments of ``env.reset``. The same start always gives the same task."""

    seed: int
    index: int | None = None
    """Row number of the task, for an environment that lists its tasks; None lets ``seed`` choose."""

    def reset(self, env: gym.Env[str, str]) -> tuple[str, dict[str, Any]]:
        """Begin the episode that this start names."""
        return env.reset(seed=self.seed, options=None if self.index is None else {"index": self.index})


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed from (run, step, task, sample, …): equal parts give equal seeds, near parts unrelated ones."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def draw_starts(env: TextEnv, seed: int, step: int, count: int) -> list[Start]:
    """The ``count`` tasks of training step ``step``: a pure function of its arguments, so that a run can resume.

    A set that lists its tasks (``env.unwrapped.gradable``, the usable row numbers) is gone through in a new seeded
    order each epoch; a huge one, and any other text environment, is drawn from by the seed given to ``reset``.
    """
    import numpy as np

    rows: Sequence[int] | None = getattr(env.unwrapped, "gradable", None)
    seeds = [derive_seed(seed, "task", step, number) % 2**32 for number in range(count)]
    if not rows or len(rows) > MAX_SHUFFLED_TASKS:
        return [Start(each) for each in seeds]
    orders: dict[int, Any] = {}
    starts = []
    for number, position in enumerate(range(step * count, (step + 1) * count)):
        epoch, place = divmod(position, len(rows))
        if epoch not in orders:
            orders[epoch] = np.random.default_rng(derive_seed(seed, "epoch", epoch)).permutation(len(rows))
        starts.append(Start(seeds[number], rows[int(orders[epoch][place])]))
    return starts


def rollout(
    policy: Policy,
    env: TextEnv,
    starts: Sequence[Start],
    group_size: int,
    sampling: Sampling,
    seed: int,
    first_group: int = 0,
) -> list[list[Episode]]:
    """Sample ``group_size`` completions of each task and let the environment judge them.

    Args:
        policy: Draws the completions.
        env: A single-turn text environment (observation and action are strings). Its ``info`` may carry what
            r1gym's own environments give (messages, verdict, reward terms); a plain text environment needs none.
            A grouped one is asked once a group and judges the whole batch in one step.
        starts: P tasks.
        group_size: G completions of each task.
        sampling: Temperature, budget and the like.
        seed: Base of the sampling seeds: that of sample g in group n is ``derive_seed(seed, n, g)``, so that a task's
            completions do not hang on how tasks are dealt into calls.
        first_group: Number of the first group; the others count up.

    Returns:
        Episodes, [P][G].

    Raises:
        ConfigError: The environment went on after one completion, does not speak text, asks something else when it
            is reset with the same seed, or holds other groups than asked for.
        NumericalError: A reward that is not a finite number.
    """
    asked = [
        _asked(policy, env, start, *told) for start, told in zip(starts, _begin(env, starts, group_size), strict=True)
    ]
    prompts = [prompt for _, prompt in asked]
    seeds = [[derive_seed(seed, first_group + p, g) for g in range(group_size)] for p in range(len(starts))]
    completions = policy.sample(prompts, group_size, sampling, seeds)
    steps = _finish(env, starts, [task for task, _ in asked], completions)
    return [
        [
            _episode(env, task, prompt, completion, steps[p][g], seeds[p][g], first_group + p)
            for g, completion in enumerate(completions[p])
        ]
        for p, (task, prompt) in enumerate(asked)
    ]


def _begin(env: TextEnv, starts: Sequence[Start], group_size: int) -> list[tuple[str, dict[str, Any]]]:
    """Question and info of each start."""
    if not isinstance(env, GroupedVectorEnv):
        return [start.reset(env) for start in starts]
    groups = env.num_envs // env.group_size
    if group_size != env.group_size or len(starts) > groups:
        raise ConfigError(
            f"{len(starts)} groups of {group_size} do not fit an environment of {groups} groups of {env.group_size}: "
            f"make it with num_envs={len(starts) * group_size}, group_size={group_size}"
        )
    used = [place < len(starts) * group_size for place in range(env.num_envs)]
    seeds = [start.seed for start in starts] + [0] * (groups - len(starts))
    texts, info = env.reset(seed=seeds, options={"reset_mask": used, "index": [start.index for start in starts]})
    return [(texts[p * group_size], row(info, p * group_size)) for p in range(len(starts))]


def _finish(
    env: TextEnv, starts: Sequence[Start], tasks: Sequence[Task], completions: Sequence[Sequence[Completion]]
) -> list[list[Step]]:
    """What the environment says of each completion, [P][G]."""
    if not isinstance(env, GroupedVectorEnv):
        return [
            [_step_alone(env, start, task, completion) for completion in group]
            for start, task, group in zip(starts, tasks, completions, strict=True)
        ]
    texts = [completion.text for group in completions for completion in group]
    observations, rewards, terminated, truncated, info = env.step_subset(range(len(texts)), texts)
    flat = [
        (observations[n], float(rewards[n]), bool(terminated[n]), bool(truncated[n]), row(info, n))
        for n in range(len(texts))
    ]
    return [flat[p * env.group_size : (p + 1) * env.group_size] for p in range(len(completions))]


def _step_alone(env: gym.Env[str, str], start: Start, task: Task, completion: Completion) -> Step:
    again, _ = start.reset(env)
    if again != task.question:
        raise ConfigError(
            f"{env} asked {task.question[:80]!r} and, reset with the same seed {start.seed}, {again[:80]!r}: a group "
            "needs one task, so reset(seed=...) must restart everything"
        )
    observation, total, terminated, truncated, info = env.step(completion.text)
    return observation, float(total), terminated, truncated, info


def _asked(
    policy: Policy, env: TextEnv, start: Start, observation: Any, info: Mapping[str, Any]
) -> tuple[Task, Prompt]:
    if not isinstance(observation, str):
        raise ConfigError(
            f"{env} gives observations of type {type(observation).__name__}: only text environments can be asked"
        )
    messages = info.get("messages") or ({"role": "user", "content": observation},)
    task_id = str(info.get("task_id", f"seed-{start.seed}"))
    own = info.get("index")
    index = own if isinstance(own, int) else -1 if start.index is None else start.index
    task = Task(task_id, domain="", question=observation, reference=None, meta={"index": index})
    return task, policy.prompt(tuple(messages))


def _episode(
    env: TextEnv,
    task: Task,
    prompt: Prompt,
    completion: Completion,
    step: Step,
    seed: int,
    group_id: int,
) -> Episode:
    observation, total, terminated, truncated, info = step
    if not (terminated or truncated):
        raise ConfigError(
            f"{env} went on after one completion; rollouts are single-turn: give an environment whose step ends "
            "the episode"
        )
    if not math.isfinite(total):
        raise NumericalError(f"{env} gave the reward {total} for the task {task.id}: rewards must be finite numbers")
    verdict = _verdict(info, total)
    cut = completion.finish == "length"
    if cut and verdict.outcome is Outcome.NO_ANSWER:
        reason = f"{verdict.reason} (the token budget of {len(completion.token_ids)} ran out)"
        verdict = Verdict.truncated(reason, verdict.spans)
    terms = {str(name): float(value) for name, value in dict(info.get("reward_terms", {})).items()}
    turn = Turn(prompt, completion, observation, total)
    return Episode(task, seed, group_id, (turn,), verdict, Reward(total, terms), truncated=cut or bool(truncated))


def _verdict(info: Mapping[str, Any], total: float) -> Verdict:
    """The verdict that ``info`` carries; a plain environment's reward is read as right above 0."""
    if not {"verdict", "score", "extracted", "reason"} <= info.keys() or info["verdict"] not in Outcome.__members__:
        outcome = Outcome.CORRECT if total > 0 else Outcome.WRONG
        return Verdict(outcome, min(max(total, 0.0), 1.0), "", "reward: the environment gives no verdict")
    spans = tuple(Span(*span) for span in info.get("spans", ()))
    return Verdict(Outcome[info["verdict"]], float(info["score"]), str(info["extracted"]), str(info["reason"]), spans)
