"""Probes: both sides at seeded random points, in doubles first and then to 60 digits, every intermediate guarded."""

from __future__ import annotations

import cmath
import math
import random
import threading
from fractions import Fraction
from typing import Any, NamedTuple

from r1gym.verifiers.integers import bits
from r1gym.verifiers.nodes import Node, variables, walk

__all__ = ["Probe", "probe"]

MAX_LOG2 = 4_096
"""No intermediate value may be larger than 2 to this, nor smaller than 2 to its negative."""

_DIGITS = 60
_MOST_WORK = 24_000
"""Functions times digits times points that one probe may compute: some 10 ms."""

_MOST_HIDDEN = 1_300
"""More than MAX_LOG2 bits: what is smaller is refused by the guard."""

_POINTS = 5


class Probe(NamedTuple):
    """What the points say: "unequal" is sure, "agree" is no proof for plain numbers, "undecided" is neither."""

    outcome: str
    detail: str


class _Guard(Exception):
    """An intermediate value beyond the bound, or a construct that has no number."""


class _Doubles:
    """Complex doubles: enough to tell most values apart."""

    tolerance = 1e-7
    agreement = 1e-4

    def number(self, value: Fraction) -> complex:
        return complex(value.numerator / value.denominator)

    def mag(self, value: complex) -> int:
        return math.frexp(abs(value))[1]

    pi = cmath.pi
    e = cmath.e
    exp = staticmethod(cmath.exp)
    log = staticmethod(cmath.log)
    sin = staticmethod(cmath.sin)
    cos = staticmethod(cmath.cos)
    sinh = staticmethod(cmath.sinh)
    cosh = staticmethod(cmath.cosh)
    asin = staticmethod(cmath.asin)
    acos = staticmethod(cmath.acos)
    atan = staticmethod(cmath.atan)


_LOCAL = threading.local()


def _digits(digits: int) -> Any:
    """A multi-precision context of this thread: the module-wide one is shared by threads and by other libraries."""
    context = getattr(_LOCAL, "context", None)
    if context is None:
        from mpmath.ctx_mp import MPContext

        context = _LOCAL.context = MPContext()
    context.dps = digits + 10
    return context


class _Digits:
    """Complex numbers of 60 digits."""

    def __init__(self, digits: int) -> None:
        self.context = _digits(digits)
        self.tolerance = self.context.mpf(10) ** (10 - digits)
        self.agreement = self.context.mpf(10) ** (30 - digits)

    def number(self, value: Fraction) -> Any:
        return self.context.mpf(value.numerator) / value.denominator

    def __getattr__(self, name: str) -> Any:
        return getattr(self.context, name)


def probe(gold: Node, answer: Node) -> Probe:
    """Compare two expressions at points drawn from a fixed seed."""
    nodes = walk(gold) + walk(answer)
    names = sorted(variables(gold) | variables(answer))
    if any(node.op == "fn" and _is_unknown(node.args[0]) for node in nodes):
        return Probe("undecided", "a function without a formula")
    whole = any(node.op == "fn" and node.args[0] in ("factorial", "binom") and variables(node) for node in nodes)
    complex_ = any(node == Node("const", ("i",)) for node in nodes)
    points = _points(names, whole)
    if names and not whole and any(_branches(node) for node in nodes):
        points += _far_points(names, nodes)
    needed = _digits_needed(nodes)
    dear = sum(node.op in ("fn", "pow", "root") for node in nodes) * needed * max(len(points), 4) > _MOST_WORK
    for field in (_Doubles(),) if dear else (_Doubles(), _Digits(needed)):
        judged = 0
        for point in points:
            result = _compare_at(field, gold, answer, point, complex_)
            if result == "unequal":
                shown = ", ".join(f"{name}={value}" for name, value in point.items())
                return Probe("unequal", f"different at {shown}" if shown else "different as numbers")
            judged += result == "agree"
    if dear:
        return Probe("undecided", "too many functions to compute to enough digits")
    if judged == 0:
        return Probe("undecided", "no point where both sides can be computed")
    return Probe("agree", f"equal at {judged} points to {needed} digits" if names else f"equal to {needed} digits")


def _digits_needed(nodes: list[Node]) -> int:
    """60 digits, and as many more as the written numbers can hide a difference behind: x + 10^{-80} is not x."""
    hidden = 0.0
    for node in nodes:
        if node.op == "num":
            hidden += abs(bits(node.args[0]) - 8) * 0.302 if bits(node.args[0]) > 24 else 0
        elif node.op == "pow" and node.args[0].op == "num":
            exponent = node.args[1].args[0] if node.args[1].op == "neg" else node.args[1]
            if exponent.op == "num":
                hidden += abs(float(min(exponent.args[0], 10**6))) * 0.302 * bits(node.args[0].args[0])
    return _DIGITS + min(int(hidden), _MOST_HIDDEN)


def _points(names: list[str], whole: bool) -> list[dict[str, Fraction]]:
    """One empty point without variables; else three positive points and four of mixed signs."""
    if not names:
        return [{}]
    draw = random.Random(20_240_229)
    points = []
    for index in range(_POINTS + 2):
        if whole:
            values = [Fraction(draw.randrange(2, 12)) for _ in names]
        else:
            values = [Fraction(draw.randrange(1_000, 3_500), 1_009) for _ in names]
            if index >= 3:
                values = [
                    -value if (index - 3 + place) % 2 == 0 or index == 3 else value
                    for place, value in enumerate(values)
                ]
        points.append(dict(zip(names, values, strict=True)))
    return points


_WIDEST = 10**9
_BRANCHING = frozenset(["abs", "ln", "floor", "ceil", "min", "max"])


def _branches(node: Node) -> bool:
    """Whether ``node`` follows another formula on the far side of some value: |x + 6| is x + 6 up to x = -6."""
    if node.op == "fn":
        return node.args[0] in _BRANCHING or str(node.args[0]).startswith("arc")
    return node.op == "root" or (node.op == "pow" and node.args[1].op not in ("num", "neg"))


def _far_points(names: list[str], nodes: list[Node]) -> list[dict[str, Fraction]]:
    """Eight points farther out than the numbers of the expressions can move a branch, of all signs."""
    reach = 2 + 2 * sum(abs(Fraction(node.args[0])) for node in nodes if node.op == "num" and bits(node.args[0]) < 64)
    reach = min(reach, Fraction(_WIDEST))
    draw = random.Random(20_240_301)
    points = []
    for index in range(8):
        values = [reach * Fraction(draw.randrange(1_010, 2_500), 1_009) for _ in names]
        signs = [-1 if (index >> (place % 3)) & 1 else 1 for place in range(len(names))]
        points.append({name: sign * value for name, sign, value in zip(names, signs, values, strict=True)})
    return points


def _compare_at(field: Any, gold: Node, answer: Node, point: dict[str, Fraction], complex_: bool) -> str:
    sizes = [0.0]
    sides = []
    for node in (answer, gold):  # the answer first: one that no guard lets through costs its gold nothing
        try:
            sides.append(_number(field, node, point, sizes))
        except (_Guard, OverflowError, ZeroDivisionError, ValueError, ArithmeticError):
            return "skip"
    right, left = sides
    bound = field.tolerance * max(sizes)
    real = [abs(side.imag) <= bound for side in (left, right)]
    if not complex_ and point:
        if real[0] != real[1]:
            return "unequal"
        if not real[0]:
            return "skip"
    gap = abs(left - right)
    if gap > bound:
        return "unequal"
    # Values far below their own intermediates agree to few digits or none: that says nothing.
    return "agree" if gap <= field.agreement * max(abs(left), abs(right)) else "skip"


def _guarded(field: Any, value: Any, sizes: list[float]) -> Any:
    size = abs(value)
    if size == 0:
        return value
    if isinstance(size, float):
        if size > 1e150 or size < 1e-150:
            raise _Guard
        sizes.append(size)
    else:
        magnitude = field.mag(size)
        if abs(magnitude) > MAX_LOG2:
            raise _Guard
        sizes.append(size)
    return value


def _number(field: Any, node: Node, point: dict[str, Fraction], sizes: list[float]) -> Any:
    op, args = node.op, node.args
    if op == "num":
        value = Fraction(args[0])
        if abs(value.numerator.bit_length() - value.denominator.bit_length()) > MAX_LOG2:
            raise _Guard
        return _guarded(field, field.number(value), sizes)
    if op == "var":
        return field.number(point[args[0]])
    if op == "const":
        if args[0] == "i":
            return field.number(Fraction(0)) + 1j
        if args[0] == "oo":
            raise _Guard
        return field.number(Fraction(0)) + getattr(field, args[0])
    if op == "fn":
        values = [_number(field, part, point, sizes) for part in args[1:]]
        return _guarded(field, _function(field, args[0], values), sizes)
    values = [_number(field, part, point, sizes) for part in args]
    return _guarded(field, _operation(field, op, values, sizes), sizes)


def _operation(field: Any, op: str, values: list[Any], sizes: list[float]) -> Any:
    if op == "add":
        return sum(values[1:], values[0])
    if op == "mul":
        total = values[0]
        for value in values[1:]:
            total = _guarded(field, total * value, sizes)
        return total
    if op == "neg":
        return -values[0]
    if op == "div":
        return values[0] / values[1]
    if op == "pct":
        return values[0] / 100
    if op == "deg":
        return values[0] * field.pi / 180
    if op == "pow":
        return _power(field, values[0], values[1])
    if op == "root":
        order = round(values[1].real)
        base = values[0]
        if order % 2 and base.imag == 0 and base.real < 0:
            return -_power(field, -base, field.number(Fraction(1, order)))
        return _power(field, base, field.number(Fraction(1, order)))
    raise _Guard


def _power(field: Any, base: Any, exponent: Any) -> Any:
    if base == 0:
        if exponent.real <= 0:
            raise _Guard
        return base
    # Powers far beyond the bound are known by the sizes of their parts, without a logarithm in a thousand digits.
    size = field.mag(base)
    if (size - 1 if size > 0 else -size) * abs(exponent) > MAX_LOG2:
        raise _Guard
    logarithm = field.log(base) * exponent
    if abs(logarithm) > MAX_LOG2:
        raise _Guard
    if exponent.imag == 0 and exponent.real == round(exponent.real) and abs(exponent.real) <= MAX_LOG2:
        return base ** round(exponent.real)
    return field.exp(logarithm)


def _is_unknown(name: str) -> bool:
    return name not in _KNOWN


_KNOWN = frozenset(
    [
        "abs",
        "floor",
        "ceil",
        "factorial",
        "binom",
        "ln",
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "sinh",
        "cosh",
        "tanh",
        "coth",
        "sech",
        "csch",
        "arcsin",
        "arccos",
        "arctan",
    ]
)


def _function(field: Any, name: str, values: list[Any]) -> Any:
    value = values[0]
    if name == "abs":
        return field.number(Fraction(0)) + abs(value)
    if name == "ln":
        return field.log(value)
    if name in ("floor", "ceil", "factorial", "binom"):
        return _whole(field, name, values)
    if abs(value.imag) > 64 or abs(value) > 10**12:
        raise _Guard
    if name in ("arcsin", "arccos", "arctan"):
        return getattr(field, "a" + name[3:])(value)
    sine, cosine = (field.sinh(value), field.cosh(value)) if name[-1] == "h" else (field.sin(value), field.cos(value))
    return {
        "sin": lambda: sine, "cos": lambda: cosine, "tan": lambda: sine / cosine, "cot": lambda: cosine / sine,
        "sec": lambda: 1 / cosine, "csc": lambda: 1 / sine,
    }[name.removesuffix("h")]()  # fmt: skip


def _whole(field: Any, name: str, values: list[Any]) -> Any:
    whole = [round(value.real) for value in values]
    if name in ("factorial", "binom"):
        if any(
            abs(value - number) > 1e-6 or not 0 <= number <= 300 for value, number in zip(values, whole, strict=True)
        ):
            raise _Guard
        return field.number(Fraction(math.factorial(whole[0]) if name == "factorial" else math.comb(*whole)))
    if abs(values[0].imag) > 1e-12 or abs(values[0].real - whole[0]) < 1e-9:
        raise _Guard
    return field.number(Fraction(math.floor(values[0].real) if name == "floor" else math.ceil(values[0].real)))
