r"""What stands after the last answer form and states a value: the rest of its formula, and a later final statement.

A statement counts when nothing but words of conclusion stands around its value ("So $x = 8$.", "Hence 8", "→ 8",
"$\sqrt2$" alone). Remarks do not: they hold other words ("7 apples in 3 boxes"), check something ("$3 + 4 = 7$"),
approximate ("≈ 2.33") or compare plain numbers ("24 > 17").
"""

from __future__ import annotations

import re

from r1gym.verifiers.late import late

__all__ = ["competing", "later_values"]

_REACH = 300
"""Characters at either end of the text after the form in which a statement is looked for."""

_CLOSERS = late(r"(?:\$\$?|\\\)|\s*\\\]|\*\*|[)}\]])*[.,;:!…]*")
"""What may close the form's own formula, emphasis and sentence."""

# Every character is read by one alternative only, so that no text is tried in two ways.
_MATHS = (
    r"(?:[\d \t.,+\-*/^_{}()\[\]|!<>=&:]|\\[{},;:! ]|(?<![A-Za-z\\])[A-Za-z](?![A-Za-z])|(?<=[{ ])[A-Za-z]{2,16}(?=\})"
)
_MATHS += (
    r"|\\(?:sqrt|[dt]?frac|d?binom|pi|theta|infty|cdot|times|div|pm|mp|left|right|circ|cup|cap|ln|log|sin|cos|tan|text"
    r"|mathrm|textbf|displaystyle|leq?|geq?|q?quad)(?![A-Za-z]))"
)
_RUN_ON = late(
    r"(?:[ \t~]|\\[ ,;:!]){0,4}"
    rf"(?:(=|[-+/^_]|\*(?!\*)|\\(?:cdot|times|div|sqrt|[dt]?frac)(?![A-Za-z]))({_MATHS}{{1,80}}?)"
    rf"|(?:[A-Za-z]|\\pi)(?![A-Za-z]){_MATHS}{{0,80}}?)"
    r"\s{0,4}(?=\$|\\\]|\\\)|[.,;](?:\s|\Z)|\n|\Z)"
)
_SPACE = late(r"(?:\s|~|\\[ ,;:!])*")
_STOP = late(r"[.!?。](?=[\s*$)\]\"']|\Z)|\n")
_LEAD_WORDS = (
    "so hence thus therefore finally final ie i.e that this which it is are we i get gets got have find obtain choose"
    " my the our your correct right real true answer result value total conclusion conclude equal equals to being gives"
    " give yield yields make makes mean means and also or but in fact namely would be should must rather instead simply"
    " just pick"
)
_LEAD = late(
    rf"(?:(?:{'|'.join(map(re.escape, sorted(_LEAD_WORDS.split(), key=len, reverse=True)))})(?![\w’'])[\s,:*_.]*"
    r"|then,? is\s|(?:it|that|this)['’]s\b[\s,:*_]*|\\text\{[A-Za-z ,:]{1,30}\}[\s:]*"
    r"|(?:→|⇒|∴|=>|->|\\(?:to|Rightarrow|rightarrow|implies|therefore)(?![A-Za-z])|[=:*_~])[\s,:*]*)+",
    re.IGNORECASE,
)
_TRAIL = late(
    r"(?:[\s,]+(?:in total|in all|altogether|overall|it is|is it|is the (?:final )?answer|is the (?:result|value)|is"
    r"|instead|then|now|total))?[\s.!*_\"')]*\Z",
    re.IGNORECASE,
)
_WRAPPED = late(
    r"\$\$?(.{1,120}?)\$\$?|\\\((.{1,120}?)\\\)|\\\[(.{1,120}?)\\\]|\*\*(.{1,60}?)\*\*"
    r"|\\(?:textbf|mathbf|text)\{([^{}]{1,60})\}|\(([^,]{1,60})\)",
    re.DOTALL,
)
_VALUE = late(rf"{_MATHS}{{1,120}}+\Z")
_RELATION = late(r"[<>≤≥≠]|\\(?:leq?|geq?|neq?|lt|gt|in)(?![A-Za-z])")
_LABEL = late(r"\s*([A-Za-z](?:_\{?\w{1,3}\}?)?'?|[A-Za-z]\([A-Za-z]\))\s*\Z")
_NEXT_LABEL = late(r",\s*(?:\\quad\s*)?[A-Za-z]\s*=")
_LETTERS = late(r"\\[A-Za-z]+|\{[A-Za-z ]{2,}\}|([A-Za-z])")
_SUBSTANCE = late(r"[\dA-Za-z]")
_NUMBER = late(r"\d|\\(?:pi|infty)(?![A-Za-z])")
_ASIDE = late(r"([-+]?\d[\d.,/]*) \(\d")
_RATE = late(r"[A-Za-z]{1,2} ?/ ?[a-z]{1,3}(?:\^\{?-?\d\}?)?\Z")
_UNITS = ("\\text", "\\mathrm", "^", "_")
"""What follows a form and belongs to it: a unit, a degree sign."""

_ENDS = frozenset(
    ["total", "all", "altogether", "overall", "is", "it", "answer", "result", "value", "instead", "then", "now"]
)
"""Words in which a closing statement may end."""

_PROSE = late(r"[A-Za-z]{2,}")
_NUMBERED = late(r"\s*\n\s*\d{1,2}\.\s+[A-Za-z]")
"""The first step of a numbered list: its number is no value."""

_WORDS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8",
    "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip


def later_values(tail: str, content: str) -> list[str]:
    """The values that ``tail``, the text after a form with ``content``, states beside it; [] for remarks."""
    found = []
    run_on = _RUN_ON.match(tail[:200])
    if run_on is not None:
        sign, rest = run_on.groups()
        # A letter that the answer lacks is what the answer counts: \\boxed{6}x^2 where the coefficient is asked.
        if _letters(run_on.group()) <= _letters(content) and _SUBSTANCE.search(run_on.group()):
            found.append(rest.rpartition("=")[2] if sign == "=" else content + run_on.group())
    closers = _CLOSERS.match(tail, 0, _REACH)
    start = closers.end() if closers else 0
    if run_on is None and not _NUMBERED.match(tail, start, start + _REACH):
        found += _stated(tail, start, content)
    end = tail[max(start, len(tail) - _REACH) :].rstrip(" \t\n$*_.!)]}\"'\\")
    word = end.rsplit(None, 1)[-1] if end else ""
    if not word.isalpha() or len(word) < 2 or word.lower() in _ENDS or word in _WORDS:
        stops = [stop.end() for stop in _STOP.finditer(end)]
        if stops:
            found += _stated(tail, max(start, len(tail) - _REACH) + stops[-1], content)
    return [
        value.strip() for value in found if value.strip() not in ("", content) and not value.rstrip().endswith("..")
    ]


def _letters(formula: str) -> set[str]:
    return {letter for letter in _LETTERS.findall(formula) if letter}


def _stated(tail: str, start: int, content: str) -> list[str]:
    """The value that the statement at ``start`` is, in a list; [] where it is anything else."""
    space = _SPACE.match(tail, start, start + _REACH)
    at = space.end() if space else start
    lead = _LEAD.match(tail, at, at + _REACH)
    at = lead.end() if lead else at
    prose = _PROSE.match(tail, at)
    if prose is not None and prose.group().lower() not in _WORDS:
        return []
    stop = _STOP.search(tail, at, at + _REACH)
    statement = tail[at : stop.start() if stop else at + _REACH].strip()
    for _ in range(2):
        wrapped = _WRAPPED.match(statement)
        if wrapped is None or not _TRAIL.match(statement, wrapped.end()):
            break
        statement = next(group for group in wrapped.groups() if group is not None).strip()
        lead = _LEAD.match(statement)
        statement = statement[lead.end() :] if lead is not None else statement
    trail = _TRAIL.search(statement)
    value = statement[: trail.start()] if trail is not None else statement
    if trail is not None and trail.group()[:1] == ")" and _opens(value) > value.count(")") + value.count("]"):
        value += ")"
    aside = _ASIDE.match(value)
    value = aside.group(1) if aside is not None else value
    value = _WORDS.get(value.lower(), value)
    if not _VALUE.match(value) or not _SUBSTANCE.search(value) or value.startswith(_UNITS) or _RATE.match(value):
        return []
    # A number beside a choice or a word answers something else, and so does a letter beside a number.
    return competing(value, content) if bool(_NUMBER.search(value)) == bool(_NUMBER.search(content)) else []


def _opens(value: str) -> int:
    return value.count("(") + value.count("[")


def competing(value: str, content: str) -> list[str]:
    """``value`` without its label, in a list; [] where it is a check, a remark, or about something else."""
    if _RELATION.search(value):
        return [value] if _RELATION.search(content) and _letters(value) else []
    if "=" not in value:
        return [value]
    left, _, right = value.partition("=")
    label = _LABEL.match(left)
    # One coordinate of several, or several letters ("So $x = 1$" after a point) competes with nothing.
    if label is None or "," in content or _NEXT_LABEL.search(right):
        return []
    said = _LABEL.match(content.strip("$ ").partition("=")[0]) if "=" in content else None
    right = right.rpartition("=")[2]
    if (said is not None and said.group(1) != label.group(1)) or not _letters(right) <= _letters(content):
        return []
    return [right] if said is None else [value]
