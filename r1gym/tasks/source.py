"""What a source of tasks is: where its files may lie, what they must hold, and how a row becomes a Task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from r1gym.errors import RowError
from r1gym.types import Task

if TYPE_CHECKING:
    from r1gym.tasks.taskset import TaskSet

__all__ = ["DataFile", "Fingerprint", "HubFile", "Row", "Source", "Split"]


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a canonical set must hold: its row count and the SHA-256 of its questions and references in order."""

    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file name looked for in a data folder, and the fingerprint of the set of that name where it is known."""

    name: str
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True, slots=True)
class HubFile:
    """Where a split lies on the Hugging Face hub: a data set repository and a path in it.

    ``fingerprint`` is set where the hub's file is the canonical set whose fingerprint is known; the content then
    decides, whatever revision was served.
    """

    repo: str
    path: str
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """One split of a source: ``files`` are looked for in order in each folder, ``hub`` is asked last."""

    files: tuple[DataFile, ...]
    hub: HubFile | None = None
    own: str = ""
    """A user's file, or "package.module:function", which alone is read; "" for the known sets."""


@dataclass(frozen=True, slots=True)
class Row:
    """One JSON object of a file, and where it stands, so that a bad field can be named exactly."""

    fields: Mapping[str, Any]
    file: str
    line: int

    def text(self, name: str) -> str:
        """The non-blank string in field ``name``.

        Raises:
            RowError: The field is missing, is not a string, or is blank.
        """
        value = self.present(name)
        if not isinstance(value, str):
            raise self.error(name, f"expected a string, got {type(value).__name__}")
        if not value.strip():
            raise self.error(name, "is blank")
        return value

    def integer(self, name: str) -> int:
        """The integer in field ``name``; a string of decimal digits is one too.

        Raises:
            RowError: The field is missing or holds something else (True is not an integer here).
        """
        value = self.present(name)
        if isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal():
            return int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(name, f"expected an integer, got {type(value).__name__} {value!r:.60}")
        return value

    def texts(self, name: str) -> list[str]:
        """The list of strings in field ``name``. RowError where it holds something else."""
        value = self.present(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(name, f"expected a list of strings, got {value!r:.60}")
        return value

    def facts(self, *names: str) -> dict[str, Any]:
        """Those of the fields ``names`` that are there, as facts for ``Task.meta``."""
        return {name: self.fields[name] for name in names if self.fields.get(name) is not None}

    def error(self, name: str, problem: str) -> RowError:
        """The error that says what is wrong with field ``name`` of this row."""
        return RowError(f"{self.file}, line {self.line}, field {name!r}: {problem}")

    def present(self, name: str) -> Any:
        """What stands in field ``name``. RowError where the row has no such field."""
        if name not in self.fields:
            raise self.error(name, f"is missing; the row has {', '.join(sorted(self.fields)) or 'no fields'}")
        return self.fields[name]


@dataclass(frozen=True, slots=True)
class Source:
    """A set of problems kept in files."""

    name: str
    title: str
    domain: str
    """The verifier that judges its tasks."""
    splits: Mapping[str, Split]
    parse: Callable[[Row, str, int], Task]
    """(row, split, row number from 0) -> Task; raises RowError."""
    needs: str
    """The fields a row must have, in words, for the command line."""
    sample: str | None = ""
    """Whose sample file serves as its split "sample"; "" for its own, None where there is none."""
    arrange: Callable[[TaskSet, int], TaskSet] | None = None
    """(tasks, option_seed) -> the tasks as they are asked, options in the order of that seed; None for sets without."""
    belongs: Callable[[Row, str], bool] | None = None
    """Whether a row of a known file is of a split, where one file holds several; None where each has its own."""
