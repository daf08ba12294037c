"""Answers in words: choices, names, yes and no; compared without wrappers, case and end punctuation, never by parts."""

from __future__ import annotations

import re

from r1gym.verifiers.late import late

__all__ = ["choices", "is_clock", "is_prose", "same_choice", "words"]

_WRAP = late(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|mbox|hbox|mathrm|mathbf|mathit|operatorname|emph|boxed|fbox)\s*(?=\{)"
)
_GAPS = late(r"\\[,;:!> ]|\\quad|\\qquad|~|[\s]+|\\(?:left|right|displaystyle)(?![A-Za-z])")
_LETTERS = late(r"\(?([A-Z])\)?(?:\s*(?:,|;|and|&|, and)\s*\(?([A-Z])\)?)*\.?")
_LETTER = late(r"(?<![A-Za-z])[A-Z](?![A-Za-z])")
_CHOICE = late(r"(?:\(\s*([A-Z])\s*\)|([A-Z])(?=\Z|\s*[.):]))\s*[.):]?(.*)", re.DOTALL)
_OTHER_CHOICE = late(
    r"\s*[-+*/=^<>,;&|]|.*(?:\b(?:or|and|not|but|is (?:wrong|incorrect|false))\b|(?<![A-Za-z\\])[A-Z](?![A-Za-z]))",
    re.DOTALL,
)
_ARTICLE = late(r"(?:an?|the)\s+(?=\w)", re.IGNORECASE)
_CLOCK = late(r"(\d{1,2}):(\d\d)\s*([ap])\.?\s*m\.?", re.IGNORECASE)
_PROSE = late(r"[A-Za-z][A-Za-z'’-]*(?:[ ,]+[A-Za-z0-9][A-Za-z0-9'’-]*)*\.?")


def _unwrapped(text: str) -> str:
    """``text`` without text commands, dollars, braces and spacing commands."""
    if "\\" in text:
        text = _WRAP.sub("", text)
    text = _GAPS.sub(" ", text.replace("$", "").replace("\\%", "%"))
    return text.replace("{", "").replace("}", "").replace("**", "").strip(" .,;:!\"'`*")


def words(text: str) -> str:
    """The words of ``text`` in one spelling; labels of capital letters alone (ACF) keep their case."""
    plain = _ARTICLE.sub("", _unwrapped(text), count=1)
    clock = _CLOCK.fullmatch(plain)
    if clock is not None:
        return f"{int(clock.group(1))}:{clock.group(2)} {clock.group(3).lower()}m"
    if plain.isalpha() and plain.isupper() and len(plain) <= 3:
        return plain
    return " ".join(plain.casefold().replace("-", " ").replace(",", " ").split())


def choices(text: str) -> tuple[str, ...]:
    r"""The letters of a gold such as ``\text{(C)}``, ``B`` or ``\text{A, B}``, sorted; () where it is no such gold."""
    plain = _unwrapped(text)
    return tuple(sorted(_LETTER.findall(plain))) if _LETTERS.fullmatch(plain) else ()


def same_choice(gold: tuple[str, ...], text: str) -> bool:
    """Whether ``text`` names just the letters of ``gold``: ``(C)``, ``C.``, ``C) ellipse``; ``A, B`` in any order."""
    plain = _unwrapped(text)
    if len(gold) == 1:
        match = _CHOICE.fullmatch(plain)
        if match is None or (match.group(1) or match.group(2)) != gold[0]:
            return False
        # What the choice says may follow its letter; a second letter or a connective is a hedge.
        return not _OTHER_CHOICE.match(match.group(3))
    return choices(text) == gold


def is_clock(text: str) -> bool:
    """Whether ``text`` is a time of day with its half: 3:30 p.m."""
    return _CLOCK.fullmatch(_unwrapped(text)) is not None


def is_prose(text: str) -> bool:
    """Whether ``text`` is words and nothing else."""
    plain = _unwrapped(text)
    return bool(_PROSE.fullmatch(plain)) and any(len(word) > 1 for word in plain.split())
