"""Comparison, cheap to dear: by kind, then canonical forms, then probes, then (by the caller) computer algebra."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from r1gym.verifiers import forms
from r1gym.verifiers.forms import Form, Value
from r1gym.verifiers.intervals import same_set
from r1gym.verifiers.items import Item
from r1gym.verifiers.nodes import variables
from r1gym.verifiers.probes import probe
from r1gym.verifiers.relations import same_relation, unlabelled
from r1gym.verifiers.units import GENERIC, Unit

__all__ = ["Policy", "Ruling", "assigned", "compare"]


class Policy(NamedTuple):
    """What the task says beside its gold."""

    percent_asked: bool = False
    """The question asks for a percentage, so ``25%`` answers a gold of 25."""
    rounded: bool = False
    """The question asks for a rounded value, so a decimal gold states its tolerance."""
    question_units: tuple[Unit, ...] = ()
    """Units that the question names."""


class Ruling(NamedTuple):
    """Whether the answer is right, and by which rule; ``doubt`` marks what computer algebra could still settle."""

    right: bool
    rule: str
    detail: str
    doubt: bool = False


def _wrong(rule: str, detail: str) -> Ruling:
    return Ruling(False, rule, detail)


def compare(gold: Item, answer: Item, policy: Policy) -> Ruling:
    """Rule on ``answer`` as read in the light of ``gold``."""
    if gold.kind == "relation":
        return _relation(gold, answer, policy)
    answer, problem = unlabelled(gold, answer)
    if problem:
        return _wrong("chain", problem)
    if gold.kind == "value":
        if answer.kind == "list":
            # "1/2 or 0.5" writes one value in two ways; "42 or 42" and every other list sprays.
            written = {part.node for part in answer.parts}
            if (
                answer.tag == "or"
                and len(written) == len(answer.parts)
                and all(compare(gold, part, policy).right for part in answer.parts)
            ):
                return Ruling(True, "canonical", "the same value, said several times")
            return _wrong("hedge", f"{len(answer.parts)} values where the gold is one")
        if answer.kind == "residue" and answer.value == answer.parts[0].value:
            answer = answer.parts[0]  # 3 mod 7 is 3; 10 mod 7 is a computation left undone
        if answer.kind != "value":
            return _wrong("kind", f"a {answer.kind} where the gold is a value")
        return _quantity(gold, answer, policy)
    if gold.reals is not None and answer.reals is not None and (gold.kind != "seq" or _is_interval(gold)):
        right = same_set(gold.reals, answer.reals)
        return Ruling(right, "solution_set", "the same numbers" if right else "not the same set of numbers")
    if gold.kind in ("list", "set"):
        return _unordered(gold, answer, policy)
    if gold.kind in ("seq", "matrix"):
        return _ordered(gold, answer, policy)
    return _special(gold, answer, policy)


def _is_interval(gold: Item) -> bool:
    """Whether a bracketed pair can only be an interval: mixed or outward brackets, or an infinite end."""
    if gold.tag in ("[)", "(]", "[]"):
        return True
    return gold.reals is not None and any(one.low is None or one.high is None for one in gold.reals.intervals)


def _special(gold: Item, answer: Item, policy: Policy) -> Ruling:
    if gold.kind == "ratio" and answer.kind in ("value", "ratio", "time"):
        return _ratio(gold, answer)
    if gold.kind != answer.kind:
        return _wrong("kind", f"a {answer.kind} where the gold is a {gold.kind}")
    if gold.kind == "residue":
        right = gold.tag == answer.tag and gold.value == answer.value
        return Ruling(right, "base", "the same residue" if right else "another residue or another modulus")
    if gold.kind == "base":
        right = gold.tag == answer.tag and gold.value == answer.value
        return Ruling(right, "base", "same numeral" if right else "another numeral or another base")
    if gold.kind == "text":
        right = gold.tag.casefold() == answer.tag.casefold()
        return Ruling(right, "text", "same words" if right else "other words")
    if gold.kind == "ellipsis":
        return Ruling(True, "same_text", "an ellipsis")
    if gold.kind == "time":
        return _parts(gold.parts, answer.parts, policy)
    return _wrong("undecided", f"two {gold.kind}s that could not be compared")


def _ratio(gold: Item, answer: Item) -> Ruling:
    """a:b up to a common factor; two terms also as the quotient a/b."""
    left = [part.value for part in gold.parts]
    right = [part.value for part in answer.parts] if answer.parts else [answer.value, 1]
    if len(left) != len(right) or None in left or None in right:
        return _wrong("kind", "not a ratio of as many terms")
    same = all(
        forms.equal(forms.mul(one, right[0] or 0), forms.mul(other, left[0] or 0))
        for one, other in zip(left, right, strict=True)
        if one is not None and other is not None
    )
    return Ruling(same, "canonical", "the same ratio" if same else "another ratio")


def _unordered(gold: Item, answer: Item, policy: Policy) -> Ruling:
    if answer.kind not in ("list", "set"):
        return _wrong("kind", f"a {answer.kind} where the gold is a {gold.kind}")
    if len(gold.parts) != len(answer.parts):
        return _wrong("container", f"{len(answer.parts)} elements, expected {len(gold.parts)}")
    if gold.kind == answer.kind == "set" and gold.tag and answer.tag and gold.tag != answer.tag:
        return _wrong("container", f"values of {answer.tag}, expected those of {gold.tag}")
    if any(part.kind == "ellipsis" for part in gold.parts):  # what is left out is told by the order
        return _parts(gold.parts, answer.parts, policy)
    left = list(answer.parts)
    doubt = False
    for part in gold.parts:
        for index, other in enumerate(left):
            ruling = compare(part, other, policy)
            doubt |= ruling.doubt
            if ruling.right:
                del left[index]
                break
        else:
            return Ruling(False, "container", "an element of the gold is missing", doubt)
    return Ruling(True, "container", f"the same {len(gold.parts)} elements")


_TUPLES = frozenset(["()", "langlerangle"])


def _ordered(gold: Item, answer: Item, policy: Policy) -> Ruling:
    if gold.kind == answer.kind == "seq":
        if gold.tag != answer.tag and not (gold.tag in _TUPLES and answer.tag in _TUPLES):
            return _wrong("container", f"brackets {answer.tag}, expected {gold.tag}")
        return _parts(gold.parts, answer.parts, policy)
    if gold.kind == answer.kind == "matrix":
        if gold.tag != answer.tag:
            return _wrong("container", f"a {answer.tag} matrix, expected {gold.tag}")
        return _parts(gold.parts, answer.parts, policy)
    vector, other = (gold, answer) if gold.kind == "matrix" else (answer, gold)
    if vector.kind == "matrix" and other.kind == "seq":
        if vector.tag.endswith("x1") and other.tag in _TUPLES:
            return _parts(gold.parts, answer.parts, policy)
        rows = [part.parts for part in other.parts]
        if other.tag == "[]" and vector.tag == f"{len(rows)}x{len(rows[0])}" and len(set(map(len, rows))) == 1:
            flat = tuple(cell for row in rows for cell in row)
            return _parts(gold.parts, flat, policy) if vector is gold else _parts(flat, answer.parts, policy)
    return _wrong("kind", f"a {answer.kind} where the gold is a {gold.kind}")


def _parts(gold: tuple[Item, ...], answer: tuple[Item, ...], policy: Policy) -> Ruling:
    if len(gold) != len(answer):
        return _wrong("container", f"{len(answer)} parts, expected {len(gold)}")
    doubt = False
    for index, (part, other) in enumerate(zip(gold, answer, strict=True)):
        ruling = compare(part, other, policy)
        if not ruling.right and not ruling.doubt:
            return _wrong("container", f"part {index + 1}: {ruling.detail}")
        doubt |= ruling.doubt
    if doubt:
        return Ruling(False, "undecided", "a part whose equality is not proven", True)
    return Ruling(True, "container", f"the same {len(gold)} parts in order")


def _relation(gold: Item, answer: Item, policy: Policy) -> Ruling:
    if gold.reals is not None:
        if answer.reals is not None and (answer.kind != "seq" or _is_interval(answer) or answer.tag in ("()", "[]")):
            right = same_set(gold.reals, answer.reals)
            return Ruling(right, "solution_set", "the same numbers" if right else "not the same set of numbers")
        return _wrong("kind", f"a {answer.kind} where the gold is an inequality")
    label, value = assigned(gold)
    if value is not None:
        if answer.kind == "relation":
            other, stated = assigned(answer)
            if stated is None or other != label:
                return (same_relation(gold, answer) and Ruling(True, "relation", "the same equation")) or _wrong(
                    "relation", "another equation"
                )
            answer = stated
        return compare(value, answer, policy)
    if answer.kind != "relation":
        return _wrong("kind", f"a {answer.kind} where the gold is an equation or inequality")
    right = same_relation(gold, answer)
    return Ruling(right, "relation", "the same up to a factor" if right else "not the same up to a factor")


def assigned(item: Item) -> tuple[str, Item | None]:
    """The label and the value of an assignment such as ``x = 5``; no value where it is an equation."""
    from r1gym.verifiers.items import is_label

    if item.kind != "relation" or item.tag != "=":
        return "", None
    left, right = item.parts
    if is_label(left.node) and (left.node.op == "fn" or not (variables(left.node) & variables(right.node))):
        if left.node.op == "var" and variables(right.node):
            return "", None
        return str(left.node), right
    return "", None


def _quantity(gold: Item, answer: Item, policy: Policy) -> Ruling:
    """Values with their units: alike, converted, or left out on one side as the policy allows."""
    if gold.unit == answer.unit:
        return _values(gold, answer, policy)
    percent = (("percent", 1),)
    if gold.unit is None and answer.unit is not None:
        if answer.unit.dimension == percent:
            if policy.percent_asked:
                return _values(gold, answer, policy)
            return _values(gold, _scaled(answer, Fraction(1, 100)), policy)
        clash = [unit for unit in policy.question_units if unit.dimension == answer.unit.dimension]
        if clash and answer.unit not in clash:
            return _wrong("unit", "another unit than the question's")
        return _values(gold, answer, policy)
    if gold.unit is not None and answer.unit is None:
        ruling = _values(gold, answer, policy)
        if not ruling.right and gold.unit.dimension == percent:
            fraction = _values(_scaled(gold, Fraction(1, 100)), answer, policy._replace(rounded=False))
            return fraction if fraction.right else ruling
        return ruling
    if gold.unit is None or answer.unit is None:
        return _values(gold, answer, policy)
    if gold.unit.dimension == answer.unit.dimension:
        converted = _scaled(answer, answer.unit.factor / gold.unit.factor)
        return _values(gold, converted, policy)
    if _generic(gold.unit, answer.unit):
        return _values(gold, answer, policy)
    return _wrong("unit", "another unit")


def _generic(left: Unit, right: Unit) -> bool:
    """Whether one is a mere "units" (to some power) of as many dimensions as the other."""
    for one, other in ((left, right), (right, left)):
        if len(one.dimension) == len(other.dimension) == 1 and one.dimension[0][0] == GENERIC:
            return one.dimension[0][1] == other.dimension[0][1]
    return False


def _scaled(item: Item, factor: Fraction) -> Item:
    return item if item.value is None else item._replace(value=forms.mul(item.value, factor), unit=None)


def _values(gold: Item, answer: Item, policy: Policy) -> Ruling:
    left, right = gold.value, answer.value
    if left is not None and right is not None:
        if not isinstance(left, Form) and not isinstance(right, Form):
            if left == right:
                return Ruling(True, "integer" if isinstance(left, int) else "canonical", "the same number")
            return _rounding(gold, left, right, policy) or _wrong("canonical", "another number")
        if forms.equal(left, right):
            return Ruling(True, "canonical", "the same canonical form")
        rounding = _rounding(gold, left, right, policy)
        if rounding is not None:
            return rounding
        if not forms.is_opaque(left) and not forms.is_opaque(right):
            return _wrong("canonical", "another canonical form")
    refusal = answer.refusal if right is None else gold.refusal
    if refusal[0] in ("undefined", "kind", "grammar"):
        return _wrong(*refusal)
    result = probe(gold.node, answer.node)
    if result.outcome == "unequal":
        return _wrong("probed", result.detail)
    if result.outcome == "agree" and (variables(gold.node) or variables(answer.node)):
        return Ruling(True, "probed", result.detail)
    if result.outcome == "agree":
        return Ruling(False, "undecided", result.detail + ", which is no proof", True)
    if refusal[0] == "over_budget":
        return _wrong("over_budget", refusal[1])
    return Ruling(False, "undecided", result.detail, left is None)


def _rounding(gold: Item, left: Value, right: Value, policy: Policy) -> Ruling | None:
    """Half a unit of the last digit of a decimal gold, where gold or question says that it is rounded."""
    from r1gym.verifiers.numeric import approximate

    node = gold.node
    while node.op in ("neg", "approx", "quantity", "pct", "deg"):
        node = node.args[0]
    if not (gold.rounded or policy.rounded) or node.op != "num" or node.args[1] is None or isinstance(left, Form):
        return None
    half = Fraction(1, 2 * 10 ** int(node.args[1]))
    if isinstance(right, Form):
        number = approximate(right)
        inside = number is not None and abs(number - float(left)) <= float(half)
    else:
        inside = abs(Fraction(right) - left) <= half
    return Ruling(True, "tolerance", f"within {half} of the rounded gold") if inside else None
