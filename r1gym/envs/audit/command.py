"""``r1gym audit``: attack one environment, or all, and say what was paid, refused, masked or broken."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import gymnasium as gym
from tyro.conf import Positional

from r1gym.config import parse
from r1gym.envs.audit.checklist import ROWS
from r1gym.envs.audit.records import Scorecard
from r1gym.envs.audit.running import AUDITABLE, audit, grader_hash
from r1gym.envs.audit.scorecard import as_text, state_of, write
from r1gym.envs.registering import explained, splits_of
from r1gym.errors import ConfigError

__all__ = ["AuditConfig", "main"]


@dataclass(frozen=True)
class AuditConfig:
    """Attack an environment: wrong completions that it pays, right ones it refuses; exit status 1 on any hole."""

    env: Positional[str]
    """An id, for example r1/MATH500-v0, or all."""
    split: str = "sample"
    """Which tasks; "sample" is at hand everywhere. An environment of your own without it: its default split."""
    limit: int = 10
    """Tasks to try; more are drawn from by seed."""
    seed: int = 0
    """Of the draw and of the search."""
    quick: bool = False
    """One task for most rows, a shorter search."""
    rows: tuple[int, ...] = ()
    """Only these rows of the checklist."""
    out: str = ""
    """Folder for the scorecards and their table."""
    check: str = ""
    """Folder of scorecards: say of each whether it is current or stale, and audit nothing."""
    json: bool = False
    """Print the card as JSON."""

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ConfigError(f"limit must be at least 1, got {self.limit}")
        numbers = [row.number for row in ROWS]
        for number in self.rows:
            if number not in numbers:  # a card of no rows would look like one without holes
                raise ConfigError(f"--rows must be from {numbers[0]} to {numbers[-1]}, got {number}")


def main(argv: Sequence[str]) -> int:
    """Run the verb with the arguments after it; 0 where nothing was found, 1 where a hole was."""
    config = parse(AuditConfig, argv, prog="r1gym audit")
    if config.check:
        return _check(Path(config.check))
    if config.out:
        try:  # before minutes of audit, not after
            Path(config.out).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"cannot make the folder {config.out} ({error}): give --out another") from error
    cards = []
    for name in [entry.id for entry in AUDITABLE] if config.env == "all" else [config.env]:
        card = _audited(name, config)
        cards.append(card)
        print(json.dumps(card.as_json(), indent=1) if config.json else as_text(card) + "\n")
    if config.out:
        write(Path(config.out), cards)
    return 1 if any(card.total.holes for card in cards) else 0


def _audited(name: str, config: AuditConfig) -> Scorecard:
    splits = splits_of(name)
    lacking = config.split == AuditConfig.split and config.split not in splits
    with explained(name):
        env = gym.make(name) if lacking else gym.make(name, split=config.split)
    split = getattr(env.unwrapped, "split", config.split)
    options = f" --split {split} --limit {config.limit} --seed {config.seed}{' --quick' * config.quick}"
    try:
        return audit(
            env, limit=config.limit, seed=config.seed, quick=config.quick, only=config.rows,
            command=f"r1gym audit {name}{options}",
        )  # fmt: skip
    finally:
        env.close()


def _check(folder: Path) -> int:
    cards = sorted(folder.glob("*.json"))
    if not cards:
        raise ConfigError(f"no scorecards in {folder}: write some with r1gym audit all --out {folder}")
    grader, stale = grader_hash(), 0
    for path in cards:
        state = state_of(path, grader)
        stale += state != "current"
        print(f"{path.name:32} {state}")
    return 1 if stale else 0
