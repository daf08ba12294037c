"""Reading JSON-lines files: one object a line, plain or gzipped, every complaint with file and line."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from r1gym.errors import DataError, RowError
from r1gym.tasks.source import Row

__all__ = ["parse_rows", "read_rows"]


def read_rows(path: Path) -> list[Row]:
    """The rows of the file ``path`` (``.gz`` is unpacked).

    Raises:
        DataError: The file cannot be read, is not UTF-8, or holds no row.
        RowError: A line is not a JSON object.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}: save it as UTF-8") from error
    rows = list(parse_rows(text, str(path)))
    if not rows:
        raise DataError(f"{path} holds no row: expected one JSON object a line")
    return rows


def parse_rows(text: str, file: str) -> Iterator[Row]:
    r"""The rows of ``text``; ``file`` is what errors call it. Blank lines are passed over.

    Only ``\n`` ends a line: ``str.splitlines`` would also cut at U+2028, which JSON strings may hold.
    """
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            fields = json.loads(content)
        except (json.JSONDecodeError, RecursionError) as error:
            raise RowError(f"{file}, line {line}: not JSON ({error})") from error
        if not isinstance(fields, dict):
            raise RowError(f"{file}, line {line}: expected a JSON object, got {type(fields).__name__}")
        yield Row(fields, file, line)
