"""Accuracy on tasks that are never learned from, one completion a task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from r1gym.evals.intervals import wilson
from r1gym.rollout import Start, TextEnv, derive_seed, rollout
from r1gym.types import Episode, Outcome

if TYPE_CHECKING:
    from r1gym.policy.protocol import Policy, Sampling

__all__ = ["HeldOut", "measure"]

TASKS_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What one evaluation saw."""

    episodes: tuple[Episode, ...]
    right: int
    total: int
    """Tasks whose completion could be judged."""

    @property
    def metrics(self) -> dict[str, float]:
        """pass@1 with its 95 % Wilson interval, by the names of metrics.jsonl."""
        low, high = wilson(self.right, self.total)
        return {
            "eval/pass@1": self.right / self.total if self.total else float("nan"),
            "eval/pass@1_low": low,
            "eval/pass@1_high": high,
        }


def measure(
    policy: Policy,
    env: TextEnv,
    tasks: int,
    sampling: Sampling,
    seed: int,
    first: int = 0,
    part: tuple[int, int] = (0, 1),
) -> HeldOut:
    """Ask tasks ``first`` to ``first + tasks`` of ``env`` (fewer where it has fewer) once each.

    ``part`` (i, n) asks the i-th of n parts only, as each of n processes does; what a task's completion is does not
    depend on it.
    """
    rows = env.unwrapped.gradable  # type: ignore[union-attr]
    starts = [Start(0, int(rows[place])) for place in range(first, min(first + tasks, len(rows)))]
    episodes: list[Episode] = []
    low, high = (len(starts) * (part[0] + more) // part[1] for more in (0, 1))
    for begin in range(low, high, TASKS_AT_ONCE):
        asked = starts[begin : min(begin + TASKS_AT_ONCE, high)]
        groups = rollout(policy, env, asked, 1, sampling, derive_seed(seed, "held out"), begin)
        episodes += [group[0] for group in groups]
    judged = [episode for episode in episodes if episode.verdict.outcome is not Outcome.UNGRADABLE]
    right = sum(episode.verdict.outcome is Outcome.CORRECT for episode in judged)
    return HeldOut(tuple(episodes), right, len(judged))
