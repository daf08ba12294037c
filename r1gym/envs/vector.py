"""GroupedVectorEnv: groups of completions of one task, resets on whole groups, steps in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from r1gym.envs.infos import step_info
from r1gym.envs.jury import Judged, Jury
from r1gym.envs.reasoning import ReasoningEnv
from r1gym.errors import ActionError, ConfigError
from r1gym.tasks.taskset import TaskSet
from r1gym.verifiers.domains import CONCURRENT, side_by_side

__all__ = ["GroupedVectorEnv", "columns", "row"]

Array = NDArray[Any]
Step = tuple[tuple[str, ...], Array, Array, Array, dict[str, Any]]

PORTION = 32
"""Most completions of one group that a worker is handed at once."""


class GroupedVectorEnv(VectorEnv[tuple[str, ...], Sequence[str], Array]):
    """``num_envs`` single-turn environments in groups of ``group_size`` that share a task.

    Environment ``i`` belongs to group ``i // group_size``. Autoreset is DISABLED: with Gymnasium's default of
    NEXT_STEP every second batch of completions would be thrown away. After a step, ask for new tasks with ``reset``,
    for all groups or for those in ``options={"reset_mask": mask}``.

    ```python
    envs = gym.make_vec("r1/MATH500-v0", num_envs=64, group_size=8)
    ```
    """

    metadata = {"autoreset_mode": AutoresetMode.DISABLED, "render_modes": []}  # noqa: RUF012 - Gymnasium's own form

    def __init__(
        self,
        source: str | Mapping[str, Any],
        *,
        num_envs: int = 1,
        group_size: int = 1,
        workers: int = 0,
        **kwargs: Any,
    ) -> None:
        """Make the groups.

        Args:
            source: As for ReasoningEnv.
            num_envs: A multiple of ``group_size``.
            group_size: Completions of one task.
            workers: Processes that share the judging of a step; 0 judges in this one. The verdicts are the same.
                Programs are shared out by the sandbox's slots, whatever ``workers``.
            **kwargs: Those of ReasoningEnv.

        Raises:
            ConfigError: A group would be broken, or ``workers`` is no count.
        """
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
            raise ConfigError(f"workers must be 0 (judge in this process) or a number of processes, got {workers!r}")
        if group_size < 1 or num_envs < 1 or num_envs % group_size:
            raise ConfigError(
                f"num_envs must be a multiple of group_size, got num_envs={num_envs} and group_size={group_size}"
            )
        self.num_envs = num_envs
        self.group_size = group_size
        self.render_mode = None
        self._groups = [ReasoningEnv(source, **kwargs) for _ in range(num_envs // group_size)]
        self.single_env = ReasoningEnv(source, **kwargs)
        """An environment of the same kind that belongs to no group: to look at tasks and prompts with."""
        self._domain = self.single_env.source.domain
        shared = workers and self._domain not in CONCURRENT
        self._jury = Jury(workers, source, kwargs, self.single_env.terms) if shared else None
        self.single_observation_space = self._groups[0].observation_space
        self.single_action_space = self._groups[0].action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._observations = [""] * num_envs
        self._waiting = np.zeros(num_envs, dtype=np.bool_)
        self._task_ids = [""] * len(self._groups)

    @property
    def tasks(self) -> TaskSet:
        """The task set, as ``ReasoningEnv.tasks``."""
        return self.single_env.tasks

    @property
    def gradable(self) -> Sequence[int]:
        """Indices of the tasks that sampling draws from, as ``ReasoningEnv.gradable``."""
        return self.single_env.gradable

    def reset(
        self, *, seed: int | Sequence[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[tuple[str, ...], dict[str, Any]]:
        """Ask new questions, one a group.

        Args:
            seed: An int gives group g the seed ``seed + g``; a sequence gives one a group.
            options: ``"reset_mask"``, booleans of shape [num_envs] constant within a group, keeps the other groups as
                they are. ``"index"`` or ``"task_id"``: a sequence that pins one task for each group that is reset
                (None: that group's seed chooses).

        Returns:
            All ``num_envs`` observations, and the info of the groups that were reset.

        Raises:
            ConfigError: A mask that cuts a group, or lists of the wrong length.
        """
        chosen = dict(options or {})
        groups = self._masked_groups(chosen.pop("reset_mask", None))
        pins = self._pins(chosen, len(groups))
        seeds = self._seeds(seed)
        told: list[dict[str, Any] | None] = [None] * self.num_envs
        for pin, group in zip(pins, groups, strict=True):
            text, first = self._groups[group].reset(seed=seeds[group], options=pin)
            self._task_ids[group] = first["task_id"]
            for place in range(group * self.group_size, (group + 1) * self.group_size):
                self._observations[place] = text
                self._waiting[place] = True
                told[place] = {**first, "messages": [dict(each) for each in first["messages"]], "group_id": group}
        return tuple(self._observations), columns(told)

    def step(self, actions: Sequence[str]) -> Step:
        """Judge one completion of each environment; arrays have shape [num_envs]."""
        return self.step_subset(range(self.num_envs), actions)

    def step_subset(self, indices: Iterable[int], completions: Sequence[str]) -> Step:
        """Judge completions as they arrive: ``completions[j]`` belongs to environment ``indices[j]``.

        Returns:
            As ``step``, with arrays of shape [len(indices)] in the order of ``indices``. A completion that cannot be
            taken leaves all environments as they were.

        Raises:
            ActionError: A completion that is not text.
            ResetNeeded: An environment whose episode is over, or named twice.
            ConfigError: Lists of different length, or an index out of range.
        """
        places = [int(place) for place in indices]
        completions = list(completions)
        if len(places) != len(completions):
            raise ConfigError(f"expected {len(places)} completions, one for each index, got {len(completions)}")
        named: set[int] = set()
        for order, (place, completion) in enumerate(zip(places, completions, strict=True)):
            if not 0 <= place < self.num_envs:
                raise ConfigError(f"index {place} is out of range: there are environments 0 to {self.num_envs - 1}")
            if not isinstance(completion, str):
                raise ActionError(f"completion {order} must be str, got {type(completion).__name__}")
            if not self._waiting[place] or place in named:
                raise ResetNeeded(f"environment {place} waits for no completion: call reset() first")
            named.add(place)
        groups = [place // self.group_size for place in places]
        judged = self._judged(groups, completions)
        for place in places:
            self._waiting[place] = False
            self._observations[place] = ""
        rewards = np.array([reward.total for _, reward in judged], dtype=np.float64)
        info = columns(
            [
                {**step_info(self._task_ids[group], self._domain, verdict, reward), "group_id": group}
                for group, (verdict, reward) in zip(groups, judged, strict=True)
            ]
        )
        count = len(places)
        return ("",) * count, rewards, np.ones(count, np.bool_), np.zeros(count, np.bool_), info

    def _judged(self, groups: Sequence[int], completions: Sequence[str]) -> list[Judged]:
        """Verdict and reward of each completion, in this process or shared out by groups, which share a gold."""
        if self._jury is None:
            pairs = list(zip(groups, completions, strict=True))
            return side_by_side(self._domain, lambda pair: self._groups[pair[0]].judge(pair[1]), pairs)
        members: dict[int, list[int]] = {}
        for order, group in enumerate(groups):
            members.setdefault(group, []).append(order)
        portions = [
            (group, orders[start : start + PORTION])
            for group, orders in members.items()
            for start in range(0, len(orders), PORTION)
        ]
        judged: list[Judged | None] = [None] * len(groups)
        answers = self._jury.judge(
            [[(self._groups[group].asked, completions[order]) for order in orders] for group, orders in portions]
        )
        for (_, orders), answer in zip(portions, answers, strict=True):
            for order, one in zip(orders, answer, strict=True):
                judged[order] = one
        return [one for one in judged if one is not None]

    def close_extras(self, **kwargs: Any) -> None:
        """Stop the workers."""
        if self._jury is not None:
            self._jury.close()

    def _masked_groups(self, mask: Any) -> list[int]:
        if mask is None:
            return list(range(len(self._groups)))
        flags = np.asarray(mask)
        if flags.shape != (self.num_envs,) or flags.dtype != np.bool_:
            raise ConfigError(
                f"reset_mask must be booleans of shape ({self.num_envs},), got {flags.dtype} {flags.shape}"
            )
        grouped = flags.reshape(len(self._groups), self.group_size)
        broken = np.flatnonzero(grouped.any(axis=1) != grouped.all(axis=1))
        if broken.size:
            raise ConfigError(f"reset_mask cuts group {broken[0]}: a group shares its task and is reset as a whole")
        return [int(group) for group in np.flatnonzero(grouped[:, 0])]

    def _pins(self, options: dict[str, Any], count: int) -> list[dict[str, Any] | None]:
        pins: list[dict[str, Any]] = [{} for _ in range(count)]
        for name, values in options.items():
            if name in ("index", "task_id"):
                if isinstance(values, (str, int)) or len(values) != count:
                    raise ConfigError(f"option {name!r} must list {count} values, one for each group that is reset")
                for pin, value in zip(pins, values, strict=True):
                    if value is not None:
                        pin[name] = value
            else:
                pins = [{**pin, name: values} for pin in pins]  # the environment names the near miss
        return [pin or None for pin in pins]

    def _seeds(self, seed: int | Sequence[int] | None) -> list[int | None]:
        if seed is None:
            return [None] * len(self._groups)
        if isinstance(seed, (int, np.integer)):
            return [int(seed) + group for group in range(len(self._groups))]
        if len(seed) != len(self._groups):
            raise ConfigError(f"expected {len(self._groups)} seeds, one a group, got {len(seed)}")
        return [int(each) for each in seed]


def columns(rows: Sequence[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Infos of single environments as one info of arrays with masks, as Gymnasium's vector environments give it.

    Args:
        rows: One info each, None where that environment tells nothing. Values are float, int, dicts of these, or
            objects; a key keeps its type from row to row.

    Returns:
        For each key an array of shape [len(rows)], and a mask ``_key`` of the rows that have it.
    """
    info: dict[str, Any] = {}
    for key in dict.fromkeys(key for told in rows if told is not None for key in told):
        mask = np.array([told is not None and key in told for told in rows], dtype=np.bool_)
        values = [None if told is None else told.get(key) for told in rows]
        first = values[int(mask.argmax())]
        if isinstance(first, dict):
            info[key] = columns(values)
        elif type(first) in (int, float):
            info[key] = np.array([0 if value is None else value for value in values], dtype=type(first))
        else:
            info[key] = np.empty(len(rows), dtype=object)
            info[key][:] = values
        info[f"_{key}"] = mask
    return info


def row(info: Mapping[str, Any], place: int) -> dict[str, Any]:
    """What ``info`` tells of environment ``place``: the way back from ``columns``."""
    told: dict[str, Any] = {}
    for key, values in info.items():
        if key.startswith("_") or not info[f"_{key}"][place]:
            continue
        value = row(values, place) if isinstance(values, Mapping) else values[place]
        told[key] = value.item() if isinstance(value, np.generic) else value
    return told
