"""What a step tells of its verdict: fresh containers of plain values."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from r1gym.types import Reward, Verdict

__all__ = ["step_columns", "step_info"]


_span_values = operator.attrgetter("start", "end", "term", "value")


def step_info(task_id: str, domain: str, verdict: Verdict, reward: Reward) -> dict[str, Any]:
    """The info of a step: new containers on each call, every value JSON-able, nothing None or NaN.

    Of programs (``domain`` "code") it also lists the ruling of each test that ran.
    """
    info = {
        "verdict": verdict.outcome.name,
        "score": float(verdict.score),
        "reward_terms": dict(reward.terms),
        "extracted": verdict.extracted,
        "reason": verdict.reason,
        "task_id": task_id,
        "spans": list(map(_span_values, verdict.spans)),
    }
    return info | {"tests": list(verdict.tests)} if domain == "code" else info


def step_columns(task_ids: Sequence[str], domain: str, verdicts: Sequence[Verdict]) -> dict[str, list[Any]]:
    """The values of ``step_info`` by key, a column each; ``reward_terms`` is left for the caller to fill."""
    table: dict[str, list[Any]] = {
        "verdict": [verdict.outcome._name_ for verdict in verdicts],  # as .name, a property ten times slower
        "score": [float(verdict.score) for verdict in verdicts],
        "reward_terms": [],
        "extracted": [verdict.extracted for verdict in verdicts],
        "reason": [verdict.reason for verdict in verdicts],
        "task_id": list(task_ids),
        "spans": [list(map(_span_values, verdict.spans)) for verdict in verdicts],
    }
    return table | {"tests": [list(verdict.tests) for verdict in verdicts]} if domain == "code" else table
