"""Task sets of a user's own: a JSON-lines file or a function, described by plain values that travel as JSON."""

from __future__ import annotations

import importlib
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from r1gym.errors import ConfigError, DataError, RowError, unknown_name
from r1gym.tasks.multiple_choice import LETTERS, Shuffled
from r1gym.tasks.source import Row, Source, Split
from r1gym.types import Task

__all__ = ["FIELDS", "RowReader", "call", "described", "is_function", "source_from"]

FIELDS = ("id", "options", "question", "reference")
"""What a row is read for; "id" and "options" need not be there."""
KEYS = ("fields", "name", "tasks", "verifier")
FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
TEXTS = ("math",)
"""Verifiers whose reference is a text; a number in the row is one too."""


def is_function(place: str) -> bool:
    """Whether ``place`` is of the form "package.module:function", not a path."""
    return FUNCTION.fullmatch(place) is not None


def described(name: str, tasks: Mapping[str, str], verifier: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """The description of a task set: JSON values, which ``source_from`` reads.

    Args:
        name: What its task ids begin with.
        tasks: Split → the absolute path of a JSON-lines file, or "package.module:function".
        verifier: The domain that judges it.
        fields: For each of ``FIELDS`` what it is called in a row; those left out bear their own name.

    Raises:
        ConfigError: No split, or a name or place that is no string.
        UnknownNameError: A key of ``fields`` that is not in ``FIELDS``.
    """
    for field, called in fields.items():
        if field not in FIELDS:
            raise unknown_name("task field", field, FIELDS)
        if not isinstance(called, str) or not called:
            raise ConfigError(f"fields[{field!r}] must be the name of a row's field, got {called!r:.60}")
    if "options" in fields and verifier != "choice":
        raise ConfigError(f"fields['options'] is for verifier 'choice', got verifier {verifier!r}")
    if not tasks or not all(isinstance(each, str) and each for pair in tasks.items() for each in pair):
        raise ConfigError(f"tasks must be a file, 'module:function', or one of these for each split, got {tasks!r:.80}")
    if "sample" in tasks:
        raise ConfigError("the split 'sample' is r1gym's own problems: call yours otherwise")
    return {"name": name, "tasks": dict(tasks), "verifier": verifier, "fields": dict(fields)}


def source_from(description: Mapping[str, Any]) -> Source:
    """The source that ``described`` described. ConfigError for a mapping of another form."""
    if set(description) != set(KEYS):
        raise ConfigError(f"a task set is described by {', '.join(KEYS)}; got {', '.join(map(str, description))}")
    own = described(*(description[key] for key in ("name", "tasks", "verifier", "fields")))
    verifier = own["verifier"]
    called = {field: own["fields"].get(field, field) for field in FIELDS}
    lettered = verifier == "choice" and "options" in own["fields"]
    reader = RowReader(own["name"], verifier, called["id"], called["question"], called["reference"],
                       called["options"] if lettered else "")  # fmt: skip
    needs = ", ".join(called[field] for field in FIELDS if field != "id" and (lettered or field != "options"))
    return Source(
        name=own["name"],
        title=own["name"],
        domain=verifier,
        splits={split: Split((), own=place) for split, place in own["tasks"].items()},
        parse=reader,
        needs=needs,
        sample=None,
        arrange=Shuffled if lettered else None,
    )


@dataclass(frozen=True, slots=True)
class RowReader:
    """Makes a Task of a row; its attributes are the names of the row's fields, ``options`` "" where there are none."""

    name: str
    domain: str
    id: str
    question: str
    reference: str
    options: str

    def __call__(self, row: Row, split: str, index: int) -> Task:
        """The task of row ``index``. RowError names file, line and field."""
        named = row.fields.get(self.id)
        if named is not None and (isinstance(named, bool) or not isinstance(named, (str, int)) or named == ""):
            raise row.error(self.id, f"expected a string, got {type(named).__name__} {named!r:.60}")
        task_id = f"{self.name}/{split}/{index}" if named is None else str(named)
        return Task(task_id, self.domain, row.text(self.question), self._reference(row))

    def _reference(self, row: Row) -> Any:
        name = self.reference
        if name not in row.fields and self.domain == "format":
            return None
        value = row.present(name)
        if value is None:
            raise row.error(name, "expected the gold answer, got null")
        if isinstance(value, float) and not math.isfinite(value):
            raise row.error(name, f"expected the gold answer, got {value}: JSON's NaN and Infinity are no numbers")
        if self.options:
            return self._choice(row, value)
        if self.domain in TEXTS:
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return str(value)
            return row.text(name)
        return value

    def _choice(self, row: Row, value: Any) -> dict[str, Any]:
        """The right option by its letter, its place from 0 or its whole text."""
        options = row.present(self.options)
        if not isinstance(options, list) or not 2 <= len(options) <= len(LETTERS):
            raise row.error(self.options, f"expected a list of 2 to {len(LETTERS)} strings, got {options!r:.60}")
        for text in options:
            if not isinstance(text, str):
                raise row.error(self.options, f"expected strings, got {type(text).__name__} {text!r:.60}")
        if isinstance(value, str) and options.count(value) == 1:
            value = options.index(value)
        elif isinstance(value, str) and len(value) == 1 and value in LETTERS:
            value = LETTERS.index(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(options):
            raise row.error(
                self.reference, f"expected the letter, the place (from 0) or the text of one option, got {value!r:.60}"
            )
        return {"answer": LETTERS[value], "options": list(options)}


def call(place: str) -> list[Row | Task]:
    """What the function ``place`` ("package.module:function") gives: rows (dicts), or Tasks.

    Raises:
        ConfigError: No such module or function.
        DataError: It gives no iterable, or nothing.
        RowError: An item is neither; the message says which.
    """
    module, _, name = place.partition(":")
    try:
        function = getattr(importlib.import_module(module), name)
    except (ModuleNotFoundError, AttributeError) as error:
        raise ConfigError(f"tasks={place!r}: {error}; expected 'package.module:function'") from error
    items = function()
    if isinstance(items, (str, bytes, Mapping)) or not isinstance(items, Iterable):
        raise DataError(f"{place} must give rows (dicts) or Tasks, got {type(items).__name__}")
    rows: list[Row | Task] = []
    for line, item in enumerate(items, start=1):
        if not isinstance(item, (Mapping, Task)):
            raise RowError(f"{place}, line {line}: expected a dict or a Task, got {type(item).__name__}")
        rows.append(item if isinstance(item, Task) else Row(dict(item), place, line))
    if not rows:
        raise DataError(f"{place} gave no row")
    return rows
