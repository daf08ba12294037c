"""Python values as tagged JSON by exact type: what crosses between a function problem and its judge.

A subclass (a list whose ``__eq__`` always agrees) has no tag and is refused where it stands, inside the submission;
what crosses is plain data that the judge compares outside.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from typing import Any

__all__ = ["MAX_DEPTH", "pack", "unpack"]

MAX_DEPTH = 100
_MOST_PROBES = 1 << 20
_SMALL = 1 << 64
_MAPPINGS = (dict, Counter, defaultdict, OrderedDict)
"""These and no other subclass: what they hold crosses as a dict, which they equal."""
_SEQUENCES: dict[type, str] = {list: "list", tuple: "tuple", set: "set", frozenset: "set"}


def pack(value: Any, depth: int = 0) -> Any:
    """``value`` as tagged JSON. Raises TypeError for what is not plain data, ValueError where it nests too deep."""
    kind = type(value)
    if depth > MAX_DEPTH:
        raise ValueError(f"a value nested deeper than {MAX_DEPTH}")
    if value is None or kind in (bool, str, float):  # a float's text is exact, and never that of an int
        return value
    if kind is int:
        return value if -_SMALL < value < _SMALL else {"int": hex(value)}  # no length limit on hex, linear time
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: [pack(item, depth + 1) for item in value]}
    if kind in _MAPPINGS:
        return {"dict": [[pack(key, depth + 1), pack(item, depth + 1)] for key, item in value.items()]}
    if kind.__module__ == "numpy" and getattr(value, "shape", None) == ():
        return pack(value.item(), depth + 1)  # a scalar; who claims to be one still crosses as plain data
    raise TypeError(f"a value of type {kind.__name__} is not plain data")


def _hashed(items: list[Any]) -> list[Any]:
    """``items``, if a set or dict of them is built in linear time: hashes of numbers can be made to collide."""
    counts = Counter(map(hash, items)).values()
    if sum(count * count for count in counts) > _MOST_PROBES + 2 * len(items):
        raise ValueError("too many keys of one hash")
    return items


def unpack(value: Any, depth: int = 0) -> Any:
    """The value that ``pack`` tagged. Raises ValueError or TypeError where ``value`` is no such JSON."""
    if value is None or isinstance(value, (bool, str, int, float)):
        return value
    if not isinstance(value, dict) or len(value) != 1 or depth > MAX_DEPTH:
        raise ValueError("not a tagged value")
    ((tag, inner),) = value.items()
    if tag == "int":
        return int(inner, 16)
    if tag == "dict":
        keys = _hashed([unpack(key, depth + 1) for key, _ in inner])
        return dict(zip(keys, [unpack(item, depth + 1) for _, item in inner], strict=True))
    items = [unpack(item, depth + 1) for item in inner]
    if tag == "set":
        return set(_hashed(items))
    if tag not in ("list", "tuple"):
        raise ValueError(f"unknown tag {tag!s:.20}")
    return tuple(items) if tag == "tuple" else items
