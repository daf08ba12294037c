"""The multiple-choice grader: which one option does the final answer name, by its letter or by its whole text?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from r1gym.errors import ConfigError, ReferenceRefusedError, unknown_name
from r1gym.types import Span, Task, Verdict
from r1gym.verifiers import closing_line
from r1gym.verifiers.extract import Extraction, after_thought, extract
from r1gym.verifiers.marks import MAX_ANSWER, find_marks
from r1gym.verifiers.options import LETTERS, Options, Unread
from r1gym.verifiers.retractions import is_idle, taken_back

__all__ = ["ChoiceGrader", "prepare"]

OPTIONS = ("options",)
REACH = 400
"""Characters after the answer in which another option still belongs to it."""
SPRAY = 3
"""So many different letters, each stated as the answer after the thought, are a spray: none of them counts."""

_DENIED = re.compile(
    r"(?:n['’]t|\b(?:not|never|doubt|unlikely|false|wrong|incorrect|whether|suppose|pretend))\s+(?:\w+\s+){0,3}?"
    r"(?:the|my|our)?\s*(?:final\s+|correct\s+)?answer\s+\w+[\s:*$(]*\Z",
    re.IGNORECASE,
)
# A sentence that states an answer and nothing else: "if the answer is A, then" is reasoning.
_STATED = re.compile(
    r"(?:\A|[.!?\n])[\s*#>_-]*(?:(?:so|thus|hence|therefore|then|or|and|also|maybe)[\s,]+)*(?:(?:the|my|our)\s+)?"
    r"(?:(?:final|correct)\s+)?answer(?:\s+is)?[\s:*$(]+([A-J])[)*$\s]*(?=[.!?\n]|\Z)",
    re.IGNORECASE,
)
_GENUS = re.compile(r"\.\s+[a-z]")
"""Behind a letter: "E. coli" is no letter."""


@dataclass(frozen=True, slots=True)
class ChoiceGrader:
    """The options, and the letters of those that are right (several only where options have the same text)."""

    options: Options
    right: str
    extraction: str

    def grade(self, completion: object) -> Verdict:
        """CORRECT where the final answer names one option, and that one is right; never raises.

        Rules, in this order: one answer form (``extract``) or, in "lenient" mode, one closing line; nothing after it
        that takes it back; no third letter stated as the answer too; one option named in it, none beside it.
        """
        if not isinstance(completion, str):
            return Verdict.no_answer(f"not_text: expected text, got {type(completion).__name__}")
        found = self._final(completion)
        if not found.parts:
            return Verdict.no_answer(f"{found.rule}: {found.detail}")
        tail = completion[found.end : found.end + REACH]
        if taken_back(tail) or any(taken_back(part) and not self.options.whole_text(part) for part in found.parts):
            return Verdict.no_answer("negated: the text after the answer takes it back")
        stated = self._stated(completion)
        if len(stated) >= SPRAY:
            return Verdict.no_answer(f"spray: {', '.join(stated)} are each stated as the answer: one must be final")
        try:
            if found.rule == "phrase" and self.options.letter(found.parts[0]) and _GENUS.match(tail):
                raise Unread("kind", f"{found.parts[0]!r} abbreviates a word: it is no letter of an option")
            named = {self.options.read(part, strict=found.rule == "phrase") for part in found.parts}
            other = self._other(completion, found.end, "".join(named)) if len(named) == 1 else ""
            if other or len(named) > 1:
                raise Unread("hedge", f"{', '.join(sorted({*named, *other}))} are named where one answer is asked for")
        except Unread as error:
            spans = (Span(found.start, found.end, "answer", 0.0),)
            return Verdict.wrong(", ".join(found.parts)[:MAX_ANSWER], f"{error.rule}: {error.detail}", spans)
        (letter,) = named
        span = Span(found.start, found.end, "answer", float(letter in self.right))
        if letter in self.right:
            return Verdict.correct(letter, f"choice: {letter}", (span,))
        return Verdict.wrong(letter, f"choice: {letter} is not the right option", (span,))

    def _other(self, text: str, end: int, letter: str) -> str:
        """Another option that the text behind the answer offers, or that its last line states; "" for none."""
        other = self.options.beside(text[end : end + REACH], letter)
        if other or is_idle(text, end):
            return other
        last = closing_line.find(text, end, self.options)
        if last is None or not last.parts:
            return ""
        stated = self.options.read(last.parts[0], strict=True)
        return stated if stated != letter and stated not in self.right * (letter in self.right) else ""

    def _final(self, text: str) -> Extraction:
        found = extract(text, self.extraction)
        if found.rule == "phrase":
            line = text[found.start :].partition("\n")[0].rstrip(" .*_")
            if self.options.whole_text(line):  # an option with a sentence's end in it
                return Extraction((line,), found.start, found.start + len(line), "phrase")
        if found.rule in ("boxed", "answer", "####") and not is_idle(text, found.end):
            # Again without what follows: numbers there are no part of the answer here, letters are looked for above.
            return extract(text[: found.end], self.extraction)
        if found.rule == "phrase":
            if _DENIED.search(text, max(0, found.start - 100), found.start):
                return Extraction((), 0, 0, "negated", "the sentence denies the answer that it states")
            return replace(found, parts=found.parts[:1])  # the same: what follows is looked at above
        if found.rule == "no_final_answer" and self.extraction == "lenient":
            return closing_line.find(text, after_thought(text)[0], self.options) or found
        return found

    def _stated(self, text: str) -> list[str]:
        """Letters stated as the answer after the thought, each once; none where there is no room for a spray."""
        if sum(map(text.count, ("box", "nswer", "NSWER", "####"))) < SPRAY:
            return []
        low = after_thought(text)[0]
        contents = [mark.content for mark in find_marks(text, low, self.extraction) if mark.status == "ok"]
        letters = [self.options.letter(content) for content in contents if len(content) <= MAX_ANSWER]
        if self.extraction == "lenient":
            letters += [match.group(1) for match in _STATED.finditer(text, max(low, len(text) - 2 * MAX_ANSWER))]
        return sorted({letter for letter in letters if letter})


def prepare(task: Task, extraction: str, **options: object) -> ChoiceGrader:
    """The grader of a letter, or of ``{"answer": letter, "options": [text, …]}``.

    Options: ``options``, the texts in the order of their letters, beside a reference that is a letter alone. Without
    them a letter A to J is read, and no text.

    Raises:
        ReferenceRefusedError: A reference of another form, or a letter that has no option.
        UnknownNameError: No such option.
        ConfigError: ``options`` that are no list of texts.
    """
    for option in options:
        if option not in OPTIONS:
            raise unknown_name("option of domain 'choice'", option, OPTIONS)
    reference, given = task.reference, options.get("options")
    if isinstance(reference, Mapping):
        if set(reference) != {"answer", "options"}:
            raise ReferenceRefusedError(f'expected {{"answer": letter, "options": [...]}}, got {reference!r:.80}')
        if not _are_texts(reference["options"]):
            raise ReferenceRefusedError(f"expected 2 to 10 texts as options, got {reference['options']!r:.80}")
        reference, given = reference["answer"], reference["options"]
    elif given is not None and not _are_texts(given):
        raise ConfigError(f"options must be a list of 2 to 10 texts, got {given!r:.80}")
    texts: tuple[str, ...] = tuple(given) if isinstance(given, (list, tuple)) else ()
    found = Options(texts)
    letter = reference.strip("() .").upper() if isinstance(reference, str) else ""
    if len(letter) != 1 or letter not in found.letters:
        raise ReferenceRefusedError(f"expected a letter from A to {found.letters[-1]}, got {reference!r:.80}")
    return ChoiceGrader(found, found.same_text(letter), extraction)


def _are_texts(value: object) -> bool:
    return (
        isinstance(value, (list, tuple))
        and 2 <= len(value) <= len(LETTERS)
        and all(isinstance(text, str) for text in value)
    )
