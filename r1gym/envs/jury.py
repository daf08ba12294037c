"""Judges the completions of a grouped environment in worker processes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from r1gym.types import Task, Verdict
from r1gym.verifiers.fleet import DEADLY, Fleet

__all__ = ["Judged", "Jury", "item_judge"]

Judged = tuple[Verdict, dict[str, Verdict]]
"""The verdict of a completion, and the verdict behind each reward term."""

Item = tuple[Task, str]
"""A task and one completion of it."""


def item_judge(source: str | Mapping[str, Any], options: dict[str, Any]) -> Callable[[Sequence[Item]], list[Judged]]:
    """What a worker holds: it judges as ``ReasoningEnv(source, **options)`` does."""
    from r1gym.envs.reasoning import ReasoningEnv

    env = ReasoningEnv(source, **options)
    return lambda items: [env.verdicts(completion, task) for task, completion in items]


class Jury:
    """``count`` workers that judge as ``ReasoningEnv(source, **options)`` does; they start when first needed.

    A worker that dies under a portion is replaced and the portion judged one by one; a completion that kills its
    worker alone, twice, is WRONG: its own doing must not mask it.
    """

    def __init__(
        self, count: int, source: str | Mapping[str, Any], options: dict[str, Any], terms: Sequence[str]
    ) -> None:
        self.count, self.source, self.options, self.terms = count, source, options, tuple(terms)
        condemned = functools.partial(_condemned, self.terms)
        self.fleet: Fleet[Item, Judged] = Fleet(count, "r1gym.envs.jury:item_judge", (source, options), condemned)

    def __reduce__(self) -> tuple[type[Jury], tuple[Any, ...]]:
        return Jury, (self.count, self.source, self.options, self.terms)  # a copy starts workers of its own

    def close(self) -> None:
        """Stop the workers; a later ``judge`` starts new ones."""
        self.fleet.close()

    def judge(self, portions: Sequence[Sequence[Item]]) -> list[list[Judged]]:
        """Judge all items; portions are dealt to whichever worker is free, and come back in order.

        Raises:
            SandboxError: A worker cannot be started.
        """
        return self.fleet.judge(portions)


def _condemned(terms: tuple[str, ...], _: Item) -> Judged:
    wrong = Verdict.wrong("", DEADLY)
    return wrong, dict.fromkeys(terms, wrong)
