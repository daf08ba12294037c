"""From a syntax tree to its canonical value: every construct of the grammar, each with its bound."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from r1gym.verifiers import forms
from r1gym.verifiers.forms import Form, Value
from r1gym.verifiers.functions import FUNCTIONS
from r1gym.verifiers.integers import factor
from r1gym.verifiers.nodes import Node
from r1gym.verifiers.radicals import root
from r1gym.verifiers.reasons import Refused

__all__ = ["evaluate"]

_ATOMS = {
    "pi": Form({(("pi", 1),): 1}),
    "e": Form({(("e", 1),): 1}),
    "i": Form({(("i", 1),): 1}),
    "oo": Form({(("oo", 1),): 1}),
}


def evaluate(node: Node) -> Value:
    """The canonical value of an expression.

    Raises:
        Refused: It is no expression, has no value, or would take too much work.
    """
    rule = _RULES.get(node.op)
    if rule is None:
        raise Refused("kind", f"{node.op} is not a value")
    return rule(node)


def _num(node: Node) -> Value:
    value: Value = node.args[0]
    return value


def _var(node: Node) -> Value:
    return Form({((node.args[0], 1),): 1})


def _const(node: Node) -> Value:
    return _ATOMS[node.args[0]]


def _add(node: Node) -> Value:
    total = evaluate(node.args[0])
    for part in node.args[1:]:
        total = forms.add(total, evaluate(part))
    return total


def _mul(node: Node) -> Value:
    total = evaluate(node.args[0])
    for part in node.args[1:]:
        total = forms.mul(total, evaluate(part))
    return total


def _neg(node: Node) -> Value:
    return forms.neg(evaluate(node.args[0]))


def _div(node: Node) -> Value:
    over, under = evaluate(node.args[0]), evaluate(node.args[1])
    if isinstance(over, int) and isinstance(under, int) and under != 0:
        return Fraction(over, under)
    return forms.mul(over, forms.inverse(under))


def _pow(node: Node) -> Value:
    base, exponent = evaluate(node.args[0]), evaluate(node.args[1])
    if isinstance(exponent, Form):
        return _symbolic_power(base, exponent)
    if exponent == int(exponent):
        return forms.power(base, int(exponent))
    return root(base, Fraction(exponent))


def _symbolic_power(base: Value, exponent: Form) -> Value:
    """A power whose exponent holds letters: base^(a+b) = base^a · base^b where that is an identity."""
    if exponent.under is not None:
        raise Refused("undecided", "an exponent that is a quotient of sums")
    if not isinstance(base, Form):
        if base == 1:
            return 1
        if base <= 0:
            return _opaque_power(base, exponent)
        total: Value = 1
        for number, sign in ((Fraction(base).numerator, 1), (Fraction(base).denominator, -1)):
            for prime, count in factor(number).items():
                scaled = forms.mul(exponent, sign * count)
                total = forms.mul(total, _exponential(str(prime), prime, forms.form_of(scaled)))
        return total
    if base.under is None and len(base.terms) == 1:
        ((mono, scale),) = base.terms.items()
        if scale == 1 and len(mono) == 1 and mono[0][1] == 1 and mono[0][0][0] not in "#@i":
            return _exponential(mono[0][0], base, exponent)
    return _opaque_power(base, exponent)


def _exponential(name: str, base: Value, exponent: Form) -> Value:
    total: Value = 1
    for mono, scale in exponent.terms.items():
        if not mono:
            part = forms.power(base, int(scale)) if scale == int(scale) else root(base, Fraction(scale))
        else:
            part = Form({((f"@{name}^({forms.key(Form({mono: 1}))})", scale),): 1})
        total = forms.mul(total, part)
    return total


def _opaque_power(base: Value, exponent: Form) -> Value:
    return Form({((f"@({forms.key(base)})^({forms.key(exponent)})", 1),): 1})


def _root(node: Node) -> Value:
    order = evaluate(node.args[1])
    if not isinstance(order, int) or not 2 <= order <= 64:
        raise Refused("undecided", "a root of an odd order")
    return root(evaluate(node.args[0]), Fraction(1, order))


def _pct(node: Node) -> Value:
    return forms.mul(evaluate(node.args[0]), Fraction(1, 100))


def _deg(node: Node) -> Value:
    return forms.mul(forms.mul(evaluate(node.args[0]), Fraction(1, 180)), _ATOMS["pi"])


def _fn(node: Node) -> Value:
    name = node.args[0]
    values = [evaluate(part) for part in node.args[1:]]
    rule = FUNCTIONS.get(name)
    if rule is not None:
        return rule(values)
    if name.endswith("()") or name == "overline" or name in _OPAQUE:
        return Form({((f"@{name}({','.join(map(forms.key, values))})", 1),): 1})
    raise Refused("grammar", f"{name} is not computed")


_OPAQUE = frozenset(
    ["arcsin", "arccos", "arctan", "arccot", "arcsec", "arccsc", "sinh", "cosh", "tanh", "coth", "sech", "csch"]
)

_RULES: dict[str, Callable[[Node], Value]] = {
    "num": _num, "var": _var, "const": _const, "add": _add, "mul": _mul, "neg": _neg, "div": _div, "pow": _pow,
    "root": _root, "pct": _pct, "deg": _deg, "fn": _fn,
}  # fmt: skip
