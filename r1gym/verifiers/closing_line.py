"""A multiple-choice answer in a last line without an answer form: "(C)", "C) its text", "option C is correct"."""

from __future__ import annotations

import re

from r1gym.verifiers.extract import Extraction
from r1gym.verifiers.marks import MAX_ANSWER
from r1gym.verifiers.options import Options, Unread

__all__ = ["find"]

_BULLET = re.compile(r"[\s#>*_-]*")
_LISTED = re.compile(r"[\s#>*_-]*(?:\(\s*([A-J])\s*\)|([A-J])\s*(?:[).:]|\s[–—-]\s|\Z))")
_BEHIND = re.compile(r"(.*\S)\s*\(([A-J])\)")
_END = re.compile(r"(?:\s*(?:</answer>|</s>|<\|[a-z_]{2,24}\|>|<｜[^｜\n]{1,30}｜>))+\Z")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_GUARD = re.compile(
    r"\b(?:not|cannot|nobody|students?|people|often|neither|nor|never|no|if|whether|unless|or|and|either|both|why|suppose|than|against)\b|n['’]t\b",
    re.IGNORECASE,
)
_CLAIMS = (
    re.compile(
        r"\b(?:option|choice|one)\s*(?:is|:|would be|must be|should be|has to be)\s*:?[\s*$]*(.+)", re.IGNORECASE
    ),
    re.compile(r"\b(?:choose|chose|pick|select|go with|going with)\s+(.+)", re.IGNORECASE),
    re.compile(
        r"(\(?\b[A-J]\b\)?)[*$]*\s+(?:is|must be|should be|has to be)\s+(?:(?:therefore|thus|also|equally) )?(?:the )?"
        r"(?:answer|(?:correct|right|best)(?: (?:one|option|choice|answer))?)[\s.!*]*\Z"
    ),
    re.compile(r"\b(?:[Oo]ption|[Cc]hoice|[Aa]nswer)\s+[*$]*(\(?[A-J]\)?)[\s.!*$]*\Z"),
    re.compile(
        r"\A[\s*_]*(?:(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore)[,:]?\s+)?"
        r"(?:[Ii]t(?:['’]s| is| must be)|[Tt]hat(?:['’]s| is))"
        r"\s+[*$]*(\(?[A-J]\)?)[\s.!*$]*\Z"
    ),
    re.compile(r"\A[\s*_]*(?:[Ss]o|[Tt]hus|[Hh]ence|[Tt]herefore)[,:]?\s+[*$]*(\(?[A-J]\)?)[\s.!*$]*\Z"),
)


def find(text: str, low: int, options: Options) -> Extraction | None:
    """The answer that the last line of ``text[low:]`` states, None where it states none."""
    end = _END.search(text, max(low, len(text) - 200))
    body = text[low : end.start() if end else len(text)].rstrip()
    at = body.rfind("\n") + 1
    line = body[at:]
    if not line or len(line) > MAX_ANSWER:
        return None
    before = body[:at].rstrip()
    listed = _LISTED.match(line)
    if listed is not None or options.whole_text(line):
        above = before[before.rfind("\n") + 1 :]
        if _LISTED.match(above) or options.whole_text(above):
            return Extraction((), 0, 0, "spray", "the last lines list several options: one must be final")
    bullet = _BULLET.match(line)
    start = bullet.end() if bullet else 0
    whole = line[start:].strip()
    if _stands_alone(whole, options):
        begin = low + at + line.index(whole, start)
        return Extraction((whole,), begin, begin + len(whole), "phrase")
    return _claimed(line, low + at, options)


def _stands_alone(line: str, options: Options) -> bool:
    """Whether the line is an option's capital letter, its whole text, or both."""
    bare = line.strip("*_$ ")
    if options.letter(bare):
        return bare.isupper()
    if options.whole_text(line):
        return True
    behind = _BEHIND.fullmatch(bare)
    if behind is not None and options.texts and options.whole_text(behind.group(1)) == behind.group(2):
        return True
    listed = _LISTED.match(bare)
    if listed is None:
        return False
    letter = listed.group(1) or listed.group(2)
    return options.whole_text(bare[listed.end() :]) == letter


def _claimed(line: str, offset: int, options: Options) -> Extraction | None:
    """What the last sentence of ``line`` claims in one of the closed list of phrases."""
    cuts = [match.end() for match in _SENTENCE.finditer(line)]
    start = max((cut for cut in cuts if line[cut:].strip()), default=0)
    sentence = line[start:]
    for pattern in _CLAIMS:
        match = pattern.search(sentence)
        if match is None or _GUARD.search(sentence, 0, match.start(1)):
            continue
        value = match.group(1).strip(" *$")
        try:
            options.read(value, strict=True)
        except Unread as error:
            if error.rule != "hedge":
                continue
        begin = offset + start + match.start(1)
        return Extraction((value,), begin, begin + len(match.group(1)), "phrase")
    return None
