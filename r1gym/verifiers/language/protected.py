"""What is no prose (formulas, code, quotations, names): taken out, and looked at again where it reads like prose."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from r1gym.verifiers.language.scripts import UNSPACED, WORD, word_weight

__all__ = ["FILLER", "MIN_PROSE", "NAME_FILLER", "Piece", "Protected", "disguised", "protect"]

FILLER = "\x00"
"""Stands for each protected character, so that places stay what they are."""
NAME_FILLER = "\x01"
"""The same for names of things: they are no evidence, but part of the sentence that they stand in."""

MIN_PROSE = 8
"""Words from which a protected piece can be prose in disguise."""
MAX_SIGNS = 0.25
"""Code and formula signs a word, up to which it is."""
MAX_QUOTED = 12
"""Words of a quotation that is left alone."""
POOLED_SHARE = 0.15
"""Short protected pieces that together say more than this part of the open prose are prose in disguise too."""

# Every alternative is linear: it stops at the next sign that could open it again, or is bounded.
_PATTERN = re.compile(
    r"""
      (?P<fence>```(?:(?!```)[\s\S])*(?:```|\Z)|~~~(?:(?!~~~)[\s\S])*(?:~~~|\Z))
    | (?P<code>``[^`\n]{1,400}``|`[^`\n]{1,400}`)
    | (?P<formula>\$\$[^$]{1,4000}\$\$|(?<!\\)\$(?![\s$])[^$\n]{1,500}(?<![\s\\])\$(?!\d)
        |(?<!\\)\\\[(?:[^\\]|\\(?![\[\]]))*\\\]|(?<!\\)\\\((?:[^\\]|\\(?![()]))*\\\))
    | (?P<command>\\[A-Za-z]+\*?(?:\s?\[[^\[\]\n]{0,80}\])?(?:\s?\{(?:[^{}]|\{[^{}]*\}){0,400}\})*)
    | (?P<address>(?:https?|ftp)://\S+|www\.\S+|(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}\.[\w.-]{1,64})
    | (?P<tag></?[A-Za-z][^<>\n]{0,80}>)
    | (?P<quote>“[^“”\n]{1,200}”|«[^«»\n]{1,200}»|„[^„“”\n]{1,200}[“”]|「[^「」\n]{1,100}」|『[^『』\n]{1,100}』
        |"[^"\n]{1,200}")
    | (?P<line>^[ \t]*(?:(?:class|def)[ ]\w.*:|import[ ]\w[\w., ]*|from[ ][\w.]+[ ]import[ ].*
        |(?:return|assert|raise|yield)[ ].*[\w\])"']|for[ ]\w+[ ]in[ ].*:|(?:if|elif|while|with)[ ].*[=<>(].*:
        |[A-Za-z_]\w*[ ]=[ ](?:[\w.]+\(|["'\[{]).*|[A-Za-z_][\w.]*\([^()\n]*(?:\([^()\n]*\)[^()\n]*){0,9}\))[ \t]*$)
    | (?P<call>\b[A-Za-z_][\w.]{0,60}\([^()\n]{0,80}\))
    | (?P<name>(?<![^\W_])(?:_*[A-Za-z][A-Za-z0-9]*(?:_+[A-Za-z0-9]+)+_*|__?[A-Za-z]+__?|[A-Za-z]+\d\w*|\d+[A-Za-z]\w*
        |[a-z]+(?:[A-Z][a-z0-9]*)+|[A-Za-z]\w*(?:\.[A-Za-z_]\w*)+(?=\W|$)|/?[\w.-]{1,60}(?:/[\w.-]{1,60}){2,}))
    """,
    re.VERBOSE | re.MULTILINE,
)
SMALL = 0.2
"""Small words among single ones, from which they are prose cut up."""
# None of them is a keyword or a usual name of code.
SMALL_WORDS = frozenset(
    (
        *("the", "of", "to", "we", "how", "that", "he", "she", "it", "this", "are", "was", "be", "our", "then", "so"),
        *("which", "they", "their", "what", "has", "have", "le", "la", "les", "un", "une", "et", "des", "du", "que"),
        *("el", "los", "las", "y", "una", "por", "der", "die", "das", "und", "ist", "nicht", "wir", "ein", "eine"),
        *("il", "di", "che", "è", "o", "os", "um", "uma", "não", "het", "een", "van", "wij", "jest", "nie", "się"),
    )
)
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([A-Za-z]{1,30}\*?)\}")
CODE = frozenset({"fence", "code", "line", "call", "name"})

_SIGNS = re.compile(r"[=+*/^_{}()\[\];<>|&\\#%@]|->|:=")
_COMMANDS = re.compile(r"\\[A-Za-z]+\*?|\\.")
_WORDS = re.compile(r"[A-Za-z]{2,}")
_BREAKS = re.compile(r"(?<=[a-z])(?=[A-Z])|[_.\d]+")


class Piece(NamedTuple):
    """A protected stretch, or a line of one, that reads like prose."""

    text: str
    start: int


class Protected(NamedTuple):
    """A passage with its protected stretches blanked, and those of them that read like prose."""

    text: str
    prose: list[Piece]
    short: list[Piece]
    """Pieces too short to tell one by one."""
    single: list[Piece]
    """Pieces of one word: names of things, unless they are the small words of a language."""
    names: frozenset[str]
    """Words that stand in code: single ones in the prose around it are names of things."""


def protect(text: str) -> Protected:
    """Blank what is no prose."""
    found = Protected(text, [], [], [], frozenset())
    names: set[str] = set()
    for start, end in reversed(_environments(text)):
        _look(found, text[start:end], start, "formula")
        text = text[:start] + FILLER * (end - start) + text[end:]
    parts: list[str] = []
    last = 0
    for match in _PATTERN.finditer(text):
        start, end = match.span()
        kind = match.lastgroup or ""
        _look(found, match.group(), start, kind)
        if kind in CODE:
            names.update(_WORDS.findall(match.group()))
        parts.append(text[last:start])
        parts.append((NAME_FILLER if kind == "name" else FILLER) * (end - start))
        last = end
    parts.append(text[last:])
    return found._replace(text="".join(parts), names=frozenset(names))


def _environments(text: str) -> list[tuple[int, int]]:
    r"""The outermost ``\begin{…}…\end{…}``, in order."""
    spans: list[tuple[int, int]] = []
    open_: list[tuple[str, int]] = []
    for match in _ENVIRONMENT.finditer(text) if "\\begin" in text else ():
        name = match.group(2)
        if match.group(1) == "begin":
            open_.append((name, match.start()))
        elif any(name == other for other, _ in open_[-20:]):
            while open_[-1][0] != name:
                open_.pop()
            start = open_.pop()[1]
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, match.end()))
    return spans


def _look(found: Protected, text: str, start: int, kind: str) -> None:
    """Keep the lines of a protected stretch that read like prose."""
    for piece in _lines(text, start, kind):
        words, signs = _measure(piece.text)
        if words >= (MAX_QUOTED + 1 if kind == "quote" else MIN_PROSE):
            if signs < MAX_SIGNS * words:
                found.prose.append(piece)
        elif words >= (3 if kind == "call" else 2) and signs < max(1.0, MAX_SIGNS * words):
            found.short.append(piece)
        elif kind not in ("call", "name") and piece.text.isalpha() and len(piece.text) > 1:
            found.single.append(piece)


def disguised(protected: Protected, prose: float) -> list[Piece]:
    """The short pieces, where together they read like prose beside ``prose`` words in the open."""
    pieces = list(protected.short)
    if protected.single:
        latin = [piece for piece in protected.single if piece.text[0] < "\u0250"]
        small = sum(1 for piece in latin if piece.text.lower() in SMALL_WORDS)
        if small >= SMALL * len(latin):
            pieces += latin
    said = sum(len(piece.text.split()) for piece in pieces)
    return sorted(pieces, key=lambda piece: piece.start) if said >= MIN_PROSE and said > POOLED_SHARE * prose else []


def _lines(text: str, start: int, kind: str) -> Iterator[Piece]:
    """The stretch without its markup, line by line: code is sparse in prose, a line of it is prose or not."""
    if kind == "address":
        for match in _WORDS.finditer(text):
            yield Piece(match.group(), start + match.start())
        return
    if kind == "name":
        yield Piece(_BREAKS.sub(lambda found: " " * len(found.group()), text), start)
        return
    if kind == "call":
        before, _, inside = text.partition("(")
        yield Piece(inside.rstrip(")"), start + len(before) + 1)
        return
    if kind in ("formula", "command"):
        spoken = kind == "command" or any(name in text for name in ("\\text", "\\mbox", "\\math", "\\operatorname"))
        text = _COMMANDS.sub(lambda found: " " * len(found.group()), text)
        if spoken:
            text = re.sub(r"[{}$]", " ", text)
    place = start
    for line in text.split("\n"):
        bare = line.lstrip(_MARKUP)
        yield Piece(bare.rstrip(_MARKUP), place + len(line) - len(bare))
        place += len(line) + 1


_MARKUP = '`~"“”«»„「」『』$#-*<>/[]() \t'


def _measure(text: str) -> tuple[float, int]:
    """Words of at least two letters, and signs that code and formulas are made of."""
    if len(text) < 4:
        return 0.0, 0
    words = 0.0
    for match in WORD.finditer(text):
        if match.end() - match.start() > 1 or match.lastgroup in UNSPACED:
            words += word_weight(match.group(), match.lastgroup or "")
    return words, len(_SIGNS.findall(text)) if words >= 2 else 0
