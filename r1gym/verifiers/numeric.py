"""A first look at a canonical value in double precision: signs and order, never equality."""

from __future__ import annotations

import math

from r1gym.verifiers.forms import Form, Terms, Value

__all__ = ["approximate"]

_CONSTANTS = {"pi": math.pi, "e": math.e, "oo": math.inf}


def approximate(value: Value) -> float | None:
    """``value`` as a float; None where it is not a real number that its atoms give (letters, i, opaque atoms)."""
    try:
        if not isinstance(value, Form):
            return float(value)
        total = _terms(value.terms)
        if total is None or value.under is None:
            return total
        under = _terms(value.under)
        return None if under is None or under == 0 else total / under
    except OverflowError:
        return None


def _terms(terms: Terms) -> float | None:
    total = 0.0
    for mono, factor in terms.items():
        product = float(factor)
        for atom, exponent in mono:
            base = _atom(atom)
            if base is None:
                return None
            product *= base ** float(exponent)
        total += product
    return total


def _atom(atom: str) -> float | None:
    if atom[0] == "#":
        return float(atom[1:])
    if atom.startswith("ln#"):
        return math.log(float(atom[3:]))
    return _CONSTANTS.get(atom)
