"""Each unit of a text: in the target language, in another, or neither; by script, then by a hidden Markov model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from r1gym.verifiers.language.languages import MAJORS, Target, scripts_of
from r1gym.verifiers.language.model import Model, model
from r1gym.verifiers.language.scripts import UNSPACED, word_weight
from r1gym.verifiers.language.units import Units

__all__ = ["NEUTRAL", "TARGET", "classify", "likely_language"]

TARGET = "target"
NEUTRAL = ""
"""Labels of a unit; any other label is the code of the foreign language, or "?" where none is named."""

CLIP = 4.0
"""Nats that one word can say at most."""
CAPITALISED = 0.3
"""How much a capitalised word says of what another says: it may be a name."""
SENTENCE = 0.5
DOUBT = (2.0, 8.0)
"""Nats of a sentence that are not held against the target: by frequent languages, by others."""
PRIOR = 0.2
MARGIN = 0.8
"""Nats a word against languages that a model seldom slips into."""
ECHO = 6
ECHOED = 0.5
"""What a word counts that stands among the ECHO words before it."""
SWITCH = 3.0
"""Nats for each change of language."""
ACRONYM = 5
"""Capitals that an acronym has at most."""
SHOUTED = 3
"""Acronyms in a row at most."""
SPELLED = 6
"""Single letters in a row that are a word spelled out."""
BRAIDED = 18
"""Different words from which a text is asked whether it is two languages in turns."""
BRAID = 0.3
"""Part of the words that must be likelier in another language; of pure text it is 0.02 to 0.19."""
PLENTY = 10
"""Words from which a text that passed is asked whether it could be something else altogether."""
DOUBTFUL = 0.3
"""Nats a word by which a text that passed may be likelier in some other language, or in none, before it fails."""
NAMES = 0.15
"""Capitalised Latin words of a text in another script that may be names."""
FOREIGN_HAN = 4
"""Chinese characters in a row that a Korean text may hold."""
ASKED_HAN = 8
"""Chinese characters without kana from which a Japanese text is asked whether it is Chinese."""

_BY_SCRIPT = {
    "Latin": "en", "Han": "zh", "Kana": "ja", "Hangul": "ko", "Cyrillic": "ru", "Arabic": "ar", "Devanagari": "hi",
    "Greek": "el", "Hebrew": "he", "Thai": "th", "Bengali": "bn", "Tamil": "ta", "Telugu": "te", "Mixed": "?",
}  # fmt: skip


def classify(text: str, units: Units, target: Target, names: frozenset[str]) -> list[str]:
    """The label of each unit.

    Args:
        text: What was cut into ``units``.
        units: The units.
        target: The language asked for.
        names: Names of things: a few of them, like capitalised words, are neutral in a text of another script.
    """
    labels = [TARGET] * len(units)
    own = set(target.scripts)
    capitals: list[int] = []
    for place, (word, script) in enumerate(zip(units.words, units.scripts, strict=True)):
        if script in own and len(word) > 1:
            continue
        if script == "Mixed":
            labels[place] = NEUTRAL if len(word) < 4 and not _CYRILLIC.search(word) else "?"
        elif script in ("Latin", "Greek") and len(word) == 1:
            labels[place] = (
                NEUTRAL if script not in own or word not in _ONE_LETTER_WORDS.get(target.code, "") else TARGET
            )
        elif script not in own:
            labels[place] = _BY_SCRIPT.get(script, "?")
            if script == "Latin" and (word[0].isupper() or word in names):
                capitals.append(place)
    _hear_spelling(text, units, labels)
    _spare_acronyms(units, labels)
    _spare_names(units, labels, capitals)
    if "Han" in own or target.code == "ko":
        _tell_han(units, labels, target)
    if target.rivals and len(units):
        _tell_rivals(text, units, labels, target)
    return labels


_CASED = frozenset({"Latin", "Cyrillic", "Greek"})
_CYRILLIC = re.compile("[\u0400-\u052f]")
_ONE_LETTER_WORDS = {
    "en": "aI", "fr": "àay", "es": "yaoeu", "pt": "oaeé", "it": "eaoiè", "ca": "iao", "gl": "oae", "pl": "iaowzu",
    "cs": "aisvzkou", "sk": "aisvzkou", "sl": "inskvzo", "hr": "iasukoz", "bs": "iasukoz", "ro": "aoe", "sv": "iå",
    "da": "iå", "no": "iå", "hu": "aéőó", "sq": "eië", "cy": "aiyo", "so": "u", "yo": "óíọẹanio", "vo": "e",
    "el": "ηοω", "et": "", "lt": "iyo", "az": "o", "tr": "o", "uz": "u", "sr": "iasukoz",
}  # fmt: skip


def _hear_spelling(text: str, units: Units, labels: list[str]) -> None:
    """Single letters in a row, one sign apart, spell a word out: that is no way to write the target."""
    single = [p for p, word in enumerate(units.words) if len(word) == 1 and units.scripts[p] not in UNSPACED]
    first = 0
    for end in range(1, len(single) + 1):
        if end < len(single) and single[end] == single[end - 1] + 1:
            gap = text[units.ends[single[end - 1]] : units.starts[single[end]]]
            if len(gap) == 1 and gap in " -._":
                continue
        if end - first >= SPELLED:
            for place in single[first:end]:
                labels[place] = "?"
        first = end


def _spare_acronyms(units: Units, labels: list[str]) -> None:
    """Up to five capitals are an acronym, unless they stand in a row like a shouted sentence."""
    words, scripts = units.words, units.scripts
    capital = [p for p, word in enumerate(words) if word.isupper() and len(word) > 1 and scripts[p] in _CASED]
    first = 0
    for end in range(1, len(capital) + 1):
        if end < len(capital) and capital[end] == capital[end - 1] + 1:
            continue
        run = capital[first:end]
        if len(run) <= SHOUTED and all(len(words[place]) <= ACRONYM for place in run):
            for place in run:
                labels[place] = NEUTRAL
        first = end


def _spare_names(units: Units, labels: list[str], capitals: list[int]) -> None:
    """Latin names in a text of another script are neutral, as long as they are few and in no Latin sentence."""
    weighed = zip(labels, units.words, units.scripts, strict=True)
    allowed = NAMES * sum(word_weight(word, script) for label, word, script in weighed if label == TARGET)
    for place in capitals:
        beside = [near for near in (place - 1, place + 1) if 0 <= near < len(labels)]
        lower = sum(1 for near in beside if units.scripts[near] == "Latin" and units.words[near][0].islower())
        if allowed >= 1 and lower == 0:
            labels[place] = NEUTRAL
            allowed -= 1


def _tell_han(units: Units, labels: list[str], target: Target) -> None:
    """Chinese characters alone do not say whose they are: the kana of their sentence, or the model, does."""
    by_sentence: dict[int, list[int]] = {}
    for place, script in enumerate(units.scripts):
        if script in ("Han", "Kana", "Hangul"):
            by_sentence.setdefault(units.sentences[place], []).append(place)
    for places in by_sentence.values():
        han = [place for place in places if units.scripts[place] == "Han"]
        letters = sum(len(units.words[place]) for place in han)
        kana = sum(len(units.words[place]) for place in places if units.scripts[place] == "Kana")
        if target.code == "ko":
            for place in han:
                labels[place] = NEUTRAL if len(units.words[place]) <= FOREIGN_HAN else "zh"
        elif target.code == "ja":
            if kana == 0 and letters >= ASKED_HAN:
                told = model()
                scores = told.score("".join(units.words[place] for place in han))
                ja, zh = (max(float(scores[c]) for c in told.columns([code])[0]) for code in ("ja", "zh"))
                if zh > ja:
                    for place in han:
                        labels[place] = "zh"
        elif kana > 0.2 * (kana + letters):
            for place in han:
                labels[place] = "ja"


@dataclass(frozen=True, slots=True)
class _Table:
    """The columns of one target in the model's table."""

    own: NDArray[np.intp]
    rivals: NDArray[np.intp]
    bias: NDArray[np.float32]
    """Nats a word against each rival column."""
    doubt: NDArray[np.float32]
    """Nats a sentence against each rival column."""
    codes: tuple[str, ...]


@lru_cache(maxsize=256)
def _table(target: Target) -> _Table:
    told: Model = model()
    own = [column for columns in told.columns(target.members) for column in columns]
    rivals = [(code, column) for code in target.rivals for column in told.columns([code])[0]]
    bias = [PRIOR if code in MAJORS else PRIOR + MARGIN for code, _ in rivals]
    return _Table(
        np.array(own, dtype=np.intp),
        np.array([column for _, column in rivals], dtype=np.intp),
        np.array(bias, dtype=np.float32),
        np.array([DOUBT[code not in MAJORS] for code, _ in rivals], dtype=np.float32),
        tuple(code for code, _ in rivals),
    )


def _tell_rivals(text: str, units: Units, labels: list[str], target: Target) -> None:
    """Viterbi over the words in the target's own scripts: the target against each language that shares them."""
    places = [place for place, label in enumerate(labels) if label == TARGET and units.scripts[place] != "Han"]
    if not places:
        return
    table = _table(target)
    told = model()
    words = [units.words[place] for place in places]
    novelty = _novelty(words)[:, None]
    scores = told.words([word.lower() if word.isupper() else word for word in words])
    gains = _against(scores, table)
    capital = np.array([word[0].isupper() for word in words])
    gains[capital] *= CAPITALISED
    gains += SENTENCE * _sentence_gains(units, places, scores * novelty, table)
    gains -= table.bias
    gains *= novelty
    path = _viterbi(gains)
    near = dict(target.near)
    first = 0
    for place in range(1, len(path) + 1):
        if place < len(path) and path[place] == path[first]:
            continue
        if path[first]:
            code = table.codes[path[first] - 1]
            if place - first >= near.get(code, 0):
                for each in range(first, place):
                    labels[places[each]] = code
        first = place
    _unbraid(units, places, labels, _against(scores, table), table, near)
    kept = [row for row, place in enumerate(places) if labels[place] == TARGET]
    if len(kept) >= PLENTY and (code := _likelier(scores[kept] * novelty[kept], target)):
        for row in kept:
            labels[places[row]] = code


def _unbraid(
    units: Units, places: list[int], labels: list[str], gains: NDArray[np.float32], table: _Table, near: dict[str, int]
) -> None:
    """Count each word for itself where two languages take turns of a word or two, which is too quick for a path.

    It shows in far more words than chance allows that are likelier in one other language.
    """
    kept = [row for row, place in enumerate(places) if labels[place] == TARGET and units.words[place][0].islower()]
    distinct = list({units.words[places[row]]: row for row in kept}.values())
    if len(distinct) < BRAIDED:
        return
    shares = (gains[distinct] > 1.0).mean(axis=0)
    shares[[code in near for code in table.codes]] = 0.0
    other = int(shares.argmax())
    if shares[other] > BRAID:
        for row in kept:
            if gains[row, other] > 0.0:
                labels[places[row]] = table.codes[other]


def _likelier(scores: NDArray[np.float32], target: Target) -> str:
    """The language, of those that are no rivals, which the words fit better than the target; "" for none.

    Text in the target fits it best; made-up words fit something else, often no language.
    """
    told = model()
    sums = scores.sum(axis=0)
    own = max(float(sums[column]) for columns in told.columns(target.members) for column in columns)
    spared = {*target.members, *target.rivals, *(code for code, _ in target.near)} - {"zxx"}
    rest = [(float(total), code) for total, code in zip(sums, told.labels, strict=True) if code not in spared]
    best, code = max(rest)
    return code if best - own > DOUBTFUL * len(scores) else ""


def _novelty(words: list[str]) -> NDArray[np.float32]:
    """1 for a word, less for one that was said a moment ago: a refrain says who speaks only once."""
    last: dict[str, int] = {}
    found = np.ones(len(words), dtype=np.float32)
    for place, word in enumerate(words):
        if place - last.get(word, -ECHO) < ECHO:
            found[place] = ECHOED
        last[word] = place
    return found


def _against(
    scores: NDArray[np.float32], table: _Table, doubt: NDArray[np.float32] | float = 0.0
) -> NDArray[np.float32]:
    """Half of how much better each rival explains a row than the target does, less ``doubt``, clipped."""
    own = scores[:, table.own].max(axis=1, keepdims=True)
    gains: NDArray[np.float32] = np.clip((scores[:, table.rivals] - own) / 2 - doubt, -CLIP, CLIP)
    return gains


def _sentence_gains(units: Units, places: list[int], scores: NDArray[np.float32], table: _Table) -> NDArray[np.float32]:
    """The same for the sentence of each word, zero in sentences of fewer than three words."""
    sentences = np.array([units.sentences[place] for place in places])
    starts = np.flatnonzero(np.r_[True, sentences[1:] != sentences[:-1]])
    counts = np.diff(np.r_[starts, len(sentences)])
    sums = np.add.reduceat(scores, starts, axis=0)
    gains = _against(sums, table, table.doubt)
    gains[counts < 3] = 0.0
    return np.repeat(gains, counts, axis=0)


def _viterbi(gains: NDArray[np.float32]) -> list[int]:
    """The best path over [words, rivals] of gains against the target (state 0, gain 0): SWITCH nats a change."""
    totals = np.cumsum(gains, axis=0)
    lows = np.minimum.accumulate(np.vstack([np.zeros_like(totals[:1]), totals[:-1]]), axis=0)
    if float((totals - lows).max()) <= SWITCH:
        return [0] * len(gains)
    size, rivals = gains.shape
    padded = np.zeros((size, rivals + 1), dtype=np.float32)
    padded[:, 1:] = gains
    value = np.full(rivals + 1, -SWITCH, dtype=np.float32)
    value[0] = 0.0
    value += padded[0]
    stays = np.ones((size, rivals + 1), dtype=np.bool_)
    bests = [0] * size
    for place in range(1, size):
        best = int(value.argmax())
        bests[place] = best
        jump = value[best] - SWITCH
        np.greater_equal(value, jump, out=stays[place])
        np.maximum(value, jump, out=value)
        value += padded[place]
    state = int(value.argmax())
    path = [0] * size
    for place in range(size - 1, -1, -1):
        path[place] = state
        if not stays[place, state]:
            state = bests[place]
    return path


def likely_language(words: Sequence[str], script: str, fallback: str) -> str:
    """The frequent language of ``script`` in which ``words`` are most likely written."""
    codes = [code for code in sorted(MAJORS) if script in scripts_of(code)]
    if len(codes) < 2 or sum(word_weight(word, script) for word in words) < 3:
        return fallback
    told = model()
    scores = told.score(" ".join(words))
    return max(codes, key=lambda code: max(float(scores[column]) for column in told.columns([code])[0]))
