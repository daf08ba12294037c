"""Sample k completions of each of the first tasks of an environment, keep them, and measure.

Axes: N tasks, k samples of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r1gym.errors import ConfigError, DataError
from r1gym.evals.metrics import Estimate, measure
from r1gym.evals.samples import Sample, from_episode
from r1gym.rollout import Start, derive_seed, rollout
from r1gym.types import Outcome

if TYPE_CHECKING:
    import gymnasium as gym

    from r1gym.evals.store import Store
    from r1gym.policy.protocol import Policy, Sampling

__all__ = ["EvalReport", "Progress", "evaluate", "identify", "task_start"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an evaluation has come."""

    done: int
    """Tasks finished, those that an earlier run had stored included."""
    tasks: int
    """Tasks in all."""
    stored: int
    """Tasks that an earlier run had finished."""
    tokens: int
    """Sampled by this run."""
    seconds: float
    """Spent by this run in sampling and grading."""
    right: float
    """Mean over the finished tasks of the share of right samples: pass@1 so far."""

    @property
    def seconds_left(self) -> float | None:
        """At the pace so far; None before the first batch is done."""
        fresh = self.done - self.stored
        return (self.tasks - self.done) * self.seconds / fresh if fresh else None


@dataclass(frozen=True, slots=True)
class EvalReport:
    """What an evaluation found."""

    env: str
    """Id of the environment."""
    env_options: Mapping[str, Any]
    k: int
    tasks: int
    level: float
    """Coverage of the intervals."""
    figures: Mapping[str, Estimate]
    """Those of ``r1gym.evals.metrics.measure``, in the order to show."""
    ungradable: tuple[str, ...]
    """Ids of the tasks with a sample that could not be graded."""
    sampled_tokens: int
    """By this run; what an earlier run had stored is not counted."""
    seconds: float
    """Spent by this run in sampling and grading."""

    @property
    def tokens_per_second(self) -> float | None:
        """Of sampling and grading together; None where all was stored already."""
        return self.sampled_tokens / self.seconds if self.sampled_tokens and self.seconds else None


def evaluate(
    policy: Policy,
    env: gym.Env[str, str],
    *,
    k: int,
    sampling: Sampling,
    seed: int,
    limit: int | None = None,
    batch_tasks: int = 16,
    level: float = 0.95,
    on_progress: Callable[[Progress], None] | None = None,
    store: Store | None = None,
) -> EvalReport:
    """Measure ``policy`` on the first ``limit`` tasks of ``env``, ``k`` samples each.

    The seed of a completion is a function of (seed, index of the task, number of the sample) alone: neither
    ``batch_tasks`` nor an interruption changes what is sampled.

    Args:
        policy: Draws the completions.
        env: A single-turn text environment; one that lists its tasks (``env.unwrapped.tasks``) is gone through by
            index, any other by seeds derived from ``seed``.
        k: Samples a task.
        sampling: Temperature, budget and the like.
        seed: Base of every seed.
        limit: The first this many tasks, in file order; None takes all.
        batch_tasks: Tasks sampled together, and stored together.
        level: Coverage of the intervals.
        on_progress: Called before the first batch and after each.
        store: Keeps every completion, and gives back those of an interrupted run; None keeps nothing.

    Raises:
        ConfigError: ``k``, ``limit`` or ``batch_tasks`` below 1, or no limit on an environment without an end.
        DataError: A stored task is not the one that the environment now has at its index.
    """
    for name, value in (("k", k), ("limit", limit), ("batch_tasks", batch_tasks)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} must be at least 1, got {value}")
    count = _count(env, limit)
    env_id, env_options = identify(env)
    starts = [task_start(env, seed, index) for index in range(count)]
    groups = {index: group for index, group in (store.groups if store else {}).items() if index < count}
    _check_stored(env, starts, groups)
    stored, tokens, seconds, clock = len(groups), 0, 0.0, time.perf_counter()

    def tell() -> None:
        if on_progress:
            on_progress(Progress(len(groups), count, stored, tokens, seconds, _right(groups.values())))

    tell()
    for batch in _runs([index for index in range(count) if index not in groups], batch_tasks):
        episodes = rollout(
            policy, env, [starts[index] for index in batch], k, sampling, derive_seed(seed, "evaluate"), batch[0]
        )
        fresh = [
            [
                from_episode(episode, number, starts[index], index, env_id, env_options, *_gold(env, index))
                for number, episode in enumerate(group)
            ]
            for index, group in zip(batch, episodes, strict=True)
        ]
        if store:
            store.append(fresh)
        groups.update({group[0].index: tuple(group) for group in fresh})
        tokens += sum(sample.tokens for group in fresh for sample in group)
        seconds = time.perf_counter() - clock
        tell()
    ordered = [groups[index] for index in range(count)]
    return EvalReport(
        env_id,
        env_options,
        k,
        count,
        level,
        measure(ordered, k, level),
        tuple(group[0].task_id for group in ordered if any(each.verdict is Outcome.UNGRADABLE for each in group)),
        tokens,
        seconds,
    )


def identify(env: gym.Env[str, str]) -> tuple[str, dict[str, Any]]:
    """The id of an environment and the arguments it was made with; its class name where it has no spec."""
    if env.spec is None:
        return type(env.unwrapped).__name__, {}
    return env.spec.id, dict(env.spec.kwargs)


def task_start(env: gym.Env[str, str], seed: int, index: int) -> Start:
    """Task number ``index``: pinned where the environment lists its tasks, else drawn by a seed of its own."""
    own = derive_seed(seed, "task", index) % 2**32
    return Start(own, index if _tasks(env) is not None else None)


def _tasks(env: gym.Env[str, str]) -> Sequence[Any] | None:
    return getattr(env.unwrapped, "tasks", None)


def _count(env: gym.Env[str, str], limit: int | None) -> int:
    tasks = _tasks(env)
    if tasks is not None:
        if not len(tasks):
            raise ConfigError(f"{identify(env)[0]} has no tasks: nothing to evaluate on")
        return len(tasks) if limit is None else min(limit, len(tasks))
    if limit is None:
        raise ConfigError(f"{identify(env)[0]} has no last task: say how many with limit (--limit on the command line)")
    return limit


def _gold(env: gym.Env[str, str], index: int) -> tuple[str, Any]:
    """Domain and reference of a task, where the environment lists its tasks."""
    tasks = _tasks(env)
    task = None if tasks is None else tasks[index]
    return getattr(task, "domain", ""), getattr(task, "reference", None)


def _check_stored(env: gym.Env[str, str], starts: Sequence[Start], groups: Mapping[int, Sequence[Sample]]) -> None:
    for index, group in groups.items():
        _, info = starts[index].reset(env)
        now = str(info.get("task_id", f"seed-{starts[index].seed}"))
        if now != group[0].task_id:
            raise DataError(
                f"task {index} is {now!r} now and was {group[0].task_id!r} when its completions were stored: the data "
                "changed; evaluate into a new folder"
            )


def _runs(indices: Sequence[int], longest: int) -> Iterator[list[int]]:
    """The indices as runs of consecutive numbers: a rollout numbers its groups upwards from the first."""
    run: list[int] = []
    for index in indices:
        if run and (index != run[-1] + 1 or len(run) == longest):
            yield run
            run = []
        run.append(index)
    if run:
        yield run


def _right(groups: Iterable[Sequence[Sample]]) -> float:
    shares = []
    for group in groups:
        graded = [each for each in group if each.verdict is not Outcome.UNGRADABLE]
        if graded:
            shares.append(sum(each.verdict is Outcome.CORRECT for each in graded) / len(graded))
    return sum(shares) / len(shares) if shares else 0.0
