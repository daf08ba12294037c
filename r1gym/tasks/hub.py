"""Fetching a task set from the Hugging Face hub over plain HTTP, into the cache; nothing else touches the network."""

from __future__ import annotations

import csv
import http.client
import io
import json
import logging
import os
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from r1gym.errors import ConfigError, DataError, R1GymError, missing_extra
from r1gym.tasks import fingerprint
from r1gym.tasks.jsonl import parse_rows
from r1gym.tasks.source import HubFile, Row, Source

__all__ = ["HubUnreachableError", "cached_name", "fetch", "url_of", "write_rows"]

logger = logging.getLogger(__name__)

TIMEOUT_S = 5.0
"""Seconds to wait for the hub to connect, and for each block of an answer."""
DEADLINE_S = 60.0
"""Seconds for the whole answer; the largest of our sets has a few megabytes."""
MAX_BYTES = 256 * 2**20
"""More than any of our sets; a larger answer is not one of them."""


class HubUnreachableError(R1GymError, OSError):
    """The hub did not give the file: no network, no such file, or told to stay offline."""


def url_of(location: HubFile) -> str:
    """The address of a file; HF_ENDPOINT overrides the public hub, as in Hugging Face's own libraries."""
    endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
    return f"{endpoint}/datasets/{location.repo}/resolve/main/{urllib.parse.quote(location.path)}"


def cached_name(source: Source, split: str) -> str:
    """The file name of a split's hub copy in the cache: its own, because that copy is checked by its own rule."""
    return f"{source.splits[split].files[0].name.removesuffix('.jsonl')}.hub.jsonl"


def fetch(source: Source, split: str, folder: Path) -> Path:
    """Fetch one split, check it, and keep it as JSON lines in ``folder``.

    Raises:
        HubUnreachableError: The hub could not be asked, or has no such file.
        DataError: What came is not the canonical set, or not rows of it.
        MissingExtraError: The hub keeps the set as parquet and pyarrow is not installed.
    """
    location = source.splits[split].hub
    if location is None:
        raise HubUnreachableError(f"no copy of {source.title} ({split}) is known on the hub")
    if location.path.endswith(".parquet"):
        _pyarrow()  # before the download: the error should not cost one
    url = url_of(location)
    body = _download(url)
    fields = _READERS[Path(location.path).suffix](body, url)
    tasks = [source.parse(Row(row, url, n + 1), split, n) for n, row in enumerate(fields)]
    if not tasks:
        raise DataError(f"{url} holds no row")
    if location.fingerprint is None:
        logger.warning("%s: no content hash of this copy is known; %d rows taken as they are", url, len(tasks))
    else:
        fingerprint.check(tasks, location.fingerprint, url)
    target = folder / cached_name(source, split)
    write_rows(fields, target)
    return target


def write_rows(rows: list[dict[str, Any]], target: Path) -> None:
    """Write ``rows`` as JSON lines to ``target`` in one step, so that a reader never sees half a file."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", newline="", dir=target.parent, delete=False) as file:
            file.write(text)
        os.replace(file.name, target)
    except OSError as error:
        raise ConfigError(f"cannot write {target}: {error}. Set R1GYM_CACHE to a folder that you can write") from error


def _download(url: str) -> bytes:
    if os.environ.get("HF_HUB_OFFLINE", "").strip().upper() in {"1", "ON", "YES", "TRUE"}:
        raise HubUnreachableError("HF_HUB_OFFLINE is set")
    request = urllib.request.Request(url, headers={"User-Agent": "r1gym"})
    if token := os.environ.get("HF_TOKEN", "").strip():
        request.add_unredirected_header("Authorization", f"Bearer {token}")  # for the hub, not for where it sends us
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            body = _read(answer)
    except urllib.error.HTTPError as error:
        with error:  # an HTTPError is an open answer too
            gated = error.code in (401, 403)
            remedy = ". A gated set needs its terms accepted on the hub, and your token in HF_TOKEN" if gated else ""
            raise HubUnreachableError(f"{url}: HTTP {error.code} {error.reason}{remedy}") from error
    except HubUnreachableError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        raise HubUnreachableError(f"{url}: {cause}") from error
    return body


def _read(answer: http.client.HTTPResponse) -> bytes:
    """The whole body, given up when it comes too slowly or is too large."""
    body = bytearray()
    deadline = time.monotonic() + DEADLINE_S
    while block := answer.read(2**16):
        body += block
        if len(body) > MAX_BYTES:
            raise HubUnreachableError(f"{answer.url} is larger than {MAX_BYTES} bytes: not the expected set")
        if time.monotonic() > deadline:
            raise HubUnreachableError(f"{answer.url} took more than {DEADLINE_S:g} s")
    return bytes(body)


def _from_jsonl(body: bytes, url: str) -> list[dict[str, Any]]:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{url} is not UTF-8 at byte {error.start}") from error
    return [dict(row.fields) for row in parse_rows(text, url)]


def _from_csv(body: bytes, url: str) -> list[dict[str, Any]]:
    try:
        text = body.decode("utf-8-sig")
        return [dict(row) for row in csv.DictReader(io.StringIO(text, newline=""), strict=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{url} is not a CSV table in UTF-8: {error}") from error


def _from_parquet(body: bytes, url: str) -> list[dict[str, Any]]:
    pyarrow = _pyarrow()
    try:
        rows: list[dict[str, Any]] = pyarrow.parquet.read_table(pyarrow.BufferReader(body)).to_pylist()
    except pyarrow.ArrowException as error:
        raise DataError(f"{url} is not a parquet file: {error}") from error
    return rows


_READERS = {".csv": _from_csv, ".jsonl": _from_jsonl, ".parquet": _from_parquet}


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise missing_extra("pyarrow (the hub keeps this set as parquet)", "data") from error
    return pyarrow
