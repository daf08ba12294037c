"""Python values as tagged JSON by exact type: what crosses between a function problem and its judge.

A subclass (a list whose ``__eq__`` always agrees) has no tag and is refused where it stands, inside the submission;
what crosses is plain data that the judge compares outside.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from typing import Any

__all__ = ["MAX_DEPTH", "pack", "unpack"]

MAX_DEPTH = 100
_MAPPINGS = (dict, Counter, defaultdict, OrderedDict)
"""These and no other subclass: what they hold crosses as a dict, which they equal."""
_SEQUENCES: dict[type, str] = {list: "list", tuple: "tuple", set: "set", frozenset: "set"}


def pack(value: Any, depth: int = 0) -> Any:
    """``value`` as tagged JSON. Raises TypeError for what is not plain data, ValueError where it nests too deep."""
    kind = type(value)
    if depth > MAX_DEPTH:
        raise ValueError(f"a value nested deeper than {MAX_DEPTH}")
    if value is None or kind is bool or kind is str:
        return value
    if kind is int:
        return {"int": hex(value)}  # no length limit on conversion, linear time
    if kind is float:
        return {"float": float.hex(value)}
    if kind in _SEQUENCES:
        return {_SEQUENCES[kind]: [pack(item, depth + 1) for item in value]}
    if kind in _MAPPINGS:
        return {"dict": [[pack(key, depth + 1), pack(item, depth + 1)] for key, item in value.items()]}
    raise TypeError(f"a value of type {kind.__name__} is not plain data")


def unpack(value: Any) -> Any:
    """The value that ``pack`` tagged. Raises ValueError or TypeError where ``value`` is no such JSON."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("not a tagged value")
    ((tag, inner),) = value.items()
    if tag == "int":
        return int(inner, 16)
    if tag == "float":
        return float.fromhex(inner)
    if tag == "dict":
        return {unpack(key): unpack(item) for key, item in inner}
    makers: dict[str, type] = {"list": list, "tuple": tuple, "set": set}
    if tag not in makers:
        raise ValueError(f"unknown tag {tag!r}")
    return makers[tag]([unpack(item) for item in inner])
