"""Function problems on the trusted side: the request of a case, and whether what came back is the expected value."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from r1gym.errors import ConfigError
from r1gym.sandbox.checkers import get_checker
from r1gym.sandbox.guest import values
from r1gym.types import CallCase

__all__ = ["EQUAL", "compare", "comparison", "make_request", "read_answer", "shown", "tolerance_of"]

EQUAL = "equal"
"""Python's own ``==``, which the asserts of function problems use: 1 == True == 1.0, a list is no tuple."""

_DEFAULT_TOLERANCE = 1e-6
_SEQUENCES = (list, tuple)


def make_request(case: CallCase, nonce: str) -> bytes:
    """What the submission's process reads: function, arguments, nonce. Raises ConfigError for what is no data."""
    try:
        arguments = [values.pack(item) for item in case.args]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"the arguments of {case.function} must be JSON values: {error}") from error
    return json.dumps({"function": case.function, "args": arguments, "nonce": nonce}).encode()


def read_answer(answer: bytes, nonce: str) -> Any:
    """The returned value. Raises ValueError where there is none, or more or other than one answer with the nonce."""
    if not answer:
        raise ValueError("the function gave no answer")
    try:
        said, packed = json.loads(answer)
        value = values.unpack(packed)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise ValueError("what came back is not one value") from error
    if said != nonce:
        raise ValueError("what came back is not the answer of this case")
    return value


def shown(value: Any) -> str:
    """The start of a value's text; an integer has none beyond the interpreter's limit of digits."""
    try:
        return f"{value!r:.200}"
    except ValueError:
        return "a value with an integer too long to show"


def tolerance_of(checker: str) -> float:
    """The float tolerance that a checker's name asks for; 1e-6 by default, absolute or relative."""
    kind, _, rest = checker.partition(":")
    return float(rest) if kind in ("float", "float-abs") else 0.0 if kind == "exact" else _DEFAULT_TOLERANCE


def comparison(checker: str) -> Callable[[Any, Any], bool]:
    """(expected, actual) → whether they agree, by a checker's name. Raises UnknownNameError, ConfigError."""
    if checker == EQUAL:
        return lambda expected, actual: bool(expected == actual)  # plain data on both sides: no code of theirs runs
    get_checker(checker)
    tolerance = tolerance_of(checker)
    return lambda expected, actual: compare(expected, actual, tolerance)


def compare(expected: Any, actual: Any, tolerance: float = _DEFAULT_TOLERANCE) -> bool:
    """Deep equality by type: a bool is no number, NaN equals nothing, list and tuple are one (JSON has one array).

    Floats may differ by ``tolerance``, absolute or relative to the expected value; integers may not.
    """
    if isinstance(expected, bool) or isinstance(actual, bool):
        return type(expected) is type(actual) and expected == actual
    if isinstance(expected, (int, float)) and isinstance(actual, (int, float)):
        if isinstance(expected, int) and isinstance(actual, int):
            return expected == actual
        try:
            want, got = float(expected), float(actual)
        except OverflowError:
            return bool(expected == actual)
        if math.isinf(want) or math.isinf(got):
            return want == got
        return abs(got - want) <= tolerance * max(1.0, abs(want))
    if isinstance(expected, _SEQUENCES) and isinstance(actual, _SEQUENCES):
        return len(expected) == len(actual) and all(
            compare(want, got, tolerance) for want, got in zip(expected, actual, strict=True)
        )
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(compare(expected[k], actual[k], tolerance) for k in expected)
    if isinstance(expected, (set, frozenset)) and isinstance(actual, (set, frozenset)):
        return expected == actual
    return type(expected) is type(actual) and bool(expected == actual)
