"""An answer made ready to compare: its kind, its parts, and the canonical value of each."""

from __future__ import annotations

from typing import NamedTuple

from r1gym.verifiers.evaluate import evaluate
from r1gym.verifiers.forms import Value
from r1gym.verifiers.intervals import RealSet, real_set
from r1gym.verifiers.nodes import Node, free_of_digits, walk
from r1gym.verifiers.reasons import Refused
from r1gym.verifiers.units import NOT_UNITS, Unit

__all__ = ["Item", "compile_answer", "is_label"]

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "sixteen": 16,
}  # fmt: skip


class Item(NamedTuple):
    """One part of an answer.

    ``kind`` is "value", "seq", "list", "set", "matrix", "relation", "reals", "text", "ratio", "time", "base",
    "residue" or "ellipsis".
    """

    kind: str
    node: Node
    parts: tuple[Item, ...] = ()
    value: Value | None = None
    """The canonical value; None where it was refused."""
    refusal: tuple[str, str] = ("", "")
    unit: Unit | None = None
    tag: str = ""
    """Brackets of a seq, separator of a list, words of a text, base of a numeral, operators of a relation, modulus, the
    letter said to be in a set."""
    rounded: bool = False
    reals: RealSet | None = None
    """The set of reals that a union, an interval or an inequality describes."""


def compile_answer(node: Node) -> Item:
    """``node`` with every value computed; what cannot be computed keeps its refusal."""
    op = node.op
    if op in ("seq", "union", "in", "builder", "reals", "minus", "rel"):
        return _sets(node)
    if op == "list":
        return _list(node)
    if op == "set":
        return Item("set", node, _spread(node.args[0]))
    if op == "matrix":
        cells = tuple(compile_answer(cell) for row in node.args[0] for cell in row)
        return Item("matrix", node, cells, tag=f"{len(node.args[0])}x{len(node.args[0][0])}")
    if op == "quantity":
        inner = compile_answer(node.args[0])
        if inner.kind != "value" and node.args[1].dimension == (("percent", 1),):
            raise Refused("kind", f"a percentage of a {inner.kind}")
        return inner._replace(unit=node.args[1]) if inner.kind == "value" else inner
    if op == "approx":
        return compile_answer(node.args[0])._replace(rounded=True)
    if op == "text":
        return Item("text", node, tag=" ".join(node.args))
    if op in ("ratio", "time"):
        return Item(op, node, tuple(map(compile_answer, node.args)))
    if op == "base":
        return _numeral(node)
    if op == "residue":
        return _residue(node)
    if op == "ellipsis":
        return Item("ellipsis", node)
    if any(inner.op in ("pm", "mp") for inner in walk(node)):
        return Item("list", node, _spread((node,)), tag="pm")
    return _value(node)


def _value(node: Node) -> Item:
    try:
        return Item("value", node, value=evaluate(node))
    except Refused as refusal:
        return Item("value", node, refusal=(refusal.rule, refusal.detail))


def _sets(node: Node) -> Item:
    if node.op == "in" and not is_label(node.args[0]):
        raise Refused("undecided", "a set that holds an expression, not a name")  # 2x in [0, 2] is x in [0, 1]
    if node.op == "in" and node.args[1].op == "set":
        name = str(node.args[0].args[0]) if node.args[0].op == "var" else ""
        return compile_answer(node.args[1])._replace(tag=name)
    reals = real_set(node)
    if node.op == "seq":
        return Item("seq", node, tuple(map(compile_answer, node.args[2])), tag=node.args[0] + node.args[1], reals=reals)
    if node.op == "rel":
        operators, members = node.args
        return Item("relation", node, tuple(map(compile_answer, members)), tag=" ".join(operators), reals=reals)
    if reals is not None:
        return Item("reals", node, reals=reals)
    if node.op == "in":
        item = compile_answer(node.args[1])
        if item.kind == "value":
            raise Refused("kind", "a value is no set")
        return item
    raise Refused("undecided", "a set that is not made of intervals and points")


def _list(node: Node) -> Item:
    items, separator = node.args
    reals = real_set(node)
    return Item("list", node, _spread(items), tag=separator, reals=reals)


def _spread(nodes: tuple[Node, ...]) -> tuple[Item, ...]:
    """The items of ``nodes``, each ± written as two."""
    found: list[Item] = []
    for node in nodes:
        signs = [inner for inner in walk(node) if inner.op in ("pm", "mp")]
        if signs and node.op not in ("seq", "set", "list"):
            if len(signs) > 1:
                raise Refused("undecided", "several ± in one value")
            found += [compile_answer(_choose_sign(node, True)), compile_answer(_choose_sign(node, False))]
        else:
            found.append(compile_answer(node))
    return tuple(found)


def _choose_sign(node: Node, upper: bool) -> Node:
    if node.op in ("pm", "mp"):
        left, right = node.args
        plus = upper == (node.op == "pm")
        return Node("add", (left, right if plus else Node("neg", (right,))))
    return Node(node.op, tuple(_sign_in(part, upper) for part in node.args))


def _sign_in(part: object, upper: bool) -> object:
    if isinstance(part, Node):
        return _choose_sign(part, upper)
    if type(part) is tuple:
        return tuple(_sign_in(inner, upper) for inner in part)
    return part


def _residue(node: Node) -> Item:
    value, modulus = evaluate(node.args[0]), evaluate(node.args[1])
    if not isinstance(value, int) or not isinstance(modulus, int) or not 1 < modulus < 10**12:
        raise Refused("kind", "a residue is an integer, and so is its modulus")
    least = Item("value", node.args[0], value=value)
    return Item("residue", node, (least,), value=value % modulus, tag=str(modulus))


def _numeral(node: Node) -> Item:
    digits, base_text = node.args
    sign = -1 if digits[:1] == "-" else 1
    digits = digits.lstrip("-")
    base = _BASES.get(base_text) or (int(base_text) if base_text.isdigit() and len(base_text) < 3 else 0)
    if not 2 <= base <= 36 or any(digit not in _DIGITS[:base] for digit in digits.lower()):
        raise Refused("undefined", f"{digits} is no numeral in base {base_text}")
    return Item("base", node, value=sign * int(digits, base), tag=str(base))


def is_label(node: Node) -> bool:
    r"""Whether ``node`` names what an equation gives the value of: x, f(x), AB, \angle A, (x, y), some words."""
    if node.op == "var":
        return True
    if node.op == "text":
        return NOT_UNITS.isdisjoint(word.lower() for word in node.args)
    if node.op == "fn":
        return free_of_digits(node) or str(node.args[0]).endswith("()")
    if node.op == "mul":
        return all(part.op == "var" or (part.op == "const" and part.args[0] in "ei") for part in node.args)
    if node.op in ("seq", "list"):
        return all(is_label(part) for part in node.args[2 if node.op == "seq" else 0])
    return False
