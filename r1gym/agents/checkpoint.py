"""Where a stage of training stands, on disk: weights, optimizer and step, written whole or not at all."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from r1gym.errors import RunFolderError

if TYPE_CHECKING:
    from r1gym.logbook import RunFolder
    from r1gym.policy.protocol import Policy

__all__ = ["latest", "restore", "resume", "save"]

KEPT = 2
"""Checkpoints of one stage that are kept."""


def save(folder: Path, stage: str, step: int, policy: Policy, optimizer: Any) -> Path:
    """Write ``<stage>-<step>``: ``step`` steps of the stage are done. Older ones of the stage are removed."""
    final = folder / f"{stage}-{step:06d}"
    part = folder / f".part-{final.name}"
    for left_over in (part, final):
        shutil.rmtree(left_over, ignore_errors=True)
    part.mkdir(parents=True)
    policy.save(part)
    torch.save({"step": step, "optimizer": optimizer.state_dict()}, part / "optimizer.pt")
    part.rename(final)
    for old in _all(folder, stage)[:-KEPT]:
        shutil.rmtree(old)
    return final


def latest(folder: Path, stage: str) -> Path | None:
    """The newest checkpoint of a stage."""
    found = _all(folder, stage)
    return found[-1] if found else None


def restore(path: Path, policy: Policy, optimizer: Any = None) -> int:
    """Load a checkpoint into ``policy`` and ``optimizer``; returns how many steps of its stage are done."""
    policy.load(path)
    try:
        state = torch.load(path / "optimizer.pt", weights_only=True)
        step = int(state["step"])
        if optimizer is not None:
            optimizer.load_state_dict(state["optimizer"])
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, LookupError, TypeError, ValueError) as error:
        raise RunFolderError(
            f"the checkpoint {path} cannot be read ({error}): remove it to go on from the one before"
        ) from error
    return step


def resume(folder: RunFolder, stage: str, policy: Policy, optimizer: Any) -> int:
    """Go on where the run of ``folder`` stood: load the newest checkpoint of ``stage``, drop what was logged after it.

    Returns:
        Steps of the stage that are done; 0 where the stage has no checkpoint yet.
    """
    if not folder.resumed:
        return 0
    path = latest(folder.path / "checkpoints", stage)
    done = restore(path, policy, optimizer) if path else 0
    folder.rewind(stage, done if path else -1)
    return done


def _all(folder: Path, stage: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{stage}-[0-9]*") if path.is_dir())
