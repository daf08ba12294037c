"""Where a completion states its final answer: named rules, one linear scan from the right, no guessing."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["MAX_ANSWER", "MODES", "Extraction", "extract"]

MODES = ("lenient", "strict:####", "strict:answer", "strict:boxed")
"""The ways to look for a final answer; a strict one accepts only the form that the prompt declares."""

MAX_ANSWER = 2_000
"""Characters of the longest answer that is read."""

MAX_TEXT = 1_000_000
"""Characters of a completion that are looked at, counted from its end."""

MAX_DISTINCT = 4
"""More distinct answers than this after the thought are a spray: none of them counts."""

MAX_MARKS = 64
"""Answer marks examined, counted from the end."""

_STATEMENT = 200
"""Characters between two answers that still belong to one closing statement."""

_THOUGHT_TAGS = (("<think>", "</think>"), ("<thinking>", "</thinking>"), ("<|begin_of_thought|>", "<|end_of_thought|>"))


@dataclass(frozen=True, slots=True)
class Extraction:
    """The final answer of a completion, or why there is none."""

    parts: tuple[str, ...]
    """The answer; several where one closing statement names several."""
    start: int
    end: int
    rule: str
    """The form that was found ("boxed", "answer", "phrase", "####"), or the rule that found none."""
    detail: str = ""
    """Why there is no answer, in words; "" where there is one."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """One passage that has the form of an answer; ``status`` "ok", "placeholder", "unclosed", "long" or "negated"."""

    start: int
    end: int
    content: str
    rule: str
    status: str = "ok"


def _none(rule: str, detail: str) -> Extraction:
    return Extraction((), 0, 0, rule, detail)


def extract(text: object, mode: str = "lenient", echo: str = "") -> Extraction:
    """The last complete final answer outside the thought.

    Args:
        text: What the model wrote, without the prompt.
        mode: One of ``MODES``.
        echo: A text (the question) whose own answer forms do not count where the completion repeats it.
    """
    if not isinstance(text, str):
        return _none("not_text", f"expected text, got {type(text).__name__}")
    low, problem = _after_thought(text)
    if problem:
        return _none("unclosed_thought", problem)
    low = max(low, len(text) - MAX_TEXT)
    if echo:
        found = text.find(echo, low)
        if found >= 0:
            low = found + len(echo)
    marks = _marks(text, low, mode)
    answers = [mark for mark in marks if mark.status != "placeholder"]
    usable = [mark for mark in answers if mark.status != "unclosed"]
    if usable:
        return _choose(text, usable, mode)
    if mode == "lenient" and len(answers) == len(marks):
        phrase = _phrase(text, low)
        if phrase is not None:
            return phrase
    if answers:
        return _none("unclosed_answer", "the answer's form is opened and never closed")
    if marks:
        return _none("placeholder", "the only answer form is empty, a placeholder or an example")
    return _none("no_final_answer", f"no final answer in a form that {mode!r} accepts")


def _after_thought(text: str) -> tuple[int, str]:
    """Where the text after the last thought begins; a problem where a thought is not closed."""
    low = 0
    for opening, closing in _THOUGHT_TAGS:
        close = text.rfind(closing)
        after = close + len(closing) if close >= 0 else 0
        if text.find(opening, after) >= 0:
            return 0, f"{opening} is opened and never closed: an answer inside a thought does not count"
        low = max(low, after)
    return low, ""


_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BARE_BOX = re.compile(r"[ \t]*([-+−]?\d(?:[\d,.]*\d)?|[A-Za-z](?![A-Za-z])|\\[A-Za-z]+(?=[\s{]))")


def _close_brace(text: str, opening: int) -> int:
    """Index of the brace that closes ``text[opening]``; -1 where the text ends first, -2 past the longest answer."""
    limit = opening + MAX_ANSWER + 2
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


def _box(text: str, start: int, after: int) -> _Mark:
    """The box whose command begins at ``start`` and ends at ``after``."""
    here = after
    while here < len(text) and here - after < 8 and text[here] in " \t\n":
        here += 1
    if here < len(text) and text[here] == "{":
        close = _close_brace(text, here)
        if close < 0:
            return _Mark(start, len(text), "", "boxed", "unclosed" if close == -1 else "long")
        return _Mark(start, close + 1, text[here + 1 : close], "boxed")
    bare = _BARE_BOX.match(text, after)
    if bare is None:
        return _Mark(start, after, "", "boxed", "placeholder")
    end = bare.end()
    while end < len(text) and text[end] == "{" and bare.group(1).startswith("\\"):
        close = _close_brace(text, end)
        if close < 0:
            return _Mark(start, len(text), "", "boxed", "unclosed")
        end = close + 1
    return _Mark(start, end, text[bare.start(1) : end], "boxed")


def _marks(text: str, low: int, mode: str) -> list[_Mark]:
    """The marks that ``mode`` looks for, in order of position, nested ones inside their outermost."""
    found: list[_Mark] = []
    if mode in ("lenient", "strict:boxed"):
        for command in ("\\boxed", "\\fbox"):
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
    outer: list[_Mark] = []
    for mark in found:
        if outer and mark.end <= outer[-1].end and outer[-1].status == "ok":
            continue
        outer.append(mark)
    return [_judge_context(text, low, mark) for mark in outer[-MAX_MARKS:]]


def _tags(text: str, low: int) -> list[_Mark]:
    found: list[_Mark] = []
    close = text.rfind("</answer>", low)
    unclosed = text.find("<answer>", close if close >= 0 else low)
    if unclosed >= 0:
        found.append(_Mark(unclosed, len(text), "", "answer", "unclosed"))
    while close >= 0 and len(found) < MAX_MARKS:
        start = text.rfind("<answer>", low, close)
        if start < 0:
            break
        content = text[start + len("<answer>") : close]
        status = "ok" if len(content) <= 2 * MAX_ANSWER else "long"
        found.append(_Mark(start, close + len("</answer>"), content, "answer", status))
        close = text.rfind("</answer>", low, start)
    return found


_HASHES = re.compile(r"[ \t]*####")


def _hashes(text: str, low: int) -> list[_Mark]:
    found: list[_Mark] = []
    at = text.rfind("####", low)
    while at >= 0 and len(found) < MAX_MARKS:
        line = max(text.rfind("\n", low, at) + 1, low)
        lead = _HASHES.match(text, line)
        if lead is not None:
            stop = text.find("\n", at)
            stop = len(text) if stop < 0 else stop
            status = "ok" if stop - line <= MAX_ANSWER else "long"
            found.append(_Mark(line, stop, text[lead.end() : stop] if status == "ok" else "", "####", status))
        at = text.rfind("####", low, line)
    return found


_PLACEHOLDER = re.compile(
    r"[\s.…_?$<\[({]*(?:(?:(?:insert|put|write|place)\s+)?(?:(?:your|the|my|an?)\s+)?(?:final\s+|numerical\s+|exact\s+)?"
    r"(?:answer|ans|result|response)(?:\s+(?:goes\s+)?here)?)?[\s.…_?$>\])}]*",
    re.IGNORECASE,
)
_WRAPPER = re.compile(r"\\(?:text|textbf|mathrm|textit|mbox|ldots|dots|cdots|quad|,|;|!| )|[{}]")
_EXAMPLE = re.compile(
    r"(?:\be\.?g\.?|\bfor example|\bfor instance|\bsuch as|\blike this|\blike so)[\s,:`'\"$*]*\Z", re.IGNORECASE
)
_NEGATION = re.compile(r"(?:\bnot|n't be|\bnever|\brather than|\binstead of|\\neq?|≠)[\s:`'\"$*]*\Z", re.IGNORECASE)


def _judge_context(text: str, low: int, mark: _Mark) -> _Mark:
    """``mark`` with its status lowered where it is a placeholder, an example, or what the answer is *not*."""
    if mark.status != "ok":
        return mark
    content = mark.content
    short = len(content) <= 60
    if short and _PLACEHOLDER.fullmatch(_WRAPPER.sub(" ", content) if "\\" in content else content):
        return _Mark(mark.start, mark.end, "", mark.rule, "placeholder")
    before = text[max(low, mark.start - 24) : mark.start]
    if _EXAMPLE.search(before):
        return _Mark(mark.start, mark.end, "", mark.rule, "placeholder")
    if _NEGATION.search(before):
        return _Mark(mark.start, mark.end, content, mark.rule, "negated")
    return mark


_SENTENCE_END = re.compile(r"[.!?。！？][*_$)\]\"'”]*(?:\s|\Z)|\n\s*\n|</answer>")
_NEXT_PROBLEM = re.compile(
    r"<\|[a-z_]{2,24}\|>|</s>|\[INST\]|<(?:start|end)_of_turn>|<｜[^｜\n]{1,30}｜>"
    r"|^[ \t#*>]{0,8}(?:(?:new |next )?(?:problem|question)(?: \d{1,4})?|user|human|instruction)[ \t*]{0,4}:",
    re.IGNORECASE | re.MULTILINE,
)


def _choose(text: str, marks: list[_Mark], mode: str) -> Extraction:
    """The last closing statement among ``marks``, before any new problem that the model invents."""
    cut = _NEXT_PROBLEM.search(text, marks[0].end)
    high = cut.start() if cut else len(text)
    marks = [mark for mark in marks if mark.start < high]
    contents = [_inner(mark, mode) for mark in marks]
    last = marks[-1]
    if len({_squeeze(content) for content in contents}) > MAX_DISTINCT:
        return _none("spray", f"more than {MAX_DISTINCT} different final answers: one must be final")
    if last.status == "long":
        return _none("too_long", f"the final answer is longer than {MAX_ANSWER} characters")
    if last.status == "negated":
        return _none("negated", "the last answer form says what the answer is not")
    parts = [contents[-1]]
    first = len(marks) - 1
    while first > 0:
        gap = text[marks[first - 1].end : marks[first].start]
        if len(gap) >= _STATEMENT or _SENTENCE_END.search(gap):
            break
        first -= 1
        if _squeeze(contents[first]) not in {_squeeze(part) for part in parts}:
            parts.insert(0, contents[first])
    parts += _afterthoughts(text, last.end, high)
    if max(map(len, parts)) > MAX_ANSWER:
        return _none("too_long", f"the final answer is longer than {MAX_ANSWER} characters")
    return Extraction(tuple(parts), last.start, last.end, last.rule)


def _squeeze(content: str) -> str:
    return "".join(content.split())


def _inner(mark: _Mark, mode: str) -> str:
    """What stands in the innermost form: the last box inside ``<answer>``, the box inside a box."""
    content = mark.content
    for _ in range(8):
        if "\\boxed" not in content and "\\fbox" not in content:
            break
        inner = [box for box in _marks(content, 0, "strict:boxed") if box.status == "ok"]
        if not inner:
            break
        whole = (
            len(inner) == 1
            and not content[: inner[0].start].strip(" $\n")
            and not content[inner[0].end :].strip(" $.\n")
        )
        if mark.rule == "boxed" and not whole:
            break
        content = inner[-1].content if len(inner) == 1 or whole else ", ".join(box.content for box in inner)
    if mark.rule == "answer" and mode != "strict:boxed":
        lead = _PHRASE.match(content)
        if lead:
            content = content[lead.end() :]
    return content.strip()


_AFTERTHOUGHT = re.compile(
    r"[\s$*)\]}.,;:]{0,8}\(?(?:or|alternatively|maybe|perhaps|possibly|otherwise)\b[\s,:]*"
    r"(?:(?:maybe|perhaps|possibly|even|it|could|might|is|be)\b[\s,:]*){0,4}([^\n()]{1,60})",
    re.IGNORECASE,
)
_RESTATES = re.compile(r"(?:equivalent|approximat|approx|about|roughly|simply|in |as |≈|\\approx)", re.IGNORECASE)
_LATER_ANSWER = re.compile(
    r"answer (?:is|would be|should be|must be)(?: actually| instead| then)?[\s:*]*([$\\(\[]*-?[\d\\][^\n]{0,80})",
    re.IGNORECASE,
)
_VALUE_END = re.compile(r"[.!?;,](?:\s|\Z)|\s\(|\)\s*\Z")


def _afterthoughts(text: str, start: int, high: int) -> list[str]:
    """Other values that the text right after the last form offers ("or maybe 8"): they are part of the answer."""
    tail = text[start : min(high, start + 400)]
    if not tail.strip(" \n$.*)]}"):
        return []
    found = []
    hedge = _AFTERTHOUGHT.match(tail)
    if hedge and not _RESTATES.match(hedge.group(1)) and re.search(r"[\d\\]", hedge.group(1)):
        found.append(hedge.group(1))
    later = _LATER_ANSWER.search(tail)
    if later and "\\boxed" not in later.group(1):
        found.append(later.group(1))
    return [_VALUE_END.split(value, maxsplit=1)[0].strip(" $*?!") for value in found]


_PHRASE = re.compile(
    r"[\s#*_>]*(?:(?:so|thus|hence|therefore|then|and so)[\s,:]*)?(?:the\s+|my\s+|our\s+)?(?:final\s+|correct\s+)?"
    r"answer(?:\s+to\s+(?:the|this)\s+(?:problem|question))?[\s*_]*(?:is(?![\w])|:|=|would be)[\s*_:]*"
    r"(?:the\s+(?:final\s+)?answer\s+is(?![\w])[\s:]*)?",
    re.IGNORECASE,
)
_PHRASE_INSIDE = re.compile(r"\b(?:the|my|our)\s+(?:final\s+|correct\s+)?answer\s+is(?![\w])[\s*_:]*", re.IGNORECASE)
_HEADER = re.compile(r"[\s#*_>]*(?:the\s+)?(?:final\s+)?answer[\s*_]*:?[\s*_]*", re.IGNORECASE)
_HOPE = re.compile(r"\.?\s*I hope (?:it|this|that) is correct.*\Z", re.IGNORECASE | re.DOTALL)


def _phrase(text: str, low: int) -> Extraction | None:
    """The answer that the final line states: "The answer is …", "Answer: …" or "#### …"."""
    cut = _NEXT_PROBLEM.search(text, low)
    if cut is not None and text[low : cut.start()].strip():
        found = _final_line(text, low, cut.start())
        if found is not None:
            return found
    return _final_line(text, low, len(text))


def _final_line(text: str, low: int, high: int) -> Extraction | None:
    window = max(low, high - 2 * MAX_ANSWER)
    body = text[window:high].rstrip()
    line_at = body.rfind("\n") + 1
    line = body[line_at:]
    if line.lstrip().startswith("####"):
        at = body.index("####", line_at) + 4
        return _stated(body, window, at, "####")
    lead = _PHRASE.match(line)
    if lead is not None and lead.end() < len(line):
        return _stated(body, window, line_at + lead.end(), "phrase")
    inside = list(_PHRASE_INSIDE.finditer(line))
    if inside:
        return _stated(body, window, line_at + inside[-1].end(), "phrase")
    lines = body.split("\n")
    offset = len(body)
    for index in range(len(lines) - 1, max(-1, len(lines) - 8), -1):
        offset -= len(lines[index]) + (1 if index < len(lines) - 1 else 0)
        if lines[index].strip() and _HEADER.fullmatch(lines[index]):
            return _stated(body, window, offset + len(lines[index]) + 1, "phrase") if index < len(lines) - 1 else None
    return None


def _stated(body: str, window: int, at: int, rule: str) -> Extraction | None:
    content = _HOPE.sub("", body[at:])
    if rule == "phrase":
        ending = re.search(r"[.!?](?:\s|\Z)", content)
        if ending is not None:
            content = content[: ending.start()]
    value = content.strip(" \t\n*_`")
    if not value or len(value) > MAX_ANSWER or _PLACEHOLDER.fullmatch(value):
        return None
    start = window + at + content.find(value)
    return Extraction((value,), start, start + len(value), rule)
