"""What the side terms look at: the answer form that the prompt declares, and the language of the question."""

from __future__ import annotations

from dataclasses import dataclass

from r1gym.types import Task, Verdict
from r1gym.verifiers import Grader, prepare
from r1gym.verifiers.extract import extract, quick
from r1gym.verifiers.fences import TAGS, find_code

__all__ = ["form_grader", "language_grader"]


_FOUND = Verdict.correct("", "format: an answer in the declared form")
_MISSING = Verdict.wrong("", "format: no answer in the declared form")


@dataclass(frozen=True, slots=True)
class StrictForm:
    """Satisfied where the extraction ``mode`` finds an answer, right or wrong."""

    mode: str

    def grade(self, completion: str) -> Verdict:
        """CORRECT where an answer stands in the declared form; which one is not said."""
        if self.mode == "strict:boxed" and quick(completion) is not None:
            return _FOUND
        return _FOUND if extract(completion, self.mode).parts else _MISSING


@dataclass(frozen=True, slots=True)
class CodeForm:
    """Satisfied where one fenced block with a language's tag ends the completion, whatever the program does."""

    def grade(self, completion: str) -> Verdict:
        """CORRECT where the declared form holds a program."""
        code = find_code(completion, "strict:code", tuple(TAGS.values()))
        if code.rule:
            return Verdict.wrong("", f"format: {code.detail}")
        return Verdict.correct(code.source, "format: one fenced block, at the end")


def form_grader(form: str) -> Grader:
    """The judge of ``form``: "think-answer", or a strict extraction mode."""
    if form == "strict:code":
        return CodeForm()
    if form.startswith("strict:"):
        return StrictForm(form)
    return prepare(Task(id="", domain="format", question="", reference=None))


def language_grader(task: Task) -> Grader:
    """The judge of the thought's language, that of ``task``; text copied from the question is no thought."""
    return prepare(Task(id=task.id, domain="language", question=task.question, reference=task.meta["language"]))
