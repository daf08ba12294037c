"""Mutants of a Python reference: one small change each, in the places where programs go wrong."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

__all__ = ["Mutant", "fresh_arguments", "mutants"]

MAX_MUTANTS = 60
"""Mutants of one reference; more are thinned out evenly."""

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,),
}  # fmt: skip
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult, ast.Div: ast.FloorDiv,
    ast.Mod: ast.FloorDiv, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip


class Mutant(NamedTuple):
    """A changed program and the change."""

    change: str
    source: str


def mutants(source: str, limit: int = MAX_MUTANTS) -> list[Mutant]:
    """Mutants of every function of ``source``, each another program text; [] where it does not parse.

    Comparisons and their boundaries, arithmetic, boolean operators, integers ±1, branches turned, statements dropped,
    results replaced by None and by a constant. Some may be equivalent programs: a witness has to tell.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return []
    plain = ast.unparse(tree)
    found: dict[str, str] = {}
    places = [node for function in ast.walk(tree) if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
              for node in ast.walk(function)]  # fmt: skip
    for place in dict.fromkeys(places):
        for change, undo in _changes(place):
            text = ast.unparse(ast.fix_missing_locations(tree))
            undo()
            if text != plain:
                found.setdefault(text, f"line {getattr(place, 'lineno', 0)}: {change}")
    made = [Mutant(change, text) for text, change in found.items()]
    step = max(1, -(-len(made) // limit))
    return made[::step]


def _changes(node: ast.AST) -> Iterator[tuple[str, Any]]:
    """Apply each change to ``node`` in place; yields what it is and the function that takes it back."""
    for name, value, change in _replacements(node):
        old = getattr(node, name)
        setattr(node, name, value)
        yield change, lambda name=name, old=old: setattr(node, name, old)


def _replacements(node: ast.AST) -> Iterator[tuple[str, Any, str]]:
    """(field, new value, words) of each change to ``node``."""
    match node:
        case ast.Compare(ops=[op]):
            for other in _COMPARISONS.get(type(op), ()):
                yield "ops", [other()], f"{type(op).__name__} → {other.__name__}"
        case ast.BinOp(op=op) | ast.AugAssign(op=op) if type(op) in _ARITHMETIC:
            yield "op", _ARITHMETIC[type(op)](), f"{type(op).__name__} → {_ARITHMETIC[type(op)].__name__}"
        case ast.BoolOp(op=op):
            turned = ast.Or() if isinstance(op, ast.And) else ast.And()
            yield "op", turned, f"{type(op).__name__} → {type(turned).__name__}"
        case ast.Constant(value=bool(value)):
            yield "value", not value, f"{value} → {not value}"
        case ast.Constant(value=int(value)):
            yield "value", value + 1, f"{value} → {value + 1}"
            yield "value", value - 1, f"{value} → {value - 1}"
        case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
            if not isinstance(node, ast.While):
                yield "test", ast.UnaryOp(ast.Not(), copy.deepcopy(test)), "condition turned"
                yield "test", ast.Constant(False), "condition never true"
        case ast.Return(value=value) if value is not None:
            constants: tuple[Any, ...] = (None, 0, True, "", [])
            for constant in constants:
                shown = ast.Constant(constant) if not isinstance(constant, list) else ast.List([], ast.Load())
                yield "value", shown, f"returns {constant!r}"
    body = getattr(node, "body", None)
    if isinstance(body, list) and len(body) > 1:
        for place, statement in enumerate(body):
            if not isinstance(statement, (ast.FunctionDef, ast.Import, ast.ImportFrom)) and not _is_docstring(
                statement
            ):
                yield "body", body[:place] + body[place + 1 :], f"statement of line {statement.lineno} dropped"


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def fresh_arguments(known: Sequence[Sequence[Any]], count: int, seed: int) -> list[tuple[Any, ...]]:
    """New arguments in the domain of those ``known``: same types and shapes, values that were seen or are near them.

    What a test never sent (a negative number, an empty list, where none was seen) is not sent here either: a reference
    owes nothing outside its domain.
    """
    draw = random.Random(seed)
    pool = _Pool(known)
    made: dict[str, tuple[Any, ...]] = {}
    for _ in range(count * 4):
        arguments = tuple(pool.near(value, draw) for value in draw.choice(list(known)))
        if not any(list(arguments) == list(old) for old in known):
            made.setdefault(repr(arguments), arguments)
        if len(made) == count:
            break
    return list(made.values())


class _Pool:
    """Ranges of what was seen."""

    def __init__(self, known: Sequence[Sequence[Any]]) -> None:
        self.numbers: list[float] = []
        self.lengths: list[int] = []
        self.characters = ""
        for arguments in known:
            self._see(list(arguments), top=True)

    def _see(self, value: Any, top: bool = False) -> None:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            self.numbers.append(value)
        elif isinstance(value, str):
            self.characters += value
            self.lengths.append(len(value))
        elif isinstance(value, (list, tuple)):
            if not top:
                self.lengths.append(len(value))
            for item in value:
                self._see(item)

    def near(self, value: Any, draw: random.Random) -> Any:
        """A value like ``value``, inside the ranges."""
        if isinstance(value, bool):
            return draw.random() < 0.5
        if isinstance(value, int):
            low, high = int(min(self.numbers)), int(max(self.numbers))
            return (
                min(high, max(low, value + draw.choice((-2, -1, 0, 1, 2))))
                if draw.random() < 0.7
                else draw.randint(low, high)
            )
        if isinstance(value, float):
            return min(max(self.numbers), max(min(self.numbers), value + draw.choice((-1.0, -0.5, 0.0, 0.25, 1.0))))
        if isinstance(value, str):
            return self._text(value, draw)
        if isinstance(value, (list, tuple)):
            items = [self.near(item, draw) for item in value]
            if len(items) > 1 and len(items) > min(self.lengths) and draw.random() < 0.3:
                items.pop(draw.randrange(len(items)))
            if items and len(items) < max(self.lengths) and draw.random() < 0.3:
                items.insert(draw.randrange(len(items) + 1), copy.deepcopy(draw.choice(items)))
            return type(value)(items)
        return copy.deepcopy(value)

    def _text(self, value: str, draw: random.Random) -> str:
        letters = list(value)
        if letters and draw.random() < 0.7:
            letters[draw.randrange(len(letters))] = draw.choice(self.characters)
        if len(letters) > min(self.lengths) and draw.random() < 0.3:
            letters.pop(draw.randrange(len(letters)))
        if letters and len(letters) < max(self.lengths) and draw.random() < 0.3:
            letters.insert(draw.randrange(len(letters) + 1), draw.choice(letters))
        return "".join(letters)
