"""Rule-based verdicts: from a task and a completion's text to a Verdict, never an exception on any text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from r1gym.verifiers.domains import Grader, prepare, verify, verify_batch

__all__ = ["Grader", "prepare", "verify", "verify_batch"]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for."""
    if name in __all__:
        from r1gym.verifiers import domains

        return getattr(domains, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
