"""Roots of canonical values: of rationals exactly, of a+b√c where they denest, of letters where that is an identity."""

from __future__ import annotations

from fractions import Fraction

from r1gym.verifiers import forms
from r1gym.verifiers.forms import Form, Value
from r1gym.verifiers.integers import Rational, exact_root
from r1gym.verifiers.numeric import approximate
from r1gym.verifiers.reasons import Refused

__all__ = ["root"]

_HALF = Fraction(1, 2)
_CONSTANTS = ("pi", "e", "ln#")


def root(value: Value, exponent: Fraction) -> Value:
    """``value`` to a fractional power: the real one where there is a real one."""
    if isinstance(value, Form):
        return _form_root(value, exponent)
    if value == 0:
        if exponent < 0:
            raise Refused("undefined", "a division by zero")
        return 0
    if value > 0:
        exact = exact_root(value) if exponent == _HALF else None
        return forms.prime_powers(value, exponent) if exact is None else exact
    if exponent.denominator % 2:
        magnitude = forms.prime_powers(-value, exponent)
        return forms.neg(magnitude) if exponent.numerator % 2 else magnitude
    if exponent.denominator == 2:
        turns = exponent.numerator % 4
        scale, mono = forms.reduced({"i": turns})
        return forms.mul(Form({mono: scale}), root(-value, exponent))
    raise Refused("undecided", "an even root of a negative number")


def _form_root(value: Form, exponent: Fraction) -> Value:
    if value.under is None and len(value.terms) == 1:
        ((mono, factor),) = value.terms.items()
        split = _monomial_root(mono, factor, exponent)
        if split is not None:
            return split
    if exponent.denominator == 2 and value.under is None:
        denested = _denest(value)
        if denested is not None:
            return forms.power(denested, exponent.numerator)
    if value.under is not None:
        over = root(forms.mul(Form(value.terms), 1), exponent)
        return forms.mul(over, forms.inverse(root(forms.mul(Form(value.under), 1), exponent)))
    return _opaque_root(value, exponent)


def _monomial_root(mono: forms.Mono, factor: Rational, exponent: Fraction) -> Value | None:
    """The root of one term, where every part of it may be taken out; None where that would change branches."""
    positive: dict[str, Rational] = {
        atom: power * exponent for atom, power in mono if atom[0] == "#" or atom.startswith(_CONSTANTS)
    }
    letters = [(atom, power) for atom, power in mono if atom not in positive]
    if any(atom == "i" or atom[0] == "@" for atom, _ in letters) or (factor < 0 and letters):
        return None
    # sqrt(x^2) is |x|, and sqrt(xy) is not sqrt(x)sqrt(y) where both are negative.
    even = any(Fraction(power).numerator % 2 == 0 for _, power in letters)
    if exponent.denominator % 2 == 0 and (len(letters) > 1 or even):
        return None
    powers: dict[str, Rational] = {**positive, **{atom: power * exponent for atom, power in letters}}
    scale, reduced = forms.reduced(powers)
    return forms.mul(root(factor, exponent), Form({reduced: scale}))


def _denest(value: Form) -> Value | None:
    """sqrt(a + b·sqrt(c)) = sqrt((a+d)/2) ± sqrt((a-d)/2) with d² = a² - b²c, where d is rational."""
    if len(value.terms) != 2 or () not in value.terms:
        return None
    rational = value.terms[()]
    ((mono, _),) = [item for item in value.terms.items() if item[0]]
    if any(atom[0] != "#" or power != _HALF for atom, power in mono):
        return None
    surd = Form({mono: value.terms[mono]})
    square = forms.mul(surd, surd)
    if isinstance(square, Form):
        return None
    difference = exact_root(rational * rational - square)
    if difference is None or rational <= 0:
        return None
    first = root(Fraction(rational + difference) / 2, _HALF)
    second = root(Fraction(rational - difference) / 2, _HALF)
    return forms.add(first, second if value.terms[mono] > 0 else forms.neg(second))


def _opaque_root(value: Form, exponent: Fraction) -> Value:
    """A root that stays as it is: one atom named after what stands under it."""
    if exponent.denominator % 2 == 0:
        number = approximate(value)
        if number is not None and number < 0:
            inner = _opaque_root(forms.form_of(forms.neg(value)), exponent)
            scale, mono = forms.reduced({"i": exponent.numerator % 4})
            if exponent.denominator != 2:
                raise Refused("undecided", "an even root of a negative number")
            return forms.mul(Form({mono: scale}), inner)
    base = Form({((f"@root{exponent.denominator}({forms.key(value)})", exponent.numerator),): 1})
    return base
