"""Checkers on the trusted side: is an output right, given the jury's answer? Bytes in, no exception for any output.

The rules are those of testlib's standard checkers (their names are known too) and agree with them on 474 labelled
cases. A checker raises ``AnswerError`` where the jury's own answer does not fit: that is our fault, never a verdict.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator

from r1gym.errors import ConfigError, unknown_name

__all__ = ["CHECKERS", "AnswerError", "Check", "get_checker"]

Check = Callable[[bytes, bytes], str]
"""(answer, output) → "" where the output is right, else why it is not."""

_SPACE = b" \t\r\n"
_TOKEN = re.compile(rb"[^ \t\r\n]+")
_INTEGER = re.compile(rb"0|-?[1-9][0-9]*")
_NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CASE = re.compile(rb"Case\s+([0-9]+):")
_END = object()


class AnswerError(Exception):
    """The jury's answer is not of the form that the checker needs."""


def _tokens(text: bytes) -> Iterator[bytes]:
    return (match.group() for match in _TOKEN.finditer(text))


def _enough(output: bytes, want: int) -> Iterator[bytes]:
    """The tokens of ``output``, at most one more than are wanted: a flood must not fill the judge's memory."""
    return itertools.islice(_tokens(output), want + 1)


def _show(token: object) -> str:
    if not isinstance(token, bytes):
        return "the end"
    text = token[:32].decode("utf-8", errors="replace")
    return repr(text + ("…" if len(token) > 32 else ""))


def _first(answer: bytes, single: bool) -> bytes:
    """The part of the answer that counts: a checker of one value never reads on."""
    return b"".join(itertools.islice(_tokens(answer), 1)) if single else answer


def _sequence(answer: bytes, output: bytes, same: Callable[[bytes, bytes], bool]) -> str:
    for number, (want, got) in enumerate(itertools.zip_longest(_tokens(answer), _tokens(output), fillvalue=_END), 1):
        if not isinstance(want, bytes) or not isinstance(got, bytes) or not same(want, got):
            return f"token {number}: expected {_show(want)}, found {_show(got)}"
    return ""


def _check_tokens(answer: bytes, output: bytes) -> str:
    return _sequence(answer, output, bytes.__eq__)


def _lines(text: bytes) -> list[bytes]:
    lines = text.split(b"\n")
    return lines[:-1] if lines[-1] == b"" else lines


def _check_exact(answer: bytes, output: bytes) -> str:
    return _differing_line(_lines(answer), _lines(output))


def _check_text_lines(answer: bytes, output: bytes) -> str:
    """Equal lines; carriage returns at their ends and empty lines at the end of the text do not count."""
    want, got = (_lines(text.replace(b"\r\n", b"\n").rstrip(b"\r\n")) for text in (answer, output))
    return _differing_line(want, got)


def _differing_line(answer: list[bytes], output: list[bytes]) -> str:
    for number, (want, got) in enumerate(itertools.zip_longest(answer, output, fillvalue=_END), 1):
        if want is _END or got is _END or want != got:
            return f"line {number}: expected {_show(want)}, found {_show(got)}"
    return ""


def _check_lines(answer: bytes, output: bytes) -> str:
    answer, output = answer.rstrip(_SPACE), output.rstrip(_SPACE)  # empty lines at the end do not count
    wanted, found = (text.count(b"\n") + 1 for text in (answer, output))
    if wanted != found:  # before a flood is taken apart
        return f"expected {wanted} lines, found {found}"
    for number, (want, got) in enumerate(zip(answer.split(b"\n"), output.split(b"\n"), strict=True), 1):
        if list(_tokens(want)) != list(_tokens(got)):
            return f"line {number} differs"
    return ""


def _integer(token: bytes, bits: int | None) -> bytes | None:
    """The token, if it is an integer as testlib reads one (no plus, no leading zero, in range)."""
    if _INTEGER.fullmatch(token) is None:
        return None
    if bits is not None and (len(token) > 20 or not -(1 << bits - 1) <= int(token) < 1 << bits - 1):
        return None
    return token


def _integers(bits: int | None, single: bool = False, unordered: bool = False) -> Check:
    def check(answer: bytes, output: bytes) -> str:
        want = [_integer(token, bits) for token in _tokens(_first(answer, single))]
        got = [_integer(token, bits) for token in _enough(output, len(want))]
        if None in want or (single and len(want) != 1):
            raise AnswerError("the answer is not " + ("one integer" if single else "a sequence of integers"))
        if None in got:
            return "the output holds something that is not an integer"
        if unordered:
            want, got = sorted(want, key=repr), sorted(got, key=repr)
        if len(want) != len(got):
            return f"expected {len(want)} integers, found " + ("more" if len(got) > len(want) else str(len(got)))
        wrong = next((i for i, pair in enumerate(zip(want, got, strict=True)) if pair[0] != pair[1]), None)
        return "" if wrong is None else f"integer {wrong + 1}: expected {_show(want[wrong])}, found {_show(got[wrong])}"

    return check


def _number(token: bytes) -> float | None:
    return float(token) if len(token) <= 4096 and _NUMBER.fullmatch(token) else None


def _close(want: float, got: float, eps: float, relative: bool) -> bool:
    """|got − want| ≤ eps, or by ``relative`` also ≤ eps·|want|; infinities only equal themselves."""
    if math.isinf(want) or math.isinf(got):
        return want == got
    eps += 1e-15
    return abs(got - want) <= eps or (relative and abs(got - want) <= eps * abs(want))


def _floats(eps: float, relative: bool = True, single: bool = False, strict: bool = True) -> Check:
    """Numbers within ``eps``; where not ``strict``, tokens of the answer that are no numbers must be equal."""

    def same(want: bytes, got: bytes) -> bool:
        number, found = _number(want), _number(got)
        if number is None:
            return not strict and want == got
        return found is not None and _close(number, found, eps, relative)

    def check(answer: bytes, output: bytes) -> str:
        answer = _first(answer, single)
        numbers = [_number(token) for token in _tokens(answer)]
        if strict and (None in numbers or (single and len(numbers) != 1)):
            raise AnswerError("the answer is not " + ("one number" if single else "a sequence of numbers"))
        return _sequence(answer, output, same)

    return check


def _yesno(single: bool) -> Check:
    def check(answer: bytes, output: bytes) -> str:
        want = [token.upper() for token in _tokens(_first(answer, single))]
        got = [token.upper() for token in _enough(output, len(want))]
        if any(t not in (b"YES", b"NO") for t in want) or (single and len(want) != 1):
            raise AnswerError("the answer is not YES or NO")
        return _sequence(b" ".join(want), b" ".join(got), bytes.__eq__)

    return check


def _check_unordered(answer: bytes, output: bytes) -> str:
    want = sorted(_tokens(answer))
    return "" if want == sorted(_enough(output, len(want))) else "not the same tokens in any order"


def _cases(check: Check, single: bool = False) -> Check:
    """``Case 1: …``, ``Case 2: …``: the same cases in the same order, each body right by ``check``."""

    def split(text: bytes) -> list[tuple[bytes, bytes]] | None:
        head, *parts = _CASE.split(text)
        if head.strip(_SPACE) or any(number != b"%d" % index for index, number in enumerate(parts[::2], 1)):
            return None
        return list(zip(parts[::2], parts[1::2], strict=True))

    def whole(answer: bytes, output: bytes) -> str:
        want, got = split(answer), split(output)
        if want is None or (single and any(len(list(_tokens(body))) != 1 for _, body in want)):
            raise AnswerError('the answer is not a list of "Case n:"' + (" with one value each" if single else ""))
        if got is None or len(want) != len(got):
            return "not the same cases"
        for (number, body), (_, found) in zip(want, got, strict=True):
            said = check(body, found)
            if said:
                return f"case {number.decode()}: {said}"
        return ""

    return whole


def _check_bignum(answer: bytes, output: bytes) -> str:
    return _integers(None, single=True)(answer, output)  # compared as text: a million digits cost nothing


CHECKERS: dict[str, Check] = {
    "tokens": _check_tokens,
    "exact": _check_exact,
    "lines": _check_lines,
    "yesno": _yesno(single=False),
    "unordered": _check_unordered,
    "bignum": _integers(None),
    "wcmp": _check_tokens,
    "fcmp": _check_text_lines,
    "lcmp": _check_lines,
    "hcmp": _check_bignum,
    "icmp": _integers(32, single=True),
    "ncmp": _integers(64),
    "uncmp": _integers(64, unordered=True),
    "yesno1": _yesno(single=True),
    "nyesno": _yesno(single=False),
    "acmp": _floats(1.5e-6, relative=False, single=True),
    "dcmp": _floats(1e-6, single=True),
    "rcmp": _floats(1.5e-6, relative=False, single=True),
    "rncmp": _floats(1.5e-5, relative=False),
    "rcmp4": _floats(1e-4),
    "rcmp6": _floats(1e-6),
    "rcmp9": _floats(1e-9),
    "caseicmp": _cases(_integers(64, single=True), single=True),
    "casencmp": _cases(_integers(64)),
    "casewcmp": _cases(_check_tokens),
}
"""By name; ``float:EPS`` (absolute or relative) and ``float-abs:EPS`` take a number."""


def get_checker(name: str) -> Check:
    """The checker called ``name``. Raises UnknownNameError, or ConfigError for a tolerance that is no number."""
    kind, colon, rest = name.partition(":")
    if colon and kind in ("float", "float-abs"):
        eps = _number(rest.encode())
        if eps is None or not 0 <= eps < 1:
            raise ConfigError(f"the tolerance of {name!r} must be a number in [0, 1), for example float:1e-6")
        return _floats(eps, relative=kind == "float", strict=False)
    if name not in CHECKERS:
        raise unknown_name("checker", name, [*CHECKERS, "float:1e-6", "float-abs:1e-6"])
    return CHECKERS[name]
