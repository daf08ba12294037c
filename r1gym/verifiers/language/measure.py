"""The measure of a thought: what counts for the target, what against it, and what repetition is worth."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

from r1gym.verifiers.language.classify import NEUTRAL, TARGET, classify, likely_language
from r1gym.verifiers.language.languages import Target
from r1gym.verifiers.language.protected import FILLER, NAME_FILLER, Piece, disguised, protect
from r1gym.verifiers.language.scripts import UNSPACED, word_weight
from r1gym.verifiers.language.thought import Passage, normalised, passages
from r1gym.verifiers.language.units import BREAK, Units, split

__all__ = ["Measure", "measure"]

MIN_WORDS = 5.0
"""Words of prose below which there is no evidence."""
MAX_GAP = 32
"""Characters between two words (digits, signs, spaces) that count with them at most."""
COPIED = "copied"
"""Label of a unit that is taken from the question."""
COPIES = {3: 4, 5: 2}
"""Times that the same three, or five, words in a row count."""
LETTER_COPIES = {3: 12, 6: 2}
"""The same for letters of scripts without spaces."""
FREE_NEUTRAL = 40.0
NEUTRAL_SHARE = 0.6
"""Letters of names, acronyms and variables that a thought may hold, and their part of its prose in a long one; what
goes beyond both counts as foreign."""
QUOTED = {"words": 5, "letters": 6}
"""Words in a row, or letters of scripts without spaces, that are taken from the question when they stand in it."""
LETTERS_PER_WORD = 5.0
FREE_REPETITION = 0.3
"""Part of a thought that may be repetition before the share is lowered."""


@dataclass(frozen=True, slots=True)
class Measure:
    """What was found in one completion."""

    share: float | None
    """None without evidence."""
    size: float
    """Of the prose that was judged, in the unit asked for."""
    foreign: list[tuple[int, int, str]]
    """(start, end, likely language) of the foreign passages, in characters of the completion."""
    why: str
    """Why there is no share, or why it was lowered; "" for nothing to say."""


@dataclass(slots=True)
class _Tally:
    own: float = 0.0
    foreign: float = 0.0
    own_gaps: float = 0.0
    foreign_gaps: float = 0.0
    neutral: float = 0.0
    """Letters of neutral units and of names."""
    words: float = 0.0
    """Evidence in words, whatever the unit of the share."""
    seen: float = 0.0
    """The same with copies."""
    letters: float = 0.0
    kinds: set[str] = field(default_factory=set)
    spans: list[tuple[int, int, str]] = field(default_factory=list)


def measure(completion: str, target: Target, unit: str, question: str = "") -> Measure:
    """The share of ``completion``'s thought that is in ``target``; what it copies from ``question`` says nothing."""
    names = frozenset(word for word in question.split() if word[:1].isupper())
    asked = _asked(question)
    tally = _Tally()
    for passage in passages(completion):
        protected = protect(passage.text)
        before = tally.words
        tally.neutral += 0 if passage.foreign_only else protected.text.count(NAME_FILLER)
        names |= protected.names
        _add(tally, passage, Piece(protected.text, 0), target, unit, names, asked, foreign_only=passage.foreign_only)
        for piece in protected.prose:
            _add(tally, passage, piece, target, unit, names, asked, foreign_only=True)
        pieces = disguised(protected, tally.words - before)
        if pieces:
            hidden = [FILLER] * len(passage.text)
            for piece in pieces:
                hidden[piece.start : piece.start + len(piece.text)] = piece.text
            together = Piece("".join(hidden), 0)
            _add(tally, passage, together, target, unit, names, asked, foreign_only=True)
    spans = sorted(tally.spans)
    own = tally.own + min(tally.own_gaps, tally.own)
    foreign = tally.foreign + min(tally.foreign_gaps, tally.foreign)
    excess = tally.neutral - max(FREE_NEUTRAL, NEUTRAL_SHARE * tally.letters)
    foreign += max(0.0, excess) * (1.0 if unit == "characters" else 1 / LETTERS_PER_WORD)
    if tally.words < MIN_WORDS:
        return Measure(None, 0.0, spans, f"fewer than {MIN_WORDS:.0f} words of prose in the thought")
    share = own / (own + foreign)
    worth = _worth(tally)
    why = f"lowered from {share:.3f} for repetition" if worth < 1.0 else ""
    return Measure(share * worth, own + foreign, spans, why)


def _worth(tally: _Tally) -> float:
    """What repeated text leaves of the share: the part of copies, and a vocabulary too small for the length."""
    copies = 1.0 - tally.words / tally.seen
    worth = 1.0 - max(0.0, copies - FREE_REPETITION) / (1.0 - FREE_REPETITION)
    expected = 2.0 * math.sqrt(tally.seen)
    if tally.seen >= 40 and len(tally.kinds) < expected:
        worth *= (len(tally.kinds) / expected) ** 2
    return worth


def _add(
    tally: _Tally,
    passage: Passage,
    piece: Piece,
    target: Target,
    unit: str,
    names: frozenset[str],
    asked: _Asked,
    *,
    foreign_only: bool,
) -> None:
    """Judge one piece and add it up."""
    units = split(piece.text)
    if not len(units):
        return
    labels = classify(piece.text, units, target, names)
    for place in _copied(units, asked):
        labels[place] = COPIED
    fresh = _fresh(units, labels)
    gaps = _gaps(piece.text, units) if unit == "characters" else [0.0] * len(units)
    in_letters = unit == "characters"
    for label, word, script, kept, gap in zip(labels, units.words, units.scripts, fresh, gaps, strict=True):
        if label == COPIED:
            continue
        if label == NEUTRAL:
            tally.neutral += len(word) * (not foreign_only)
            continue
        if foreign_only and label == TARGET:
            continue
        if script in UNSPACED:
            weight = word_weight(word, script)
            tally.kinds.update(word[i : i + 2] for i in range(len(word)))
        else:
            weight = 1.0
            tally.kinds.add(word)
        tally.seen += weight
        tally.words += weight * kept
        tally.letters += len(word) * kept
        size = kept * (len(word) if in_letters else weight)
        if label == TARGET:
            tally.own += size
            tally.own_gaps += gap * kept
        else:
            tally.foreign += size
            tally.foreign_gaps += gap * kept
    tally.spans.extend(_spans(passage, piece, units, labels))


@dataclass(frozen=True, slots=True)
class _Asked:
    """The question, made ready to be found in a thought."""

    text: str
    runs: frozenset[tuple[str, ...]]


@lru_cache(maxsize=1024)
def _asked(question: str) -> _Asked:
    text = normalised(question)[0]
    words = [word.lower() for word in split(text).words]
    size = QUOTED["words"]
    return _Asked(text, frozenset(tuple(words[i : i + size]) for i in range(len(words) - size + 1)))


def _copied(units: Units, asked: _Asked) -> set[int]:
    """The units that are taken from the question."""
    if not asked.text:
        return set()
    words = [word.lower() for word in units.words]
    size = QUOTED["words"]
    found = {
        place + step
        for place in range(len(words) - size + 1)
        if tuple(words[place : place + size]) in asked.runs
        for step in range(size)
    }
    long = (p for p, word in enumerate(units.words) if units.scripts[p] in UNSPACED and len(word) >= QUOTED["letters"])
    return found | {place for place in long if units.words[place] in asked.text}


def _fresh(units: Units, labels: list[str]) -> list[float]:
    """The part of each unit that is not one copy too many of the words, or letters, that it ends."""
    counts: dict[object, int] = {}
    fresh = [1.0] * len(units)
    spoken = [place for place, label in enumerate(labels) if label not in (NEUTRAL, COPIED)]
    words = [units.words[place].lower() for place in spoken]
    for size, copies in COPIES.items():
        for place, gram in zip(spoken[size - 1 :], zip(*(words[i:] for i in range(size)), strict=False), strict=True):
            seen = counts.get(gram, 0) + 1
            counts[gram] = seen
            if seen > copies:
                fresh[place] = 0.0
    for place in spoken:
        if units.scripts[place] in UNSPACED:
            fresh[place] = min(fresh[place], _fresh_letters(units.words[place], counts))
    return fresh


def _fresh_letters(phrase: str, counts: dict[object, int]) -> float:
    """The part of a phrase that ends no run of letters seen too often."""
    stale: set[int] = set()
    for size, copies in LETTER_COPIES.items():
        for end in range(size, len(phrase) + 1):
            gram = phrase[end - size : end]
            counts[gram] = seen = counts.get(gram, 0) + 1
            if seen > copies:
                stale.add(end)
    return 1.0 - len(stale) / len(phrase)


def _gaps(text: str, units: Units) -> list[float]:
    """Characters between the units that count with each: up to the end of a sentence with the word before it."""
    gaps = [0.0] * len(units)
    for place in range(1, len(units)):
        start, end = units.ends[place - 1], units.starts[place]
        if end - start == 1:
            gaps[place - 1] += 1.0
            continue
        gap = text[start:end]
        if units.sentences[place] != units.sentences[place - 1]:
            found = BREAK.search(gap)
            left, right = (gap[: found.end()].rstrip("\n"), gap[found.end() :].lstrip()) if found else (gap, "")
        else:
            left, right = gap, ""
        gaps[place - 1] += min(MAX_GAP, len(left) - left.count(FILLER))
        gaps[place] += min(MAX_GAP, len(right) - right.count(FILLER))
    lead = text[: units.starts[0]].lstrip()
    tail = text[units.ends[-1] :].rstrip()
    gaps[0] += min(MAX_GAP, len(lead) - lead.count(FILLER))
    gaps[-1] += min(MAX_GAP, len(tail) - tail.count(FILLER))
    return gaps


def _spans(passage: Passage, piece: Piece, units: Units, labels: list[str]) -> list[tuple[int, int, str]]:
    """The foreign passages: neighbouring foreign units of one language, closing punctuation included."""
    spans: list[tuple[int, int, str]] = []
    run: list[int] = []
    for place in range(len(units) + 1):
        label = labels[place] if place < len(units) else TARGET
        if label in (NEUTRAL, COPIED):
            continue
        if run and label != labels[run[0]]:
            spans.append(_span(passage, piece, units, labels, run))
            run = []
        if label != TARGET:
            run.append(place)
    return spans


def _span(passage: Passage, piece: Piece, units: Units, labels: list[str], run: list[int]) -> tuple[int, int, str]:
    start, end = units.starts[run[0]], units.ends[run[-1]]
    stop = units.starts[run[-1] + 1] if run[-1] + 1 < len(units) else len(piece.text)
    closing = BREAK.search(piece.text, end, stop)
    if closing:
        end = closing.end() - (len(closing.group()) - len(closing.group().rstrip("\n")))
    code = labels[run[0]]
    if code == "en":
        code = likely_language([units.words[place] for place in run], units.scripts[run[0]], code)
    return passage.place(piece.start + start), passage.place(piece.start + end), code
