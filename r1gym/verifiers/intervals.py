"""Sets of reals as sorted intervals with canonical ends: from brackets, unions, inequalities and set differences."""

from __future__ import annotations

from typing import NamedTuple

from r1gym.verifiers import forms
from r1gym.verifiers.evaluate import evaluate
from r1gym.verifiers.forms import Form, Value
from r1gym.verifiers.nodes import Node, variables
from r1gym.verifiers.numeric import approximate
from r1gym.verifiers.reasons import Refused

__all__ = ["Interval", "RealSet", "real_set", "same_set"]

_INFINITE = float("inf")
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


class Interval(NamedTuple):
    """Numbers between two ends; an end that is None is infinite."""

    low: Value | None
    low_closed: bool
    high: Value | None
    high_closed: bool


class RealSet(NamedTuple):
    """Disjoint intervals in rising order, and the variable that they are said of ("" for none)."""

    variable: str
    intervals: tuple[Interval, ...]


_ALL = Interval(None, False, None, False)


def _place(value: Value | None, infinite: float) -> float:
    """Where an end lies; refused where that cannot be told."""
    if value is None:
        return infinite
    number = approximate(value)
    if number is None:
        raise Refused("undecided", "an end of an interval that is not a number")
    return number


def real_set(node: Node) -> RealSet | None:
    """The set of reals that ``node`` describes; None where it describes none that can be computed."""
    try:
        return _read(node)
    except Refused:
        return None


def _read(node: Node) -> RealSet | None:
    op, args = node.op, node.args
    if op == "reals":
        return RealSet("", (_ALL,))
    if op == "seq":
        return _bracketed(args)
    if op == "set":
        points = [evaluate(item) for item in args[0]]
        return RealSet("", _sorted([Interval(point, True, point, True) for point in points]))
    if op == "union":
        parts = [_read(part) for part in args]
        return _united([part for part in parts if part is not None]) if None not in parts else None
    if op == "in" and args[0].op == "var":
        inner = _read(args[1])
        return None if inner is None else RealSet(args[0].args[0], inner.intervals)
    if op == "builder":
        return _builder(args)
    if op == "minus":
        whole, hole = _read(args[0]), _read(args[1])
        return None if whole is None or hole is None else _without(whole, hole)
    if op == "rel":
        return _inequality(args[0], args[1])
    if op == "list" and args[1] in ("or", "and") and all(item.op in ("rel", "in") for item in args[0]):
        return _joined([_read(item) for item in args[0]], args[1])
    return None


def _joined(parts: list[RealSet | None], separator: str) -> RealSet | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    if separator == "or":
        return _united(known)
    total = known[0]
    for part in known[1:]:
        if part.variable != total.variable:
            return None
        total = _common(total, part)
    return total


def _infinite(node: Node) -> int:
    """1 for ∞, -1 for -∞, 0 for anything else."""
    if node.op == "neg":
        return -_infinite(node.args[0])
    return 1 if node == Node("const", ("oo",)) else 0


def _bracketed(args: tuple[object, ...]) -> RealSet | None:
    opening, closing, items = args
    if not isinstance(items, tuple) or len(items) != 2 or opening == "langle":
        return None
    below, above = _infinite(items[0]), _infinite(items[1])
    if below > 0 or above < 0 or (below and opening == "[") or (above and closing == "]"):
        return None
    low = None if below else evaluate(items[0])
    high = None if above else evaluate(items[1])
    if low is not None and high is not None and (_place(high, 0) < _place(low, 0) or forms.equal(low, high)):
        return None
    return RealSet("", (Interval(low, opening == "[", high, closing == "]"),))


def _builder(args: tuple[Node, ...]) -> RealSet | None:
    subject, condition = args
    inner = _read(condition)
    if inner is None:
        return None
    if subject.op == "in":
        subject = subject.args[0]
    return RealSet("", inner.intervals) if subject == Node("var", (inner.variable,)) else None


def _inequality(operators: tuple[str, ...], members: tuple[Node, ...]) -> RealSet | None:
    if len(members) == 2:
        return _linear(operators[0], members[0], members[1])
    if (len(members) == 3 and all(sign in "<=" for sign in operators)) or (
        len(members) == 3 and all(sign in ">=" for sign in operators) and "=" not in operators
    ):
        first, second = _linear(operators[0], *members[:2]), _linear(operators[1], *members[1:])
        if first is not None and second is not None and first.variable == second.variable:
            return _common(first, second)
    return None


def _linear(operator: str, left: Node, right: Node) -> RealSet | None:
    """The solutions of an inequality a·x + b < 0 in one variable."""
    names = variables(left) | variables(right)
    if operator not in _FLIPPED and operator != "!=":
        return None
    if len(names) != 1:
        return None
    (name,) = names
    if (_infinite(left) < 0 and operator == "<") or (_infinite(right) > 0 and operator == "<"):
        return RealSet(name, (_ALL,))
    difference = forms.form_of(forms.add(evaluate(left), forms.neg(evaluate(right))))
    if difference.under is not None:
        return None
    slope: Value = 0
    constant: Value = 0
    for mono, factor in difference.terms.items():
        rest = tuple(pair for pair in mono if pair[0] != name)
        degree = sum(exponent for atom, exponent in mono if atom == name)
        if degree not in (0, 1):
            return None
        part = forms.mul(Form({rest: factor}), 1)
        if degree:
            slope = forms.add(slope, part)
        else:
            constant = forms.add(constant, part)
    steep = approximate(slope)
    if not steep or approximate(constant) is None:
        return None
    bound = forms.mul(forms.neg(constant), forms.inverse(slope))
    if operator == "!=":
        return RealSet(name, (Interval(None, False, bound, False), Interval(bound, False, None, False)))
    if steep < 0:
        operator = _FLIPPED[operator]
    closed = operator in ("<=", ">=")
    if operator in ("<", "<="):
        return RealSet(name, (Interval(None, False, bound, closed),))
    return RealSet(name, (Interval(bound, closed, None, False),))


def _sorted(intervals: list[Interval]) -> tuple[Interval, ...]:
    """Rising, with overlapping and touching ones joined."""
    ordered = sorted(intervals, key=lambda one: (_place(one.low, -_INFINITE), not one.low_closed))
    joined: list[Interval] = []
    for one in ordered:
        last = joined[-1] if joined else None
        if last is None or not _touch(last, one):
            joined.append(one)
            continue
        further = one if _reaches(one, last) else last
        joined[-1] = last._replace(high=further.high, high_closed=further.high_closed)
    return tuple(joined)


def _touch(left: Interval, right: Interval) -> bool:
    if left.high is None or right.low is None:
        return True
    if forms.equal(left.high, right.low):
        return left.high_closed or right.low_closed
    return _place(right.low, 0) < _place(left.high, 0)


def _reaches(one: Interval, other: Interval) -> bool:
    """Whether ``one`` ends after ``other``."""
    if one.high is None or other.high is None:
        return one.high is None
    if forms.equal(one.high, other.high):
        return one.high_closed
    return _place(one.high, 0) > _place(other.high, 0)


def _united(parts: list[RealSet]) -> RealSet | None:
    names = {part.variable for part in parts} - {""}
    if len(names) > 1:
        return None
    return RealSet(names.pop() if names else "", _sorted([one for part in parts for one in part.intervals]))


def _common(left: RealSet, right: RealSet) -> RealSet:
    found = []
    for one in left.intervals:
        for other in right.intervals:
            later = _later(one, other)
            sooner = other if _reaches(one, other) else one
            low, high = later.low, sooner.high
            both = later.low_closed and sooner.high_closed
            if low is not None and high is not None:
                if forms.equal(low, high):
                    if not both:
                        continue
                elif _place(low, 0) > _place(high, 0):
                    continue
            found.append(Interval(low, later.low_closed, high, sooner.high_closed))
    return RealSet(left.variable or right.variable, _sorted(found))


def _later(one: Interval, other: Interval) -> Interval:
    """Which begins later."""
    if one.low is None or other.low is None:
        return other if one.low is None else one
    if forms.equal(one.low, other.low):
        return other if one.low_closed else one
    return one if _place(one.low, 0) > _place(other.low, 0) else other


def _without(whole: RealSet, hole: RealSet) -> RealSet:
    gaps: list[Interval] = []
    low: Value | None = None
    closed = False
    for one in hole.intervals:
        if one.low is not None:
            gaps.append(Interval(low, closed, one.low, not one.low_closed))
        if one.high is None:
            return _common(whole, RealSet("", tuple(gaps)))
        low, closed = one.high, not one.high_closed
    gaps.append(Interval(low, closed, None, False))
    return _common(whole, RealSet("", tuple(gaps)))


def same_set(left: RealSet, right: RealSet) -> bool:
    """Whether two sets hold the same numbers and are said of the same variable (or one of none)."""
    if left.variable and right.variable and left.variable != right.variable:
        return False
    if len(left.intervals) != len(right.intervals):
        return False
    return all(_same(one, other) for one, other in zip(left.intervals, right.intervals, strict=True))


def _same(one: Interval, other: Interval) -> bool:
    if (one.low_closed, one.high_closed) != (other.low_closed, other.high_closed):
        return False
    for left, right in ((one.low, other.low), (one.high, other.high)):
        if (left is None) != (right is None):
            return False
        if left is not None and right is not None and not forms.equal(left, right):
            return False
    return True
