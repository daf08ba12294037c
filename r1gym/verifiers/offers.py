r"""Another value that the text around an answer form calls possible, right or good enough too: part of the answer.

"5 where 6 is also possible", "5; 6 would work", "5, with 6 as an alternative" and "either 6 or \boxed{5}" name two
values where one was asked. Remarks about other numbers do not: "6 is also even", "row 6 is also valid", "2 + 3 = 5 is
also correct", "6 is also a solution, but it is too large".
"""

from __future__ import annotations

import re

from r1gym.verifiers.closing import competing
from r1gym.verifiers.late import late

__all__ = ["may_offer", "offered_after", "offered_before"]

_REACH = 400
"""Characters after the answer form in which an offer still belongs to it."""

_NEAR = 80
"""Characters before the answer form in which an offer still belongs to it."""

_WORDS = {
    "zero": "0", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
"""Without "one", which is more often a pronoun."""

_MATHS = r"\$(?:\\\$|[^$\n]){1,80}\$|\\\([^\n]{1,80}?\\\)"
_VALUE = (
    rf"({_MATHS}|(?<![\w.])(?:[a-zA-Z](?:_\w)? ?= ?)?(?:[-+(\[]{{0,2}}(?:\d|\\(?:[dt]?frac|sqrt|pi)(?![a-z]))"
    rf"[^\s,;:?!$]{{0,40}}!?|(?:{'|'.join(_WORDS)})(?![\w-])))"
)
_STOP = r"(?=[\s$)*]*(?:[.,;:!?)]|\Z))"
_UNIT = r"(?: ?\\?%| (?:degrees?|dollars?|percent|cents?|units?|hours?|minutes?|days?|years?|miles?|feet|inches|cm|m))?"
_MODAL = r"(?:would|could|might|may|can|will|should|must)"
_ONE = rf"(?:is|was|being|seems?|looks?|appears?|remains?|{_MODAL}(?: \w+)? be)"
_BE = rf"(?:are|were|{_ONE})"
_TOO = r"(?:also|too|equally|just as|as well|likewise|similarly|another|no less|every bit as|still)"
_LAST = r"(?:too|also|as well|likewise|equally(?: well)?|just as well|instead)(?!\w)"
_MAYBE = (
    r"(?:possible|plausible|conceivable|acceptable|accepted|admissible|permissible|viable|feasible|arguable|likely)"
)
_RIGHT = rf"(?:{_MAYBE}|allowed|permitted|valid|correct|right|true|fine|okay|ok|good|defensible|reasonable|legitimate)"
_NOUN = r"(?:answer|solution|option|possibility|alternative|candidate|contender|value|choice|result)s?"
_OPTION = r"(?:answer|option|possibility|alternative|candidate|contender|choice|guess|pick)s?"
_FULLY = rf"(?:(?:an?|the|one|another|perfectly|entirely|fully|quite|very|equally|alternative|{_RIGHT}) ){{0,3}}"
_GOOD = rf"{_FULLY}(?:{_RIGHT}|{_NOUN})(?!\w)"
_WORK = r"(?:works?|counts?|fits?|holds?|do|does|suffices?|serves?|qualif(?:y|ies)|satisf(?:y|ies)|solves?)"

_CALLED = late(
    rf"{_VALUE}{_UNIT}[\s,$*`(]{{1,3}}(?:(?:which|that) )?[)*]{{0,2}}(?:"
    rf"{_BE} (?:an? |the )?{_TOO} {_GOOD}|{_TOO},? {_BE} {_GOOD}|{_BE} {_GOOD},? {_LAST}"
    rf"|{_ONE} (?:an? )?{_MAYBE}(?: {_NOUN})?{_STOP}|{_ONE} (?:an?|one|the) (?:{_RIGHT} )?{_OPTION}{_STOP}"
    r"|(?:cannot|can['’]t) be (?:ruled out|excluded|dismissed)|(?:is|are|being) not (?:excluded|ruled out|impossible)"
    r"|not being (?:excluded|ruled out)"
    rf"|(?:{_MODAL} )?{_TOO},? (?:{_MODAL} )?{_WORK}(?!\w)|(?:{_MODAL} )?{_WORK},? {_LAST}"
    rf"|{_MODAL} {_TOO}(?: well)? (?:be|have been) {_GOOD}|{_MODAL} (?:be {_RIGHT}|{_WORK}){_STOP}"
    rf"|(?:also|equally|just as|likewise) {_FULLY}{_RIGHT}(?!\w)"
    rf"|as (?:(?:an?|another|the|{_RIGHT}|equally|other|second|further|backup) ){{1,3}}{_OPTION}(?!\w)|as another )",
    re.IGNORECASE,
)
"""A value, and behind it what calls it possible or right too."""

_NAMED = late(
    rf"(?:\b(?:another|an? (?:second|additional|further)|(?:an?|the) alternative) (?:{_RIGHT} )?(?:{_NOUN})? ?"
    rf"|\ban? alternative |\b(?:also|equally|just as) {_RIGHT} ?"
    rf"|\b(?:other|second|backup|alternate|next) (?:{_RIGHT} )?{_OPTION} ?)"
    rf"(?:(?:is|are|being|{_MODAL} be)\s|:)\s*{_VALUE}{_STOP}"
    rf"|\b(?:it|that|this|answer|result|value)(?: also| just| equally)? (?:could|might|may)(?: \w+){{0,3}}?"
    rf" be {_VALUE}{_STOP}"
    r"|\b(?:it|that|this|which|answer) (?:could|might|may|can)(?: also)? be (?:read|taken|interpreted|understood) as"
    rf" {_VALUE}"
    rf"|\b{_MODAL}(?: also| equally| well| even| just as well){{0,2}} (?:answer|say|accept|argue for|claim|guess)"
    rf" {_VALUE}"
    rf"|\b{_MODAL} (?:also|equally)(?: well)? (?:get|write|give|put) {_VALUE}{_STOP}"
    rf"|\b(?:also|likewise|equally),? {_VALUE}{_UNIT} {_BE} {_GOOD}|\bwith {_VALUE}{_UNIT} {_MAYBE}(?!\w)"
    rf"|\b(?:accepting|admitting)(?: also)? {_VALUE}{_STOP}"
    rf"|(?:\bnot|n['’]t|\bnever|\bcannot|\bwithout) (?:\w+ )?"
    rf"(?:exclud(?:e|ing)|rul(?:e|ing) out|deny(?:ing)?|discount(?:ing)?|dismiss(?:ing)?|forget(?:ting)?) {_VALUE}"
    rf"|\bnot (?:only|just|merely|simply)\b[^.]{{0,30}}?\bbut(?: also)? {_VALUE}{_STOP}",
    re.IGNORECASE,
)
"""A value after what offers it: "another option is 6", "it could be six", "without ruling out 6"."""

_BESIDE = late(
    r"[\s$*)\]}.,;:(—–-]{0,8}(?:"
    rf"(?:(?:as|so|and so) (?:is|are|does|{_MODAL}(?: be)?)|(?:(?:and|but|or|though|although|yet|while)[\s,]+)*"
    r"(?:maybe|perhaps|possibly|probably|potentially|arguably|(?:more|most|equally|very) likely|respectively|resp\."
    rf"|else|also|alternatively|equivalently|even|likewise)),? (?:it is |also )?{_VALUE}{_STOP}"
    rf"|{_VALUE}{_UNIT},? {_LAST}{_STOP}"
    rf"|(?:and|or|unless) {_VALUE}{_UNIT} (?:{_BE} (?:both )?{_GOOD}|(?:both )?{_WORK}(?!\w)))",
    re.IGNORECASE,
)
"""A value right after the form: "as is 6", "and possibly 6", "6 too", "or 6 is right"."""

_PAIR = late(
    r"(?:\A|[,;:.(—–-]|\b(?:because|since|as|where|either|is|be|and|but|so|that|though|although|maybe|perhaps|think))"
    rf"[\s$(]*{_VALUE} or (?:maybe |perhaps |possibly |even )?{_VALUE}"
    rf"|{_VALUE} and {_VALUE}(?: both)? (?:{_BE} (?:both )?{_GOOD}|{_WORK}(?!\w))"
    rf"|\b{_OPTION}(?: are|:) {_VALUE}(?:,| and| or) {_VALUE}",
    re.IGNORECASE,
)
"""Two values that are both offered, of which one is the answer: "since it is 5 or 6", "both 5 and 6 are valid"."""

_AHEAD = late(
    rf"(?:\b(?:either|maybe|perhaps|possibly) {_VALUE},? or"
    rf"|{_VALUE}[\s,;]*(?:or )?(?:maybe|perhaps|possibly|alternatively|else))"
    r"[\s,]+(?:it is )?[$\\(\[*\s]*(?:[a-zA-Z] ?= ?)?\Z",
    re.IGNORECASE,
)
"""A value before the form: "either 6 or", "6, or maybe"."""

_OTHER = late(
    r"(?:\b(?:by|mod|modulo|from|in|at|than|to|on|using|under|over|between|through|per|each|every|next|nor|neither"
    r"|(?:rows?|columns?|cases?|steps?|parts?|figure|equations?|eq\.?|lines?|pages?|methods?|theorem|lemma|sides?"
    r"|angles?|points?|edges?)(?: \S{1,12} and)?|(?<!value )(?<!answer )(?<!result )(?<!solution )of)"
    r"|[\w)}]\s*[-+*/^]|[=<>≤≥≈]|\\(?:cdot|times|leq?|geq?|neq?|approx))\s*[$(]*\Z",
    re.IGNORECASE,
)
"""What makes the number after it a part of something else: "row 6", "divided by 6", "2 + 6"."""

_DISMISSED = late(
    r"[^.]{0,60}?\b(?:but|however|yet|though|although|except|which)\b"
    r"(?:(?!\b(?:not|never|cannot)\b|n['’]t)[^.]){0,60}?"
    r"\b(?:reject(?:ed)?|discard(?:ed)?|excluded?|extraneous|negative|invalid|fails"
    r"|too (?:large|small|big|long|short|many|few)"
    r"|is not (?:positive|allowed|an integer|possible|in)|does(?: not|n['’]t) (?:fit|satisfy|work)"
    r"|(?:want|need|seek|asks?|asked|look|looking)(?: for)? the (?:smallest|largest|least|greatest|minimum|maximum"
    r"|positive|negative|other))\b"
    r"|\s*\?\s+(?:no|nope)\b",
    re.IGNORECASE,
)
"""What takes an offer back: "but it is too large", "but we want the smallest"."""

_SENTENCE = late(r"(?<=\.) ")
_NAME = late(r"[A-Za-z]{1,3}(?:_\{?\w{1,3}\}?)?'?\Z")
_SUBSTANCE = late(rf"[\d$\\]|\b(?:{'|'.join(_WORDS)})\b", re.IGNORECASE)
"""What every value has."""

_PRAISE = (
    "possib", "plausib", "conceiv", "accept", "admi", "permi", "viable", "feasib", "arguab", "likely", "answer",
    "option", "alternat", "candidate", "contender", "choice", "guess", "pick", "rul", "exclud", "dismiss", "allow",
    "valid", "right", "correct", "true", "fine", "ok", "good", "defens", "reason", "legit", "solution", "result",
    "value", "work", "count", "fit", "hold", " do", "suffic", "serve", "qualif", "satisf", "solve", "another",
)  # fmt: skip
_LINKS = (
    "also", "too", "equal", "just as", "as well", "likewise", "similarly", "another", "no less", "every bit", "still",
    "instead", "possib", "plausib", "conceiv", "accept", "admissib", "permiss", "viable", "feasib", "arguab", "likely",
    "option", "alternative", "candidate", "contender", "choice", "guess", "pick", "answer", "rul", "exclud", "dismiss",
    "would", "could", "might", "may ", "can ", "will ", "should", "must ",
)  # fmt: skip
"""One of both stands in whatever ``_CALLED`` finds: looking for them takes a tenth of its time."""

_NAMING = (
    "another", "second", "addition", "further", "alternat", "also", "equal", "just as", "other", "backup", "next",
    "could", "might", "may ", "likewise", "accepting", "admitting", "exclud", "rul", "deny", "discount", "dismiss",
    "forget", "not only", "not just", "not merely", "not simply",
)  # fmt: skip
_MODALS = ("can ", "would", "will ", "should", "must ")
_SAYING = ("answer", "say", "accept", "argue", "claim", "guess", "read as", "taken as", "interpreted", "understood")
"""One of the first, or one each of the other two, or "with " and praise, stand in whatever ``_NAMED`` finds."""

_PAIRING = (" and ", ":", " are ")
"""One of these and praise, or " or ", stand in whatever ``_PAIR`` finds."""

_JUST_BEFORE = 28
"""Characters before the form in which the last word of ``_AHEAD`` stands: ", possibly it is $x = "."""


def may_offer(before: str) -> bool:
    """Whether the text before an answer form may offer another value: a tenth of the pattern's time."""
    last = before[-_JUST_BEFORE:].lower()
    likely = " or " in last or "maybe" in last or "perhaps" in last
    return likely or "possibly" in last or "alternativ" in last or "else" in last


def offered_after(tail: str, content: str) -> list[str]:
    """The values that ``tail``, the text after a form with ``content``, offers beside it; [] for remarks."""
    tail = " ".join(tail[:_REACH].split())
    if not _SUBSTANCE.search(tail.lstrip("$ .*)]}")):
        return []
    content = _bare(content)
    found = []
    beside = _BESIDE.match(tail)
    if beside and not _DISMISSED.match(tail, beside.end()):
        found += [value for value in beside.groups() if value]
    likely = _likely(tail.lower())
    if any(likely):
        sentences = _SENTENCE.split(tail)
        for sentence in sentences:
            if _SUBSTANCE.search(sentence):
                found += _offered(sentence, content, likely if len(sentences) == 1 else _likely(sentence.lower()))
    return _values(found, content)


def _offered(sentence: str, content: str, likely: tuple[bool, bool, bool]) -> list[str]:
    """The values that one sentence offers, as they are written; ``likely`` is what ``_likely`` says of it."""
    found = []
    called, named, paired = likely
    for match in _CALLED.finditer(sentence) if called else ():
        before = sentence[max(0, match.start(1) - _NEAR) : match.start(1)]
        if not _OTHER.search(before) and not _DISMISSED.match(sentence, match.end()):
            found.append(match.group(1))
    for match in _NAMED.finditer(sentence) if named else ():
        if not _DISMISSED.match(sentence, match.end()):
            found += [value for value in match.groups() if value]
    said_again = content in sentence or content in _WORDS.values()
    for match in _PAIR.finditer(sentence) if paired and said_again else ():
        pair = [_bare(value) for value in match.groups() if value]
        if content in pair:
            found += pair
    return found


def offered_before(text: str, content: str) -> list[str]:
    """The values that ``text``, which ends where a form with ``content`` begins, offers beside it."""
    match = _AHEAD.search(" ".join(text[-_NEAR:].split()) + " ") if may_offer(text) else None
    return _values([value for value in match.groups() if value], _bare(content)) if match else []


def _likely(folded: str) -> tuple[bool, bool, bool]:
    """Whether ``_CALLED``, ``_NAMED`` and ``_PAIR`` may find anything in a text in small letters."""
    praise = _holds(folded, _PRAISE)
    return (
        praise and _holds(folded, _LINKS),
        _holds(folded, _NAMING)
        or (_holds(folded, _MODALS) and _holds(folded, _SAYING))
        or (praise and "with " in folded),
        " or " in folded or (praise and _holds(folded, _PAIRING)),
    )


def _holds(folded: str, cues: tuple[str, ...]) -> bool:
    return any(map(folded.__contains__, cues))


def _bare(value: str) -> str:
    value = value.strip("$ *.`")
    if value.startswith("\\(") and value.endswith("\\)"):
        value = value[2:-2].strip()
    if value.endswith(")") and value.count(")") > value.count("(") + value.count("["):
        value = value[:-1]
    return _WORDS.get(value.lower(), value)


def _values(found: list[str], content: str) -> list[str]:
    bare = [_bare(value) for value in found]
    return [
        other
        for value in bare
        if value and value != content and not _NAME.match(value)
        for other in competing(value, content)
    ]
