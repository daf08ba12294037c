"""Where a completion states its final answer: named rules, one linear scan from the right, no guessing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from r1gym.verifiers.closing import later_values
from r1gym.verifiers.late import late
from r1gym.verifiers.marks import BOXES, CONTEXT, MAX_ANSWER, Mark, find_marks, is_placeholder, may_deny
from r1gym.verifiers.offers import may_offer, offered_after, offered_before
from r1gym.verifiers.retractions import is_idle, other_values, taken_back

__all__ = ["MODES", "Extraction", "after_thought", "extract", "quick"]

MODES = ("lenient", "strict:####", "strict:answer", "strict:boxed")
"""The ways to look for a final answer; a strict one accepts only the form that the prompt declares."""

MAX_TEXT = 1_000_000
"""Characters of a completion that are looked at, counted from its end."""

MAX_DISTINCT = 4
"""More distinct answers than this after the thought are a spray: none of them counts."""

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
    if mode == "lenient" and "answer>" not in text:  # then there are boxes only, or a phrase
        found = _extract(text, "strict:boxed", echo)
        return found if found.parts or found.rule not in _PHRASE_MAY_FOLLOW else _extract(text, mode, echo)
    return _extract(text, mode, echo)


_PHRASE_MAY_FOLLOW = ("no_final_answer", "unclosed_answer")
"""Where no box holds an answer, "lenient" still reads the final line; in all else it agrees with "strict:boxed"."""


@lru_cache(maxsize=2)
def _extract(text: str, mode: str, echo: str) -> Extraction:
    """As ``extract``; the last text is remembered, for its answer's form is looked at beside the answer."""
    low, problem = after_thought(text)
    if problem:
        return _none("unclosed_thought", problem)
    low = max(low, len(text) - MAX_TEXT)
    if echo:
        found = text.find(echo, low)
        if found >= 0:
            low = found + len(echo)
    marks = find_marks(text, low, mode)
    answers = [mark for mark in marks if mark.status != "placeholder"]
    usable = [mark for mark in answers if mark.status != "unclosed"]
    if usable:
        # A second answer that was begun: without it the first would be revived. An empty opening says nothing.
        if answers[-1].status == "unclosed" and _BEGUN.match(text, answers[-1].start):
            return _none("unclosed_answer", "an answer's form is opened after the last whole one and never closed")
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


_TAG = late(r"<(?:\||!--|/?(?:think|answer)|(?:start|end)_of|/s>|｜)")
_QUICK = re.compile(r"\\boxed\{([^{}]{0,160}(?:\{[^{}]{0,80}\}[^{}]{0,80}){0,4})\}")
_DIGIT = re.compile(r"\d")
_SETTLED = re.compile(r"[\s$.*)\]}]*\Z")


@lru_cache(maxsize=2)
def quick(text: str) -> tuple[str, int, int] | None:
    """(answer, start, end) of a text whose only answer form is one plain box at its end; None for all other texts.

    It finds what ``extract`` would find in these texts, in a tenth of the time; most completions are such.
    """
    start = text.find("\\boxed{")
    if start < 0 or len(text) > MAX_TEXT or text.count("box") != 1:
        return None
    match = _QUICK.match(text, start)
    before = text[max(0, start - CONTEXT) : start]
    if match is None or may_deny(before) or may_offer(before):
        return None
    end = match.end()
    if text[end:].strip("$. ") and not _SETTLED.match(text, end):
        return None
    answer = match.group(1).strip()
    # Content without a digit may be a placeholder, and escaped braces are no braces.
    if not answer.isdecimal() and (
        not _DIGIT.search(answer) or "\\}" in answer or "\\{" in answer or answer.endswith("\\")
    ):
        return None
    if "<" in text and _TAG.search(text):
        return None
    return answer, start, end


def after_thought(text: str) -> tuple[int, str]:
    """Where the text after the last thought begins; a problem where a thought is not closed."""
    low = 0
    for opening, closing in _THOUGHT_TAGS:
        close = text.rfind(closing)
        after = close + len(closing) if close >= 0 else 0
        if text.find(opening, after) >= 0:
            return 0, f"{opening} is opened and never closed: an answer inside a thought does not count"
        low = max(low, after)
    return low, ""


_SENTENCE_END = late(r"[.!?。！？][*_$)\]\"'”]*(?:\s|\Z)|\n\s*\n|</answer>")
_NEXT_PROBLEM = late(
    r"<\|[a-z_]{2,24}\|>|</s>|\[INST\]|<(?:start|end)_of_turn>|<｜[^｜\n]{1,30}｜>"
    r"|^[ \t#*>]{0,8}(?:(?:new |next )?(?:problem|question)(?: \d{1,4})?|user|human|instruction)[ \t*]{0,4}:",
    re.IGNORECASE | re.MULTILINE,
)


def _choose(text: str, marks: list[Mark], mode: str) -> Extraction:
    """The last closing statement among ``marks``, before any new problem that the model invents."""
    cut = None if is_idle(text, marks[0].end) else _NEXT_PROBLEM.search(text, marks[0].end)
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
    parts += offered_before(text[max(0, marks[first].start - CONTEXT) : marks[first].start], contents[-1])
    tail = text[last.end : high]
    if not is_idle(tail, 0):
        if taken_back(tail):
            return _none("negated", "the text after the last answer form takes it back")
        if tail.startswith(("%", "\\%")) and last.rule == "boxed":
            parts[-1] += "\\%"
        parts += other_values(tail)
        parts += later_values(tail, contents[-1])
        parts += offered_after(tail, contents[-1])
        closing = (
            _final_line(text, last.end, high)
            if "nswer" in tail or "NSWER" in tail or "####" in tail or not tail.isascii()
            else None
        )
        if closing is not None and not closing.parts:
            return closing  # the closing line takes back what it says: the box is what it said before
        if closing is not None and _VALUE.match(closing.parts[0]):
            parts += [part for part in closing.parts if not any(command in part for command in BOXES)]
    if max(map(len, parts)) > MAX_ANSWER:
        return _none("too_long", f"the final answer is longer than {MAX_ANSWER} characters")
    return Extraction(tuple(parts), last.start, last.end, last.rule)


_VALUE = late(r"\$[^$]+\$\Z|[$\\([]*[-+]?[\d\\]|[a-zA-Z] ?= ?[-\d\\]|[a-zA-Z] ?[-+*/^] ?(?:[\d\\(]|[a-z](?![a-z]))")
_CLAUSE = late(
    r"(?<!as well),?\s+(?:because|since|as(?! well| many)|which|where|rather than|instead of"
    r"|as opposed to|(?:and )?not|i\.?e)\b"
    r"|(?<=[\d$)%*])\s\((?=(?:by|since|because|from|see|as|using|i\.?e|note|which|that|about|approximately|rounded|option"
    r"|the|all|not)\b|\$?\d+ ?[-+*/×·=])|(?<=(?-i:\b[A-J]))\s\((?!\s*(?:or|maybe|perhaps|possibly)\b)(?=\w)",
    re.IGNORECASE,
)
"""Where a stated answer ends and its reason begins."""


def _squeeze(content: str) -> str:
    return "".join(content.split())


def _inner(mark: Mark, mode: str) -> str:
    """What stands in the innermost form: the last box inside ``<answer>``, the box inside a box."""
    content = mark.content
    for _ in range(8):
        if not any(command in content for command in BOXES):
            break
        inner = [box for box in find_marks(content, 0, "strict:boxed") if box.status == "ok"]
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
    if mark.rule != "boxed" and mode != "strict:boxed":
        lead = _PHRASE.match(content)
        if lead:
            content = content[lead.end() :]
    return content.strip()


_PHRASE = late(
    r"[\s#*_>]*(?:(?:so|thus|hence|therefore|then|and so)[\s,:]*)?(?:the\s+|my\s+|our\s+)?"
    r"(?:(?:final|correct|best|right)\s+)?"
    r"answer(?:\s+to\s+(?:the|this)\s+(?:problem|question))?[\s*_]*(?:is(?![\w])|:|=|(?:would|must) be(?!\w))[\s*_:]*"
    r"(?:the\s+(?:final\s+)?answer\s+is(?![\w])[\s:]*)?"
    # The same in Chinese, Japanese, Spanish, French, German, Italian, Portuguese and Russian.
    r"|[\s#*_>]*(?:(?:所以|因此|故|于是)[，,、]?\s*)?(?:最终|最後の|最终的|正确|正解の)?(?:答案|答え)[\s*_]*(?:应该是|是|为|為|は|[：:])[\s*_:：]*"
    r"|[\s#*_>]*(?:la\s+|die\s+|a\s+)?(?:(?:bonne|richtige|korrekte|правильный)\s+)?"
    r"(?:respuesta|réponse|antwort|risposta|resposta|ответ)(?:\s+(?:finale?|corr?ec?t[ae]|corretta|esatta))?[\s*_]*"
    r"(?::|(?:es|est|ist|è|é)(?!\w))[\s*_:]*",
    re.IGNORECASE,
)
_PHRASE_INSIDE = late(r"\b(?:the|my|our)\s+(?:final\s+|correct\s+)?answer\s+is(?![\w])[\s*_:]*", re.IGNORECASE)
_BEGUN = late(r"(?:\\[a-z]+\s*\{|<answer>)\s*[^\s{}]")
_ANY_PHRASE = late(r"\banswer(?: is|:)[\s*_:]{1,4}([^\n]{1,80}?)(?=[.!?;,]?(?:\s|\Z))", re.IGNORECASE)
_SPRAY_WINDOW = 20_000
_DENIED = late(
    r"(?:\b(?:cannot|not|never|nobody|no one)|n['’]t)\s+(?:\w+\s+){0,2}?"
    r"(?:say|claim|think|believe|know|sure|certain|mean|tell|confirm|true|follow)(?:\s+\w+){0,2}\s*\Z"
    r"|\b(?:doubt|whether|unlikely|deny|suppose|pretend|false|wrong)\s+(?:\w+\s+){0,2}\Z",
    re.IGNORECASE,
)
_FILLER = late(r"(?:therefore|thus|hence|simply|then|indeed|just|exactly|equal to)\b[\s,:]*", re.IGNORECASE)
_HEADER = late(r"[\s#*_>]*(?:the\s+)?(?:final\s+)?answer[\s*_]*:?[\s*_]*", re.IGNORECASE)
_FAREWELL = late(
    r"(?:I hope|Hope) (?:this|that|it) helps|(?:Please )?(?:let me know|feel free)\b|Is there anything else", re.I
)
_HOPE = late(r"\.?\s*I hope (?:it|this|that) is correct.*\Z", re.IGNORECASE | re.DOTALL)


def _phrase(text: str, low: int) -> Extraction | None:
    """The answer that the final line states: "The answer is …", "Answer: …" or "#### …"."""
    stated = {_squeeze(match.group(1)) for match in _ANY_PHRASE.finditer(text, max(low, len(text) - _SPRAY_WINDOW))}
    if len(stated) > MAX_DISTINCT:
        return _none("spray", f"more than {MAX_DISTINCT} different final answers: one must be final")
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
    if line_at and _FAREWELL.match(line):
        body = body[:line_at].rstrip()
        line_at = body.rfind("\n") + 1
        line = body[line_at:]
    if line.lstrip().startswith("####"):
        at = body.index("####", line_at) + 4
        return _stated(body, window, at, "####")
    lead = _PHRASE.match(line)
    if lead is not None and lead.end() < len(line):
        return _stated(body, window, line_at + lead.end(), "phrase")
    inside = list(_PHRASE_INSIDE.finditer(line))
    if inside and not _DENIED.search(line, max(0, inside[-1].start() - 80), inside[-1].start()):
        return _stated(body, window, line_at + inside[-1].end(), "phrase")
    lines = body.split("\n")
    offset = len(body)
    for index in range(len(lines) - 1, max(-1, len(lines) - 8), -1):
        offset -= len(lines[index]) + (1 if index < len(lines) - 1 else 0)
        if lines[index].strip() and _HEADER.fullmatch(lines[index]):
            return _stated(body, window, offset + len(lines[index]) + 1, "phrase") if index < len(lines) - 1 else None
    return None


def _stated(body: str, window: int, at: int, rule: str) -> Extraction | None:
    lead = _PHRASE.match(body, at)
    if lead is not None:
        at = lead.end()
    filler = _FILLER.match(body, at)
    if filler is not None:
        at = filler.end()
    content = _HOPE.sub("", body[at:])
    tail = ""
    if rule == "phrase":
        ending = re.search(r"[.!?](?:\s|\Z)|。", content)
        if ending is not None:
            content, tail = content[: ending.start()], content[ending.start() :]
        for clause in _CLAUSE.finditer(content, 1):
            before = content[: clause.start()]
            if (
                before.strip(" $*_`")
                and (before.count("$") - before.count("\\$")) % 2 == 0
                and before.count("\\(") == before.count("\\)")
            ):
                content, tail = before, content[clause.start() :] + tail
                break
    value = content.strip(" \t\n*_`")
    if not value or len(value) > MAX_ANSWER or is_placeholder(value):
        return None
    start = window + at + content.find(value)
    parts: tuple[str, ...] = (value,)
    if tail and not is_idle(tail, 0):
        if taken_back(tail):
            return _none("negated", "the text after the answer takes it back")
        parts = (value, *other_values(tail), *later_values(tail, value), *offered_after(tail, value))
    return Extraction(parts, start, start + len(value), rule)
