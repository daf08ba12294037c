"""The passages of a text that have the form of an answer, each judged by what stands around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from r1gym.verifiers.late import late

__all__ = ["BOXES", "CONTEXT", "MAX_ANSWER", "MAX_MARKS", "Mark", "find_marks", "is_placeholder", "may_deny"]

MAX_ANSWER = 2_000
"""Characters of the longest answer that is read."""

MAX_MARKS = 64
"""Answer marks examined, counted from the end."""

BOXES = ("\\boxed", "\\fbox", "\\framebox")
"""The commands that put a box around an answer."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One passage that has the form of an answer; ``status`` "ok", "placeholder", "unclosed", "long" or "negated"."""

    start: int
    end: int
    content: str
    rule: str
    status: str = "ok"


_BRACE = late(r"\\.|[{}]", re.DOTALL)
_BARE_BOX = late(r"[ \t]*([-+−]?\d(?:[\d,.]*\d)?|[A-Za-z](?![A-Za-z])|\\[A-Za-z]+(?=[\s{]))")


def _close_brace(text: str, opening: int) -> int:
    """Index of the brace that closes ``text[opening]``; -1 where the text ends first, -2 past the longest answer."""
    limit = opening + MAX_ANSWER + 2
    first = text.find("}", opening, limit)
    if first > 0 and text[first - 1] != "\\" and text.find("{", opening + 1, first) < 0:
        return first
    depth = 0
    for match in _BRACE.finditer(text, opening, limit):
        token = match.group()
        if token == "{":
            depth += 1
        elif token == "}":
            depth -= 1
            if depth == 0:
                return match.start()
    return -1 if limit >= len(text) else -2


def _box(text: str, start: int, after: int) -> Mark:
    """The box whose command begins at ``start`` and ends at ``after``."""
    here = after
    while here < len(text) and here - after < 8 and text[here] in " \t\n":
        here += 1
    if here < len(text) and text[here] == "{":
        close = _close_brace(text, here)
        if close < 0:
            return Mark(start, len(text), "", "boxed", "unclosed" if close == -1 else "long")
        return Mark(start, close + 1, text[here + 1 : close], "boxed")
    bare = _BARE_BOX.match(text, after)
    if bare is None:
        return Mark(start, after, "", "boxed", "placeholder")
    end = bare.end()
    while end < len(text) and text[end] == "{" and bare.group(1).startswith("\\"):
        close = _close_brace(text, end)
        if close < 0:
            return Mark(start, len(text), "", "boxed", "unclosed")
        end = close + 1
    return Mark(start, end, text[bare.start(1) : end], "boxed")


def find_marks(text: str, low: int, mode: str) -> list[Mark]:
    """The marks that ``mode`` looks for, in order of position, nested ones inside their outermost."""
    found: list[Mark] = []
    if mode in ("lenient", "strict:boxed"):
        for command in BOXES:
            at = text.rfind(command, low)
            while at >= 0 and len(found) < 2 * MAX_MARKS:
                after = at + len(command)
                if not text[after : after + 1].isalpha():
                    found.append(_box(text, at, after))
                at = text.rfind(command, low, at)
    if mode in ("lenient", "strict:answer"):
        found += _tags(text, low)
    if mode == "strict:####":
        found += _hashes(text, low)
    found.sort(key=lambda mark: (mark.start, -mark.end))
    outer: list[Mark] = []
    for mark in found:
        if outer and mark.end <= outer[-1].end and outer[-1].status == "ok":
            continue
        outer.append(mark)
    if outer and text.find("<!--", low) >= 0:
        comments = [comment.span() for comment in _COMMENT.finditer(text, low)]
        outer = [mark for mark in outer if not any(start < mark.start < end for start, end in comments)]
    return [_judge_context(text, low, mark) for mark in outer[-MAX_MARKS:]]


def _tags(text: str, low: int) -> list[Mark]:
    found: list[Mark] = []
    close = text.rfind("</answer>", low)
    unclosed = text.find("<answer>", close if close >= 0 else low)
    if unclosed >= 0:
        found.append(Mark(unclosed, len(text), "", "answer", "unclosed"))
    while close >= 0 and len(found) < MAX_MARKS:
        start = text.rfind("<answer>", low, close)
        if start < 0:
            break
        content = text[start + len("<answer>") : close]
        status = "ok" if len(content) <= 2 * MAX_ANSWER else "long"
        found.append(Mark(start, close + len("</answer>"), content, "answer", status))
        close = text.rfind("</answer>", low, start)
    return found


_HASHES = late(r"[ \t]*####")


def _hashes(text: str, low: int) -> list[Mark]:
    found: list[Mark] = []
    at = text.rfind("####", low)
    while at >= 0 and len(found) < MAX_MARKS:
        line = max(text.rfind("\n", low, at) + 1, low)
        lead = _HASHES.match(text, line)
        if lead is not None:
            stop = text.find("\n", at)
            stop = len(text) if stop < 0 else stop
            status = "ok" if stop - line <= MAX_ANSWER else "long"
            found.append(Mark(line, stop, text[lead.end() : stop] if status == "ok" else "", "####", status))
        at = text.rfind("####", low, line)
    return found


_PLACEHOLDER = late(
    r"[\s.…_?$<\[({]*(?:(?:(?:insert|put|write|place)\s+)?(?:(?:your|the|my|an?)\s+)?(?:final\s+|numerical\s+|exact\s+)?"
    r"(?:answer|ans|result|response)(?:\s+(?:goes\s+)?here)?)?[\s.…_?$>\])}]*",
    re.IGNORECASE,
)
_WRAPPER = late(r"\\(?:text|textbf|mathrm|textit|mbox|ldots|dots|cdots|quad|,|;|!| )|[{}]")
_EXAMPLE = late(
    r"(?:\be\.?g\.?|\bfor example|\bfor instance|\bsuch as|\blike this|\blike so)[\s,:`'\"$*]*\Z", re.IGNORECASE
)
_NEGATION = late(
    r"(?:\b(?:not|cannot|never|nobody|no one|wrong|incorrect|false|mistakes?|errors?|rule out|ruled out"
    r"|different from|unlike|rather than|instead of|other than|suppose|(?:any|every)thing (?:but|except)"
    r"|(?:any|every)thing except for)\b|n['’]t\b|\\(?:neq?|lnot|neg|not)\b|[≠¬]|\s!=)"
    r"(?:\s+(?:an?|the|that|this|it|is|was|were|be|equals?|to|gives?|gave"
    r"|would|could|say|final|answer|value|result)\b){0,5}"
    r"[\s:`'\"$*]*\Z"
    # A sign before the box belongs to the answer, which the box alone does not state; "- \boxed" is a list's bullet.
    r"|[=$({,\d]\s*[-−]\Z",
    re.IGNORECASE,
)
_HIDDEN = late(
    r"(?:\\(?:[hv]?phantom|[bx]?cancel|sout|iffalse|(?:re)?newcommand\*?\s*\{?\\[A-Za-z]+\}?|def\s*\\[A-Za-z]+)[\s{$]*"
    r"|\\(?:text)?color\s*\{(?:white|transparent)\}[\s{$]*|~~[\s$]*|<(?:s|del|strike)>[\s$]*|(?:\A|\n)[ \t]*%[\s$]*)\Z"
)
"""Struck out, written in no colour, defined or commented out: what is read on the page lacks the form that follows."""
_COMMENT = late(r"<!--.*?(?:-->|\Z)", re.DOTALL)
CONTEXT = 64
"""Characters before an answer form that may deny it."""

_CUES = (
    "not", "n't", "never", "than", "instead", "\\ne", "example", "instance", "such as", "like ", "nobody", "no one",
    "wrong", "incorrect", "false", "mistake", "error", "rule", "different", "unlike", "suppose", "≠", "except",
    "thing but", "!=", "¬", "lnot", "\\neg",
)  # fmt: skip


_LAST_WORDS = frozenset(
    [
        "not", "cannot", "never", "nobody", "one", "wrong", "incorrect", "false", "mistake", "mistakes", "error",
        "errors", "out", "from", "unlike", "than", "of", "suppose", "ne", "neq", "a", "an", "the", "that", "this",
        "it", "is", "was", "were", "be", "equal", "equals", "to", "give", "gives", "gave", "would", "could", "say",
        "final", "answer", "value", "result", "except", "but", "for", "eg", "example", "instance", "as", "so",
    ]
)  # fmt: skip
"""Words in which a denial or an example can end just before the form."""


def may_deny(before: str) -> bool:
    """Whether the text before an answer form may be a denial or an example: a tenth of the patterns' time."""
    if before.isascii():
        end = before.rstrip(" \t\n\r\f\v:`'\"$*,.")
        if not end or end[-1].isdigit():
            return False
        lowered = end.lower()
        word = lowered.rsplit(None, 1)[-1]
        if word.isalpha():
            if word not in _LAST_WORDS:
                return False
        elif word[-1] in "{}~>%" or word == "\\iffalse":
            return True
    else:
        lowered = before.casefold().replace("’", "'")
        end = lowered.rstrip(" \t\n\r\f\v:`'\"$*,.")
    for cue in _CUES:
        if cue in lowered:
            return True
    return end.endswith(("-", "−", "eg", "e.g", "EG", "E.G", "E.g", "Eg"))


def _judge_context(text: str, low: int, mark: Mark) -> Mark:
    """``mark`` with its status lowered where it is a placeholder, an example, or what the answer is *not*."""
    if mark.status != "ok":
        return mark
    content = mark.content
    short = len(content) <= 60
    if short and _PLACEHOLDER.fullmatch(_WRAPPER.sub(" ", content) if "\\" in content else content):
        return Mark(mark.start, mark.end, "", mark.rule, "placeholder")
    before = text[max(low, mark.start - CONTEXT) : mark.start]
    if not may_deny(before):
        return mark
    hidden = _HIDDEN.search(before)
    if hidden is not None and hidden.group().startswith("~~") and text.count("~~", low, mark.start) % 2 == 0:
        hidden = None  # the end of what is struck out
    if hidden is not None or _EXAMPLE.search(before):
        return Mark(mark.start, mark.end, "", mark.rule, "placeholder")
    if _NEGATION.search(before):
        return Mark(mark.start, mark.end, content, mark.rule, "negated")
    return mark


def is_placeholder(content: str) -> bool:
    """Whether a stated answer is empty or a placeholder such as "your answer"."""
    return _PLACEHOLDER.fullmatch(content) is not None
