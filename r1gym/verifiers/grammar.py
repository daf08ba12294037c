"""The grammar of expressions: recursive descent over tokens, every recursion counted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction

from r1gym.verifiers import units
from r1gym.verifiers.nodes import Node
from r1gym.verifiers.reasons import Refused
from r1gym.verifiers.tokens import Token

__all__ = ["END", "ExpressionParser", "number"]

MAX_DEPTH = 40
MAX_EXPONENT = 4_000

END = Token("end of answer")
"""What stands behind the last token."""

_STARTS = frozenset(
    ["var", "pi", "oo", "(", "[", "{", "frac", "sqrt", "cbrt", "binom", "fn", "lfloor", "lceil", "overline", "|", "\\{"]
)
_ADDITIVE = frozenset(["+", "-", "pm", "mp"])
_POSTFIX = frozenset(["^", "!", "%", "degree", "circ", "_"])
_ONE = Node("num", (1, None))
_ZERO = Node("num", (0, None))


def number(text: str) -> Node:
    """The number that a numeric literal writes; decimals are the digits after its point."""
    if text.isdigit():
        return Node("num", (int(text), None))
    mantissa, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > MAX_EXPONENT:
        raise Refused("over_budget", f"an exponent beyond {MAX_EXPONENT}")
    _, point, decimals = mantissa.partition(".")
    value = Fraction(text)
    return Node("num", (value, len(decimals) if point and not exponent else None))


class ExpressionParser(ABC):
    """Reads one expression after the other from a list of tokens.

    Args:
        tokens: What ``tokens.tokenize`` returned.
        letters: Variables of the gold: a run of these letters is a product, not a word.
        unit_letters: Letters that are units here because the gold has such a unit.
    """

    def __init__(self, tokens: Sequence[Token], letters: frozenset[str], unit_letters: frozenset[str]) -> None:
        self.tokens = list(tokens)
        self.at = 0
        self.depth = 0
        self.bar_closes = False
        self.letters = letters
        self.unit_letters = unit_letters

    def peek(self, ahead: int = 0) -> Token:
        """The token ``ahead`` of the current one."""
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else END

    def take(self, kind: str) -> Token:
        """The current token, which must be of ``kind``."""
        token = self.peek()
        if token.kind != kind:
            raise Refused("grammar", f"expected {kind!r}, found {token.kind!r}")
        self.at += 1
        return token

    def skip(self, kind: str) -> bool:
        """Whether the current token was of ``kind``; if so it is taken."""
        if self.peek().kind == kind:
            self.at += 1
            return True
        return False

    def deeper(self) -> None:
        """Count one more level of nesting."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Refused("over_budget", f"nested deeper than {MAX_DEPTH}")

    def expression(self) -> Node:
        """Sums, differences and ± of terms."""
        self.deeper()
        parts: list[Node] = []
        sign = self.peek().kind
        if sign in ("pm", "mp"):
            self.at += 1
            parts.append(Node(sign, (_ZERO, self.term())))
        else:
            parts.append(self.term())
        while (kind := self.peek().kind) in _ADDITIVE:
            self.at += 1
            right = self.term()
            if kind == "+":
                parts.append(right)
            elif kind == "-":
                parts.append(Node("neg", (right,)))
            else:
                left = parts[0] if len(parts) == 1 else Node("add", tuple(parts))
                parts = [Node(kind, (left, right))]
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Node("add", tuple(parts))

    def term(self) -> Node:
        """Products, written or implied, and quotients, from the left."""
        left = self.signed()
        while True:
            kind = self.peek().kind
            if kind == "*":
                self.at += 1
                left = Node("mul", (left, self.signed()))
            elif kind == "/":
                self.at += 1
                left = Node("div", (left, self.signed()))
            elif self.starts_factor():
                left = Node("mul", (left, self.power()))
            elif kind == "num" and left.op not in ("text", "quantity"):
                raise Refused("grammar", "two numbers side by side")
            else:
                return left

    def starts_factor(self) -> bool:
        """Whether the current token goes on with a product that has no sign of its own."""
        token = self.peek()
        if token.kind == "word":
            return self.is_product(token)
        if token.kind == "var" and token.value in self.unit_letters and token.value not in self.letters:
            return False
        if token.kind == "fn" and token.value in ("min", "max"):
            return self.peek(1).kind in ("(", "\\{")
        if (
            token.value == "U"
            and self.peek(1).kind in ("(", "[", "\\{")
            and self.tokens[self.at - 1].kind in (")", "]", "\\}")
        ):
            return False
        if token.kind == "|":
            return not self.bar_closes
        if token.kind == "[" or token.kind == "\\{" or (token.kind == "(" and self.peek(1).kind == "mod"):
            return False
        return token.kind in _STARTS

    def is_product(self, word: Token) -> bool:
        """Whether a run of letters is a product of variables."""
        if word.value[0] in "U" and len(word.value) == 1:
            return False
        if self.letters.issuperset(word.value):
            return True
        if word.prose or units.known(word.value) or len(word.value) < 2 or word.value.lower() in ("per", "sq", "cu"):
            return False
        return len(word.value) <= 3 or all(a < b for a, b in zip(word.value, word.value[1:], strict=False))

    def signed(self) -> Node:
        """A factor with its signs."""
        negative = False
        while (kind := self.peek().kind) in ("+", "-"):
            self.at += 1
            negative ^= kind == "-"
        node = self.power()
        return Node("neg", (node,)) if negative else node

    def power(self) -> Node:
        """A factor with what is written after it: powers, factorials, degrees, percent."""
        node = self.primary()
        while (kind := self.peek().kind) in _POSTFIX:
            if kind == "^":
                if self.peek(1).kind in ("circ", "degree"):
                    self.at += 2
                    node = Node("deg", (node,))
                elif self.peek(1).kind == "{" and self.peek(2).kind in ("circ", "degree"):
                    self.at += 3
                    self.take("}")
                    node = Node("deg", (node,))
                else:
                    self.at += 1
                    if node.op == "pow" and self.tokens[self.at - 2].kind != ")":
                        raise Refused("grammar", "two exponents side by side")
                    node = Node("pow", (node, self.exponent()))
            elif kind == "_":
                node = self.numeral(node)
            else:
                self.at += 1
                if kind == "!":
                    if self.peek().kind == "!":
                        raise Refused("grammar", "a double factorial")
                    node = Node("fn", ("factorial", node))
                else:
                    node = Node("pct" if kind == "%" else "deg", (node,))
        return node

    def exponent(self) -> Node:
        """What follows ``^``: a braced expression, or one signed number, letter or group."""
        if self.peek().kind == "{":
            return self.braced()
        negative = self.skip("-")
        node = self.primary()
        return Node("neg", (node,)) if negative else node

    def numeral(self, node: Node) -> Node:
        """A number with its base as subscript."""
        if node.op != "num" or node.args[1] is not None:
            raise Refused("grammar", "a subscript that is not a base")
        digits = self.tokens[self.at - 1].value
        if not digits.isdigit():
            raise Refused("grammar", "a base under something that is not a numeral")
        self.take("_")
        if self.peek().kind == "{":
            self.at += 1
            base = self.peek().value
            self.at += 1
            self.take("}")
        else:
            base = self.take("num").value
        return Node("base", (digits, base.lower()))

    def braced(self) -> Node:
        r"""A braced group, with TeX's own ``\choose`` inside."""
        self.take("{")
        bar, self.bar_closes = self.bar_closes, False
        node = self.expression()
        if self.skip("choose"):
            node = Node("fn", ("binom", node, self.expression()))
        elif self.skip("over"):
            node = Node("div", (node, self.expression()))
        self.bar_closes = bar
        self.take("}")
        return node

    def argument(self) -> Node:
        """A TeX argument: a group, or one digit, letter or command."""
        token = self.peek()
        if token.kind == "{":
            return self.braced()
        if token.kind == "num":
            if not token.value.isdigit():
                raise Refused("grammar", "a decimal without braces as an argument")
            if len(token.value) == 1:
                self.at += 1
            else:
                self.tokens[self.at] = Token("num", token.value[1:])
            return Node("num", (int(token.value[0]), None))
        negative = self.skip("-")
        node = self.primary()
        return Node("neg", (node,)) if negative else node

    @abstractmethod
    def primary(self) -> Node:
        """One number, letter, group or command with its arguments (see ``factors.FactorParser``)."""
