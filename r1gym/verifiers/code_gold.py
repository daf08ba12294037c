"""The gold of a program: tests, limits and checker from a CodeReference or from plain JSON values, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from r1gym.errors import ConfigError, ReferenceRefusedError, UnknownNameError, unknown_name
from r1gym.types import CallCase, CheckerProgram, CodeReference, Limits, StdioCase

__all__ = ["read_code_gold"]

_FIELDS = tuple(field.name for field in fields(CodeReference))
_SHAPE = (
    "a CodeReference, a list of tests, or a mapping with 'tests' and optionally "
    f"{', '.join(name for name in _FIELDS if name != 'tests')}"
)


def read_code_gold(reference: Any) -> CodeReference:
    """The reference of domain "code" as a CodeReference, everything in it looked at once.

    A test is a ``StdioCase``, a ``CallCase``, or a mapping ``{"input", "output"}`` or ``{"function", "args",
    "expected"}``; ``limits`` and ``checker`` may be mappings of their own fields.

    Raises:
        ReferenceRefusedError: It has another shape, no test, or tests of both kinds.
    """
    if isinstance(reference, CodeReference):
        gold = reference
    elif isinstance(reference, Mapping):
        for name in reference:
            if name not in _FIELDS:
                raise ReferenceRefusedError(str(unknown_name("field of the reference", name, _FIELDS)))
        gold = _from_mapping(reference)
    elif isinstance(reference, Sequence) and not isinstance(reference, (str, bytes)):
        gold = _from_mapping({"tests": reference})
    else:
        raise ReferenceRefusedError(f"expected {_SHAPE}, got {type(reference).__name__} {reference!r:.60}")
    _check(gold)
    return gold


def _from_mapping(reference: Mapping[str, Any]) -> CodeReference:
    tests = reference.get("tests")
    if not isinstance(tests, Sequence) or isinstance(tests, (str, bytes)):
        raise ReferenceRefusedError(f"expected {_SHAPE}; 'tests' is {tests!r:.60}")
    known: dict[str, Any] = dict(reference)
    known["tests"] = tuple(_case(test, number) for number, test in enumerate(tests, 1))
    if known["tests"] and isinstance(known["tests"][0], CallCase):
        known.setdefault("checker", "equal")
    for name, kind in (("limits", Limits), ("checker", CheckerProgram)):
        if isinstance(known.get(name), Mapping):
            try:
                known[name] = kind(**known[name])
            except TypeError as error:
                raise ReferenceRefusedError(f"{name}: {error}") from error
    return CodeReference(**known)


def _case(test: Any, number: int) -> StdioCase | CallCase:
    if isinstance(test, (StdioCase, CallCase)):
        return test
    if isinstance(test, Mapping):
        names = set(test)
        if "input" in names and names in ({"input", "output"}, {"input", "expected"}):
            return StdioCase(test["input"], test["output"] if "output" in names else test["expected"])
        if names == {"function", "args", "expected"} and isinstance(test["args"], (list, tuple)):
            return CallCase(test["function"], tuple(test["args"]), test["expected"])
    raise ReferenceRefusedError(
        f"test {number}: expected {{'input', 'output'}} or {{'function', 'args', 'expected'}}, got {test!r:.80}"
    )


def _check(gold: CodeReference) -> None:
    if not gold.tests:
        raise ReferenceRefusedError("there is no test: a program without tests cannot be judged")
    calls = isinstance(gold.tests[0], CallCase)
    for number, test in enumerate(gold.tests, 1):
        if isinstance(test, CallCase) is not calls:
            raise ReferenceRefusedError(f"test {number}: tests of programs and of functions do not mix")
        texts: tuple[Any, ...] = ()
        if isinstance(test, CallCase):
            texts = (test.function,)
        elif isinstance(test, StdioCase):
            texts = (test.input, test.expected)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ReferenceRefusedError(f"test {number}: expected strings, got {test!r:.80}")
    numbers = [getattr(gold.limits, field.name) for field in fields(Limits)]
    if not all(_positive(number) for number in numbers):
        raise ReferenceRefusedError(f"every limit must be a positive number, got {gold.limits}")
    if gold.time_factor != "language" and not _positive(gold.time_factor):
        raise ReferenceRefusedError(f"time_factor must be a positive number or 'language', got {gold.time_factor!r}")
    _check_comparison(gold, calls)


def _check_comparison(gold: CodeReference, calls: bool) -> None:
    from r1gym.sandbox.checkers import get_checker
    from r1gym.sandbox.functions import comparison, make_request
    from r1gym.sandbox.toolchain import get_language

    try:
        if isinstance(gold.checker, CheckerProgram):
            get_language(gold.checker.language)
            if calls:
                raise ConfigError("a checker program judges text: function problems are compared by value")
        elif calls:
            comparison(gold.checker)
            for test in gold.tests:
                assert isinstance(test, CallCase)
                make_request(replace(test, args=(test.args, test.expected)), "")
        else:
            get_checker(gold.checker)
    except (UnknownNameError, ConfigError) as error:
        raise ReferenceRefusedError(str(error)) from error


def _positive(number: Any) -> bool:
    return isinstance(number, (int, float)) and not isinstance(number, bool) and number > 0 and math.isfinite(number)
