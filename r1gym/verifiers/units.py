"""Units as values: every unit is a factor times base dimensions, so 60 min is 1 h and 5 cm is not 5 m."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

__all__ = [
    "ABBREVIATED",
    "CURRENCIES",
    "GENERIC",
    "NOT_UNITS",
    "SCALES",
    "UNIT_LETTERS",
    "Unit",
    "combine",
    "known",
    "unit_named",
]


class Unit(NamedTuple):
    """``factor`` base units of ``dimension``; the dimension is sorted pairs (base, power)."""

    factor: Fraction
    dimension: tuple[tuple[str, int], ...]


SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12, "dozen": 12}
"""Words that multiply the number before them."""

NOT_UNITS = frozenset(
    [
        "is", "are", "was", "not", "no", "isn", "wrong", "incorrect", "false", "maybe", "perhaps", "possibly",
        "because", "since", "if", "but", "than", "more", "less", "least", "most", "unless", "when", "except", "over",
        "under", "half", "halves", "third", "thirds", "fourth", "fourths", "fifth", "fifths", "tenth", "tenths",
        "hundredth", "hundredths", "thousandth", "thousandths", "squared", "cubed", "factorial", "negative", "minus",
        "plus", "base", "mod", "modulo", "instead", "never", "only", "other", "where", "none", "unknown",
        "undefined", "nothing", "neither", "nan",
    ]
)  # fmt: skip
"""Words that change or deny the number before them: whatever holds one is not read as a quantity."""

CURRENCIES = frozenset(["USD", "EUR", "GBP", "JPY", "INR", "Rs"])
"""Codes of currencies that stand before their number."""

ABBREVIATED = frozenset(
    [
        "sq", "cu", "ft", "in", "yd", "mi", "min", "hr", "hrs", "sec", "lb", "lbs", "oz", "gal", "pt", "qt", "tbsp",
        "tsp", "mph", "cm", "mm", "km", "m", "g", "kg", "s", "h", "yr", "yrs", "deg",
    ]
)  # fmt: skip
"""Units after which a full stop marks the abbreviation."""

GENERIC = "unit"
"""The base of words such as "units": fits any unit of the same power."""

_TABLE: dict[str, tuple[str, str]] = {
    # name and spellings: (factor, base)
    "mm millimeter millimeters millimetre millimetres": ("1/1000", "m"),
    "cm centimeter centimeters centimetre centimetres": ("1/100", "m"),
    "dm decimeter decimeters": ("1/10", "m"),
    "m meter meters metre metres": ("1", "m"),
    "km kilometer kilometers kilometre kilometres": ("1000", "m"),
    "in inch inches": ("127/5000", "m"),
    "ft foot feet": ("381/1250", "m"),
    "yd yard yards": ("1143/1250", "m"),
    "mi mile miles": ("201168/125", "m"),
    "ms millisecond milliseconds": ("1/1000", "s"),
    "s sec secs second seconds": ("1", "s"),
    "min mins minute minutes": ("60", "s"),
    "h hr hrs hour hours": ("3600", "s"),
    "day days": ("86400", "s"),
    "week weeks": ("604800", "s"),
    "month months": ("1", "month"),
    "yr yrs year years": ("12", "month"),
    "decade decades": ("120", "month"),
    "mg milligram milligrams": ("1/1000000", "kg"),
    "g gm gms gram grams gramme grammes": ("1/1000", "kg"),
    "kg kgs kilogram kilograms": ("1", "kg"),
    "t tonne tonnes": ("1000", "kg"),
    "lb lbs pound pounds": ("45359237/100000000", "kg"),
    "oz ounce ounces": ("45359237/1600000000", "kg"),
    "ton tons": ("1", "ton"),
    "ml mL milliliter milliliters millilitre millilitres": ("1/1000", "litre"),
    "cl cL": ("1/100", "litre"),
    "l L liter liters litre litres": ("1", "litre"),
    "gallon gallons gal": ("16", "cup"),
    "quart quarts": ("4", "cup"),
    "pint pints": ("2", "cup"),
    "cup cups": ("1", "cup"),
    "tablespoon tablespoons tbsp": ("1/16", "cup"),
    "teaspoon teaspoons tsp": ("1/48", "cup"),
    "dollar dollars USD usd bucks": ("1", "dollar"),
    "cent cents": ("1/100", "dollar"),
    "EUR euro euros": ("1", "euro"),
    "GBP": ("1", "gbp"),
    "JPY yen": ("1", "yen"),
    "INR rupee rupees Rs": ("1", "rupee"),
    "acre acres": ("1", "acre"),
    "hectare hectares ha": ("1", "hectare"),
    "N newton newtons": ("1", "newton"),
    "J joule joules": ("1", "joule"),
    "W watt watts": ("1", "watt"),
    "V volt volts": ("1", "volt"),
    "Hz hertz": ("1", "hertz"),
    "K kelvin": ("1", "kelvin"),
    "radian radians rad rads": ("1", "radian"),
    "unit units": ("1", GENERIC),
}
_UNITS = {
    spelling: Unit(Fraction(factor), ((base, 1),) if base else ())
    for spellings, (factor, base) in _TABLE.items()
    for spelling in spellings.split()
}
_UNITS["mph"] = Unit(Fraction(201168, 125 * 3600), (("m", 1), ("s", -1)))
_UNITS["kph"] = _UNITS["kmh"] = Unit(Fraction(1000, 3600), (("m", 1), ("s", -1)))
_UNITS["sqft"] = Unit(Fraction(381, 1250) ** 2, (("m", 2),))

UNIT_LETTERS = frozenset(name for name in _UNITS if len(name) == 1)
"""Units of one letter: only in a text passage, or where the gold has a unit of the same dimension."""


def known(word: str) -> bool:
    """Whether ``word`` is in the table of units (as it stands, or in small letters)."""
    return word in _UNITS or (len(word) > 2 and word.lower() in _UNITS)


def unit_named(word: str) -> Unit:
    """The unit that ``word`` names; a word outside the table is a dimension of its own, plural or not."""
    found = _UNITS.get(word)
    if found is None and len(word) > 2:
        found = _UNITS.get(word.lower())
    if found is not None:
        return found
    word = word.lower()
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("ches", "shes", "xes", "sses")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    return Unit(Fraction(1), ((f"word:{word}", 1),))


def combine(parts: list[tuple[Unit, int]]) -> Unit:
    """The product of units, each to its power."""
    factor = Fraction(1)
    powers: dict[str, int] = {}
    for unit, power in parts:
        if abs(power) > 9:
            power = 9
        factor *= unit.factor**power
        for base, exponent in unit.dimension:
            powers[base] = powers.get(base, 0) + exponent * power
    return Unit(factor, tuple(sorted((base, power) for base, power in powers.items() if power)))
