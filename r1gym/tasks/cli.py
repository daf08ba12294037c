"""``python -m r1gym.tasks {list,fetch,import}``: which task sets are at hand, and how to get the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from r1gym.config import run_command
from r1gym.errors import ConfigError, DataError, DataNotFoundError
from r1gym.tasks import fingerprint, hub, loading
from r1gym.tasks.jsonl import read_rows
from r1gym.tasks.procedural import SIZES
from r1gym.tasks.registry import SOURCES, source_named
from r1gym.tasks.source import Source
from r1gym.tasks.taskset import TaskSet

__all__ = ["fetch_sets", "import_file", "list_sets", "main"]

HEADINGS = ("name", "split", "tasks", "where", "fields of a row")


def list_sets() -> None:
    """List every task set and split, how many tasks it has and where it lies. Asks no network."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="r1gym task sets", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    rows = [row for name in SOURCES for row in _rows(name)]
    for row in rows:
        table.add_row(*row)
    console = Console()
    # Wrapping a table into a pipe of unknown width would break it for grep.
    console.print(table) if console.is_terminal else print("\n".join("\t".join(row) for row in (HEADINGS, *rows)))


def _rows(name: str) -> list[tuple[str, str, str, str, str]]:
    source = source_named(name)
    if not isinstance(source, Source):
        return [(name, split, f"{size:,}", "generated", "") for split, size in SIZES.items()]
    rows = []
    for split in loading.split_names(source):
        try:
            tasks = loading.load(source, split, offline=True)
            rows.append((name, split, _count(tasks), tasks.origin, source.needs))
        except DataNotFoundError:
            rows.append((name, split, "-", "not at hand", source.needs))
        except DataError as error:
            rows.append((name, split, "-", f"unusable: {error}", source.needs))
    return rows


def _count(tasks: TaskSet) -> str:
    """How many tasks, and how many of them are left out of sampling, by reason."""
    out = tasks.unverifiable()
    why = "; ".join(f"{count} {reason}" for reason, count in out.items())
    return f"{len(tasks):,}" + (f", of them {sum(out.values()):,} not verifiable ({why})" if out else "")


def _stored(name: str) -> Source:
    source = source_named(name)
    if not isinstance(source, Source):
        raise ConfigError(f"{source.title} is generated: there is nothing to fetch or import")
    return source


def fetch_sets(name: str, split: str | None = None) -> None:
    """Fetch a task set from the Hugging Face hub into the cache (HF_ENDPOINT and R1GYM_CACHE are honoured).

    Args:
        name: Which set.
        split: Which split; all that the hub has, if left out.
    """
    source = _stored(name)
    if split is not None:
        loading.check_split(source, split)
    wanted = [each for each in source.splits if split in (None, each)]
    located = [each for each in wanted if source.splits[each].hub is not None]
    if not located:
        raise DataNotFoundError(
            f"no copy of {source.title} is known on the hub: put "
            f"{' or '.join(file.name for each in wanted for file in source.splits[each].files)} into the folder "
            f"R1GYM_DATA, or run: python -m r1gym.tasks import {name} FILE"
        )
    for each in located:
        try:
            path = hub.fetch(source, each, loading.cache_dir())
        except hub.HubUnreachableError as error:
            raise DataNotFoundError(f"{source.title} ({each}) could not be fetched: {error}") from error
        print(f"{name} ({each}): {len(read_rows(path))} rows in {path}")


def import_file(name: str, file: Path, split: str | None = None) -> None:
    """Check a JSON-lines file and copy it into the cache as a task set.

    Args:
        name: Which set the file holds.
        file: The file; ``.gz`` is unpacked.
        split: Which split; needed where the set has several.
    """
    source = _stored(name)
    if split is None and len(source.splits) > 1:
        raise ConfigError(f"{source.title} has several splits: say --split {' or --split '.join(source.splits)}")
    split = split or next(iter(source.splits))
    if split not in source.splits:
        raise ConfigError(f"{source.title} has no split {split!r} to import: it has {', '.join(source.splits)}")
    tasks = loading.load(source, split, data=str(file), whole=True)
    found = fingerprint.fingerprint(tasks)
    files = source.splits[split].files
    target = next((each for each in files if each.fingerprint == found), None)
    target = target or next((each for each in files if each.fingerprint is None), None)
    if target is None:
        fingerprint.check(tasks, files[0].fingerprint or found, str(file))
        return
    path = loading.cache_dir() / target.name
    hub.write_rows([dict(row.fields) for row in read_rows(file)], path)
    known = "the canonical set" if target.fingerprint else "no content hash is known to check it against"
    print(f"{name} ({split}): {len(tasks)} rows ({known}) in {path}")


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the commands."""
    import tyro

    commands: dict[str, Callable[..., Any]] = {"list": list_sets, "fetch": fetch_sets, "import": import_file}
    run_command(
        lambda: tyro.extras.subcommand_cli_from_dict(
            commands, prog="python -m r1gym.tasks", args=argv, config=(tyro.conf.PositionalRequiredArgs,)
        )
    )
