"""What a step tells of its verdict: fresh containers of plain values."""

from __future__ import annotations

from typing import Any

from r1gym.types import Reward, Verdict

__all__ = ["step_info"]


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
        "spans": [(span.start, span.end, span.term, span.value) for span in verdict.spans],
    }
    return info | {"tests": list(verdict.tests)} if domain == "code" else info
