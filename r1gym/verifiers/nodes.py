"""The immutable syntax tree of an answer: what every later step reads, none changes."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Node", "free_of_digits", "variables", "walk"]


class Node(NamedTuple):
    """One node; which ``args`` an ``op`` has is listed here.

    num (int | Fraction, decimals or None) · var (name,) · const ("pi" | "e" | "i" | "oo",) · text (words,)
    add, mul (nodes…) · neg (a,) · div, pow (a, b) · root (a, order) · fn (name, nodes…) · pm, mp (a, b)
    deg, pct (a,) · quantity (a, Unit, source) · base (digits, base) · ratio (nodes…) · approx (a,)
    seq (opening, closing, items) · list (items, separator) · set (items) · union (nodes…) · matrix (rows)
    rel (operators, members) · in (a, set) · builder (a, condition) · reals () · minus (set, set) · ellipsis ()
    residue (a, modulus)
    """

    op: str
    args: tuple[Any, ...]


def walk(node: Node) -> list[Node]:
    """``node`` and every node below it, parents first (iterative: depth is bounded by the grammar, not by Python)."""
    found = []
    stack: list[Any] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, Node):
            found.append(item)
            stack.extend(reversed(item.args))
        elif type(item) is tuple:
            stack.extend(reversed(item))
    return found


def variables(node: Node) -> frozenset[str]:
    """Names of the variables in ``node``."""
    return frozenset(item.args[0] for item in walk(node) if item.op == "var")


def free_of_digits(node: Node) -> bool:
    """Whether no number stands in ``node``."""
    return all(item.op != "num" for item in walk(node))
