"""What the text after the last answer form does to it: takes it back, or offers another value."""

from __future__ import annotations

import re

from r1gym.verifiers.late import late

__all__ = ["is_idle", "other_values", "taken_back"]

_REACH = 400
"""Characters after the answer form in which a retraction still belongs to it."""

_IDLE = late(r"(?:[\s$.*)\]}]|\\[\])]|\\end\{[a-z]{1,12}\*?\})*\Z")
"""What may stand after an answer form and says nothing."""

_DENIAL = late(
    r"\b(?:this|that|it|(?:my|the|this|that)(?: final| previous| above)? (?:answer|result|value)|which)"
    r"(?:['’]s| is| was| seems| looks| must be| may be| might be| could be)(?: \w+)?"
    r" (?:wrong|incorrect|mistaken|false|an? (?:mistake|error)"
    r"|not (?:right|correct|true|the (?:right|correct) answer))\b"
    r"|\b(?:this|that|it|answer|result) (?:isn['’]t|is not|wasn['’]t|can['’]t be|cannot be) (?:right|correct|true)\b"
    r"|\bI(?: have|['’]ve)?(?: \w+)? (?:made (?:an?|some) (?:\w+ )?(?:mistake|error)|was wrong|messed up)\b"
    r"|\b(?:just|only|merely) a (?:\w+ )?guess\b|\bI (?:do not|don['’]t) (?:really )?know\b",
    re.IGNORECASE,
)
_WITHDRAWN = late(
    r"\bI (?:take (?:that|this|it|my (?:final )?answer) back|retract|withdraw)\b"
    r"|(?:\A|[.!?\n])[\s*]*(?:please |so |wait,? )?(?:disregard|ignore|forget|scratch)"
    r" (?:that|this|it|the above|my (?:final |previous )?answer|everything(?: above)?)[\s*]*(?=[.,;:!—–-]|\Z)",
    re.IGNORECASE,
)
_DOUBTED = late(
    r"[$*)\]}\\]{0,6}(?:\?|\s{0,3}(?:is|was|seems|looks|must be|may be|might be)(?: \w+)?"
    r" (?:wrong|incorrect|mistaken|false|not (?:right|correct|true|the (?:right|correct) answer))\b)",
    re.IGNORECASE,
)
_MATHS = r"(?:\$(?:\\\$|[^$\n]){1,80}\$|\\\([^\n]{1,80}?\\\))"
_VALUE = (
    rf"({_MATHS}|\$?\s*(?:[a-zA-Z] ?(?:[=<>]|\\[lg]eq?(?![a-z])) ?)?[-+(\[|<>]{{0,3}}(?:\d|\\[a-z{{])[^\s,;?!]{{0,40}}"
    r"|\$?[a-zA-Z] ?[-+*/^] ?(?:[\d\\(]|[a-z](?![a-z]))[^\s,;?!]{0,40})"
)
_VALUE += r"(?=\s*(?:[.,;:?!)$]|\Z|\n)|\s+(?:as|for|if|depending|also|too|instead)\b)"
_BESIDE = late(
    r"[\s$*)\]}.,;:]{0,8}\(?(?:(?:or|maybe|perhaps|possibly|alternatively|else|if not|versus|vs\.?|as well as"
    r"|plus|minus|unless it(?:['’]s| is))(?!\w)|±)[\s,:]*"
    r"(?:(?:maybe|perhaps|possibly|even|then|it|could|might|is|be)\b[\s,:]*){0,4}" + _VALUE,
    re.IGNORECASE,
)
_INSTEAD = late(
    r"\b(?:wait|actually|correction|corrected|scratch that|on (?:second thought|reflection)|oops|edit|update|sorry"
    r"|rather|alternatively|otherwise|if not|instead|no|(?:should|must|could|might|may)(?: \w+)? (?:be|have been)"
    r"|(?:correct|right|real|true|actual)(?: final)? (?:answer|value|result)|result is)\b[\s,:.…*—–]{0,6}"
    r"(?:(?:the|then|my|final|correct|right|real|true|answer|value|result|it|is|['’]s|its|that|this|should|be|would|could|might"
    r"|must|may|have|been|actually|instead|no|wait|hmm|so|to|maybe|perhaps|i|mean|meant|make|equals?)(?![a-z])[\s,:.…*—–]{0,6})"
    r"{0,9}" + _VALUE,
    re.IGNORECASE,
)
_LATER_ANSWER = late(
    r"answer (?:is|would be|should be|must be)(?: actually| instead| then)?[\s:*]*"
    rf"({_MATHS}(?=[\s*]*(?:[.,;:!?)]|\n|\Z|(?:because|since|as|which|where|when|for|if|in|is)\b))|[$\\(\[]*-?[\d\\][^\n]{{0,80}}"
    r"|[a-zA-Z] ?[-+*/^] ?(?:[\d\\(]|[a-z](?![a-z]))[^\n]{0,80})",
    re.IGNORECASE,
)
_LISTED = late(
    r"[ $*)\]}]{0,6}(?:\.?[ $]{1,4})?[,;/|&({]?[ $({]{0,4}"
    r"([-+]?(?:\d[\d.,/]{0,20}?|\\d?frac\{\d+\}\{\d+\}))[$}) ]{0,4}"
    r"(?:[.;,]\s*)?(?:\Z|\n)"
)
_GLUED = late(
    r"([–—]?\d[^\s$]{0,20}|\{[^}\s][^\n]{0,20}|[./]\d[^\s$]{0,20}"
    r"|(?:~|\\[,;:! ])\d{3}(?!\d)|_\{?\w{1,4}|\^\{?[-+\dA-Za-z][^\s$]{0,20}|!(?=\$))"
)
_DENYING = ("wrong", "correct", "mistake", "false", "error", "not ", "n't", "guess", "messed")
"""One of these stands in whatever ``_DENIAL`` finds."""

_WITHDRAWING = ("back", "retract", "withdraw", "disregard", "ignore", "forget", "scratch")
"""The same for ``_WITHDRAWN``."""

_CHANGING = (
    "wait", "actual", "correct", "scratch", "thought", "reflection", "oops", "edit", "update", "sorry", "rather",
    "alternatively", "otherwise", "if not", "instead", "should", "must", "could", "might", "may ", "answer", "value",
    "result",
)  # fmt: skip
"""One of these, or a bare "no", stands in whatever ``_INSTEAD`` and ``_LATER_ANSWER`` find."""

_RULED_OUT = late(r"\s*\?\s+(?:no|nope)\b", re.IGNORECASE)
"""A question that is answered at once: "could it be 8? No"."""

_NO = late(r"\bno\b")
_VALUE_END = late(r"[.!?;,](?:\s|\Z)|\s\(|\)\s*\Z|(?<!as well)\s(?:because|since|as(?! well| many)|which|where)\b")


def is_idle(text: str, at: int) -> bool:
    """Whether ``text`` from ``at`` on, after an answer form, only closes what was open."""
    return _IDLE.match(text, at) is not None


def taken_back(tail: str) -> bool:
    """Whether the text right after an answer form denies it, or puts a question mark to it."""
    tail = tail[:_REACH]
    folded = _folded(tail)
    return (
        _DOUBTED.match(tail) is not None
        or (_holds(folded, _DENYING) and _DENIAL.search(tail) is not None)
        or (_holds(folded, _WITHDRAWING) and _WITHDRAWN.search(tail) is not None)
    )


def _folded(tail: str) -> str:
    return tail.lower() if tail.isascii() else tail.casefold().replace("’", "'")


def _holds(folded: str, cues: tuple[str, ...]) -> bool:
    """Whether a cue stands in the small letters: a tenth of the time of the pattern that it spares."""
    for cue in cues:
        if cue in folded:
            return True
    return cues is _CHANGING and _NO.search(folded) is not None


def other_values(tail: str) -> list[str]:
    """Other values that the text right after an answer form offers ("or maybe 8", "no, 8"): part of the answer."""
    tail = tail[:_REACH]
    found = []
    for pattern in (_GLUED, _LISTED, _BESIDE):
        match = pattern.match(tail)
        if match:
            found.append(match.group(1))
    for pattern in (_INSTEAD, _LATER_ANSWER) if _holds(_folded(tail), _CHANGING) else ():
        match = pattern.search(tail)
        if match and "\\boxed" not in match.group(1) and not _RULED_OUT.match(tail, match.end()):
            found.append(match.group(1))
    values = [
        value.strip("$ ")
        if (value.startswith("$") and value.endswith("$")) or (value.startswith("\\(") and value.endswith("\\)"))
        else _VALUE_END.split(value, maxsplit=1)[0].strip(" $*?!\n")
        for value in found
    ]
    return [
        value[:-1] if value.endswith(")") and value.count(")") > value.count("(") + value.count("[") else value
        for value in values
    ]
