"""A generator of tests: other spellings of a gold, which its grader must accept.

Every rule works on the gold's text, not on the verifier's reading of it, so that a misreading shows.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from fractions import Fraction

__all__ = [
    "REWRITINGS",
    "Rule",
    "apply_rules",
    "bare_list",
    "bracketed",
    "is_scalar",
    "plain_value",
    "rewritings",
    "sum_terms",
]

Rule = Callable[[str, random.Random], str | None]

_INT = re.compile(r"-?\d+")
_FRAC = re.compile(r"(-?)\\d?frac\{(-?\d+)\}\{(\d+)\}")
_SLASH = re.compile(r"(-?)(\d+)/(\d+)")
_DECIMAL = re.compile(r"-?\d*\.\d+")
_SURD = re.compile(r"(\d*)\s*\\sqrt\{?(\d+)\}?")
_NUMERAL = re.compile(r"(\d+)_\{?(\d+)\}?")
_CHOICE = re.compile(r"\\text\{\(?([A-Z])\)?\}")
_WORDS = re.compile(r"\\text\{([A-Za-z]{3,})\}")
_UNIT = re.compile(r"(.*\d\}?)\s*\\(?:text|mbox)\s*\{\s*([A-Za-z .]+)\}(\^\{?\d\}?)?")
_DEGREES = re.compile(r"(-?[\d.]+)\s*\^\s*\{?\\circ\}?")
_MONEY = re.compile(r"\\\$\s*([\d.,\\!]+)")
_PERCENT = re.compile(r"([\d.]+)\s*\\%")
_INTERVAL = re.compile(r"[(\[](?:\\left)?.*[)\]]")
_MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}")
_SCALAR = re.compile(r"[^,=<>\[\]&;:%$°]*")


def plain_value(gold: str) -> Fraction | None:
    """The rational that a plainly written gold is."""
    if _INT.fullmatch(gold) or _DECIMAL.fullmatch(gold):
        return Fraction(gold)
    match = _FRAC.fullmatch(gold) or _SLASH.fullmatch(gold)
    if match:
        return (-1 if match.group(1) else 1) * Fraction(int(match.group(2)), int(match.group(3)))
    return None


def is_scalar(gold: str) -> bool:
    """Whether the gold is one value without unit, label, base or words."""
    if not _SCALAR.fullmatch(gold) or re.search(r"\\(?:text|mbox|circ|pm|cup|in\b|infty|begin|\{|le|ge|approx)", gold):
        return False
    if re.fullmatch(r"\s*[A-Z]+\s*", gold) or gold.lower().strip() in ("yes", "no"):
        return False
    return not _NUMERAL.search(gold) and not re.match(r"\s*\d+\s*\\d?frac", gold)


def _items(gold: str) -> list[str]:
    """The elements of a bare list, tuple or interval body, split at commas outside brackets."""
    parts, depth, start = [], 0, 0
    for index, letter in enumerate(gold):
        depth += (letter in "({[") - (letter in ")}]")
        if letter == "," and depth == 0 and gold[index + 1 : index + 3] != "\\!":
            parts.append(gold[start:index].strip())
            start = index + 1
    return [*parts, gold[start:].strip()]


def bare_list(gold: str) -> list[str]:
    """The elements of a gold that is a list without brackets; [] where it is none."""
    parts = _items(gold)
    plain = len(parts) > 1 and "\\text" not in gold and not re.fullmatch(r"[A-Z ,]+", gold) and "=" not in gold
    plain = plain and not re.search(r"\d,\d{3}(?!\d)", gold)
    return parts if plain else []


def bracketed(gold: str) -> tuple[str, list[str], str] | None:
    """Opening, elements and closing of a gold that is one pair of brackets."""
    inner = gold.replace("\\left", "").replace("\\right", "").strip()
    if not _INTERVAL.fullmatch(inner) or "\\cup" in inner or inner.count("(") + inner.count("[") > 1:
        return None
    parts = _items(inner[1:-1])
    return (inner[0], parts, inner[-1]) if len(parts) > 1 else None


def sum_terms(gold: str) -> list[str]:
    """The signed terms of a sum, split at top level; [] where it is none."""
    if not is_scalar(gold) or "\\sin" in gold or "\\cos" in gold:
        return []
    parts: list[str] = []
    depth, start = 0, 0
    for index, letter in enumerate(gold):
        depth += (letter in "({[") - (letter in ")}]")
        if letter in "+-" and depth == 0 and gold[start:index].strip() and gold[:index].rstrip()[-1] not in "^_":
            parts.append(gold[start:index].strip())
            start = index
    parts.append(gold[start:].strip())
    return parts if len(parts) > 1 else []


def _grouped(gold: str, separator: str) -> str | None:
    plain = gold.replace("{,}", "").replace(",\\!", "")
    return f"{int(plain):,}".replace(",", separator) if re.fullmatch(r"\d{4,}", plain) else None


def _decimal(gold: str, _: random.Random) -> str | None:
    value = plain_value(gold)
    if value is None or value.denominator == 1 or (10**12 % value.denominator):
        return None
    return f"{float(value):.12f}".rstrip("0")


def _unreduced(gold: str, draw: random.Random) -> str | None:
    value = plain_value(gold)
    factor = draw.randrange(2, 6)
    return None if value is None else f"\\frac{{{value.numerator * factor}}}{{{value.denominator * factor}}}"


def _mixed(gold: str, _: random.Random) -> str | None:
    value = plain_value(gold)
    if value is None or value.denominator == 1 or abs(value) < 1 or "." in gold:
        return None
    whole, rest = divmod(abs(value.numerator), value.denominator)
    return f"{'-' if value < 0 else ''}{whole}\\frac{{{rest}}}{{{value.denominator}}}"


def _repeating(gold: str, _: random.Random) -> str | None:
    value = plain_value(gold)
    if value is None or value.denominator not in (3, 9, 11, 33, 99) or not 0 < value < 1:
        return None
    return f"0.\\overline{{{value.numerator * 99 // value.denominator:02d}}}"


def _surd(gold: str, _: random.Random) -> str | None:
    match = _SURD.fullmatch(gold)
    return f"\\sqrt{{{int(match.group(1) or 1) ** 2 * int(match.group(2))}}}" if match else None


def _rationalised(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"\\frac\{\\sqrt\{(\d+)\}\}\{(\d+)\}", gold)
    return f"\\frac{{{match.group(1)}}}{{{match.group(2)}\\sqrt{{{match.group(1)}}}}}" if match else None


def _moved_sign(gold: str, _: random.Random) -> str | None:
    match = _FRAC.fullmatch(gold)
    if not match or not match.group(1):
        return None
    return f"\\frac{{-{match.group(2)}}}{{{match.group(3)}}}"


def _without_unit(gold: str, _: random.Random) -> str | None:
    for pattern in (_UNIT, _DEGREES, _MONEY, _PERCENT):
        match = pattern.fullmatch(gold)
        if match:
            return match.group(1).strip()
    return None


def _spelled_unit(gold: str, _: random.Random) -> str | None:
    for pattern, name in ((_DEGREES, "degrees"), (_MONEY, "dollars"), (_PERCENT, "percent")):
        match = pattern.fullmatch(gold)
        if match:
            return f"{match.group(1)}\\text{{ {name}}}"
    return None


def _inequality(gold: str, _: random.Random) -> str | None:
    pair = bracketed(gold)
    if pair is None or len(pair[1]) != 2 or ("infty" not in gold and pair[0] + pair[2] not in ("(]", "[)")):
        return None
    low, high = pair[1]
    below, above = ("\\le " if pair[0] == "[" else "<"), ("\\le " if pair[2] == "]" else "<")
    if "infty" in low and "infty" in high:
        return None
    left = "" if "infty" in low else f"{low}{below}"
    right = "" if "infty" in high else f"{above}{high}"
    return f"{left}x{right}"


def _unions(gold: str, _: random.Random) -> str | None:
    parts = gold.split("\\cup")
    return " \\cup ".join(part.strip() for part in reversed(parts)) if len(parts) > 1 else None


def _swapped_sides(gold: str, _: random.Random) -> str | None:
    sides = gold.split("=")
    return f"{sides[1].strip()} = {sides[0].strip()}" if len(sides) == 2 and "," not in gold else None


def _scaled_equation(gold: str, _: random.Random) -> str | None:
    sides = gold.split("=")
    if len(sides) != 2 or "," in gold or "\\" in sides[0] or not re.search("[a-z].*[a-z]", gold):
        return None
    return f"3({sides[0].strip()}) = 3({sides[1].strip()})"


def _unicode(gold: str, _: random.Random) -> str | None:
    changed = gold.replace("\\pi", "π").replace("\\infty", "∞").replace("\\cup", "∪").replace("\\pm", "±")
    changed = changed.replace("-", "−").replace("^\\circ", "°").replace("\\cdot", "·").replace("\\le ", "≤ ")
    changed = re.sub(r"\\sqrt\{(\d+)\}", r"√\1", changed)
    return changed if changed != gold and "\\begin" not in gold else None


def _expanded_sign(gold: str, _: random.Random) -> str | None:
    if gold.count("\\pm") != 1 or "\\{" in gold:
        return None
    return gold.replace("\\pm", "+") + ", " + gold.replace("\\pm", "-")


def _wrapped(before: str, after: str, when: Callable[[str], object] = lambda gold: True) -> Rule:
    return lambda gold, _: f"{before}{gold}{after}" if when(gold) else None


def _replaced(old: str, new: str) -> Rule:
    return lambda gold, _: gold.replace(old, new) if old in gold else None


def _short_fraction(gold: str, _: random.Random) -> str | None:
    changed = re.sub(r"\\frac\{(\d)\}\{(\d)\}(?!\d)", r"\\frac\1\2", gold)
    return changed if changed != gold else None


def _slashed(gold: str, _: random.Random) -> str | None:
    changed = re.sub(r"^(-?)\\frac\{(\d+)\}\{(\d+)\}$", r"\1\2/\3", gold)
    return changed if changed != gold else None


def _reversed_sum(gold: str, _: random.Random) -> str | None:
    terms = sum_terms(gold)
    if not terms or any(term[0] == "+" and len(term) == 1 for term in terms):
        return None
    signed = [term if term[0] in "+-" else f"+{term}" for term in reversed(terms)]
    return "".join(signed).lstrip("+").strip()


def _text_case(gold: str, _: random.Random) -> str | None:
    match = _WORDS.fullmatch(gold)
    return match.group(1).upper() if match and len(match.group(1)) > 3 and not match.group(1).isupper() else None


def _power_of_two(gold: str, _: random.Random) -> str | None:
    if not re.fullmatch(r"\d{2,9}", gold) or int(gold) & (int(gold) - 1):
        return None
    return f"2^{{{int(gold).bit_length() - 1}}}"


def _scientific(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"([1-9])(\d?)(0{3,})", gold.replace(",\\!", ""))
    if not match:
        return None
    lead, next_, zeros = match.groups()
    return f"{lead}.{next_ or 0}\\times 10^{{{len(zeros) + len(next_)}}}"


def _choice_form(form: str) -> Rule:
    def rule(gold: str, _: random.Random) -> str | None:
        match = _CHOICE.fullmatch(gold)
        return form % match.group(1) if match else None

    return rule


def _joined(word: str) -> Rule:
    def rule(gold: str, _: random.Random) -> str | None:
        parts = bare_list(gold)
        return ", ".join(parts[:-1]) + f" \\text{{ {word} }} " + parts[-1] if parts else None

    return rule


def _braced(gold: str, _: random.Random) -> str | None:
    parts = bare_list(gold)
    return f"\\{{{', '.join(parts)}\\}}" if len(set(parts)) > 1 else None


def _sized(gold: str, _: random.Random) -> str | None:
    if "left" in gold or "\\text" in gold or gold.count("(") != gold.count(")"):
        return None
    return gold.replace("(", "\\left(").replace(")", "\\right)")


REWRITINGS: dict[str, Rule] = {
    "spaces": lambda gold, _: re.sub(r"(?<![\\A-Za-z,{])([+=])", r" \1 ", gold) if "text" not in gold else None,
    "dollars": _wrapped("$", "$"),
    "display": _wrapped("\\displaystyle ", "", lambda gold: not gold.startswith("\\text")),
    "full stop": _wrapped("", "."),
    "bold": _wrapped("**", "**"),
    "boxed again": _wrapped("\\boxed{", "}"),
    "dfrac": _replaced("\\frac", "\\dfrac"),
    "short fraction": _short_fraction,
    "slash": _slashed,
    "unreduced": _unreduced,
    "decimal": _decimal,
    "trailing zero": lambda gold, _: f"{gold}.0" if _INT.fullmatch(gold) else None,
    "leading zero": lambda gold, _: f"0{gold}" if re.fullmatch(r"[1-9]\d{0,3}|\.\d+", gold) else None,
    "moved sign": _moved_sign,
    "comma": lambda gold, _: _grouped(gold, ","),
    "braced comma": lambda gold, _: _grouped(gold, "{,}"),
    "thin space": lambda gold, _: _grouped(gold, "\\,"),
    "no separators": lambda gold, _: gold.replace(",\\!", "") if ",\\!" in gold else None,
    "scientific": _scientific,
    "mixed": _mixed,
    "unit left out": _without_unit,
    "unit in words": _spelled_unit,
    "label": _wrapped("t = ", "", lambda gold: is_scalar(gold) and "t" not in re.sub(r"\\[A-Za-z]+", "", gold)),
    "list reversed": lambda gold, _: ", ".join(reversed(bare_list(gold))) or None,
    "list and": _joined("and"),
    "list or": _joined("or"),
    "list in braces": _braced,
    "plus-minus": _expanded_sign,
    "left right": _sized,
    "union reversed": _unions,
    "inequality": _inequality,
    "bmatrix": _replaced("pmatrix", "bmatrix"),
    "sides swapped": _swapped_sides,
    "equation scaled": _scaled_equation,
    "power of two": _power_of_two,
    "sum reversed": _reversed_sum,
    "surd": _surd,
    "rationalised": _rationalised,
    "repeating": _repeating,
    "unicode": _unicode,
    "times one": _wrapped("1\\cdot (", ")", is_scalar),
    "plus zero": _wrapped("0+", "", lambda gold: is_scalar(gold) and gold.strip()[:1] not in "-+"),
    "doubled and halved": _wrapped("\\frac{2(", ")}{2}", is_scalar),
    "text case": _text_case,
    "bare words": lambda gold, _: match.group(1) if (match := _WORDS.fullmatch(gold)) else None,
    "choice in parentheses": _choice_form("(%s)"),
    "choice with a stop": _choice_form("%s."),
    "choice in bold": _choice_form("\\textbf{(%s)}"),
}  # fmt: skip
"""Rule → how it spells a gold differently; None where it does not apply."""


def apply_rules(rules: dict[str, Rule], gold: str, seed: int) -> Iterator[tuple[str, str]]:
    """(rule, text) for every rule that applies to ``gold`` and changes it."""
    draw = random.Random(f"{seed}:{gold}")
    for name, rule in rules.items():
        changed = rule(gold, draw)
        if changed is not None and changed != gold:
            yield name, changed


def rewritings(gold: str, seed: int = 0) -> list[tuple[str, str]]:
    """Spellings of ``gold`` that mean the same, each with its rule's name."""
    return list(apply_rules(REWRITINGS, gold.strip().rstrip("."), seed))
