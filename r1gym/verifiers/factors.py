"""The grammar of factors: numbers in every spelling, letters, roots, fractions, functions, groups."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction

from r1gym.verifiers.grammar import ExpressionParser, number
from r1gym.verifiers.nodes import Node
from r1gym.verifiers.reasons import Refused

__all__ = ["FactorParser"]

MAX_ITEMS = 64

_APPLIED = frozenset("fgh")


class FactorParser(ExpressionParser):
    """The expression grammar with its factors; containers come from ``answers.AnswerParser``."""

    def primary(self) -> Node:
        """One number, letter, group or command with its arguments."""
        self.deeper()
        node = self._primary()
        self.depth -= 1
        return node

    def _primary(self) -> Node:
        token = self.peek()
        kind = token.kind
        if kind == "num":
            return self._number()
        if kind == "var":
            return self._letter()
        if kind in ("(", "[", "\\{", "begin", "langle"):
            return self.container()
        if kind == "{":
            return self.braced()
        self.at += 1
        if kind == "frac":
            over = self.argument()
            return Node("div", (over, self.argument()))
        if kind in ("sqrt", "cbrt"):
            return self._root(kind)
        if kind == "fn":
            return self._function(token.value)
        if kind == "pi":
            return Node("const", ("pi",))
        if kind == "oo":
            return Node("const", ("oo",))
        if kind == "binom":
            over = self.argument()
            return Node("fn", ("binom", over, self.argument()))
        if kind == "|":
            return self._absolute()
        if kind in ("lfloor", "lceil"):
            inner = self.expression()
            self.take("rfloor" if kind == "lfloor" else "rceil")
            return Node("fn", ("floor" if kind == "lfloor" else "ceil", inner))
        if kind == "overline":
            return Node("fn", ("overline", self.argument()))
        if kind == "." and self.peek().kind == "overline":
            return self._repeating("0", "")
        if kind == "word" and (len(token.value) == 1 or self.is_product(token)):
            return _product(token.value)
        self.at -= 1
        raise Refused("grammar", f"{token.value or kind!r} cannot stand here")

    @abstractmethod
    def container(self) -> Node:
        """Whatever brackets, braces or matrix environments enclose."""

    def _number(self) -> Node:
        text = self.take("num").value
        following = self.peek()
        if following.kind == "overline" and "." in text:
            whole, _, decimals = text.partition(".")
            self.at += 1
            return self._repeating(whole or "0", decimals)
        if following.kind == "." and text.isdigit():
            if self.peek(1).kind == "overline":
                self.at += 2
                return self._repeating(text, "")
            if self.peek(1).kind == "(" and self.peek(2).kind == "num" and self.peek(3).kind == ")":
                digits = self.peek(2).value
                self.at += 4
                return _repeating_value(text, "", digits)
        node = number(text)
        if node.args[1] is None and text.isdigit():
            mixed = self._mixed(int(text))
            if mixed is not None:
                return mixed
        return node

    def _repeating(self, whole: str, decimals: str) -> Node:
        group = self.argument()
        digits = self.tokens[self.at - 2].value if self.tokens[self.at - 1].kind == "}" else str(group.args[0])
        if group.op != "num":
            raise Refused("grammar", "a bar over something that is not digits")
        return _repeating_value(whole, decimals, digits)

    def _mixed(self, whole: int) -> Node | None:
        r"""``1\frac34`` and ``1 3/4``: an integer, then a proper fraction of literals; None where it is none."""
        kind = self.peek().kind
        if kind not in ("frac", "{", "num"):
            return None
        start = self.at
        tokens = list(self.tokens)
        if kind == "frac":
            self.at += 1
            try:
                over, under = self.argument(), self.argument()
            except Refused:
                over = under = Node("text", ())
            if over.op == under.op == "num" and over.args[1] is None and under.args[1] is None:
                if 0 < over.args[0] < under.args[0]:
                    return Node("num", (whole + Fraction(over.args[0], under.args[0]), None))
                raise Refused("grammar", "an integer beside an improper fraction")
        elif kind == "{" and [self.peek(ahead).kind for ahead in range(5)] == ["{", "num", "over", "num", "}"]:
            over_text, under_text = self.peek(1).value, self.peek(3).value
            if over_text.isdigit() and under_text.isdigit() and 0 < int(over_text) < int(under_text):
                self.at += 5
                return Node("num", (whole + Fraction(int(over_text), int(under_text)), None))
        elif (
            self.peek().kind == "num" and self.peek().spaced and self.peek(1).kind == "/" and self.peek(2).kind == "num"
        ):
            over_text, under_text = self.peek().value, self.peek(2).value
            if over_text.isdigit() and under_text.isdigit() and 0 < int(over_text) < int(under_text):
                self.at += 3
                return Node("num", (whole + Fraction(int(over_text), int(under_text)), None))
        self.at = start
        self.tokens = tokens
        return None

    def _letter(self) -> Node:
        name = self.take("var").value
        if self.peek().kind == "_":
            self.at += 1
            name += "_" + self._subscript()
        primes = 0
        while self.skip("'"):
            primes += 1
        name += "'" * primes
        if name == "e":
            return Node("const", ("e",))
        if name == "i":
            return Node("const", ("i",))
        if (
            (name[0] in _APPLIED or self._defines())
            and self.peek().kind == "("
            and not self.peek().spaced
            and name not in self.letters
        ):
            argument = self.container()
            arguments = argument.args[2] if argument.op == "seq" else (argument,)
            return Node("fn", (f"{name}()", *arguments))
        return Node("var", (name,))

    def _defines(self) -> bool:
        """Whether ``(x) =`` follows: the letter before it is a function that an equation defines."""
        return [self.peek(ahead).kind for ahead in range(4)] == ["(", "var", ")", "="]

    def _subscript(self) -> str:
        if not self.skip("{"):
            token = self.peek()
            self.at += 1
            if token.kind not in ("num", "var"):
                raise Refused("grammar", "an odd subscript")
            return token.value
        parts: list[str] = []
        while not self.skip("}"):
            token = self.peek()
            self.at += 1
            if token.kind not in ("num", "var", "word", "+", "-", ",") or len(parts) > 8:
                raise Refused("grammar", "an odd subscript")
            parts.append(token.value or token.kind)
        return "".join(parts)

    def _root(self, kind: str) -> Node:
        order = Node("num", (3 if kind == "cbrt" else 2, None))
        if self.peek().kind == "[":
            self.at += 1
            order = self.expression()
            self.take("]")
        token = self.peek()
        if token.kind == "num" and len(token.value) > 1:
            raise Refused("grammar", "a root over several digits without braces")
        return Node("root", (self.argument(), order))

    def _absolute(self) -> Node:
        bar, self.bar_closes = self.bar_closes, True
        inner = self.expression()
        self.bar_closes = bar
        self.take("|")
        return Node("fn", ("abs", inner))

    def _function(self, name: str) -> Node:
        base = None
        if self.peek().kind == "_":
            self.at += 1
            base = self.argument() if self.peek().kind != "num" else number(self.take("num").value)
        power = None
        if self.peek().kind == "^":
            self.at += 1
            power = self.exponent()
        if name in ("min", "max", "gcd", "lcm"):
            return Node("fn", (name, *self._several()))
        argument = self._applied()
        if name == "exp":
            node = Node("pow", (Node("const", ("e",)), argument))
        elif name in ("log", "lg", "ln"):
            if base is None and name != "ln":
                base = Node("num", (10, None))
            node = Node("fn", ("ln", argument))
            if base is not None:
                node = Node("div", (node, Node("fn", ("ln", base))))
        else:
            if power is not None and power == Node("neg", (Node("num", (1, None)),)):
                name, power = _INVERSE.get(name, name), None
            node = Node("fn", (name, argument))
        return node if power is None else Node("pow", (node, power))

    def _applied(self) -> Node:
        """A function's argument: a group, or the product that stands up to the next sign, group or function."""
        if self.peek().kind in ("(", "["):
            return self.container()
        if self.peek().kind == "{":
            return self.braced()
        negative = self.skip("-")
        node = self.power()
        while self.starts_factor() and self.peek().kind not in ("fn", "("):
            node = Node("mul", (node, self.power()))
        return Node("neg", (node,)) if negative else node

    def _several(self) -> tuple[Node, ...]:
        group = self.container()
        if group.op == "seq":
            return tuple(group.args[2])
        return tuple(group.args[0]) if group.op == "set" else (group,)


_INVERSE = {
    "sin": "arcsin", "cos": "arccos", "tan": "arctan", "cot": "arccot", "sec": "arcsec", "csc": "arccsc",
}  # fmt: skip


def _product(word: str) -> Node:
    factors = [
        Node("const", (letter,)) if letter in "ei" else Node("var", (letter,))
        for letter in word
    ]  # fmt: skip
    return factors[0] if len(factors) == 1 else Node("mul", tuple(factors))


def _repeating_value(whole: str, decimals: str, digits: str) -> Node:
    """``whole.decimals`` followed by ``digits`` for ever."""
    if not (digits.isdigit() and (whole + decimals).isdigit()) or len(digits) > 60:
        raise Refused("grammar", "a bar over something that is not digits")
    lead = Fraction(int(whole + decimals), 10 ** len(decimals))
    tail = Fraction(int(digits), (10 ** len(digits) - 1) * 10 ** len(decimals))
    return Node("num", (lead + tail, None))
