"""A text as units: words, or phrases where a script writes no spaces, each with its script and its sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from r1gym.verifiers.language.scripts import UNSPACED, WORD

__all__ = ["Units", "split"]

BREAK = re.compile(r"[.!?;:…]+[\"'”’»)\]]*(?=[\s\x00<|]|$)|[。！？；：।॥؟؛۔።፧។॰]+[」』”’)]*|\n+")
"""Where a sentence ends."""


@dataclass(slots=True)
class Units:
    """Parallel lists, one entry a unit, in order."""

    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)
    """"Mixed" where letters of Latin stand beside Cyrillic or Greek ones in one word."""
    sentences: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.words)


_ALIKE = frozenset({"Latin", "Cyrillic", "Greek"})


def split(text: str) -> Units:
    """Cut ``text`` into units."""
    units = Units()
    starts, ends, words, scripts, sentences = units.starts, units.ends, units.words, units.scripts, units.sentences
    sentence = 0
    last = 0
    for match in WORD.finditer(text):
        start, end = match.span()
        script = match.lastgroup or ""
        if start != last:
            if start - last > 1 or text[last] == "\n":
                if BREAK.search(text, last, start):
                    sentence += 1
            elif text[last] != " " and BREAK.search(text, last, start):
                sentence += 1
        elif words:
            before = scripts[-1]
            if (script in _ALIKE and (before in _ALIKE or before == "Mixed")) and script != before:
                ends[-1] = last = end
                words[-1] += match.group()
                scripts[-1] = "Mixed"
                continue
            if script == before and script not in UNSPACED:
                ends[-1] = last = end
                words[-1] += match.group()
                continue
        starts.append(start)
        ends.append(end)
        words.append(match.group())
        scripts.append(script)
        sentences.append(sentence)
        last = end
    return units
