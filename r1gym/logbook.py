"""The run folder: what a run is, what it measured, what it wrote, and where it can go on.

config.json · metrics.jsonl · completions.jsonl · checkpoints/ · curve.png · summary.json (there when the run is
finished).
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r1gym.errors import ConfigError, RunFolderError

if TYPE_CHECKING:
    from r1gym.types import Episode

__all__ = ["RunFolder", "completion_record"]


LOCK = ".lock"
"""File of a run folder that the running process holds; it names the process."""
_HELD: dict[Path, int] = {}


class RunFolder:
    """A folder that belongs to one run; open it with ``RunFolder.open``."""

    def __init__(self, path: Path, resumed: bool, writes: bool = True) -> None:
        self.path = path
        self.resumed = resumed
        """The folder held the beginning of this very run."""
        self.writes = writes
        """False in all but the first of several processes: they know the folder and leave it alone."""

    @classmethod
    def open(cls, out: str | None, config: Mapping[str, Any], name: str) -> RunFolder:
        """Take a new folder, or the folder in which the same run was interrupted.

        Args:
            out: The folder; None takes ``runs/<name>``, or with a number behind it the first that is free or holds
                this very run unfinished.
            config: What the run is: two runs are the same where all of it but ``out`` is equal.
            name: Name for ``out=None``.

        Raises:
            RunFolderError: ``out`` holds another run or a finished one, or another process is writing into it.
            ConfigError: The folder cannot be written.
        """
        wanted = {key: value for key, value in config.items() if key != "out"}
        if out is not None:
            return cls._claim(Path(out).expanduser(), wanted)
        for path in _candidates(name):
            try:
                return cls._claim(path, wanted)
            except RunFolderError:
                continue
        raise AssertionError("the candidates never end")

    @classmethod
    def _claim(cls, path: Path, config: dict[str, Any]) -> RunFolder:
        file = path / "config.json"
        if path.exists() and not path.is_dir():
            raise RunFolderError(f"{path} is a file: give --out a folder")
        if not file.exists():
            if path.exists() and any(each.name not in (LOCK, "checkpoints") for each in path.iterdir()):
                raise RunFolderError(f"{path} is not empty and holds no run: give --out a new or empty folder")
            with _writing(path):
                (path / "checkpoints").mkdir(parents=True, exist_ok=True)
                _hold(path)
                if not file.exists():  # asked again: another process may have come first
                    _write_whole(file, json.dumps(config, indent=2) + "\n")
                    return cls(path, resumed=False)
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as error:
            raise RunFolderError(f"{file} is damaged ({error}): give --out a new folder") from error
        # One round through JSON, so that tuples and lists compare equal.
        other = sorted(
            k for k in stored.keys() | config.keys() if stored.get(k) != json.loads(json.dumps(config)).get(k)
        )
        if other:
            raise RunFolderError(
                f"{path} holds another run (it differs in {', '.join(other)}): give --out a new folder, or the same "
                "options to continue that run"
            )
        # Held only where it is this run's: a run that looks for a free folder must not lock those of others. Looked at
        # again after that, because the process that had it may just have finished.
        for hold in (False, True):
            if hold:
                with _writing(path):
                    _hold(path)
            if (path / "summary.json").exists():
                raise RunFolderError(f"{path} holds this run, finished: give --out a new folder to run it again")
        return cls(path, resumed=True)

    def rewind(self, stage: str, done: int) -> None:
        """Forget what was logged of ``stage`` after step ``done`` (-1: all of it): it is about to be made again."""
        if not self.writes:
            return
        for name in ("metrics.jsonl", "completions.jsonl"):
            file = self.path / name
            if not file.exists():
                continue
            kept = []
            for line in file.read_text(encoding="utf-8").split("\n"):
                record = _parsed(line)
                if record is not None and not (record["stage"] == stage and record["step"] > done):
                    kept.append(line + "\n")
            _write_whole(file, "".join(kept))

    def metrics(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Append a line to metrics.jsonl. A value that is not a number is left out: JSON has no NaN."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        self._append("metrics.jsonl", [{"stage": stage, "step": step, **finite}])

    def completions(self, stage: str, step: int, groups: Sequence[Sequence[Episode]], advantages: Any) -> None:
        """Append a line a completion to completions.jsonl; ``advantages`` is [P][G]."""
        self._append(
            "completions.jsonl",
            [
                {"stage": stage, **completion_record(step, sample, episode, float(advantages[row][sample]))}
                for row, group in enumerate(groups)
                for sample, episode in enumerate(group)
            ],
        )

    def read_metrics(self) -> list[dict[str, Any]]:
        """Every whole line of metrics.jsonl."""
        file = self.path / "metrics.jsonl"
        lines = file.read_text(encoding="utf-8").split("\n") if file.exists() else []
        return [record for record in map(_parsed, lines) if record is not None]

    def finish(self, summary: Mapping[str, Any]) -> None:
        """Write summary.json: the run is done and will not be continued."""
        if self.writes:
            _write_whole(self.path / "summary.json", json.dumps(summary, indent=2) + "\n")

    def _append(self, name: str, records: Sequence[Mapping[str, Any]]) -> None:
        if not self.writes:
            return
        # Opened anew each time: nothing is left open, and a line that a kill cut short is at worst the last one.
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.writelines(_line(record) for record in records)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Say that the folder cannot be written where the system refuses it."""
    try:
        yield
    except RunFolderError:  # an OSError as well, and it says more
        raise
    except OSError as error:
        raise ConfigError(f"cannot write the run folder {path} ({error}): give --out another folder") from error


def _hold(path: Path) -> None:
    """Keep the folder for this process until it ends, however it ends: the system lets go of the lock.

    Raises:
        RunFolderError: Another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # a system without these locks: two runs in one folder go unnoticed there
        return
    key = path.resolve()
    if key in _HELD:
        return
    # A record lock belongs to the process: worker processes do not inherit it, and closing the file would drop it.
    handle = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError) as error:
        owner = os.read(handle, 32).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise RunFolderError(
            f"{path} is being written by another run (process {owner}): wait for it, end it, or give --out another "
            "folder"
        ) from error
    except OSError:  # a file system without locks
        os.close(handle)
        return
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
    _HELD[key] = handle


def completion_record(step: int, sample: int, episode: Episode, advantage: float) -> dict[str, Any]:
    """One line of completions.jsonl."""
    turn = episode.turns[-1]
    return {
        "step": step,
        "task_id": episode.task.id,
        "group_id": episode.group_id,
        "sample": sample,
        "seed": episode.seed,
        "prompt": "\n\n".join(message["content"] for message in turn.prompt.messages),
        "completion": turn.completion.text,
        "tokens": len(turn.completion.token_ids),
        "finish": turn.completion.finish,
        "verdict": episode.verdict.outcome.name,
        "score": episode.verdict.score,
        "reward": episode.reward.total,
        "reward_terms": dict(episode.reward.terms),
        "extracted": episode.verdict.extracted,
        "reason": episode.verdict.reason,
        "advantage": advantage,
    }


def _candidates(name: str) -> Iterator[Path]:
    yield Path("runs") / name
    number = 2
    while True:
        yield Path("runs") / f"{name}-{number}"
        number += 1


def _line(record: Mapping[str, Any]) -> str:
    """One JSON line, readable where UTF-8 can hold it: half of a surrogate pair has to be escaped."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = json.dumps(record, allow_nan=False)
    return text + "\n"


def _parsed(line: str) -> dict[str, Any] | None:
    """A line of ours, or None for a blank one and for one that a kill cut short."""
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return None
    return record if isinstance(record, dict) else None


def _write_whole(file: Path, text: str) -> None:
    """Replace a file in one step: a reader, or an interrupted run, never sees half of it."""
    part = file.with_name(file.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(file)
