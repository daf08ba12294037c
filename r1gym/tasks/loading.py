"""Where the rows of a task set come from: data=, the folder R1GYM_DATA, the cache, then the hub, in this order."""

from __future__ import annotations

import os
import sys
import threading
from importlib import resources
from pathlib import Path

from r1gym.errors import ConfigError, DataNotFoundError, MissingExtraError, RowError, unknown_name
from r1gym.tasks import fingerprint, hub
from r1gym.tasks.jsonl import parse_rows, read_rows
from r1gym.tasks.own import call, is_function
from r1gym.tasks.source import DataFile, Fingerprint, Row, Source
from r1gym.tasks.taskset import StoredTaskSet, TaskSet

__all__ = ["cache_dir", "check_split", "load", "split_names"]

SAMPLE = "sample"
"""The split of about ten problems of our own that ships with the package; used only when asked for."""

_loaded: dict[tuple[object, ...], StoredTaskSet] = {}
_lock = threading.Lock()


def cache_dir() -> Path:
    """The folder of fetched and imported sets: R1GYM_CACHE, else the platform's place for caches."""
    override = os.environ.get("R1GYM_CACHE")
    if override:
        return Path(override).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "r1gym"


def split_names(source: Source) -> tuple[str, ...]:
    """The splits of ``source``, "sample" last."""
    return tuple(source.splits) if source.sample is None else (*source.splits, SAMPLE)


def check_split(source: Source, split: str) -> None:
    """UnknownNameError, with the near miss, if ``source`` has no such split."""
    if split not in split_names(source):
        raise unknown_name(f"split of {source.title}", split, split_names(source))


def load(source: Source, split: str, data: str | None = None, *, offline: bool = False, whole: bool = False) -> TaskSet:
    """The tasks of one split; the rows are read once and shared by all callers in this process.

    Args:
        source: What to load.
        split: One of ``split_names(source)``. With ``data`` it only names the split.
        data: A JSON-lines file (``.gz`` is unpacked) with the set's own fields, used instead of the set.
        offline: Leave the hub out.
        whole: ``data`` is the set itself, which may hold the rows of other splits too.

    Raises:
        DataNotFoundError: The set is in none of the places looked at.
        DataError: A file was found but is not the canonical set of its name.
        RowError: A row lacks a field or has one of the wrong type.
    """
    check_split(source, split)
    if data is not None:
        return _read(source, split, _file("data", data), None, own=not whole)
    if split == SAMPLE:
        return _read_sample(source)
    if own := source.splits[split].own:
        return _call(source, split, own) if is_function(own) else _read(source, split, _file("tasks", own), None)
    found = _find(source, split, offline)
    if isinstance(found, tuple):
        return _read(source, split, *found)
    raise DataNotFoundError(_not_found(source, split, found))


def _file(option: str, name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        looked = (
            "it is a folder, and a JSON-lines file was expected" if path.is_dir() else f"looked for {path.absolute()}"
        )
        raise DataNotFoundError(f"{option}={str(name)!r}: there is no such file; {looked}")
    return path


def _find(source: Source, split: str, offline: bool) -> tuple[Path, Fingerprint | None] | list[str]:
    """The file of a split and the fingerprint it must have, or a line for each place that has none."""
    looked: list[str] = []
    folder = os.environ.get("R1GYM_DATA")
    if folder:
        root = Path(folder).expanduser()
        if not root.is_dir():
            raise ConfigError(f"R1GYM_DATA={folder!r} is not a folder")
        here = _in_folder(root, source.splits[split].files)
        if here:
            return here
    looked.append(f"R1GYM_DATA ({folder or 'not set'})")
    cached = _in_folder(cache_dir(), source.splits[split].files)
    if cached:
        return cached
    location = source.splits[split].hub
    fetched = cache_dir() / hub.cached_name(source, split)
    if location is not None and fetched.is_file():
        return fetched, location.fingerprint
    looked.append(f"cache ({cache_dir()})")
    if location is None:
        looked.append("hub (no copy of this set is known there)")
        return looked
    if offline:
        looked.append("hub (not asked)")
        return looked
    try:
        return hub.fetch(source, split, cache_dir()), location.fingerprint
    except (hub.HubUnreachableError, MissingExtraError) as error:
        looked.append(f"hub ({error})")
    return looked


def _in_folder(folder: Path, files: tuple[DataFile, ...]) -> tuple[Path, Fingerprint | None] | None:
    for file in files:
        for name in (file.name, f"{file.name}.gz"):
            if (folder / name).is_file():
                return folder / name, file.fingerprint
    return None


def _not_found(source: Source, split: str, looked: list[str]) -> str:
    names = " or ".join(file.name for file in source.splits[split].files)
    option = "" if len(source.splits) == 1 else f" --split {split}"
    if source.splits[split].hub is None:
        remedy = f"put it there, or run: python -m r1gym.tasks import {source.name} FILE{option}"
    else:
        remedy = f"with a network, run: python -m r1gym.tasks fetch {source.name}{option}"
    return (
        f"{source.title} ({split}) was not found. Looked for {names} in {'; '.join(looked)}. "
        f"To get it, {remedy}. For a try-out without it, use split='sample'"
    )


def _read(source: Source, split: str, path: Path, expected: Fingerprint | None, own: bool = False) -> StoredTaskSet:
    """The tasks of ``path``; of a user's ``own`` file all rows belong to the split."""
    stat = path.stat()
    key = (source.name, source.parse, split, str(path.resolve()), stat.st_mtime_ns, stat.st_size, expected, own)
    with _lock:
        if key not in _loaded:
            rows = read_rows(path)
            if source.belongs is not None and not own:
                rows = [row for row in rows if source.belongs(row, split)]
            taskset = _build(source, split, rows, str(path))
            if expected is not None:
                fingerprint.check(taskset, expected, str(path))
            _loaded[key] = taskset
        return _loaded[key]


def _call(source: Source, split: str, place: str) -> StoredTaskSet:
    key = (source.name, source.parse, split, place)
    with _lock:
        if key not in _loaded:
            rows = call(place)
            tasks = [source.parse(row, split, index) if isinstance(row, Row) else row for index, row in enumerate(rows)]
            for line, task in enumerate(tasks, start=1):
                if task.domain != source.domain:
                    problem = f"the Task is of domain {task.domain!r}, the verifier is {source.domain!r}"
                    raise RowError(f"{place}, line {line}: {problem}")
            _loaded[key] = StoredTaskSet(source.name, split, tasks, place)
        return _loaded[key]


def _read_sample(source: Source) -> StoredTaskSet:
    key = (source.name, SAMPLE)
    with _lock:
        if key not in _loaded:
            name = f"samples/{source.sample or source.name}.jsonl"
            text = resources.files("r1gym.tasks").joinpath(name).read_text(encoding="utf-8")
            _loaded[key] = _build(source, SAMPLE, list(parse_rows(text, name)), "our own sample")
        return _loaded[key]


def _build(source: Source, split: str, rows: list[Row], origin: str) -> StoredTaskSet:
    tasks = [source.parse(row, split, index) for index, row in enumerate(rows)]
    return StoredTaskSet(source.name, split, tasks, origin, [row.line for row in rows])
