"""Python asserts as cases: which function is called with what, and what it must give; read, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from r1gym.tasks.literals import UnreadableError, evaluate, is_plain
from r1gym.types import CallCase

__all__ = ["Cases", "read_asserts", "read_check"]

MAX_CASES = 10_000
_SEQUENCES = ("tuple", "list")


@dataclass(frozen=True, slots=True)
class Cases:
    """The calls of a test, and how their values are compared (a checker's name for ``CodeReference``)."""

    cases: tuple[CallCase, ...]
    checker: str


@dataclass(slots=True)
class _Test:
    callee: str
    """What the test calls the function; "" while no call has been seen."""
    names: dict[str, Any] = field(default_factory=dict)
    cases: list[CallCase] = field(default_factory=list)
    checkers: set[str] = field(default_factory=set)


def read_asserts(lines: list[str]) -> Cases:
    """Asserts that call one function by its own name, as in MBPP.

    Raises:
        UnreadableError: One of them compares something else than one call's value with a known value.
    """
    test = _Test("")
    for line in lines:
        for statement in _parse(line):
            if not isinstance(statement, ast.Assert):
                raise UnreadableError(f"{ast.unparse(statement):.60} is no assert")
            _statement(test, statement)
    return _finished(test, test.callee)


def read_check(source: str, function: str) -> Cases:
    """The asserts of ``def check(candidate)`` in ``source``, as in HumanEval; ``function`` is the candidate's name.

    Raises:
        UnreadableError: The check does something else than compare calls with known values.
    """
    checks = [node for node in _parse(source) if isinstance(node, ast.FunctionDef) and node.name == "check"]
    if len(checks) != 1 or len(checks[0].args.args) != 1:
        raise UnreadableError("there is no function check(candidate)")
    test = _Test(checks[0].args.args[0].arg)
    for statement in checks[0].body:
        if not _is_tautology(statement, test.callee, function):
            _statement(test, statement)
    return _finished(test, function)


def _parse(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(f"the test is no Python ({error})") from error


def _finished(test: _Test, function: str) -> Cases:
    if not test.cases:
        raise UnreadableError("no assert calls the function")
    close = test.checkers - {"equal"}
    if len(close) == 1 and all(isinstance(case.expected, float) for case in test.cases):
        test.checkers = close  # floats, some of them compared within a tolerance: all are
    if len(test.checkers) > 1:
        raise UnreadableError(f"its asserts compare in several ways ({', '.join(sorted(test.checkers))})")
    return Cases(tuple(replace(case, function=function) for case in test.cases), test.checkers.pop())


def _is_tautology(statement: ast.stmt, callee: str, function: str) -> bool:
    """``assert g(candidate(x)) == g(function(x))``: the submission compared with itself."""
    if not isinstance(statement, ast.Assert) or not isinstance(statement.test, ast.Compare):
        return False
    sides = [statement.test.left, *statement.test.comparators]
    texts = {ast.unparse(side).replace(f"{callee}(", f"{function}(") for side in sides}
    return len(texts) == 1 and isinstance(statement.test.ops[0], ast.Eq)


def _statement(test: _Test, statement: ast.stmt) -> None:
    if isinstance(statement, ast.Assert):
        if not (isinstance(statement.test, ast.Constant) and statement.test.value):  # assert True, "…"
            _assert(test, statement.test)
    elif isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        test.names[statement.targets[0].id] = evaluate(statement.value, test.names)
    elif isinstance(statement, ast.For) and isinstance(statement.target, ast.Name) and not statement.orelse:
        for item in evaluate(statement.iter, test.names):
            test.names[statement.target.id] = item
            for inner in statement.body:
                _statement(test, inner)
    elif not isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass)) and not _is_idle(statement):
        raise UnreadableError(f"{ast.unparse(statement).splitlines()[0]:.60} is no assert")


def _is_idle(statement: ast.stmt) -> bool:
    """A docstring or a print."""
    value = statement.value if isinstance(statement, ast.Expr) else None
    named = value.func if isinstance(value, ast.Call) else value
    return isinstance(value, ast.Constant) or (isinstance(named, ast.Name) and named.id == "print")


def _assert(test: _Test, node: ast.expr) -> None:
    for reading in (_truth(test, node), _equality(test, node), _closeness(test, node)):
        if reading is not None:
            checker, arguments, expected = reading
            if not (is_plain(arguments) and is_plain(expected)):
                raise UnreadableError(f"{ast.unparse(node):.60} holds values that are no plain data")
            test.cases.append(CallCase("", arguments, expected))
            test.checkers.add(checker)
            if len(test.cases) > MAX_CASES:
                raise UnreadableError(f"more than {MAX_CASES} cases")
            return
    raise UnreadableError(f"{ast.unparse(node):.60} does not compare a call with a known value")


_Reading = tuple[str, tuple[Any, ...], Any] | None


def _arguments(test: _Test, node: ast.expr) -> tuple[Any, ...] | None:
    """The arguments where ``node`` is a call of the function."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.keywords:
        return None
    name = node.func.id
    if test.callee == "" and name not in (*_SEQUENCES, "abs", "set", "sorted", "len", "int", "float", "str", "round"):
        test.callee = name
    if name != test.callee or any(isinstance(item, ast.Starred) for item in node.args):
        return None
    return tuple(evaluate(item, test.names) for item in node.args)


def _truth(test: _Test, node: ast.expr) -> _Reading:
    """``f(x)`` and ``not f(x)``, read as ``== True`` and ``== False``."""
    negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    arguments = _arguments(test, node.operand if isinstance(node, ast.UnaryOp) and negated else node)
    return None if arguments is None else ("equal", arguments, not negated)


def _equality(test: _Test, node: ast.expr) -> _Reading:
    """``f(x) == value`` either way round, ``f(x) is None``, ``tuple(f(x)) == tuple(value)``."""
    if not isinstance(node, ast.Compare) or len(node.ops) != 1:
        return None
    singleton = isinstance(node.ops[0], ast.Is)
    if not singleton and not isinstance(node.ops[0], ast.Eq):
        return None
    for left, right in ((node.left, node.comparators[0]), (node.comparators[0], node.left)):
        arguments = _arguments(test, left)
        if arguments is not None:
            expected = evaluate(right, test.names)
            return None if singleton and expected not in (True, False, None) else ("equal", arguments, expected)
        if isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and left.func.id in _SEQUENCES and left.args:
            arguments = _arguments(test, left.args[0])
            if arguments is not None:
                return "exact", arguments, evaluate(right, test.names)
    return None


def _closeness(test: _Test, node: ast.expr) -> _Reading:
    """``abs(f(x) - value) < eps`` and ``math.isclose(f(x), value, rel_tol=eps)``."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], (ast.Lt, ast.LtE)):
        left = node.left
        named = isinstance(left, ast.Call) and ast.unparse(left.func) in ("abs", "math.fabs") and len(left.args) == 1
        inner = left.args[0] if isinstance(left, ast.Call) and named else None
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
            eps = evaluate(node.comparators[0], test.names)
            for call, value in ((inner.left, inner.right), (inner.right, inner.left)):
                arguments = _arguments(test, call)
                if arguments is not None:
                    return f"float-abs:{_tolerance(eps)}", arguments, evaluate(value, test.names)
    if isinstance(node, ast.Call) and ast.unparse(node.func) in ("math.isclose", "isclose") and len(node.args) == 2:
        eps = dict(_keywords(test, node)).get("rel_tol", 1e-9)
        arguments = _arguments(test, node.args[0])
        if arguments is not None:
            return f"float:{_tolerance(eps)}", arguments, evaluate(node.args[1], test.names)
    return None


def _keywords(test: _Test, node: ast.Call) -> Iterator[tuple[str, Any]]:
    for word in node.keywords:
        yield str(word.arg), evaluate(word.value, test.names)


def _tolerance(eps: Any) -> str:
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 < eps < 1:
        raise UnreadableError(f"{eps!r:.20} is no tolerance between 0 and 1")
    return repr(float(eps))
