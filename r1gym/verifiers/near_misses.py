"""A generator of tests: near misses of a gold, which its grader must refuse."""

from __future__ import annotations

import random
import re
from fractions import Fraction

from r1gym.verifiers.variants import Rule, apply_rules, bare_list, bracketed, is_scalar, plain_value

__all__ = ["CORRUPTIONS", "corruptions"]

_WORDS = re.compile(r"\\text\{([A-Za-z]{3,})\}")
_CHOICE = re.compile(r"\\text\{\(?([A-Z])\)?\}|([A-E])")


def _is_zero(gold: str) -> bool:
    return plain_value(gold) == 0


def _last_digit(gold: str, draw: random.Random) -> str | None:
    places = [match.start() for match in re.finditer(r"\d", gold)]
    if not places:
        return None
    at = draw.choice(places)
    step = draw.choice((1, 9))
    if gold[at - 1 : at] == "." and not gold[at + 1 : at + 2].isdigit():
        at = max(places)
    return gold[:at] + str((int(gold[at]) + step) % 10) + gold[at + 1 :]


def _changed_digit(gold: str, draw: random.Random) -> str | None:
    changed = _last_digit(gold, draw)
    # 0^5 → 0^6 and \frac{0}{3} → \frac{0}{4} would be no miss, nor 1^2 → 1^3.
    return None if changed is None or re.search(r"(?<!\d)[01]\^|\{0\}", gold) else changed


def _negated(gold: str, _: random.Random) -> str | None:
    return f"-({gold})" if is_scalar(gold) and not _is_zero(gold) else None


def _reciprocal(gold: str, _: random.Random) -> str | None:
    return f"\\frac{{1}}{{{gold}}}" if is_scalar(gold) and plain_value(gold) not in (0, 1, -1) else None


def _times(factor: str) -> Rule:
    return lambda gold, _: f"{factor}({gold})" if is_scalar(gold) and not _is_zero(gold) else None


def _rounded_root(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"(\d*)\s*\\sqrt\{(\d+)\}", gold)
    return f"{int(match.group(1) or 1) * int(match.group(2)) ** 0.5:.6f}" if match else None


def _rounded_pi(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"(\d*)\s*\\pi", gold)
    return f"{int(match.group(1) or 1) * 3.141592653589793:.6f}" if match else None


def _rounded_fraction(gold: str, _: random.Random) -> str | None:
    value = plain_value(gold)
    return f"{float(value):.4f}" if value is not None and 10**4 % value.denominator else None


def _nearly(gold: str, _: random.Random) -> str | None:
    value = plain_value(gold)
    return f"{gold}.5" if value is not None and value.denominator == 1 and value >= 1000 and "." not in gold else None


def _swapped_brackets(gold: str, _: random.Random) -> str | None:
    pair = bracketed(gold)
    if pair is None or len(pair[1]) != 2:
        return None
    opening, parts, closing = pair
    if "infty" not in parts[0]:
        return f"{'(' if opening == '[' else '['}{', '.join(parts)}{closing}"
    return f"{opening}{', '.join(parts)}{')' if closing == ']' else ']'}" if "infty" not in parts[1] else None


def _reordered(gold: str, _: random.Random) -> str | None:
    pair = bracketed(gold)
    if pair is None or pair[1] == pair[1][::-1]:
        return None
    return f"{pair[0]}{', '.join(reversed(pair[1]))}{pair[2]}"


def _as_set(gold: str, _: random.Random) -> str | None:
    pair = bracketed(gold)
    return None if pair is None else f"\\{{{', '.join(pair[1])}\\}}"


def _one_missing(gold: str, _: random.Random) -> str | None:
    parts = bare_list(gold)
    return ", ".join(parts[:-1]) if parts else None


def _one_repeated(gold: str, _: random.Random) -> str | None:
    parts = bare_list(gold)
    return ", ".join([*parts, parts[0]]) if parts else None


def _one_more(gold: str, _: random.Random) -> str | None:
    parts = bare_list(gold)
    return ", ".join([*parts, "987"]) if parts else None


def _part_missing(gold: str, _: random.Random) -> str | None:
    pair = bracketed(gold)
    return f"{pair[0]}{', '.join(pair[1][:-1])}{pair[2]}" if pair and len(pair[1]) > 2 else None


def _union_missing(gold: str, _: random.Random) -> str | None:
    return gold.split("\\cup")[0].strip() if "\\cup" in gold else None


def _other_base(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"(\d+)_\{?(\d+)\}?", gold)
    return f"{match.group(1)}_{{{int(match.group(2)) + 1}}}" if match else None


def _without_base(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"(\d+)_\{?(\d+)\}?", gold)
    return match.group(1) if match else None


def _glued(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"-?\\d?frac\{(\d+)\}\{(\d+)\}", gold) or re.fullmatch(r"(\d+)\^\{?(\d+)\}?", gold)
    return match.group(1) + match.group(2) if match else None


def _glued_factors(gold: str, _: random.Random) -> str | None:
    return f"({gold[0]})({gold[1:]})" if re.fullmatch(r"[1-9]\d+", gold) else None


def _letters(gold: str) -> list[str]:
    return re.findall(r"(?<![\\A-Za-z])[a-df-hj-z](?![A-Za-z])", gold) if is_scalar(gold) and "text" not in gold else []


def _renamed(gold: str, _: random.Random) -> str | None:
    letters = _letters(gold)
    if not letters:
        return None
    other = "w" if "w" not in letters else "v"
    return re.sub(rf"(?<![\\A-Za-z]){letters[0]}(?![A-Za-z])", other, gold)


def _dropped_letter(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"(-?\d+)[a-z]", gold)
    return match.group(1) if match else None


def _capital(gold: str, _: random.Random) -> str | None:
    letters = _letters(gold)
    if not letters:
        return None
    return re.sub(rf"(?<![\\A-Za-z]){letters[0]}(?![A-Za-z])", letters[0].upper(), gold)


def _conjugate(gold: str, _: random.Random) -> str | None:
    if not is_scalar(gold):
        return None
    changed = re.sub(
        r"([+-])(\s*\d*\s*\\sqrt)", lambda match: ("-" if match[1] == "+" else "+") + match[2], gold, count=1
    )
    return changed if changed != gold else None


def _conjugate_i(gold: str, _: random.Random) -> str | None:
    if not is_scalar(gold) or not re.search(r"(?<![A-Za-z\\])i(?![A-Za-z])", gold):
        return None
    return re.sub(r"(?<![A-Za-z\\])i(?![A-Za-z])", "(-i)", gold)


def _absolute(gold: str, _: random.Random) -> str | None:
    return f"|{gold}|" if re.fullmatch(r"[a-df-hj-z]|-\d+|-?\d*[a-df-hj-z]\^3", gold) else None


def _other_unit(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"(.*\d\}?)\s*\\(?:text|mbox)\s*\{\s*[A-Za-z .]+\}(?:\^\{?\d\}?)?", gold)
    return f"{match.group(1)}\\text{{ km/h}}" if match and "mph" not in gold else None


def _hedge(gold: str, _: random.Random) -> str | None:
    return f"{gold} \\text{{ or }} 987" if is_scalar(gold) and gold != "987" else None


def _two_values(gold: str, _: random.Random) -> str | None:
    return f"{gold}, 987" if is_scalar(gold) and gold != "987" else None


def _lie(gold: str, _: random.Random) -> str | None:
    return f"987 = {gold}" if is_scalar(gold) and gold != "987" and not _letters(gold) else None


def _equation_of_zero(gold: str, _: random.Random) -> str | None:
    return "5x - 7y = 0" if _is_zero(gold) else None


def _anagram(gold: str, _: random.Random) -> str | None:
    match = _WORDS.fullmatch(gold)
    return (
        f"\\text{{{match.group(1)[::-1]}}}"
        if match and match.group(1).lower() != match.group(1)[::-1].lower()
        else None
    )


def _prefix(gold: str, _: random.Random) -> str | None:
    match = _WORDS.fullmatch(gold)
    return f"\\text{{{match.group(1)}ing}}" if match else None


def _other_choice(gold: str, _: random.Random) -> str | None:
    match = _CHOICE.fullmatch(gold)
    return "\\text{(Q)}" if match and "Q" not in match.group() else None


def _transposed(gold: str, _: random.Random) -> str | None:
    match = re.fullmatch(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}", gold)
    if not match:
        return None
    rows = [[cell.strip() for cell in row.split("&")] for row in match.group(1).split("\\\\")]
    turned = [list(column) for column in zip(*rows, strict=True)]
    if turned == rows:
        return None
    return "\\begin{pmatrix} " + " \\\\ ".join(" & ".join(row) for row in turned) + " \\end{pmatrix}"


def _strictness(gold: str, _: random.Random) -> str | None:
    for old, new in (("\\le ", "<"), ("\\ge ", ">"), ("<", "\\le "), (">", "\\ge ")):
        if old in gold:
            return gold.replace(old, new)
    return None


def _other_right_side(gold: str, _: random.Random) -> str | None:
    return f"{gold} + 1" if gold.count("=") == 1 and "," not in gold else None


def _plus_tiny(gold: str, _: random.Random) -> str | None:
    return f"{gold} + 10^{{-40}}" if is_scalar(gold) else None


def _percent(gold: str, _: random.Random) -> str | None:
    value = plain_value(gold)
    return f"{gold}\\%" if value is not None and value != 0 and value.denominator == 1 else None


def _hundredth(gold: str, _: random.Random) -> str | None:
    value = plain_value(gold)
    return (
        f"{float(Fraction(value) / 100):.12f}".rstrip("0")
        if value is not None and value.denominator == 1 and value
        else None
    )


CORRUPTIONS: dict[str, Rule] = {
    "digit": _changed_digit, "sign": _negated, "reciprocal": _reciprocal, "times ten": _times("10\\cdot "),
    "times hundred": _times("100\\cdot "), "hundredth": _hundredth, "rounded root": _rounded_root,
    "rounded pi": _rounded_pi, "rounded fraction": _rounded_fraction, "nearly": _nearly, "plus tiny": _plus_tiny,
    "brackets": _swapped_brackets, "order": _reordered, "tuple as set": _as_set, "one missing": _one_missing,
    "one repeated": _one_repeated, "one more": _one_more, "part missing": _part_missing, "union part": _union_missing,
    "other base": _other_base, "without base": _without_base, "glued": _glued, "glued factors": _glued_factors,
    "renamed": _renamed, "letter dropped": _dropped_letter, "capital": _capital, "conjugate": _conjugate,
    "conjugate i": _conjugate_i, "absolute": _absolute, "other unit": _other_unit, "hedge": _hedge,
    "two values": _two_values, "lie": _lie, "equation of zero": _equation_of_zero, "anagram": _anagram,
    "prefix": _prefix, "other choice": _other_choice, "transposed": _transposed, "strictness": _strictness,
    "right side": _other_right_side, "percent": _percent,
}  # fmt: skip
"""Rule → how it misses a gold narrowly; None where it does not apply."""


def corruptions(gold: str, seed: int = 0) -> list[tuple[str, str]]:
    """Answers close to ``gold`` that are wrong, each with its rule's name."""
    return list(apply_rules(CORRUPTIONS, gold.strip().rstrip("."), seed))
