"""The closed token table: one linear scan turns an answer's text into tokens, or refuses what it does not know."""

from __future__ import annotations

import re
from typing import NamedTuple

from r1gym.verifiers.reasons import Refused

__all__ = ["FUNCTIONS", "Token", "tokenize"]

MAX_TOKENS = 600
MAX_DIGITS = 400


class Token(NamedTuple):
    """One token. ``kind`` is a symbol itself ("+", "(", "frac", …) or "num", "var", "word", "fn", "begin", "end"."""

    kind: str
    value: str = ""
    spaced: bool = False
    """White space, or the border of a text passage, stood before it."""
    prose: bool = False
    r"""It came from a text passage such as ``\text{…}``."""


FUNCTIONS = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "cot",
        "sec",
        "csc",
        "arcsin",
        "arccos",
        "arctan",
        "arccot",
        "arcsec",
        "arccsc",
        "sinh",
        "cosh",
        "tanh",
        "coth",
        "sech",
        "csch",
        "log",
        "ln",
        "lg",
        "exp",
        "gcd",
        "lcm",
        "min",
        "max",
        "det",
    ]
)
_SYNONYMS = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "cosec": "csc", "tg": "tan", "ctg": "cot"}
_GREEK = frozenset(
    [
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "zeta",
        "eta",
        "theta",
        "kappa",
        "lambda",
        "mu",
        "nu",
        "xi",
        "rho",
        "sigma",
        "tau",
        "phi",
        "chi",
        "psi",
        "omega",
        "Gamma",
        "Delta",
        "Theta",
        "Lambda",
        "Xi",
        "Sigma",
        "Phi",
        "Psi",
        "Omega",
        "Pi",
    ]
)
_COMMANDS = {
    "frac": "frac", "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "sqrt": "sqrt", "binom": "binom",
    "dbinom": "binom", "tbinom": "binom", "choose": "choose", "times": "*", "cdot": "*", "ast": "*", "div": "/",
    "pm": "pm", "mp": "mp", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=",
    "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "approx": "approx", "simeq": "approx", "cong": "approx",
    "thickapprox": "approx", "doteq": "approx", "infty": "oo", "pi": "pi", "cup": "cup", "bigcup": "cup", "cap": "cap",
    "in": "in", "emptyset": "emptyset", "varnothing": "emptyset", "setminus": "minus", "backslash": "minus",
    "circ": "circ", "degree": "degree", "langle": "langle", "rangle": "rangle", "lfloor": "lfloor", "rfloor": "rfloor",
    "lceil": "lceil", "rceil": "rceil", "mid": "|", "vert": "|", "lvert": "|", "rvert": "|", "colon": ":",
    "ldots": "...", "dots": "...", "cdots": "...", "dotsc": "...", "overline": "overline", "dot": "overline",
    "lbrace": "\\{", "rbrace": "\\}", "lbrack": "[", "rbrack": "]", "lparen": "(", "rparen": ")", "mathbb": "mathbb",
    "land": "and", "lor": "or", "vee": "or", "wedge": "and", "angle": "angle", "triangle": "angle", "prime": "'",
    "percent": "%", "operatorname": "skip", "to": "...", "colonequals": "=", "equiv": "=", "iff": "=",
    "over": "over", "bmod": "mod", "pmod": "mod", "mod": "mod",
    "bar": "overline", "slash": "/", "dollar": "dollar", "euro": "dollar", "pounds": "dollar", "vec": "skip",
    "overrightarrow": "skip", "hat": "skip", "ell": "ell",
}  # fmt: skip
_SILENT = frozenset(
    [
        "left",
        "right",
        "bigl",
        "bigr",
        "Bigl",
        "Bigr",
        "biggl",
        "biggr",
        "Biggl",
        "Biggr",
        "big",
        "Big",
        "bigg",
        "Bigg",
        "middle",
        "displaystyle",
        "textstyle",
        "scriptstyle",
        "limits",
        "nolimits",
        "quad",
        "qquad",
        "text",
        "textbf",
        "textit",
        "textrm",
        "textsf",
        "texttt",
        "textnormal",
        "mbox",
        "hbox",
        "mathrm",
        "mathbf",
        "mathit",
        "mathsf",
        "mathcal",
        "boldsymbol",
        "bm",
        "bf",
        "rm",
        "it",
        "boxed",
        "fbox",
        "ensuremath",
        "thinspace",
        "medspace",
        "thickspace",
        "enspace",
        "space",
        "underline",
        "emph",
        "mathop",
        "displaylimits",
        "strut",
        "left.",
        "right.",
        "nobreakspace",
        "allowbreak",
        "small",
        "large",
        "normalsize",
    ]
)
_WORDS = {
    "and": "and", "or": "or", "pi": "pi", "infinity": "oo", "inf": "oo", "oo": "oo", "sqrt": "sqrt", "union": "cup",
    "U": "cup", "degrees": "degree", "degree": "degree", "deg": "degree", "percent": "%", "plus": "+", "times": "*",
    "approximately": "approx", "about": "approx", "approx": "approx", "frac": "frac", "cbrt": "cbrt", "theta": "theta",
    "mod": "mod", "modulo": "mod", "to": "to",
}  # fmt: skip

_TEXT = (
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|mbox|hbox|mathrm|mathbf|mathit|mathsf|operatorname\*?|emph)"
    r"\s*\{(?P<inner>[^{}]*)\}"
)
_TAIL = r"(?:\.\d+)?(?:[eE][+-]?\d{1,4}(?![\w.]))?"
_SEPARATORS = r"\{,\}|,\\! ?|\\[,;: ]|\{\\,\}|\\thinspace ?|'|~"


def _scanner(separators: str) -> re.Pattern[str]:
    return re.compile(
        rf"(?P<grouped>[1-9]\d{{0,2}}(?:(?:{separators})\d{{3}})+(?!\d){_TAIL})"
        rf"|(?P<comma>\d+\{{,\}}\d+)"
        rf"|(?P<num>\d+{_TAIL}|\.\d+(?:[eE][+-]?\d{{1,4}}(?![\w.]))?)"
        r"|(?P<space>(?:[ \t\r\n\f~]|\\[,;:!> ]|\\(?=\s)|\{\s*\})+)"
        rf"|(?P<text>{_TEXT})"
        r"|\\(?P<env>begin|end)\s*\{(?P<name>[A-Za-z]+)\*?\}(?:\[[clr]\]|\{[clr| ]{1,20}\})?"
        r"|\\(?P<command>[A-Za-z]+)\*?"
        r"|(?P<row>\\\\(?:\[[\d.a-z]{1,8}\])?)"
        r"|\\(?P<escaped>[{}%$#&|_])"
        r"|(?P<word>[A-Za-z]+)"
        r"|(?P<symbol>\*\*|<=|>=|!=|==|\.\.\.|[-+*/^_()\[\]{}|,;:=<>!%&'$\".])"
    )


_PLAIN = _scanner(_SEPARATORS)
_GROUPING = _scanner(_SEPARATORS + "|,|[ ]")
_SYMBOLS = {"**": "^", "==": "=", '"': "skip", "$": "skip"}
_ESCAPED = {"{": "\\{", "}": "\\}", "%": "%", "$": "dollar", "|": "|", "#": "#", "&": "and", "_": "_"}
_SEPARATOR = re.compile(_SEPARATORS + "|[, ]")


def tokenize(text: str, *, group_commas: bool = True, limit: int = MAX_TOKENS) -> list[Token]:
    """The tokens of ``text``.

    Args:
        text: ASCII and LaTeX spelling (see ``symbols.to_ascii``).
        group_commas: Whether ``1,234`` is one number; where false it is two.
        limit: More tokens than this are refused.

    Raises:
        Refused: Something outside the table, or too long.
    """
    tokens: list[Token] = []
    _scan(text, _GROUPING if group_commas else _PLAIN, tokens, False, min(limit, MAX_TOKENS))
    return tokens


def _scan(text: str, scanner: re.Pattern[str], tokens: list[Token], prose: bool, limit: int) -> None:
    at = 0
    spaced = prose
    for match in scanner.finditer(text):
        if match.start() != at:
            break
        at = match.end()
        kind = match.lastgroup
        if kind == "space":
            spaced = True
            continue
        if kind == "num":
            tokens.append(_number(match.group(), spaced))
        elif kind == "symbol":
            symbol = match.group()
            symbol = _SYMBOLS.get(symbol, symbol)
            if symbol != "skip":
                tokens.append(Token(symbol, "", spaced, prose))
        elif kind == "word":
            tokens.append(_word(match.group(), spaced, prose))
        elif kind == "command":
            _command(match.group("command"), tokens, spaced)
        elif kind == "escaped":
            tokens.append(Token(_ESCAPED[match.group("escaped")], "", spaced))
        elif kind == "grouped":
            tokens.append(_number(_SEPARATOR.sub("", match.group()), spaced))
        elif kind == "comma":
            # A decimal comma in LaTeX's own spelling: 3{,}5. Groups of three are thousands and matched above.
            tokens.append(_number(match.group().replace("{,}", "."), spaced))
        elif kind == "row":
            tokens.append(Token("row"))
        elif kind == "name":
            tokens.append(Token(match.group("env"), match.group("name")))
        else:
            _prose(match, scanner, tokens, prose, limit)
            spaced = True
            continue
        spaced = False
        if len(tokens) > limit:
            raise Refused("over_budget", f"more than {limit} tokens")
    if at != len(text):
        raise Refused("unknown_token", f"{text[at : at + 12]!r} is not in the token table")


def _prose(match: re.Match[str], scanner: re.Pattern[str], tokens: list[Token], nested: bool, limit: int) -> None:
    if nested:
        raise Refused("grammar", "a text passage inside another")
    content = match.group("inner")
    command = match.group()
    if command.startswith("\\operatorname") and content.strip() in FUNCTIONS:
        tokens.append(Token("fn", content.strip()))
        return
    _scan(content, scanner, tokens, True, limit)


def _number(text: str, spaced: bool) -> Token:
    if len(text) > MAX_DIGITS:
        raise Refused("over_budget", f"a number of more than {MAX_DIGITS} characters")
    return Token("num", text, spaced)


def _word(word: str, spaced: bool, prose: bool) -> Token:
    if len(word) == 1:
        if word in "ei":  # \mathrm{e} and \mathrm{i} are the constants, and no units
            return Token("var", word, spaced)
        return Token("word" if prose else "var", word, spaced, prose)
    lower = word.lower()
    name = _SYNONYMS.get(word, word)
    if name in FUNCTIONS and not prose:
        return Token("fn", name, spaced)
    kind = _WORDS.get(lower)
    if kind == "theta":
        return Token("var", "theta", spaced)
    if kind is not None:
        return Token(kind, word, spaced, prose)
    return Token("word", word, spaced, prose)


def _command(name: str, tokens: list[Token], spaced: bool) -> None:
    kind = _COMMANDS.get(name)
    if kind is not None:
        if kind == "ell":
            tokens.append(Token("var", "ell", spaced))
        elif kind != "skip":
            tokens.append(Token(kind, name, spaced))
    elif name in _SILENT:
        return
    elif name in FUNCTIONS:
        tokens.append(Token("fn", name, spaced))
    elif name in _GREEK:
        tokens.append(Token("var", name, spaced))
    elif name.startswith("var") and name[3:] in _GREEK:
        tokens.append(Token("var", name[3:], spaced))
    else:
        raise Refused("unknown_token", f"\\{name[:24]} is not in the token table")
