"""Letters by script: one pattern that cuts a text into words, each of one script."""

from __future__ import annotations

import re

__all__ = ["LETTERS", "UNSPACED", "WORD", "word_weight"]

# Blocks by script, native digits and punctuation left out; from Blocks.txt and Scripts.txt of Unicode 16.
LETTERS: dict[str, str] = {
    "Latin": "A-Za-zªºÀ-ÖØ-öø-ʯʹ-ʿˈˌḀ-ỿⱠ-ⱿꜢ-ꞇꞋ-ꟿﬀ-ﬆ",
    "Cyrillic": "\u0400-\u0481\u048a-\u052f\u1c80-\u1c88\u2de0-\u2dff\ua640-\ua69f",
    "Greek": "\u0370-\u0373\u0376\u0377\u037b-\u037d\u0386\u0388-\u03ff\u1f00-\u1fff",
    "Armenian": "\u0531-\u0556\u0561-\u0587",
    "Hebrew": "\u0591-\u05bd\u05bf\u05c1\u05c2\u05d0-\u05f2\ufb1d-\ufb4f",
    "Arabic": "\u0610-\u061a\u0620-\u065f\u066e-\u06d3\u06d5-\u06dc\u06df-\u06e8\u06ea-\u06ef\u06fa-\u06ff"
    "\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc\u200c\u200d",
    "Devanagari": "\u0900-\u0963\u0971-\u097f\u200c\u200d",
    "Bengali": "\u0980-\u09e3\u09f0\u09f1\u09fc\u200c\u200d",
    "Gurmukhi": "\u0a00-\u0a65\u0a70-\u0a75",
    "Gujarati": "\u0a80-\u0ae3\u0af9-\u0aff",
    "Oriya": "\u0b00-\u0b63\u0b71\u200c\u200d",
    "Tamil": "\u0b80-\u0be5",
    "Telugu": "\u0c00-\u0c63\u200c\u200d",
    "Kannada": "\u0c80-\u0ce3\u0cf1\u0cf2\u200c\u200d",
    "Malayalam": "\u0d00-\u0d63\u0d7a-\u0d7f\u200c\u200d",
    "Sinhala": "\u0d80-\u0de5\u0df2\u0df3\u200d",
    "Thai": "\u0e01-\u0e3a\u0e40-\u0e4e",
    "Lao": "\u0e80-\u0ecd\u0edc-\u0edf",
    "Tibetan": "\u0f00\u0f0b\u0f40-\u0fbc",
    "Myanmar": "\u1000-\u103f\u104c-\u108f\u109a-\u109f\ua9e0-\ua9ef\uaa60-\uaa7f",
    "Georgian": "\u10a0-\u10fa\u10fc-\u10ff\u1c90-\u1cbf\u2d00-\u2d2f",
    "Ethiopic": "\u1200-\u135f\u1380-\u139f\u2d80-\u2ddf",
    "Khmer": "\u1780-\u17d3\u17d7\u17dd\u200c\u200d",
    "Kana": "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9d",
    "Hangul": "\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff",
    "Han": "\u2e80-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U000323af",
}
"""Script → the inside of a character class of its letters and marks."""

UNSPACED = frozenset({"Han", "Kana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan"})
"""Scripts without spaces between words: a run of letters is a phrase, measured by its letters."""

# Words that one letter of an unspaced script stands for, so that texts of different scripts can be compared.
_WORDS_PER_LETTER = {"Han": 0.6, "Kana": 0.45, "Thai": 0.25, "Lao": 0.25, "Khmer": 0.2, "Myanmar": 0.2, "Tibetan": 0.3}

_MARKS = "\u0300-\u036f"  # combine with letters of any script


def _pattern(script: str) -> str:
    letters = LETTERS[script]
    run = f"[{letters}][{letters}{_MARKS}]*"
    if script in UNSPACED:
        return f"(?P<{script}>{run})"
    return f"(?P<{script}>{run}(?:['’ʼ׳״]{run})*)"


_ALTERNATIVES = "|".join([*(_pattern(script) for script in LETTERS), r"(?P<Other>[^\W\d_]+)"])
WORD = re.compile(rf"(?=[^\W\d_])(?:{_ALTERNATIVES})")  # the look-ahead skips what is no letter fast
"""One word of one script (``match.lastgroup``); an apostrophe joins, a hyphen parts.

Letters of scripts that are not in the table are words of the script "Other"."""


def word_weight(text: str, script: str) -> float:
    """How many words ``text``, a unit of ``script``, stands for."""
    per_letter = _WORDS_PER_LETTER.get(script)
    return 1.0 if per_letter is None else per_letter * len(text)
