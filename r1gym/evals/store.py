"""The folder of one evaluation: what was asked, every completion as it is judged, and the report.

``config.json`` holds the options that shape the samples; the folder belongs to them. ``completions.jsonl`` grows by
whole tasks, so that an interrupted evaluation keeps its work and the same command goes on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1gym.errors import ConfigError, RunFolderError
from r1gym.evals.samples import Sample, dump, load

__all__ = ["Store", "write_json"]


class Store:
    """An open evaluation folder.

    Args:
        folder: Made where absent.
        identity: JSON values that shape the samples (model, environment, sampling, seed, k).
        k: Samples a task; a task with fewer stored ones was cut off and is sampled again.

    Raises:
        RunFolderError: The folder holds another evaluation, a training run, or is no folder.
        ConfigError: The folder cannot be made.
        RowError: A stored line is malformed; the message names file and line.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], k: int) -> None:
        self.folder = folder
        self.completions = folder / "completions.jsonl"
        self._config = folder / "config.json"
        self.groups: dict[int, tuple[Sample, ...]] = {}
        """Samples of each finished task, by index."""
        self.dropped = 0
        """Stored lines that were left out as their task was not finished."""
        if folder.exists() and not folder.is_dir():
            raise RunFolderError(f"{folder} is a file; an evaluation needs a folder: choose another with --out")
        above = next(path for path in folder.absolute().parents if path.exists())
        if not folder.exists() and not (above.is_dir() and os.access(above, os.W_OK | os.X_OK)):
            # Asked now: after the sampling the work would be lost. A RunFolderError would ask for the next number.
            raise _unwritable(folder, f"{above} takes no folders")
        self._identity = json.loads(json.dumps(identity))
        _refuse_foreign(folder, self._identity)
        if self.completions.exists():
            self._read(k)

    def append(self, groups: Sequence[Sequence[Sample]]) -> None:
        """Keep the samples of finished tasks; on disk when this returns.

        Only now does a new folder come to be this evaluation's: one that failed before its first completion (a
        mistyped model) leaves nothing in the way of the next.
        """
        try:
            if not self._config.exists():
                self.folder.mkdir(parents=True, exist_ok=True)
                _write(self._config, json.dumps({"evaluation": self._identity}, indent=2, ensure_ascii=False) + "\n")
            with self.completions.open("a", encoding="utf-8") as file:
                file.write(dump(sample for group in groups for sample in group))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self.folder, str(error)) from error
        self.groups.update({group[0].index: tuple(group) for group in groups})

    def write_report(self, report: Mapping[str, Any]) -> Path:
        """Write ``report.json``; returns its path."""
        return write_json(self.folder / "report.json", report)

    def _read(self, k: int) -> None:
        stored: dict[int, list[Sample]] = {}
        lines = 0
        for sample in load(self.completions, torn_tail=True):
            stored.setdefault(sample.index, []).append(sample)
            lines += 1
        for index, group in stored.items():
            numbers = sorted(sample.sample for sample in group)
            if len(set(numbers)) < len(numbers) or len(numbers) > k:
                raise RunFolderError(
                    f"{self.completions} holds samples {numbers} of task {index}, expected each of 0 to {k - 1} once; "
                    "two evaluations wrote into it: choose another folder with --out"
                )
            if len(group) == k:
                self.groups[index] = tuple(sorted(group, key=lambda sample: sample.sample))
        self.dropped = lines - sum(map(len, self.groups.values()))
        # What is appended next must begin on a line of its own, after whole tasks only.
        _write(self.completions, dump(sample for group in self.groups.values() for sample in group))


def _refuse_foreign(folder: Path, identity: dict[str, Any]) -> None:
    config = folder / "config.json"
    if not config.exists():
        foreign = [name for name in ("completions.jsonl", "metrics.jsonl", "report.json") if (folder / name).exists()]
        if foreign:
            raise RunFolderError(f"{folder} holds {foreign[0]} of something else: choose another folder with --out")
        return
    try:
        stored = json.loads(config.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RunFolderError(f"{config} is not JSON ({error}): choose another folder with --out") from error
    if not isinstance(stored, dict) or not isinstance(stored.get("evaluation"), dict):
        raise RunFolderError(f"{folder} holds a run that is no evaluation: choose another folder with --out")
    earlier = stored["evaluation"]
    if earlier != identity:
        names = [name for name in {**identity, **earlier} if identity.get(name) != earlier.get(name)]
        differences = ", ".join(f"{name} was {earlier.get(name)!r}, is {identity.get(name)!r}" for name in names)
        raise RunFolderError(
            f"{folder} holds another evaluation ({differences}): choose another folder with --out, or give the "
            "earlier options to continue that one"
        )


def write_json(path: Path, values: Mapping[str, Any]) -> Path:
    """Write ``values`` to the file ``path`` in one go; returns it."""
    _write(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return path


def _write(path: Path, text: str) -> None:
    """Replace a file in one go: a reader, or a killed writer, never leaves half of it."""
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)


def _unwritable(folder: Path, why: str) -> ConfigError:
    return ConfigError(f"cannot write the evaluation's folder {folder} ({why}): choose another with --out")
