"""The think/answer form: `<think>…</think>` then `<answer>…</answer>`, each once, nothing outside but white space."""

from __future__ import annotations

from dataclasses import dataclass

from r1gym.errors import unknown_name
from r1gym.types import Span, Task, Verdict

__all__ = ["FormatGrader", "prepare"]

_TAGS = ("<think>", "</think>", "<answer>", "</answer>")


@dataclass(frozen=True, slots=True)
class FormatGrader:
    """Judges the form alone (DeepSeek-R1, arXiv 2501.12948, section 2.2.2): score 1.0 or 0.0."""

    def grade(self, completion: object) -> Verdict:
        """CORRECT where the completion has the form; the answer's text is ``extracted``."""
        if not isinstance(completion, str):
            return Verdict.no_answer(f"not_text: expected text, got {type(completion).__name__}")
        problem = _problem(completion)
        if problem:
            return Verdict.wrong("", f"format: {problem}")
        start = completion.index("<answer>") + len("<answer>")
        end = completion.index("</answer>")
        answer = completion[start:end].strip()
        return Verdict.correct(answer, "format: thought, then answer", (Span(start, end, "answer", 1.0),))


def _problem(text: str) -> str:
    """What is wrong with the form, "" for nothing."""
    places = []
    for tag in _TAGS:
        count = text.count(tag)
        if count != 1:
            return f"expected {tag} once, found it {count} times"
        places.append(text.index(tag))
    if places != sorted(places):
        return f"expected {' '.join(_TAGS)} in this order"
    before = text[: places[0]]
    between = text[places[1] + len(_TAGS[1]) : places[2]]
    after = text[places[3] + len(_TAGS[3]) :]
    if before.strip() or between.strip() or after.strip():
        return "expected nothing outside the two blocks but white space"
    if not text[places[2] + len(_TAGS[2]) : places[3]].strip():
        return "expected an answer between <answer> and </answer>"
    return ""


def prepare(task: Task, extraction: str, **options: object) -> FormatGrader:
    """The grader of the form; it needs no reference and takes no option."""
    for option in options:
        raise unknown_name("option of domain 'format'", option, ())
    return FormatGrader()
