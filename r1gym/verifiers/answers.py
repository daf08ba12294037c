"""The grammar of whole answers: quantities, containers, relations, lists, words."""

from __future__ import annotations

from fractions import Fraction

from r1gym.verifiers import units
from r1gym.verifiers.factors import MAX_ITEMS, FactorParser
from r1gym.verifiers.grammar import END, number
from r1gym.verifiers.nodes import Node
from r1gym.verifiers.reasons import Refused
from r1gym.verifiers.tokens import MAX_TOKENS, tokenize
from r1gym.verifiers.units import Unit

__all__ = ["parse_answer"]

_RELATIONS = frozenset(["=", "<", ">", "<=", ">=", "!=", "approx"])
_SEPARATORS = frozenset([",", ";", "and", "or"])
_CLOSERS = {"(": (")", "]", "["), "[": ("]", ")", "["), "]": ("[", "]"), "langle": ("rangle",)}
# ]a,b[ is (a,b): an outward bracket stands for a round one.
_MATRICES = frozenset(["matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array"])
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
_AFTER = {"squared": 2, "cubed": 3}
_PERCENT = Unit(Fraction(1), (("percent", 1),))
_DEGREE = Unit(Fraction(1), (("degree", 1),))
_DOLLAR = units.unit_named("dollar")


def parse_answer(
    text: str,
    *,
    group_commas: bool = True,
    letters: frozenset[str] = frozenset(),
    unit_letters: frozenset[str] = frozenset(),
    limit: int = MAX_TOKENS,
) -> Node:
    """The syntax tree of an answer in ASCII and LaTeX spelling.

    Raises:
        Refused: The answer is not in the language, or larger than its bounds.
    """
    parser = AnswerParser(tokenize(text, group_commas=group_commas, limit=limit), letters, unit_letters)
    node = parser.statements()
    if parser.at != len(parser.tokens):
        left = parser.peek()
        raise Refused("grammar", f"{left.value or left.kind!r} is left over")
    return node


class AnswerParser(FactorParser):
    """The expression grammar with everything that can stand around expressions."""

    in_set = False

    def statements(self, *, inside: bool = False) -> Node:
        """One statement, or a list of them."""
        self.deeper()
        items = [self.statement()]
        separator = ","
        while self.peek().kind in _SEPARATORS:
            kind = self.peek().kind
            self.at += 1
            if kind in (",", ";") and self.peek().kind in ("and", "or"):
                kind = self.peek().kind
                self.at += 1
            if kind in ("and", "or") or separator == ",":
                separator = kind
            items.append(self.statement())
            if len(items) > MAX_ITEMS:
                raise Refused("over_budget", f"more than {MAX_ITEMS} elements")
        self.depth -= 1
        return items[0] if len(items) == 1 else Node("list", (tuple(items), separator))

    def statement(self) -> Node:
        """Items with equality, order, approximation or membership between them."""
        if self.skip("approx"):
            return Node("approx", (self.united(),))
        members = [self.united()]
        operators = []
        while (kind := self.peek().kind) in _RELATIONS or kind == "in":
            self.at += 1
            if kind == "in":
                return Node("in", (members[-1], self.united()))
            operators.append(kind)
            members.append(self.united())
            if len(members) > 16:
                raise Refused("over_budget", "a chain of more than 16 sides")
        if self.peek().kind == "mod" or (self.peek().kind == "(" and self.peek(1).kind == "mod"):
            return self._residue(operators, members)
        return Node("rel", (tuple(operators), tuple(members))) if operators else members[0]

    def _residue(self, operators: list[str], members: list[Node]) -> Node:
        r"""A residue class: ``3 \pmod 7``, ``x \equiv 3 \pmod 7``, ``3 (mod 7)``."""
        enclosed = self.skip("(")
        self.take("mod")
        modulus = self.argument() if self.peek().kind == "{" else number(self.take("num").value)
        if enclosed:
            self.take(")")
        if operators not in ([], ["="]) or (operators and members[0].op != "var"):
            raise Refused("grammar", "a modulus beside something that is no single residue")
        return Node("residue", (members[-1], modulus))

    def united(self) -> Node:
        """Ratios, unions and set differences of items."""
        node = self.item()
        if self.peek().kind in (":", "to") and not self.in_set:
            return self._ratio(node)
        while True:
            token = self.peek()
            if token.kind == "cup" or (
                token.kind == "var" and token.value == "U" and node.op in ("seq", "set", "union")
            ):
                self.at += 1
                parts = node.args if node.op == "union" else (node,)
                node = Node("union", (*parts, self.item()))
                if len(node.args) > MAX_ITEMS:
                    raise Refused("over_budget", f"more than {MAX_ITEMS} elements")
            elif token.kind == "minus" or (token.kind == "-" and node.op == "reals"):
                self.at += 1
                node = Node("minus", (node, self.item()))
            else:
                return node

    def _ratio(self, first: Node) -> Node:
        start = self.at
        parts = [first]
        colon = self.peek().kind
        while self.skip(colon):
            parts.append(self.item())
        raw = [token.value for token in self.tokens[start - 1 : self.at : 2]]
        if (
            colon == ":"
            and len(parts) <= 3
            and all(len(text) == 2 and text.isdigit() for text in raw[1:])
            and len(raw[0]) <= 2
        ):
            return Node("time", tuple(parts))
        return Node("ratio", tuple(parts))

    def item(self) -> Node:
        """An expression with its unit, or words, or a set."""
        token = self.peek()
        if token.kind == "emptyset":
            self.at += 1
            return Node("set", ((),))
        if token.kind == "mathbb":
            self.at += 1
            name = self.argument()
            return Node("reals", ()) if name == Node("var", ("R",)) else Node("text", ("bb", str(name.args[0])))
        if token.kind == "...":
            self.at += 1
            return Node("ellipsis", ())
        if token.kind == "]":
            return self.container()
        if token.kind in ("dollar", "-") and "dollar" in (token.kind, self.peek(1).kind):
            return self._money()
        if token.kind == "word" and token.value == "US" and self.peek(1).kind == "dollar":
            self.at += 1
            return self._money()
        if token.value in units.CURRENCIES and self.peek(1).kind == "num":
            self.at += 1
            return Node("quantity", (self.expression(), units.unit_named(token.value)))
        if token.kind == "angle":
            self.at += 1
            return Node("text", ("angle", *self._words()))
        if token.kind == "word" and not self.is_product(token):
            words = self._words()
            if len(words) == 1 and len(words[0]) == 1:
                self.at -= 1
            else:
                return Node("text", words)
        value = self.expression()
        if self.skip("over"):
            value = Node("div", (value, self.expression()))
        return self._quantity(value)

    def _words(self) -> tuple[str, ...]:
        words = []
        while self.peek().kind in ("word", "var", "to"):
            words.append(self.peek().value)
            self.at += 1
        return tuple(words)

    def _money(self) -> Node:
        negative = self.skip("-")
        self.take("dollar")
        value = self.expression()
        if self.peek().kind == "word" and self.peek().value.lower() in ("dollar", "dollars", "usd"):
            self.at += 1
        return Node("quantity", (Node("neg", (value,)) if negative else value, _DOLLAR))

    def _quantity(self, value: Node) -> Node:
        """``value`` with the unit after it, and further parts as in "3 hours and 20 minutes"."""
        unit = None
        bare, postfix = _split_postfix(value)
        if postfix is not None:
            unit = postfix
            if postfix is _DEGREE and self.peek().value in ("C", "F", "K", "Celsius", "Fahrenheit", "celsius"):
                unit = units.unit_named(f"degree {self.peek().value[0]}")
                self.at += 1
        elif self._starts_unit():
            scale = self._scale()
            value = value if scale == 1 else Node("mul", (value, Node("num", (scale, None))))
            if not self._starts_unit():
                return value
            unit, bare = self._unit(), value
        elif self.skip("dollar"):
            unit, bare = _DOLLAR, value
        if unit is None:
            return value
        node = Node("quantity", (bare, unit))
        while len(unit.dimension) == 1:
            start = self.at
            self.skip("and")
            if self.peek().kind == "num":
                part = self.expression()
                if self._starts_unit():
                    smaller = self._unit()
                    if smaller.dimension == unit.dimension and smaller.factor < unit.factor:
                        ratio = Node("num", (unit.factor / smaller.factor, None))
                        node = Node("quantity", (Node("add", (Node("mul", (node.args[0], ratio)), part)), smaller))
                        unit = smaller
                        continue
            self.at = start
            return node
        return node

    def _starts_unit(self) -> bool:
        token = self.peek()
        if token.kind == "word":
            return token.value != "U"
        if token.kind == "fn":
            return token.value == "min"
        return token.kind == "var" and token.value in self.unit_letters

    def _scale(self) -> int:
        """The product of "hundred", "million", … before the unit."""
        scale = 1
        while self.peek().kind == "word" and self.peek().value.lower().removesuffix("s") in units.SCALES:
            scale *= units.SCALES[self.peek().value.lower().removesuffix("s")]
            self.at += 1
            if scale > 10**18:
                raise Refused("grammar", "a number word too often")
        return scale

    def _unit(self) -> Unit:
        parts: list[tuple[Unit, int]] = []
        sign = 1
        scale = 1
        for _ in range(12):
            token = self.peek()
            lower = token.value.lower()
            if token.kind == "word" and lower in _POWERS:
                scale = _POWERS[lower]
                self.at += 1
                self._full_stop(lower)
            elif token.kind == "word" and lower in _AFTER and parts:
                unit, power = parts.pop()
                parts.append((unit, power * _AFTER[lower]))
                self.at += 1
            elif (token.kind == "/" or lower == "per") and parts:
                sign = -1
                self.at += 1
            elif (token.kind == "*" and parts and self.peek(1).kind in ("word", "var")) or (
                token.kind == "word" and lower in ("of", "the", "a", "an") and parts
            ):
                self.at += 1
            elif self._starts_unit():
                odd = not units.known(token.value) and (len(lower) == 1 or len(parts) >= 3)
                if odd or lower in units.NOT_UNITS:
                    raise Refused("grammar", f"{token.value!r} is no unit")
                self.at += 1
                self._full_stop(lower)
                parts.append((units.unit_named(token.value), sign * scale * self._unit_power()))
                sign, scale = 1, 1
            else:
                break
        if not parts:
            raise Refused("grammar", "a unit without a name")
        return units.combine(parts)

    def _full_stop(self, word: str) -> None:
        """Take the full stop of an abbreviation: sq. ft."""
        if word in units.ABBREVIATED:
            self.skip(".")

    def _unit_power(self) -> int:
        if self.peek().kind != "^":
            return 1
        self.at += 1
        node = self.exponent()
        value = node.args[0].args[0] if node.op == "neg" and node.args[0].op == "num" else node.args[0]
        if not isinstance(value, int):
            raise Refused("grammar", "a unit to an odd power")
        return -value if node.op == "neg" else value

    def container(self) -> Node:
        """Whatever brackets, braces or matrix environments enclose."""
        opening = self.peek().kind
        if opening == "begin":
            return self._matrix()
        start = self.at
        self.at += 1
        bar, self.bar_closes = self.bar_closes, opening == "\\{"
        outer, self.in_set = self.in_set, opening == "\\{"
        if opening == "\\{":
            node = self._set()
        else:
            inner = self.statements(inside=True)
            closing = self.peek().kind
            if closing not in _CLOSERS[opening]:
                raise Refused("grammar", f"{opening!r} is closed by {closing!r}")
            self.at += 1
            if inner.op == "quantity" and inner.args[1] in (_PERCENT, _DEGREE):
                inner = Node("pct" if inner.args[1] is _PERCENT else "deg", inner.args[:1])
            if opening == "]" or closing == "[":
                opening = "(" if opening == "]" else opening
                closing = ")" if closing == "[" else closing
                if inner.op != "list":
                    raise Refused("grammar", "outward brackets around a single value")
            if inner.op == "list":
                node = Node("seq", (opening, closing, inner.args[0]))
            elif opening == "[" and inner.op not in ("matrix", "seq") and self._alone(start):
                node = Node("seq", ("[", "]", (inner,)))  # [24] is a list of one, where [x+1]^2 only groups
            elif (opening, closing) in (("(", ")"), ("[", "]")) and inner.op not in ("rel", "in"):
                node = Node("seq", ("[", "]", (inner,))) if opening == "[" and inner.op == "seq" else inner
            else:
                node = Node("seq", (opening, closing, (inner,)))
        self.bar_closes, self.in_set = bar, outer
        return node

    def _alone(self, start: int) -> bool:
        """Whether what began at ``start`` and ends here is a whole statement but for its label and unit."""
        before = self.tokens[start - 1].kind if start else "="
        return before in _SEPARATORS | {"="} and self.peek().kind in _SEPARATORS | {END.kind, "word", "%"}

    def _set(self) -> Node:
        if self.skip("\\}"):
            return Node("set", ((),))
        first = self.statement()
        if self.peek().kind in ("|", ":"):
            self.at += 1
            condition = self.statements(inside=True)
            self.take("\\}")
            return Node("builder", (first, condition))
        items = [first]
        while self.peek().kind in _SEPARATORS:
            self.at += 1
            self.skip("and")
            items.append(self.statement())
            if len(items) > MAX_ITEMS:
                raise Refused("over_budget", f"more than {MAX_ITEMS} elements")
        self.take("\\}")
        return Node("set", (tuple(items),))

    def _matrix(self) -> Node:
        name = self.take("begin").value
        if name in ("cases", "aligned", "gathered"):
            return self._lines(name)
        if name not in _MATRICES:
            raise Refused("grammar", f"the environment {name} is not an answer")
        rows: list[tuple[Node, ...]] = []
        row: list[Node] = []
        while self.peek().kind != "end":
            row.append(self.expression())
            if self.skip("&"):
                continue
            rows.append(tuple(row))
            row = []
            if not self.skip("row"):
                break
        self.take("end")
        if not rows or len(rows) > 8 or len({len(cells) for cells in rows}) != 1 or len(rows[0]) > 8:
            raise Refused("grammar", "a matrix needs 1 to 8 rows of equal length, at most 8")
        return Node("matrix", (tuple(rows),))

    def _lines(self, name: str) -> Node:
        """Statements one below the other: a list."""
        items = [self.statement()]
        while self.skip("row") or self.skip(","):
            if self.peek().kind in ("end", "row"):
                continue
            items.append(self.statement())
            if len(items) > MAX_ITEMS:
                raise Refused("over_budget", f"more than {MAX_ITEMS} elements")
        if self.take("end").value != name:
            raise Refused("grammar", f"{name} is not closed")
        return items[0] if len(items) == 1 else Node("list", (tuple(items), ","))


def _split_postfix(node: Node) -> tuple[Node, Unit | None]:
    """``node`` without a percent or degree sign at its end, and that sign's unit."""
    if node.op in ("pct", "deg"):
        return node.args[0], _PERCENT if node.op == "pct" else _DEGREE
    if node.op in ("neg", "mul"):
        last, unit = _split_postfix(node.args[-1])
        if unit is not None:
            return Node(node.op, (*node.args[:-1], last)), unit
    return node, None
