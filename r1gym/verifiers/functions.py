"""The functions that canonical values know: each exact where it has a closed form, else an opaque atom."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from r1gym.verifiers import forms
from r1gym.verifiers.forms import Form, Value
from r1gym.verifiers.integers import Rational, factor
from r1gym.verifiers.numeric import approximate
from r1gym.verifiers.radicals import root
from r1gym.verifiers.reasons import Refused

__all__ = ["FUNCTIONS"]

MAX_FACTORIAL = 1_000
MAX_BINOMIAL = 2_000

_HALF = Fraction(1, 2)


def _atom(name: str, value: Value) -> Form:
    return Form({((f"@{name}({forms.key(value)})", 1),): 1})


def _rational(value: Value, what: str) -> Rational:
    if isinstance(value, Form):
        raise Refused("undecided", f"{what} of something that is not rational")
    return value


def _absolute(values: list[Value]) -> Value:
    (value,) = values
    if not isinstance(value, Form):
        return abs(Fraction(value))
    number = approximate(value)
    if number is not None and abs(number) > 1e-9:
        return forms.neg(value) if number < 0 else value
    flipped = forms.neg(value)
    return _atom("abs", min(value, flipped, key=forms.key))


def _factorial(values: list[Value]) -> Value:
    (value,) = values
    if isinstance(value, Form):
        return _atom("factorial", value)
    if value != int(value) or value < 0:
        raise Refused("undefined", "the factorial of a number that is not a natural one")
    if value > MAX_FACTORIAL:
        raise Refused("over_budget", f"a factorial beyond {MAX_FACTORIAL}")
    return math.factorial(int(value))


def _binomial(values: list[Value]) -> Value:
    over, under = values
    if isinstance(over, Form) or isinstance(under, Form):
        return Form({((f"@binom({forms.key(over)},{forms.key(under)})", 1),): 1})
    if over != int(over) or under != int(under) or over < 0:
        raise Refused("undecided", "a binomial coefficient of numbers that are not natural")
    if over > MAX_BINOMIAL:
        raise Refused("over_budget", f"a binomial coefficient beyond {MAX_BINOMIAL}")
    return math.comb(int(over), int(under)) if under >= 0 else 0


def _floor(values: list[Value]) -> Value:
    return math.floor(_rational(values[0], "the floor"))


def _ceiling(values: list[Value]) -> Value:
    return math.ceil(_rational(values[0], "the ceiling"))


def _folded(pick: Callable[..., Any], what: str) -> Callable[[list[Value]], Value]:
    def rule(values: list[Value]) -> Value:
        folded: Rational = pick(_rational(value, what) for value in values)
        return folded

    return rule


def _integers(pick: Callable[..., int], what: str) -> Callable[[list[Value]], Value]:
    def rule(values: list[Value]) -> Value:
        numbers = [_rational(value, what) for value in values]
        if any(number != int(number) for number in numbers):
            raise Refused("undefined", f"{what} of numbers that are not whole")
        return pick(*map(int, numbers))

    return rule


def _logarithm(values: list[Value]) -> Value:
    """ln: of rationals by their primes, of roots and powers of primes and e by their exponents."""
    (value,) = values
    if not isinstance(value, Form):
        if value <= 0:
            raise Refused("undefined", "the logarithm of a number that is not positive")
        return _log_rational(value)
    if value.under is None and len(value.terms) == 1:
        ((mono, scale),) = value.terms.items()
        if scale > 0 and all(atom[0] == "#" or atom in ("e", "pi") for atom, _ in mono):
            total = _log_rational(scale)
            for atom, exponent in mono:
                total = forms.add(total, forms.mul(exponent, _log_atom(atom)))
            return total
    return _atom("ln", value)


def _log_atom(atom: str) -> Value:
    if atom == "e":
        return 1
    return Form({((f"ln{atom}" if atom[0] == "#" else f"@ln({atom})", 1),): 1})


def _log_rational(value: Rational) -> Value:
    fraction = Fraction(value)
    terms: forms.Terms = {}
    for number, sign in ((fraction.numerator, 1), (fraction.denominator, -1)):
        for prime, count in factor(number).items():
            terms[((f"ln#{prime}", 1),)] = sign * count
    return Form(terms) if terms else 0


def _turns(value: Value) -> Rational | None:
    """``value`` / π where that is rational."""
    if value == 0:
        return 0
    if isinstance(value, Form) and value.under is None and len(value.terms) == 1:
        return value.terms.get((("pi", 1),))
    return None


_SQRT2, _SQRT3, _SQRT6 = (root(number, _HALF) for number in (2, 3, 6))
_QUARTER = Fraction(1, 4)
_SINES: dict[int, Value] = {
    0: 0,
    1: forms.mul(_QUARTER, forms.add(_SQRT6, forms.neg(_SQRT2))),
    2: _HALF,
    3: forms.mul(_HALF, _SQRT2),
    4: forms.mul(_HALF, _SQRT3),
    5: forms.mul(_QUARTER, forms.add(_SQRT6, _SQRT2)),
    6: 1,
}
"""sin(kπ/12) for k = 0 … 6."""


def _sine_of_turn(turn: Rational) -> Value | None:
    steps = turn * 12
    if steps != int(steps):
        return None
    step = int(steps) % 24
    sign, step = (-1, step - 12) if step >= 12 else (1, step)
    value = _SINES[12 - step if step > 6 else step]
    return value if sign > 0 else forms.neg(value)


def _sine(values: list[Value]) -> Value:
    (value,) = values
    turn = _turns(value)
    exact = None if turn is None else _sine_of_turn(turn)
    if exact is not None:
        return exact
    flipped = forms.neg(value)
    if forms.key(flipped) < forms.key(value):
        return forms.neg(_atom("sin", flipped))
    return _atom("sin", value)


def _cosine(values: list[Value]) -> Value:
    (value,) = values
    turn = _turns(value)
    exact = None if turn is None else _sine_of_turn(turn + _HALF)
    if exact is not None:
        return exact
    return _atom("cos", min(value, forms.neg(value), key=forms.key))


def _over(
    first: Callable[[list[Value]], Value], second: Callable[[list[Value]], Value]
) -> Callable[[list[Value]], Value]:
    return lambda values: forms.mul(first(values), forms.inverse(second(values)))


def _one(values: list[Value]) -> Value:
    return 1


FUNCTIONS: dict[str, Callable[[list[Value]], Value]] = {
    "abs": _absolute,
    "binom": _binomial,
    "ceil": _ceiling,
    "cos": _cosine,
    "cot": _over(_cosine, _sine),
    "csc": _over(_one, _sine),
    "factorial": _factorial,
    "floor": _floor,
    "gcd": _integers(math.gcd, "the greatest common divisor"),
    "lcm": _integers(math.lcm, "the least common multiple"),
    "ln": _logarithm,
    "max": _folded(max, "the maximum"),
    "min": _folded(min, "the minimum"),
    "sec": _over(_one, _cosine),
    "sin": _sine,
    "tan": _over(_sine, _cosine),
}
"""Name → what it makes of its canonical arguments."""
