"""Canonical forms: sparse polynomials over the rationals in roots of primes, i, π, e, variables and opaque atoms.

A value is an int, a Fraction, or a ``Form``. An atom is a string: "#p" a prime p to a fractional power, "i", "e", "pi",
the name of a variable, "ln#p", or "@…" for what is opaque (a function of something that has no closed form here).
Real radicals of distinct square-free parts are linearly independent over the rationals (Besicovitch 1940), so two forms
without opaque atoms are equal just when their terms are.
"""

from __future__ import annotations

import threading
from fractions import Fraction
from math import comb

from r1gym.verifiers.integers import MAX_BITS, Rational, bits, factor, rational_power, sized
from r1gym.verifiers.reasons import Refused

__all__ = [
    "Form",
    "Mono",
    "Terms",
    "Value",
    "add",
    "equal",
    "form_of",
    "inverse",
    "is_opaque",
    "key",
    "mul",
    "neg",
    "power",
    "start_work",
]

Mono = tuple[tuple[str, Rational], ...]
Terms = dict[Mono, Rational]

MAX_TERMS = 2_000
MAX_PRODUCTS = 1_000
"""Products of two terms that one answer may cost, its comparison with the gold included; MATH's cost 40 at most."""

MAX_POWER = 512

MAX_ROOTS = 4
"""Roots of primes in a denominator of several terms: each doubles what it costs to take them out."""


class Form:
    """``terms / under``; ``under`` None stands for 1. Never changed after it is made."""

    __slots__ = ("terms", "under")

    def __init__(self, terms: Terms, under: Terms | None = None) -> None:
        self.terms = terms
        self.under = under


Value = int | Fraction | Form


def form_of(value: Value) -> Form:
    """``value`` as a form."""
    if isinstance(value, Form):
        return value
    return Form({(): value} if value else {})


def _plain(form: Form) -> Value:
    """The rational that ``form`` is, where it is one."""
    if form.under is None:
        if not form.terms:
            return 0
        if len(form.terms) == 1 and () in form.terms:
            return form.terms[()]
    return form


def _join(left: Mono, right: Mono) -> tuple[Rational, Mono]:
    """The product of two monomials: its rational factor and what is left."""
    if not left:
        return 1, right
    if not right:
        return 1, left
    powers = dict(left)
    reduce = False
    for atom, exponent in right:
        if atom in powers:
            reduce = True
            powers[atom] += exponent
        else:
            powers[atom] = exponent
    return reduced(powers) if reduce else (1, tuple(sorted(powers.items())))


def reduced(powers: dict[str, Rational]) -> tuple[Rational, Mono]:
    """A monomial with i² = -1 applied and whole powers of primes taken out, as far as they stay small."""
    factor: Rational = 1
    kept: list[tuple[str, Rational]] = []
    for atom, exponent in powers.items():
        if atom == "i":
            turns = int(exponent) % 4
            if turns >= 2:
                factor = -factor
            if turns % 2:
                kept.append((atom, 1))
        elif atom[0] == "#":
            whole = exponent // 1
            prime = int(atom[1:])
            if abs(whole) * prime.bit_length() <= MAX_BITS:
                factor *= Fraction(prime) ** int(whole) if whole < 0 else prime ** int(whole)
                exponent -= whole
            if exponent:
                kept.append((atom, exponent))
        elif exponent:
            kept.append((atom, exponent))
    kept.sort()
    return factor, tuple(kept)


def _sum(left: Terms, right: Terms) -> Terms:
    total = dict(left)
    for mono, coefficient in right.items():
        value = total.get(mono, 0) + coefficient
        if value:
            total[mono] = sized(value)
        else:
            del total[mono]
    if len(total) > MAX_TERMS:
        raise Refused("over_budget", f"more than {MAX_TERMS} terms")
    return total


class _Work(threading.local):
    """Products of terms that the current answer has cost so far, in this thread."""

    products = 0


_WORK = _Work()


def start_work() -> None:
    """Begin a new answer: its budget of term products is full again."""
    _WORK.products = 0


def _product(left: Terms, right: Terms) -> Terms:
    _WORK.products += len(left) * len(right)
    if _WORK.products > MAX_PRODUCTS:
        raise Refused("over_budget", "a product of too many terms")
    total: Terms = {}
    for mono_left, factor_left in left.items():
        for mono_right, factor_right in right.items():
            factor, mono = _join(mono_left, mono_right)
            value = total.get(mono, 0) + sized(factor_left * factor_right * factor)
            if value:
                total[mono] = value
            elif mono in total:
                del total[mono]
    if len(total) > MAX_TERMS:
        raise Refused("over_budget", f"more than {MAX_TERMS} terms")
    return total


def neg(value: Value) -> Value:
    """-value."""
    if isinstance(value, Form):
        return Form({mono: -factor for mono, factor in value.terms.items()}, value.under)
    return -value


def add(left: Value, right: Value) -> Value:
    """Left + right."""
    if not isinstance(left, Form) and not isinstance(right, Form):
        return sized(left + right)
    a, b = form_of(left), form_of(right)
    if a.under is None and b.under is None:
        return _plain(Form(_sum(a.terms, b.terms)))
    if a.under == b.under:
        return quotient(_sum(a.terms, b.terms), a.under or {(): 1})
    under_a, under_b = a.under or {(): 1}, b.under or {(): 1}
    return quotient(_sum(_product(a.terms, under_b), _product(b.terms, under_a)), _product(under_a, under_b))


def mul(left: Value, right: Value) -> Value:
    """Left · right."""
    if not isinstance(left, Form) and not isinstance(right, Form):
        return sized(left * right)
    a, b = form_of(left), form_of(right)
    terms = _product(a.terms, b.terms)
    if a.under is None and b.under is None:
        return _plain(Form(terms))
    return quotient(terms, _product(a.under or {(): 1}, b.under or {(): 1}))


def inverse(value: Value) -> Value:
    """1 / value."""
    if not isinstance(value, Form):
        if value == 0:
            raise Refused("undefined", "a division by zero")
        return 1 / Fraction(value)
    return quotient(value.under or {(): 1}, value.terms)


def quotient(terms: Terms, under: Terms) -> Value:
    """Terms / under, without roots of two or i in the denominator, which is monic where it has several terms."""
    if len(under) > 1 and len({atom for mono in under for atom, exponent in mono if atom[0] == "#"}) > MAX_ROOTS:
        raise Refused("over_budget", f"a denominator with more than {MAX_ROOTS} roots")
    for _ in range(8):
        if len(under) == 1:
            break
        conjugate = _conjugate(under)
        if conjugate is None:
            break
        terms, under = _product(terms, conjugate), _product(under, conjugate)
    if not under:
        raise Refused("undefined", "a division by zero")
    if len(under) == 1:
        ((mono, factor),) = under.items()
        scale, mono = reduced({atom: -exponent for atom, exponent in mono})
        return _plain(Form(_product(terms, {mono: Fraction(scale) / factor})))
    if not terms:
        return 0
    lead = Fraction(under[max(under)])
    under = {mono: factor / lead for mono, factor in under.items()}
    terms = {mono: factor / lead for mono, factor in terms.items()}
    return 1 if terms == under else Form(terms, under)


def _conjugate(terms: Terms) -> Terms | None:
    """``terms`` with the sign of one square root or of i flipped; None where there is none to flip."""
    for mono in terms:
        for atom, exponent in mono:
            if atom == "i" or (atom[0] == "#" and exponent == Fraction(1, 2)):
                return {
                    other: -factor if any(name == atom for name, _ in other) else factor
                    for other, factor in terms.items()
                }
    return None


def power(value: Value, exponent: int) -> Value:
    """Value to an integer power.

    Raises:
        Refused: The result is predicted to be too large.
    """
    if exponent == 0 and value != 0:
        return 1
    if not isinstance(value, Form):
        small = rational_power(value, exponent)
        return prime_powers(value, exponent) if small is None else small
    if exponent < 0:
        return power(inverse(value), -exponent)
    if value.under is not None:
        return quotient(form_of(power(_plain(Form(value.terms)), exponent)).terms,
                        form_of(power(_plain(Form(value.under)), exponent)).terms)  # fmt: skip
    if len(value.terms) == 1:
        ((mono, factor),) = value.terms.items()
        scale, mono = reduced({atom: power_ * exponent for atom, power_ in mono})
        small = rational_power(factor, exponent)
        rest = Form({mono: scale})
        return mul(rest, prime_powers(factor, exponent) if small is None else small)
    count = len(value.terms)
    if exponent > MAX_POWER or comb(exponent + count - 1, count - 1) > MAX_TERMS:
        raise Refused("over_budget", "a power of a sum with too many terms")
    if exponent * max(bits(factor) for factor in value.terms.values()) > MAX_BITS:
        raise Refused("over_budget", "a power of a sum with too many digits")
    return _repeated(value, exponent)


def _repeated(value: Form, exponent: int) -> Value:
    result: Value = 1
    square: Value = value
    while exponent:
        if exponent % 2:
            result = mul(result, square)
        exponent //= 2
        if exponent:
            square = mul(square, square)
    return result


def prime_powers(value: Rational, exponent: Rational) -> Value:
    """Value to a power that is fractional or too large to compute: primes, each to its own power."""
    if bits(exponent) > 4_096:
        raise Refused("over_budget", "an exponent with too many digits")
    sign = 1
    if value < 0:
        if type(exponent) is not int:
            raise Refused("undecided", "a negative number to a fractional power")
        sign = -1 if exponent % 2 else 1
    fraction = abs(Fraction(value))
    powers: dict[str, Rational] = {}
    for number, direction in ((fraction.numerator, 1), (fraction.denominator, -1)):
        for prime, count in factor(number).items():
            powers[f"#{prime}"] = direction * count * exponent
    scale, mono = reduced(powers)
    return _plain(Form({mono: sign * scale}))


def equal(left: Value, right: Value) -> bool:
    """Whether two values have the same canonical form (with denominators: after multiplying across)."""
    if not isinstance(left, Form) and not isinstance(right, Form):
        return left == right
    a, b = form_of(left), form_of(right)
    if a.under is None and b.under is None:
        if a.terms == b.terms:
            return True
        primes = _unwritten(a.terms) | _unwritten(b.terms)
        return bool(primes) and _settled(a.terms, primes) == _settled(b.terms, primes)
    if a.under == b.under:
        return a.terms == b.terms
    return _product(a.terms, b.under or {(): 1}) == _product(b.terms, a.under or {(): 1})


def _unwritten(terms: Terms) -> set[str]:
    """The primes that stand in ``terms`` to a power too large to compute."""
    return {atom for mono in terms for atom, exponent in mono if atom[0] == "#" and not 0 <= exponent < 1}


def _settled(terms: Terms, primes: set[str]) -> Terms:
    """``terms`` with every whole power of ``primes`` moved from the coefficients to the monomials."""
    settled: Terms = {}
    for mono, coefficient in terms.items():
        powers: dict[str, Rational] = dict(mono)
        left = Fraction(coefficient)
        for atom in primes:
            prime = int(atom[1:])
            while left.numerator % prime == 0:
                left /= prime
                powers[atom] = powers.get(atom, 0) + 1
            while left.denominator % prime == 0:
                left *= prime
                powers[atom] = powers.get(atom, 0) - 1
        place = tuple(sorted((atom, power) for atom, power in powers.items() if power))
        settled[place] = settled.get(place, 0) + left
    return settled


def key(value: Value) -> str:
    """A text that is equal for equal canonical forms."""
    if not isinstance(value, Form):
        return _written(value)
    text = _terms_key(value.terms)
    return text if value.under is None else f"({text})/({_terms_key(value.under)})"


def _written(number: int | Fraction) -> str:
    """``number`` in digits; Python itself writes no integer of more than 4,300 of them."""
    if max(number.numerator.bit_length(), number.denominator.bit_length()) > 14_000:
        raise Refused("over_budget", "a number too long to write inside another")
    return str(number)


def _terms_key(terms: Terms) -> str:
    return "+".join(
        f"{factor}" + "".join(f"*{atom}^{exponent}" for atom, exponent in mono)
        for mono, factor in sorted(terms.items())
    )


def is_opaque(value: Value) -> bool:
    """Whether inequality of ``value``'s form is no proof, because an opaque atom stands in it."""
    if not isinstance(value, Form):
        return False
    return any(atom[0] == "@" for part in (value.terms, value.under or {}) for mono in part for atom, _ in mono)
