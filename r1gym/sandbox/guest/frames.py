"""Frames between judge, worker and fork server: a JSON head, then raw blobs."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

__all__ = ["Frame", "FrameBuffer", "encode", "parts"]

Frame = tuple[dict[str, Any], list[bytes]]
_SIZE = struct.Struct(">I")


def parts(head: dict[str, Any], blobs: Sequence[bytes | bytearray] = ()) -> list[bytes | bytearray]:
    """One frame in pieces: four bytes of head length and the JSON head with its blobs' lengths; then each blob."""
    text = json.dumps({**head, "blobs": [len(blob) for blob in blobs]}).encode()
    return [_SIZE.pack(len(text)) + text, *blobs]


def encode(head: dict[str, Any], blobs: Sequence[bytes] = ()) -> bytes:
    """One frame as one string of bytes."""
    return b"".join(parts(head, blobs))


class FrameBuffer:
    """Bytes in, whole frames out.

    ``limit`` bounds a frame in bytes, so that a slot that was taken over cannot fill the judge's memory.
    """

    def __init__(self, limit: int = 1 << 30) -> None:
        self.limit = limit
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what a read returned."""
        self._data += data

    def next(self) -> Frame | None:
        """The next whole frame, or None. Raises ValueError where the bytes are no frame or are too many."""
        if len(self._data) < _SIZE.size:
            return None
        (size,) = _SIZE.unpack_from(self._data)
        if size > min(self.limit, 1 << 24):
            raise ValueError(f"a frame's head of {size} bytes is over the limit")
        start = _SIZE.size + size
        if len(self._data) < start:
            return None
        head = json.loads(bytes(self._data[_SIZE.size : start]))
        lengths = [int(length) for length in head.pop("blobs")]
        total = start + sum(lengths)
        if min(lengths, default=0) < 0 or total > self.limit:
            raise ValueError(f"a frame of {total} bytes is over the limit of {self.limit}")
        if len(self._data) < total:
            return None
        blobs = []
        for length in lengths:
            blobs.append(bytes(self._data[start : start + length]))
            start += length
        del self._data[:total]
        return head, blobs
