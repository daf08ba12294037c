"""Checkers agree with testlib and Kattis on labelled cases, and no output makes one raise."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1gym.errors import ConfigError, UnknownNameError
from r1gym.sandbox.checkers import CHECKERS, AnswerError, get_checker

NEEDS_DATA = pytest.mark.skipif(not os.environ.get("R1GYM_DATA"), reason="needs labelled cases: set R1GYM_DATA")


def rows(name: str) -> list[dict[str, object]]:
    text = Path(os.environ["R1GYM_DATA"], name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def ruling(checker: str, answer: str, output: str) -> str:
    try:
        return "wrong" if get_checker(checker)(answer.encode(), output.encode()) else "right"
    except AnswerError:
        return "bad answer"


@NEEDS_DATA
def test_all_474_rulings_of_testlibs_standard_checkers() -> None:
    cases = rows("testlib_checker_cases.jsonl")
    assert len(cases) == 474
    expected = {0: "right", 1: "wrong", 2: "wrong", 3: "bad answer"}
    differing = []
    for case in cases:
        name = "yesno1" if case["checker"] == "yesno" else str(case["checker"])
        found = ruling(name, str(case["answer"]), str(case["output"]))
        if found != expected[int(str(case["exit_code"]))]:
            differing.append((case, found))
    assert not differing


def kattis(arguments: list[str], answer: str, output: str) -> str:
    """The default validator's flags in our names; without a flag it compares tokens, upper and lower case alike."""
    if "case_sensitive" not in arguments:
        answer, output = answer.lower(), output.lower()
    if (
        "space_change_sensitive" in arguments
        and answer.split() == output.split()
        and answer.rstrip() != output.rstrip()
    ):
        return "wrong"
    for flag, name in (
        ("float_tolerance", "float"),
        ("float_absolute_tolerance", "float-abs"),
        ("float_relative_tolerance", "float"),
    ):
        if flag in arguments:
            return ruling(f"{name}:{arguments[arguments.index(flag) + 1]}", answer, output)
    return ruling("tokens", answer, output)


@NEEDS_DATA
def test_the_23_rulings_of_the_kattis_default_validator() -> None:
    cases = rows("kattis_default_validator_cases.jsonl")
    assert len(cases) == 23
    differing = [
        case["case"]
        for case in cases
        if kattis(case["args"], str(case["answer"]), str(case["output"]))  # type: ignore[arg-type]
        != {42: "right", 43: "wrong"}[int(str(case["exit_code"]))]
    ]
    # Relative only: ours is absolute or relative, so 1 against a judge's 0 with 0.01 is the one thing to look at.
    assert differing == []


@pytest.mark.parametrize(
    ("checker", "answer", "output", "expected"),
    [
        ("tokens", "1 2\n3", "1\t2\r\n\n3  ", "right"),
        ("tokens", "1 2", "1 2 3", "wrong"),
        ("tokens", "", " \n", "right"),
        ("tokens", "a", "A", "wrong"),
        ("exact", "1 2\n", "1 2", "right"),
        ("exact", "1 2\n", "1  2\n", "wrong"),
        ("exact", "1\n", "1\n\n", "wrong"),
        ("lines", "1 2\n3\n", "1   2 \n3", "right"),
        ("lines", "1 2\n3\n", "1 2 3", "wrong"),
        ("float:1e-6", "1000000.0", "1000000.9", "right"),
        ("float-abs:1e-6", "1000000.0", "1000000.9", "wrong"),
        ("float:1e-6", "0", "0.0000009", "right"),
        ("float:1e-6", "0", "0.000002", "wrong"),
        ("float:1e-6", "1", "nan", "wrong"),
        ("float:1e-6", "nan", "1", "wrong"),
        ("float:1e-6", "1", "1e400", "wrong"),
        ("float:1e-6", "YES 0.5", "YES 0.5000001", "right"),
        ("float:1e-6", "YES 0.5", "yes 0.5", "wrong"),
        ("float:1e-6", "5", "0x5", "wrong"),
        ("float:1e-6", "5", "٥", "wrong"),
        ("float:1e-6", "-0", "0", "right"),
        ("yesno", "YES\nno", "yes NO", "right"),
        ("yesno", "YES", "YES YES", "wrong"),
        ("unordered", "1 2 2", "2 1 2", "right"),
        ("unordered", "1 2 2", "2 1 1", "wrong"),
        ("bignum", "-123456789012345678901234567890", "-123456789012345678901234567890", "right"),
        ("bignum", "10", "010", "wrong"),
    ],
)
def test_rulings_by_hand(checker: str, answer: str, output: str, expected: str) -> None:
    assert ruling(checker, answer, output) == expected


@pytest.mark.parametrize("name", [*CHECKERS, "float:1e-6", "float-abs:0.5"])
@given(output=st.binary(max_size=200))
def test_no_output_makes_a_checker_raise(name: str, output: bytes) -> None:
    answer = {"yesno": b"YES", "yesno1": b"YES", "nyesno": b"NO"}.get(name, b"Case 1: 1" if "case" in name else b"1")
    assert isinstance(get_checker(name)(answer, output), str)


@pytest.mark.parametrize("name", ["tokens", "bignum", "lines", "unordered", "float:1e-6", "rcmp6"])
def test_a_million_digits_take_no_time(name: str) -> None:
    started = time.monotonic()
    digits = b"9" * 1_000_000
    for output in (digits, digits[:-1] + b"8", b"9 " * 500_000):
        get_checker(name)(b"9" if name == "rcmp6" else digits, output)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["yesno", "unordered", "bignum", "ncmp", "uncmp", "tokens", "float:1e-6", "lines"])
def test_a_flood_of_tokens_is_not_kept(name: str) -> None:
    flood = (b"1\n" if name == "lines" else b"1 ") * (2 << 20)
    check = get_checker(name)
    tracemalloc.start()
    try:
        assert check(b"YES" if name == "yesno" else b"1", flood)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20, "an output of 4 MB took 270 MB of the judge"
    finally:
        tracemalloc.stop()


def test_names_that_do_not_exist() -> None:
    with pytest.raises(UnknownNameError, match="'lines'"):
        get_checker("linse")
    for name in ("float:", "float:x", "float:-1", "float:2", "float:nan"):
        with pytest.raises(ConfigError, match="tolerance"):
            get_checker(name)
