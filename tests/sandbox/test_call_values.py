"""Values cross by exact type and are compared outside: subclasses, forged answers and near misses stay out."""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1gym.errors import ConfigError
from r1gym.sandbox.functions import compare, comparison, make_request, read_answer, tolerance_of
from r1gym.sandbox.guest.values import MAX_DEPTH, pack, unpack
from r1gym.types import CallCase

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
HASHABLE = st.booleans() | st.integers() | st.text()
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(HASHABLE, inner) | st.tuples(inner, inner)
)


@given(PLAIN)
def test_what_is_packed_comes_back(value: Any) -> None:
    back = unpack(json.loads(json.dumps(pack(value))))
    assert back == value and type(back) is type(value) and compare(value, back, 0.0)


@pytest.mark.parametrize(
    "value", [type("L", (list,), {})(), type("I", (int,), {})(1), object(), iter([]), b"x", 1j, len]
)
def test_other_types_are_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="plain data"):
        pack([{"k": value}])


def test_a_value_in_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match=str(MAX_DEPTH)):
        pack(value)


def test_numbers_that_json_cannot_hold() -> None:
    assert unpack(json.loads(json.dumps(pack(10**5000)))) == 10**5000
    assert math.isnan(unpack(pack(math.nan))) and unpack(pack(-math.inf)) == -math.inf


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        (1, 1.0, True),
        (1.0, 1 + 5e-7, True),
        (1.0, 1 + 5e-6, False),
        (10**30, 10**30 + 1, False),
        (1e9, 1e9 + 100, True),
        (10**400, 1.0, False),
        (True, 1, False),
        (0, False, False),
        (1, "1", False),
        (None, 0, False),
        (None, None, True),
        ([1, 2], (1, 2), True),
        ([1, 2], [1, 2, 3], False),
        ([1, 2], {1, 2}, False),
        ({1, 2}, {2, 1}, True),
        ({"a": [1.0]}, {"a": [1.0 + 1e-9]}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ("a", "a", True),
        (math.nan, math.nan, False),
        (math.inf, math.inf, True),
        (math.inf, -math.inf, False),
        ([], {}, False),
        ([], None, False),
    ],
)
def test_equality_by_type(expected: Any, actual: Any, same: bool) -> None:
    assert compare(expected, actual) is same


def test_a_request_holds_no_expected_value() -> None:
    request = make_request(CallCase("f", (1, [2.5], (3,)), "SECRET"), "nonce")
    assert b"SECRET" not in request and b"nonce" in request
    with pytest.raises(ConfigError, match="JSON"):
        make_request(CallCase("f", (object(),), 1), "n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"[",
        b"[]",
        b'["n", [1]]',
        b'["n", {"int": "0x1"}]["n", {"int": "0x1"}]',
        b'["other", {"int": "0x1"}]',
        b'["n", {"set": [{"list": []}]}]',
        b'["n", {"int": 5}]',
        b'["n", {"what": 5}]',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_answers_that_are_none(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r"came back|no answer"):
        read_answer(answer, "n")


def test_the_answer_of_this_case() -> None:
    assert read_answer(json.dumps(["n", pack([1, (2,), {"k": {3}}])]).encode(), "n") == [1, (2,), {"k": {3}}]


def test_tolerances() -> None:
    assert [tolerance_of(name) for name in ("tokens", "exact", "float:1e-3")] == [1e-6, 0.0, 1e-3]


@pytest.mark.parametrize("made", [Counter("aab"), OrderedDict(a=2, b=1), defaultdict(int, a=2, b=1)])
def test_the_standard_librarys_dicts_cross_as_what_they_equal(made: Any) -> None:
    back = unpack(json.loads(json.dumps(pack(made))))
    assert type(back) is dict and back == {"a": 2, "b": 1}
    with pytest.raises(TypeError, match="plain data"):
        pack(type("Mine", (Counter,), {})("a"))


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ([1], (1,), False),
        ((1, 2), (1, 2), True),
        (True, 1, True),
        (1.0, 1.0 + 1e-9, False),
        (math.nan, math.nan, False),
        ({1, 2}, {2, 1}, True),
        ({"a": 1}, {"a": 1.0}, True),
        (None, False, False),
    ],
)
def test_equal_is_pythons_own(expected: Any, actual: Any, same: bool) -> None:
    assert comparison("equal")(expected, unpack(pack(actual))) is same


def test_other_names_compare_by_type_within_a_tolerance() -> None:
    assert comparison("tokens")([1], (1,)) and not comparison("tokens")(True, 1)
    assert comparison("float:0.1")(1.0, 1.05) and not comparison("exact")(1.0, 1.0 + 1e-9)
    with pytest.raises(ConfigError, match="unknown checker 'equals'"):
        comparison("equals")


@pytest.mark.parametrize("tag", ["set", "dict"])
def test_keys_made_to_collide_do_not_hang_the_judge(tag: str) -> None:
    """Integers are their own hash modulo 2^61 - 1: a million of one residue would take hours in a set."""
    keys = [{"int": hex(number * (2**61 - 1))} for number in range(1, 100_000)]
    answer = json.dumps(["n", {tag: keys if tag == "set" else [[key, None] for key in keys]}]).encode()
    with pytest.raises(ValueError, match="not one value"):
        read_answer(answer, "n")
    honest = set(range(-5000, 5000)) | {float(number) / 8 for number in range(5000)}
    assert unpack(pack(honest)) == honest
