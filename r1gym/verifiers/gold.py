"""The gold answer read once: its type decides how an ambiguous answer is read."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from r1gym.errors import ReferenceRefusedError, unknown_name
from r1gym.verifiers import text as prose
from r1gym.verifiers.answers import parse_answer
from r1gym.verifiers.compare import assigned
from r1gym.verifiers.forms import start_work
from r1gym.verifiers.items import Item, compile_answer
from r1gym.verifiers.nodes import Node, variables, walk
from r1gym.verifiers.reasons import Refused
from r1gym.verifiers.symbols import to_ascii
from r1gym.verifiers.units import UNIT_LETTERS, unit_named

__all__ = ["TYPES", "Gold", "clean", "read_answer", "read_gold"]

TYPES = (
    "auto", "base", "choice", "equation", "expression", "inequality", "integer", "interval", "list", "matrix", "number",
    "ratio", "rounded", "set", "symbolic", "text", "tuple",
)  # fmt: skip
"""What ``type=`` may pin; "auto" reads it off the gold."""

_KINDS = {
    "value": ("expression", "integer", "number", "rounded"), "seq": ("interval", "tuple"), "list": ("list",),
    "set": ("set", "interval"), "matrix": ("matrix",), "relation": ("equation", "inequality", "interval"),
    "reals": ("interval", "inequality", "set"), "text": ("text",), "ratio": ("ratio",), "time": ("ratio",),
    "base": ("base",), "residue": ("number",), "ellipsis": ("text",),
}  # fmt: skip


class Gold(NamedTuple):
    """A gold answer as every comparison needs it."""

    source: str
    kind: str
    """"item" (``item`` is set), "choice", "text" or "symbolic"."""
    item: Item | None = None
    words: str = ""
    letters: tuple[str, ...] = ()
    variables: frozenset[str] = frozenset()
    unit_letters: frozenset[str] = frozenset()
    container: bool = False
    parted: bool = False
    """Whether no single value can be right, because the gold has parts or relates two sides."""
    names: frozenset[str] | None = None
    """All letters of a gold that is one value, whatever their length; None where it is no such gold."""


_EDGE = " \t\r\n$"
_TRAILING = re.compile(r"(?:\\[,;:!]|\\(?:quad|qquad)|~|\s)+\Z")
_OUTER = re.compile(r"\\(?:boxed|fbox|displaystyle|ensuremath)(?![A-Za-z])\s*")
_DELIMITED = re.compile(r"\\\((.*)\\\)|\\\[(.*)\\\]|\*\*(.*)\*\*|`(.*)`|\\boxed\{(.*)\}|\\fbox\{(.*)\}", re.DOTALL)


def clean(answer: str) -> str:
    """``answer`` in ASCII and LaTeX spelling, without what only surrounds it: dollars, boxes, emphasis, a full stop."""
    answer = answer.strip()
    if not answer.isascii():
        answer = to_ascii(answer)
    for _ in range(8):
        before = answer
        answer = _TRAILING.sub("", answer.strip(_EDGE))
        if answer.endswith(".") and not answer.endswith(".."):
            answer = answer[:-1]
        if answer[:1] in _STATING:
            answer = _stated(answer)
        if answer[:1] in "\\*`":
            match = _DELIMITED.fullmatch(answer)
            if match is not None:
                answer = next(group for group in match.groups() if group is not None)
            answer = _OUTER.sub("", answer, count=1) if answer.startswith("\\displaystyle") else answer
        if answer[-1:] == "}" and answer[:1] in "{\\":
            answer = _undressed(answer)
        if answer == before:
            break
    return answer


_DRESS = re.compile(
    r"(?:\\(?:mathbf|boldsymbol|bm|pmb)\s*|\\(?:text)?color\s*\{(?:blue|red|green|black|purple|orange|magenta|teal|cyan"
    r"|violet|brown)\}\s*)?\{"
)


def _undressed(answer: str) -> str:
    r"""``answer`` without braces, bold type or a colour that can be seen around all of it."""
    dress = _DRESS.match(answer)
    if dress is None or "\\choose" in answer or "\\over" in answer:  # whose braces are their own
        return answer
    depth = 1
    for brace in _BRACES.finditer(answer, dress.end()):
        depth += {"{": 1, "}": -1}.get(brace.group(), 0)
        if depth == 0:
            return answer[dress.end() : -1] if brace.end() == len(answer) else answer
    return answer


_BRACES = re.compile(r"\\.|[{}]", re.DOTALL)
_STATING = frozenset("\\AaTtFf")
_LEAD = re.compile(
    r"(\\text(?:bf|it|rm)?\s*\{\s*)?(?:the\s+)?(?:final\s+)?answer(?:\s+is\b|\s*:|(?=\s*\}))\s*:?(\s*\}\s*:?)?\s*",
    re.IGNORECASE,
)


def _stated(answer: str) -> str:
    r"""``answer`` without the words "the answer is" in front, inside a text passage or before it."""
    lead = _LEAD.match(answer)
    if lead is None or (lead.group(2) and not lead.group(1)):
        return answer
    if lead.group(1) and not lead.group(2):
        return answer[lead.end() : -1] if answer.endswith("}") and "{" not in answer[lead.end() :] else answer
    return answer[lead.end() :]


_NUMERAL = re.compile(
    r"(-?)\(?(?:\\(?:text|mathrm|textrm)\s*\{)?\(?([0-9A-Fa-f]{1,200})\)?\}?\)?\s*_\s*"
    r"(?:\{\s*(?:\\(?:text|mathrm|textrm)\s*\{)?\s*([a-z]+|\d{1,2})\s*\}{1,2}|(\d{1,2}))"
)


def _parse(answer: str, gold: Gold, group_commas: bool) -> Node:
    if "_" in answer:
        numeral = _NUMERAL.fullmatch(answer)
        if numeral is not None and (numeral.group(2)[0].isdigit() or len(numeral.group(2)) > 1):
            sign, digits, named, plain = numeral.groups()
            return Node("base", (sign + digits, named or plain))
    # No honest answer is many times as long as its gold; refusing floods by their length keeps them cheap.
    limit = 100 + 4 * len(gold.source)
    return parse_answer(
        _MEMBER.sub(r" \\in ", answer),
        group_commas=group_commas,
        letters=gold.variables,
        unit_letters=gold.unit_letters,
        limit=limit,
    )


_IS_IN = r"(?:belongs to|lies in|is in|is an element of)(?: the (?:set|interval))?"
_MEMBER = re.compile(rf"(?:\\text\s?\{{\s*{_IS_IN}\s*\}}|\b{_IS_IN})\s*(?:\$\s*)?(?=\\left[(\[\\]|\\\{{|[(\[])")
"""Membership in words, before the bracket of a set."""


def _read(answer: str, gold: Gold, group_commas: bool) -> Item:
    node = _parse(answer, gold, group_commas)
    problem = _misfit(node, gold)
    if problem:
        raise Refused("kind", problem)
    item = compile_answer(node)
    if node.op == "in" and gold.item is not None and gold.item.kind == "seq" and gold.item.reals is not None:
        return compile_answer(node.args[1])  # x in (1,2) states the pair, which a gold (1,2) may mean as an interval
    return item


_EXPRESSIONS = frozenset(["num", "var", "const", "add", "mul", "neg", "div", "pow", "root", "fn", "pct", "deg"])


def _misfit(node: Node, gold: Gold) -> str:
    """Why an expression cannot be the gold, whatever its value: known before any of it is computed; else ""."""
    while node.op in ("quantity", "approx"):
        node = node.args[0]
    if node.op not in _EXPRESSIONS:
        return ""
    if gold.parted:
        return "" if any(inner.op in ("pm", "mp") for inner in walk(node)) else "a value where the gold is none"
    if node.op != "num" and gold.names is not None and not variables(node) <= gold.names:
        return "a letter that the gold does not have"
    return ""


def read_answer(answer: str, gold: Gold) -> list[Item]:
    """The readings of a cleaned answer that its gold allows, likeliest first.

    A comma before three digits separates where the gold has parts, and groups where it has none.

    Raises:
        Refused: There is no reading.
    """
    first = not gold.container
    if "," in answer and gold.item is not None and isinstance(gold.item.value, Fraction) and not gold.container:
        answer = _DECIMAL_COMMA.sub(r"\1.\2", answer)
    try:
        readings = [_read(answer, gold, first)]
    except Refused:
        if not gold.container or not _GROUPED.search(answer):
            raise
        return [_read(answer, gold, not first)]
    if gold.container and _GROUPED.search(answer):
        try:
            readings.append(_read(answer, gold, not first))
        except Refused:
            return readings
    return readings


_DECIMAL_COMMA = re.compile(r"\A(\\?\$?\s*-?\s*\d+),(\d{1,2}|\d{4,})(?![\d,])(?!.*,)", re.DOTALL)
"""A decimal comma: only where the gold is no integer, and never before three digits, which may be thousands."""

_GROUPED = re.compile(r"\d,\d{3}")


_PLAIN = re.compile(r"-?(?:0|[1-9]\d{0,17})")


def read_gold(reference: object, kind: str = "auto") -> Gold:
    """Read a gold answer.

    Raises:
        ReferenceRefusedError: It is no text, empty, or neither in the language nor words.
        UnknownNameError: No such type.
    """
    if kind not in TYPES:
        raise unknown_name("type", kind, TYPES)
    if isinstance(reference, (int, float)) and not isinstance(reference, bool):
        reference = str(reference)
    if not isinstance(reference, str):
        raise ReferenceRefusedError(
            f"expected a gold answer as text, got {type(reference).__name__}: {reference!r:.60}"
        )
    if len(reference) > 2_000:
        raise ReferenceRefusedError(f"expected a gold answer of at most 2000 characters, got {len(reference)}")
    if kind in ("auto", "integer") and _PLAIN.fullmatch(reference):
        value = int(reference)
        node = Node("num", (abs(value), None))
        item = Item("value", Node("neg", (node,)) if value < 0 else node, value=value)
        return Gold(reference, "item", item, names=frozenset())
    source = clean(reference)
    if not source:
        raise ReferenceRefusedError(f"expected a gold answer, got only {reference!r}")
    if kind == "symbolic":
        return Gold(source, "symbolic")
    letters = prose.choices(source)
    if (
        letters
        and kind in ("auto", "choice")
        and (len(letters) > 1 or kind == "choice" or "{" in source or len(source) <= 3)
    ):
        return Gold(source, "choice", letters=letters, words=prose.words(source))
    if kind == "choice":
        raise ReferenceRefusedError(f"expected the letter of a choice, got {reference!r}")
    if kind == "text" or (kind == "auto" and (_is_text(source) or prose.is_clock(source))):
        return Gold(source, "text", words=prose.words(source))
    return _read_item(source, reference, kind)


_SHORT_WORDS = frozenset(
    ["no", "yes", "odd", "even", "true", "false", "up", "down", "none", "not", "left", "right", "zero", "one", "two"]
)


def _is_text(source: str) -> bool:
    """Whether the gold is words: a text passage with words in it, or bare words that are no product of letters."""
    if not prose.is_prose(source):
        return False
    words = prose.words(source)
    if source.startswith("\\"):
        return not words.replace(" ", "").isdigit() and words not in ("pi", "infinity")
    if words in _SHORT_WORDS:
        return True
    return len(words) >= 4 and words not in ("infinity", "sqrt") and not any(letter.isdigit() for letter in words)


def _read_item(source: str, reference: str, kind: str) -> Gold:
    start_work()
    bracketed = source[0] in "([" or source.startswith(("\\left", "\\{"))
    try:
        node = _parse(source, Gold(source, kind), not bracketed)
        item = compile_answer(node)
    except Refused as refusal:
        if kind == "auto" and not _has_mathematics(source):
            return Gold(source, "text", words=prose.words(source))
        if kind == "auto" and refusal.rule in ("unknown_token", "grammar", "undecided"):
            return Gold(source, "symbolic")
        raise ReferenceRefusedError(f"the gold {reference!r} is refused by {refusal.rule}: {refusal.detail}") from None
    problem = _unusable(item)
    if problem is not None:
        raise ReferenceRefusedError(f"the gold {reference!r} is refused by {problem[0]}: {problem[1]}")
    if kind not in ("auto", *_KINDS[item.kind]):
        raise ReferenceRefusedError(f"expected a gold of type {kind!r}, got {reference!r}, which is a {item.kind}")
    if kind == "integer" and not isinstance(item.value, int):
        raise ReferenceRefusedError(f"expected an integer gold, got {reference!r}")
    if kind == "interval" and item.kind == "seq" and item.reals is not None:
        item = item._replace(kind="reals")
    if kind == "tuple":
        item = item._replace(reals=None)
    if kind == "rounded":
        item = item._replace(rounded=True)
    names = frozenset(name for name in variables(node) if len(name) == 1)
    unit_letters: frozenset[str] = frozenset()
    if item.unit is not None:
        dimensions = {base for base, _ in item.unit.dimension}
        unit_letters = frozenset(
            letter for letter in UNIT_LETTERS if {base for base, _ in unit_named(letter).dimension} & dimensions
        )
    container = item.kind in ("seq", "list", "set", "matrix", "reals")
    every = variables(node) if item.kind == "value" else None
    return Gold(source, "item", item, "", (), names, unit_letters, container, _is_parted(item), every)


def _is_parted(item: Item) -> bool:
    if item.kind == "relation":
        return item.reals is not None or assigned(item)[1] is None
    return item.kind not in ("value", "ratio", "time")


def _has_mathematics(source: str) -> bool:
    plain = prose.words(source)
    return "\\" in plain or not re.search(r"[a-z]{2}", plain) or bool(re.search(r"[=<>^_+*/]", plain))


def _unusable(item: Item) -> tuple[str, str] | None:
    """The refusal of a gold that has no value at all: nothing could ever equal it."""
    if item.kind == "value" and item.value is None and item.refusal[0] in ("undefined", "kind", "grammar"):
        return item.refusal
    return next((found for part in item.parts if (found := _unusable(part)) is not None), None)
