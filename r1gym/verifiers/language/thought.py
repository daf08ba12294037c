"""Where the thought stands in a completion, and its text with compatibility forms and hidden characters undone."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

__all__ = ["Passage", "normalised", "passages"]

MAX_CHARACTERS = 400_000
"""Of one completion; what comes later is not looked at, so that a flood costs a second at most."""

_OPEN = re.compile(r"<\s*think(?:ing)?\s*>", re.IGNORECASE)
_CLOSE = re.compile(r"<\s*/\s*think(?:ing)?\s*>", re.IGNORECASE)
_ANSWER = re.compile(r"<\s*answer\s*>", re.IGNORECASE)

_JOINERS = "\u200c\u200d"
# Scripts whose spelling needs the joiners: Arabic, and the Indic scripts with their neighbours.
_JOINED = re.compile("[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\u0900-\u0dff\u1780-\u17ff]")
# Strokes and enclosures laid over letters: never part of a spelling, but they hide a word from an identifier.
_OVERLAYS = re.compile("[\u0334-\u0338\u034f\u0488\u0489\u20d0-\u20f0\ufe00-\ufe0f\ufe20-\ufe2f]")
# Letters in boxes and circles that have no compatibility form.
_SIGNS = {chr(base + place): chr(97 + place) for base in (0x1F150, 0x1F170, 0x1F1E6) for place in range(26)}
_ODD = re.compile("[^\x00-\xac\xae-\u00ff\u0100-\u01bf\u3040-\u309f\u3400-\u9fff\u0400-\u04ff\u0e00-\u0e7f]")


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a completion."""

    text: str
    """Normalised."""
    start: int
    """Where it begins in the completion."""
    offsets: list[int] | None
    """Place in the completion, less ``start``, of each character of ``text`` and of its end; None if unchanged."""
    foreign_only: bool
    """Only words outside the target language count: such a piece can lower a share and never raise it."""

    def place(self, index: int) -> int:
        """The character of the completion at which ``text[index]`` stands."""
        return self.start + (index if self.offsets is None else self.offsets[index])


def passages(completion: str) -> list[Passage]:
    """The thought: the first block between the think tags, to the end where it is not closed.

    Later blocks are thoughts too, but a decoy must not outvote them: they come back ``foreign_only``. Without tags the
    whole text is the thought, up to an answer tag.
    """
    completion = completion[:MAX_CHARACTERS]
    opened = _OPEN.search(completion)
    if opened is None:
        # Some chat templates write the opening tag into the prompt.
        ends = [found.start() for found in (_CLOSE.search(completion), _ANSWER.search(completion)) if found]
        return [_passage(completion, 0, min(ends, default=len(completion)), foreign_only=False)]
    found: list[Passage] = []
    while opened is not None:
        closed = _CLOSE.search(completion, opened.end())
        end = closed.start() if closed else len(completion)
        found.append(_passage(completion, opened.end(), end, foreign_only=bool(found)))
        opened = _OPEN.search(completion, closed.end()) if closed else None
    return found


def _passage(completion: str, start: int, end: int, *, foreign_only: bool) -> Passage:
    text, offsets = normalised(completion[start:end])
    return Passage(text, start, offsets, foreign_only)


def normalised(text: str) -> tuple[str, list[int] | None]:
    """``text`` in NFKC without invisible characters, and the place each character came from (None: unchanged)."""
    if text.isascii() or (not _ODD.search(text) and unicodedata.is_normalized("NFKC", text)):
        return text, None
    pieces: list[str] = []
    offsets: list[int] = []
    index, size = 0, len(text)
    while index < size:
        end = index + 1
        while end < size and _continues(text[end]):
            end += 1
        cluster = text[index:end]
        if not cluster.isascii():
            cluster = _visible(text, index, end)
        pieces.append(cluster)
        offsets.extend([index] * len(cluster))
        index = end
    return "".join(pieces), [*offsets, size]


def _continues(character: str) -> bool:
    """Whether the character composes with the one before it: a mark, or a vowel or final of Hangul."""
    return character > "\u02ff" and (unicodedata.combining(character) != 0 or "\u1160" <= character <= "\u11ff")


def _visible(text: str, start: int, end: int) -> str:
    kept = []
    for index in range(start, end):
        character = text[index]
        if character in _JOINERS:
            beside = text[max(0, index - 1) : index] + text[index + 1 : index + 2]
            if len(_JOINED.findall(beside)) == 2:
                kept.append(character)
        elif character in _SIGNS:
            kept.append(_SIGNS[character])
        elif unicodedata.category(character) != "Cf" and not _OVERLAYS.match(character):
            kept.append(character)
    return unicodedata.normalize("NFKC", "".join(kept[:8]))  # more marks than that are decoration
