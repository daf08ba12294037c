"""Integer work with its size bounded beforehand: sizes, factoring, exact roots."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from r1gym.verifiers.reasons import Refused

__all__ = ["MAX_BITS", "Rational", "bits", "exact_root", "factor", "rational_power", "sized"]

Rational = int | Fraction

MAX_BITS = 16_000
"""Bits of the largest number that a power may build."""

MAX_FACTORED = 10**12
"""Largest number that is factored completely (trial division to its square root)."""


def bits(value: Rational) -> int:
    """Bits of ``value``'s numerator and denominator together."""
    if type(value) is int:
        return value.bit_length()
    return value.numerator.bit_length() + value.denominator.bit_length()


def sized(value: Rational) -> Rational:
    """``value``, refused where it has outgrown every honest answer: its operands were within the bound."""
    if bits(value) > 4 * MAX_BITS:
        raise Refused("over_budget", "a number with too many digits")
    return value


def rational_power(base: Rational, exponent: int) -> Rational | None:
    """``base`` to an integer power; None where the result would pass ``MAX_BITS``."""
    if base == 0:
        if exponent <= 0:
            raise Refused("undefined", "zero to a power that is not positive")
        return 0
    if base in (1, -1):
        return base if exponent % 2 else 1
    if bits(base) * abs(exponent) > MAX_BITS:
        return None
    return Fraction(base) ** exponent if exponent < 0 else base**exponent


def factor(number: int) -> dict[int, int]:
    """The prime factors of a positive integer.

    Raises:
        Refused: More than trial division to 10^6 can do.
    """
    if number.bit_length() > 512:
        raise Refused("over_budget", "a number too large to factor")
    found: dict[int, int] = {}
    for prime in (2, 3, 5):
        while number % prime == 0:
            found[prime] = found.get(prime, 0) + 1
            number //= prime
    divisor, step = 7, 4
    while divisor * divisor <= number:
        if divisor > 1_000_000:
            raise Refused("over_budget", "a number too large to factor")
        if divisor > 2_000 and number > MAX_FACTORED:
            root = isqrt(number)
            if root * root == number:
                for prime, power in factor(root).items():
                    found[prime] = found.get(prime, 0) + 2 * power
                return found
            raise Refused("over_budget", "a number too large to factor")
        while number % divisor == 0:
            found[divisor] = found.get(divisor, 0) + 1
            number //= divisor
        divisor += step
        step = 6 - step
    if number > 1:
        found[number] = found.get(number, 0) + 1
    return found


def exact_root(value: Rational) -> Rational | None:
    """The rational square root of ``value``; None where it has none."""
    if value < 0:
        return None
    fraction = Fraction(value)
    over, under = isqrt(fraction.numerator), isqrt(fraction.denominator)
    if over * over == fraction.numerator and under * under == fraction.denominator:
        return Fraction(over, under)
    return None
