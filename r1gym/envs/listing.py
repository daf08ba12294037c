"""``python -m r1gym.envs``: the catalog as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from r1gym.config import parse
from r1gym.envs.catalog import CATALOG, Entry

__all__ = ["main", "rows"]

HEADINGS = ("id", "family", "tasks (default split first)", "template", "verifier", "reward terms", "what")


def rows() -> list[tuple[str, ...]]:
    """One row an id, in the order of ``HEADINGS``."""
    return [
        (entry.id, entry.family, _sizes(entry), entry.template, entry.verifier, _terms(entry), entry.about)
        for entry in CATALOG
    ]


def _terms(entry: Entry) -> str:
    return ", ".join(f"{name} ×{weight:g}" for name, weight in entry.weights)


def _sizes(entry: Entry) -> str:
    ordered = sorted(entry.sizes, key=lambda item: item[0] != entry.split)
    parts = [f"{split} {size:,}" if size else f"{split} (by file)" for split, size in ordered if split != "sample"]
    return ", ".join([*parts, f"sample {dict(entry.sizes).get('sample', 10)}"])


@dataclass(frozen=True)
class ListingConfig:
    """Print every environment id with its tasks, its verifier and its reward terms; a pipe gets tabs."""


def main(argv: Sequence[str] | None = None) -> None:
    """Print the catalog."""
    parse(ListingConfig, argv, prog="python -m r1gym.envs")
    from rich.console import Console
    from rich.table import Table

    table = Table(title="r1gym environments", title_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, no_wrap=heading == "id", overflow="fold")
    for row in rows():
        table.add_row(*row)
    console = Console()
    # Wrapping a table into a pipe of unknown width would break it for grep.
    console.print(table) if console.is_terminal else print("\n".join("\t".join(row) for row in (HEADINGS, *rows())))
