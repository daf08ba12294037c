"""r1gym: reasoning tasks as honest Gymnasium environments, and a GRPO trainer that learns from them fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r1gym.envs import catalog as _catalog

if TYPE_CHECKING:
    from r1gym.envs.checker import check_reasoning_env
    from r1gym.envs.registering import register_task_env
    from r1gym.types import Outcome
    from r1gym.verifiers import verify, verify_batch

__all__ = ["Outcome", "__version__", "check_reasoning_env", "register_task_env", "verify", "verify_batch"]

__version__ = "0.1.0"

_HOMES = {
    "Outcome": "r1gym.types",
    "check_reasoning_env": "r1gym.envs.checker",
    "register_task_env": "r1gym.envs.registering",
    "verify": "r1gym.verifiers",
    "verify_batch": "r1gym.verifiers",
}

_catalog.register_all()


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that ``import r1gym`` stays light."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'r1gym' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
