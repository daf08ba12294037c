"""Equations and inequalities: labels taken off values, chains checked, relations compared up to a factor."""

from __future__ import annotations

from r1gym.verifiers import forms
from r1gym.verifiers.forms import Form, Terms, Value
from r1gym.verifiers.items import Item, is_label
from r1gym.verifiers.nodes import Node, free_of_digits, variables
from r1gym.verifiers.numeric import approximate
from r1gym.verifiers.reasons import Refused

__all__ = ["same_relation", "unlabelled"]


def unlabelled(gold: Item, answer: Item) -> tuple[Item, str]:
    """``answer`` with what equations say of it taken off, and what is wrong with them ("" for nothing).

    ``x = 7`` states 7; ``x = 1/2 = 0.5`` states 0.5 because every number agrees; ``3 = 7`` states nothing.
    """
    if answer.reals is not None:
        return answer, ""
    if answer.kind == "relation":
        return _stated(answer)
    if any(part.kind == "relation" for part in gold.parts):
        return answer, ""
    if answer.kind == "list" and any(part.kind == "relation" for part in answer.parts):
        return _labelled_list(gold, answer)
    return answer, ""


def _labelled_list(gold: Item, answer: Item) -> tuple[Item, str]:
    labels: list[Node] = []
    parts = []
    for part in answer.parts:
        if part.kind == "relation" and part.reals is None:
            stated, problem = _stated(part)
            if problem:
                return answer, problem
            labels.append(part.parts[0].node)
            parts.append(stated)
        else:
            parts.append(part)
    stripped = answer._replace(parts=tuple(parts))
    if len(set(labels)) == 1:
        return stripped, ""
    if len(labels) < len(parts) or any(label.op != "var" for label in labels):
        return answer, "values of different things"
    names = [str(label.args[0]) for label in labels]
    if gold.kind == "seq" and names == sorted(set(names)):
        # x = 1, y = 2 names the coordinates in their usual order.
        return stripped._replace(kind="seq", tag="()"), ""
    if gold.kind in ("list", "set") and len({name.partition("_")[0] for name in names}) == 1 and "_" in names[0]:
        # x_1 = 2, x_2 = -3 numbers the solutions of one equation.
        return stripped, ""
    return answer, "values of different things"


def _stated(answer: Item) -> tuple[Item, str]:
    operators = answer.tag.split()
    members = list(answer.parts)
    if "approx" in operators:
        if any(
            not _near(members[operators.index("approx")], other) for other in members[operators.index("approx") + 1 :]
        ):
            return answer, "an approximation that is not near"
        members = members[: operators.index("approx") + 1]
        operators = operators[: len(members) - 1]
    if any(operator != "=" for operator in operators):
        return answer, "an inequality where the gold is a value"
    if len(members) == 1:
        return members[0], ""
    if len(members) == 2 and is_label(members[1].node) and not is_label(members[0].node):
        members.reverse()
    last = members[-1]
    named = is_label(members[0].node)
    if named and members[0].node.op != "fn" and variables(members[0].node) & variables(last.node):
        return answer, "an equation, not a value"
    for index, member in enumerate(members[:-1]):
        if index == 0 and named:
            continue
        problem = _disagrees(member, last, named)
        if problem:
            return answer, problem
    return last, ""


def _near(exact: Item, rough: Item) -> bool:
    """Whether ``rough`` is ``exact`` rounded or cut to its digits; true where neither has a real value."""
    if exact.kind != "value" or rough.kind != "value":
        return False
    if exact.value is None or rough.value is None:
        return True
    one, other = approximate(exact.value), approximate(rough.value)
    if one is None or other is None:  # both without a real value, as √2 + i ≈ 1.41 + i: not told apart
        return one is None and other is None
    percent = False
    if exact.unit is not None and rough.unit is not None and exact.unit.dimension == rough.unit.dimension:
        other *= float(rough.unit.factor / exact.unit.factor)
    elif rough.unit is not None and rough.unit.dimension == (("percent", 1),):
        other /= 100
        percent = True
    node = rough.node
    while node.op in ("neg", "quantity", "pct", "deg"):
        node = node.args[0]
    decimals = node.args[1] if node.op == "num" else None
    slack = (
        10.0 ** -int(decimals) * (0.01 if percent else 1)
        if decimals is not None
        else 0.5
        if node.op == "num"
        else 0.01 * abs(one)
    )
    cut = abs(other) <= abs(one)
    return abs(one - other) <= (slack if cut or decimals is None else slack / 2) * 1.000001


def _disagrees(member: Item, last: Item, named: bool) -> str:
    if member.kind != "value" or last.kind != "value":
        return "sides that are not values"
    if member.value is not None and last.value is not None and forms.equal(member.value, last.value):
        return ""
    if not variables(member.node):
        return "sides that are not equal"
    if last.value == 0 or variables(last.node):
        return "an equation, not a value"
    if named or free_of_digits(member.node):
        return ""
    return "an equation, not a value"


def same_relation(gold: Item, answer: Item) -> bool:
    """Whether two equations or inequalities of two sides are the same up to a factor (a positive one for order)."""
    if len(gold.parts) != 2 or len(answer.parts) != 2:
        return gold.node == answer.node
    sign, other = gold.tag, answer.tag
    try:
        left, right = _difference(gold), _difference(answer)
        if sign in ("=", "!="):
            return sign == other and _proportional(left, right) is not None
        if sign[0] != other[0]:
            right, other = forms.neg(right), other.translate(_TURN)
        factor = _proportional(left, right)
        return sign == other and factor is not None and factor > 0
    except Refused:
        return False


_TURN = str.maketrans("<>", "><")


def _difference(item: Item) -> Value:
    left, right = item.parts
    if left.value is None or right.value is None:
        raise Refused("undecided", "a side that has no canonical form")
    return forms.add(left.value, forms.neg(right.value))


def _proportional(left: Value, right: Value) -> float | None:
    """The sign of a constant c with left = c · right, after denominators are dropped; None where there is none."""
    a, b = forms.form_of(left).terms, forms.form_of(right).terms
    if not a or not b:
        return None
    lead = max(_letters(mono) for mono in a)
    if lead != max(_letters(mono) for mono in b) or not lead:
        return None
    over, under = _coefficient(a, lead), _coefficient(b, lead)
    if not forms.equal(forms.mul(Form(a), under), forms.mul(Form(b), over)):
        return None
    first, second = approximate(over), approximate(under)
    if first is None or second is None or second == 0:
        return None
    return 1.0 if (first > 0) == (second > 0) else -1.0


def _letters(mono: forms.Mono) -> forms.Mono:
    return tuple(
        pair for pair in mono if (pair[0][0] not in "#@" and pair[0] not in ("i", "e", "pi")) or pair[0][0] == "@"
    )


def _coefficient(terms: Terms, letters: forms.Mono) -> Value:
    total: Value = 0
    for mono, factor in terms.items():
        if _letters(mono) == letters:
            rest = tuple(pair for pair in mono if pair not in letters)
            total = forms.add(total, forms.mul(Form({rest: factor}), 1))
    return total
