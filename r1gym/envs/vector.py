"""GroupedVectorEnv: groups of completions of one task, resets on whole groups, steps in any order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from r1gym.envs.infos import step_columns
from r1gym.envs.jury import Judged, Jury
from r1gym.envs.reasoning import ReasoningEnv
from r1gym.errors import ActionError, ConfigError
from r1gym.rewards import combine_columns
from r1gym.tasks.taskset import TaskSet
from r1gym.verifiers.domains import CONCURRENT, side_by_side

__all__ = ["GroupedVectorEnv", "columns", "row"]

Array = NDArray[Any]
Step = tuple[tuple[str, ...], Array, Array, Array, dict[str, Any]]

AT_ONCE = 128
"""Completions that are judged before what was found is written down: few enough to stay in the processor's cache."""
LEAST_PORTION = 8
"""Fewest completions worth handing to a worker; long queues are cut into four portions a worker, to even them out."""


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
        counts = (num_envs, group_size)
        whole = all(isinstance(each, (int, np.integer)) and not isinstance(each, bool) and each >= 1 for each in counts)
        if not whole or num_envs % group_size:
            raise ConfigError(
                "num_envs must be a multiple of group_size, both ints from 1, "
                f"got num_envs={num_envs!r} and group_size={group_size!r}"
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
        if not isinstance(options, Mapping | None):
            raise ConfigError(f"options of reset must be a dict, got {type(options).__name__} {options!r:.60}")
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
        if isinstance(completions, str):
            raise ActionError("expected a list of completions, got one str: a list of one is [completion]")
        places = [int(place) for place in indices]
        completions = list(completions)
        if len(places) != len(completions):
            raise ConfigError(f"expected {len(places)} completions, one for each index, got {len(completions)}")
        waiting = self._waiting.tolist()  # a list is read faster than an array
        for order, (place, completion) in enumerate(zip(places, completions, strict=True)):
            if not 0 <= place < self.num_envs:
                raise ConfigError(f"index {place} is out of range: there are environments 0 to {self.num_envs - 1}")
            if not isinstance(completion, str):
                raise ActionError(f"completion {order} must be str, got {type(completion).__name__}")
            if not waiting[place]:
                raise ResetNeeded(f"environment {place} waits for no completion: call reset() first")
            waiting[place] = False
        groups = [place // self.group_size for place in places]
        alone = self._jury is None and self._domain not in CONCURRENT
        size = AT_ONCE if alone else max(len(groups), 1)
        parts = range(0, len(groups), size)
        judged = [one for at in parts for one in self._judged(groups[at : at + size], completions[at : at + size])]
        rewards, terms = combine_columns(
            {name: [verdicts[name] for _, verdicts in judged] for name in self.single_env.terms},
            self.single_env.weights,
        )
        self._waiting[:] = waiting
        for place in places:
            self._observations[place] = ""
        count = len(places)
        ids = [self._task_ids[group] for group in groups]
        told = step_columns(ids, self._domain, [verdict for verdict, _ in judged])
        info = _full({**told, "reward_terms": terms, "group_id": groups})
        return ("",) * count, rewards, np.ones(count, np.bool_), np.zeros(count, np.bool_), info

    def _judged(self, groups: Sequence[int], completions: Sequence[str]) -> list[Judged]:
        """The verdicts on each completion, in this process or shared out by groups, which share a gold."""
        if self._jury is None:
            pairs = list(zip(groups, completions, strict=True))
            return side_by_side(self._domain, lambda pair: self._groups[pair[0]].verdicts(pair[1]), pairs)
        orders = sorted(range(len(groups)), key=groups.__getitem__)
        size = max(LEAST_PORTION, -(-len(orders) // (4 * self._jury.count)))
        portions = [orders[start : start + size] for start in range(0, len(orders), size)]
        answers = self._jury.judge(
            [[(self._groups[groups[order]].asked, completions[order]) for order in portion] for portion in portions]
        )
        judged: list[Judged | None] = [None] * len(groups)
        for portion, answer in zip(portions, answers, strict=True):
            for order, one in zip(portion, answer, strict=True):
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
        info[key] = _array(values, values[int(mask.argmax())])
        info[f"_{key}"] = mask
    return info


def _full(table: Mapping[str, Any]) -> dict[str, Any]:
    """As ``columns``, of columns by key, where every row has every key."""
    info: dict[str, Any] = {}
    for key, values in table.items():
        if isinstance(values, Mapping):
            info[key] = _full(values)
            count = len(next(iter(values.values()), ()))
        else:
            info[key] = values if isinstance(values, np.ndarray) else _array(values, values[0] if values else None)
            count = len(values)
        info[f"_{key}"] = np.ones(count, dtype=np.bool_)
    return info


def _array(values: Sequence[Any], first: Any) -> Any:
    """One column: an array of the type of ``first``, 0 or None where there is no value; of dicts, a dict of columns."""
    if isinstance(first, dict):
        return columns(values)
    if type(first) in (int, float):
        return np.array([0 if value is None else value for value in values], dtype=type(first))
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def row(info: Mapping[str, Any], place: int) -> dict[str, Any]:
    """What ``info`` tells of environment ``place``: the way back from ``columns``."""
    told: dict[str, Any] = {}
    for key, values in info.items():
        if key.startswith("_") or not info[f"_{key}"][place]:
            continue
        value = row(values, place) if isinstance(values, Mapping) else values[place]
        told[key] = value.item() if isinstance(value, np.generic) else value
    return told
