"""Values of Python expressions in test code, read from their syntax tree: nothing of it is ever run."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["UnreadableError", "evaluate", "is_plain"]

MAX_SIZE = 100_000
"""Items of the longest value, and bits of the largest number."""

_PLAIN = (bool, int, float, str, list, tuple, set, frozenset, dict)
_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
}  # fmt: skip
_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip
_CALLS: dict[str, Callable[..., Any]] = {
    "float": float, "len": len, "list": list, "range": range, "set": set, "str": str, "sum": sum, "tuple": tuple,
}  # fmt: skip


class UnreadableError(Exception):
    """Test code that cannot be read as values; the message says what in it."""


def is_plain(value: Any) -> bool:
    """Whether ``value`` is data that crosses to a submission and back: no complex number, no bytes."""
    if isinstance(value, dict):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_plain, value))
    return value is None or isinstance(value, _PLAIN)


def evaluate(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """The value of ``node``: literals, arithmetic, a few builtins, comprehensions; ``names`` are known variables.

    Raises:
        UnreadableError: It holds something else, or a value too large.
    """
    try:
        value = _Reader(names).read(node)
    except (ArithmeticError, TypeError, ValueError, RecursionError, MemoryError) as error:
        raise UnreadableError(f"{ast.unparse(node):.60} has no value ({error})") from error
    return value


class _Reader:
    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = dict(names)

    def read(self, node: ast.expr) -> Any:
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise UnreadableError(f"{ast.unparse(node):.60} is no literal")
        return _bounded(method(node))

    def _constant(self, node: ast.Constant) -> Any:
        return node.value

    def _name(self, node: ast.Name) -> Any:
        if node.id not in self.names:
            raise UnreadableError(f"the name {node.id!r} has no known value")
        return self.names[node.id]

    def _list(self, node: ast.List) -> list[Any]:
        return [self.read(item) for item in node.elts]

    def _tuple(self, node: ast.Tuple) -> tuple[Any, ...]:
        return tuple(self.read(item) for item in node.elts)

    def _set(self, node: ast.Set) -> set[Any]:
        return {self.read(item) for item in node.elts}

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        keys = [key for key in node.keys if key is not None]
        if len(keys) < len(node.values):
            raise UnreadableError("a dict is unpacked")
        return {self.read(key): self.read(value) for key, value in zip(keys, node.values, strict=True)}

    def _unaryop(self, node: ast.UnaryOp) -> Any:
        value = self.read(node.operand)
        if isinstance(node.op, ast.Not):
            return not value
        if isinstance(node.op, ast.Invert) or not isinstance(value, (int, float)):
            raise UnreadableError(f"{ast.unparse(node):.60} is no literal")
        return -value if isinstance(node.op, ast.USub) else value

    def _binop(self, node: ast.BinOp) -> Any:
        left, right = self.read(node.left), self.read(node.right)
        if type(node.op) not in _BINARY:
            raise UnreadableError(f"{ast.unparse(node):.60} is no literal")
        if isinstance(node.op, ast.Pow) and not (_small(left) and _small(right)):
            raise UnreadableError(f"{ast.unparse(node):.60} is too large")
        if isinstance(node.op, ast.Mult):
            for repeated, times in ((left, right), (right, left)):
                if isinstance(repeated, Sequence) and isinstance(times, int) and len(repeated) * times > MAX_SIZE:
                    raise UnreadableError(f"{ast.unparse(node):.60} is too large")
        return _BINARY[type(node.op)](left, right)

    def _compare(self, node: ast.Compare) -> Any:
        operands = [self.read(item) for item in (node.left, *node.comparators)]
        if any(type(op) not in _COMPARE for op in node.ops):
            raise UnreadableError(f"{ast.unparse(node):.60} is no literal")
        pairs = zip(node.ops, operands, operands[1:], strict=False)
        return all(_COMPARE[type(op)](left, right) for op, left, right in pairs)

    def _boolop(self, node: ast.BoolOp) -> Any:
        values = [self.read(item) for item in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)

    def _call(self, node: ast.Call) -> Any:
        if not isinstance(node.func, ast.Name) or node.func.id not in _CALLS or node.keywords:
            raise UnreadableError(f"{ast.unparse(node):.60} is no literal")
        arguments = [self.read(item) for item in node.args]
        if node.func.id == "range" and len(range(*arguments)) > MAX_SIZE:
            raise UnreadableError(f"{ast.unparse(node):.60} is too large")
        return _CALLS[node.func.id](*arguments)

    def _listcomp(self, node: ast.ListComp) -> list[Any]:
        return list(self._each(node))

    def _generatorexp(self, node: ast.GeneratorExp) -> list[Any]:
        return list(self._each(node))

    def _each(self, node: ast.ListComp | ast.GeneratorExp) -> Iterator[Any]:
        loop = node.generators[0]
        if len(node.generators) > 1 or not isinstance(loop.target, ast.Name):
            raise UnreadableError(f"{ast.unparse(node):.60} is no literal")
        for item in self.read(loop.iter):
            inner = _Reader({**self.names, loop.target.id: item})
            if all(inner.read(test) for test in loop.ifs):
                yield inner.read(node.elt)


def _small(number: Any) -> bool:
    return isinstance(number, (int, float)) and abs(number) <= 1024


def _bounded(value: Any) -> Any:
    if isinstance(value, int) and value.bit_length() > MAX_SIZE:
        raise UnreadableError("a number is too large")
    if isinstance(value, (str, list, tuple, set, dict)) and len(value) > MAX_SIZE:
        raise UnreadableError("a value is too large")
    return value
