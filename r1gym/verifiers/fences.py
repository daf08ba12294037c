"""Where a completion states its program: the last complete fenced block outside the thought, and its tag."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from r1gym.verifiers.extract import MAX_TEXT, after_thought

__all__ = ["CODE_MODES", "TAGS", "Code", "find_code"]

CODE_MODES = ("lenient", "strict:answer", "strict:code")
"""The ways to look for a program. "strict:answer": inside ``<answer>``; "strict:code": one tagged block at the end."""

TAGS: dict[str, str] = {
    **dict.fromkeys(("python", "python3", "py", "py3", "pypy", "pypy3", "ipython", "ipython3"), "python"),
    **dict.fromkeys(("cpp", "c++", "cc", "cxx", "g++"), "cpp"),
    **{f"{name}{year}": "cpp" for name in ("cpp", "c++", "gnu++") for year in (11, 14, 17, 20, 23)},
    **dict.fromkeys(("c", "c99", "c11", "c17", "gcc"), "c"),
}
"""A fence's tag, in lower case → the judge's language. Other tags mark no program."""

UNTAGGED = "python"
"""The language of a block without a tag."""

MAX_SOURCE = 262_144
"""Characters of the longest program that is read; contests take 65,536 bytes."""

_LINE = re.compile(r"^([^\n`~]*)(`{3,}|~{3,})([^\n]*)$", re.MULTILINE)
_MARGIN = re.compile(r"[\s\u200b\ufeff>]*(?:<answer>\s*|(?:[-*+]|\d{1,3}[.)])[ \t]+)?")
"""What may stand before a fence that begins its line: a quotation's mark, a list's bullet, an answer's tag."""

_QUOTED = re.compile(r"^[ \t]*> ?", re.MULTILINE)
_INFO = re.compile(r"[^\s{}:,=\[(]+")
_NO_INFO = re.compile(r"[ \t\r]*(?:\Z|(?:[^\s\w{.+]|\.(?!\w))[^\n]*|[^\s]+[.!?,:;](?:\s[^\n]*)?)")
"""What may follow a closing fence: nothing, the tag or sign of what encloses it, or the first word of a sentence."""

_ENDING = re.compile(r"\s*(?:(?:</answer>|</s>|<[|｜][^\n]*)\s*)*")
"""What may follow a program that ends its completion: what closes the answer, or the turn."""

_DOCUMENTS = ("markdown", "md")
_INDENT = 3
"""Spaces by which a closing fence may stand further in than its opening (CommonMark 4.5): more, and it is code."""

_ANSWERS = ("<answer>", "</answer>")


@dataclass(frozen=True, slots=True)
class Code:
    """The program of a completion, or why there is none (``rule`` of ``reasons.RULES``, and words)."""

    source: str
    language: str
    start: int
    end: int
    rule: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class _Block:
    tag: str
    start: int
    end: int
    margin: str
    after: int
    """Where the closing fence ends."""


def _none(rule: str, detail: str) -> Code:
    return Code("", "", 0, 0, rule, detail)


def find_code(text: object, mode: str, languages: Sequence[str]) -> Code:
    """The program that ``text`` ends on.

    A block with a tag of ``languages`` comes before one without a tag (programs are tagged, sample output often is
    not); of each kind the last complete one counts. Blocks with other tags and empty blocks never do.

    Args:
        text: What the model wrote, without the prompt.
        mode: One of ``CODE_MODES``.
        languages: The judge's names of the languages that the task takes.
    """
    if not isinstance(text, str):
        return _none("not_text", f"expected text, got {type(text).__name__}")
    low, problem = after_thought(text)
    if problem:
        return _none("unclosed_thought", problem)
    low, high = max(low, len(text) - MAX_TEXT), len(text)
    if mode == "strict:answer":
        high = text.rfind(_ANSWERS[1], low)
        low = text.rfind(_ANSWERS[0], low, max(high, low))
        if low < 0 or high < 0:
            return _none("no_final_answer", f"no final answer in a form that {mode!r} accepts")
    blocks, unclosed = _blocks(text, low, high)
    if mode == "strict:code" and (len(blocks) != 1 or unclosed or not _ENDING.fullmatch(text, blocks[0].after)):
        return _none("not_alone", "expected one fenced block, closed, at the end of the completion")
    full = [block for block in blocks if text[block.start : block.end].strip()]
    tagged = [block for block in full if TAGS.get(block.tag) in languages]
    plain = [block for block in full if not block.tag and UNTAGGED in languages and mode != "strict:code"]
    if tagged or plain:
        return _read(text, (tagged or plain)[-1])
    if unclosed:
        return _none("unclosed_fence", "a fenced block is opened and never closed")
    if full:
        tags = ", ".join(sorted({repr(block.tag) for block in full}))
        return _none("no_code", f"fenced blocks are tagged {tags:.80}, and the task takes {', '.join(languages)}")
    if blocks:
        return _none("placeholder", "the only fenced block is empty")
    return _none("no_code", "no fenced block outside the thought")


def _read(text: str, block: _Block) -> Code:
    if block.end - block.start > MAX_SOURCE:
        return _none("too_long", f"the program is longer than {MAX_SOURCE} characters")
    source = text[block.start : block.end]
    if ">" in block.margin and "<" not in block.margin:
        source = _QUOTED.sub("", source)
    elif block.margin and "<" not in block.margin:  # a block within a list is indented as a whole
        source = re.sub(rf"^[ \t]{{1,{len(block.margin)}}}", "", source, flags=re.MULTILINE)
    return Code(source, TAGS[block.tag] if block.tag else UNTAGGED, block.start, block.end)


def _blocks(text: str, low: int, high: int) -> tuple[list[_Block], bool]:
    """The complete blocks in order, and whether a last one is never closed.

    A fence with a tag opens a block even where one is open: that one was never closed. A document in a longer fence is
    looked into.
    """
    blocks: list[_Block] = []
    opened: re.Match[str] | None = None
    document = 0
    for line in _LINE.finditer(text[low:high]):  # of a slice, so that a fence right after the thought begins a line
        margin, fence, rest = line.groups()
        first = _MARGIN.fullmatch(margin) is not None
        if opened is not None and first and fence[0] == opened.group(2)[0] and len(fence) >= len(opened.group(2)):
            if _closes(margin, rest, opened.group(1)):
                start, end = low + opened.end() + 1, low + line.start()
                margin = opened.group(1) if _MARGIN.fullmatch(opened.group(1)) else ""
                blocks.append(_Block(_tag(opened.group(3)), min(start, end), end, margin, low + line.end(2)))
                opened = None
                continue
        elif opened is not None:
            continue
        if document and first and len(fence) >= document and not rest.strip():
            document = 0
        elif len(fence) > 3 and _tag(rest) in _DOCUMENTS:
            document = len(fence)
        elif fence[0] not in rest and (first or _tag(rest) in TAGS) and (opened is None or _tag(rest)):
            opened = line
    return blocks, opened is not None


def _closes(margin: str, rest: str, outer: str) -> bool:
    """Whether a fence between ``margin`` and ``rest`` closes a block whose own margin is ``outer``."""
    if len(margin.expandtabs(4)) > len(outer.expandtabs(4)) + _INDENT:
        return False
    return _NO_INFO.fullmatch(rest) is not None and _tag(rest) not in TAGS


def _tag(info: str) -> str:
    """The first word of what follows the fence, in lower case; ``{.python}`` and ``python:main.py`` are tags too."""
    found = _INFO.search(info.strip().lstrip("{."))
    tag = found.group().lower().removeprefix("language-").removeprefix("lang-") if found else ""
    return tag.partition(".")[0] if tag.startswith(("python3.", "pypy3.")) else tag
