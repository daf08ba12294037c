"""A subject of the audit: one task, right and wrong answers to it, and the way to have them judged."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from r1gym.envs.audit.records import Judged
from r1gym.envs.conformance.verdicts import answer_of

__all__ = ["Subject", "judge_by_step", "of_task", "stated", "wrong_answers"]

_INTEGER = re.compile(r"-?(?:0|[1-9]\d{0,17})")
_VALUE = re.compile(r"(?:[-+.\d^{}() ]|\\(?:d?frac|sqrt|pi|cdot|left|right)(?![a-z]))+")
_CHOICE = "ABCDEFGHIJ"


@dataclass(frozen=True, slots=True)
class Subject:
    """One task under audit."""

    name: str
    question: str
    prompt: str
    right: str
    """A right final answer, as text."""
    wrong: tuple[str, ...]
    """Final answers that are wrong by construction, plausible ones first."""
    grade: Callable[[str], Judged]
    form: str
    """The answer form that the prompt declares: "think-answer", "strict:boxed", "strict:answer" or "strict:####"."""
    extraction: str
    kind: str
    """The domain of its verifier."""

    @property
    def integer(self) -> int | None:
        """The right answer where it is a plain integer of the domain "math"."""
        return int(self.right) if self.kind == "math" and _INTEGER.fullmatch(self.right) else None

    def stated(self, answer: str) -> str:
        """A completion that states ``answer`` in the form that the prompt asks for."""
        return stated(answer, self.form)

    def slots(self, answer: str) -> tuple[str, ...]:
        """``answer`` in every form that the extraction accepts."""
        box, tags = f"\\boxed{{{answer}}}", f"<answer>{answer}</answer>"
        if self.extraction == "lenient":
            return box, tags
        return {"strict:boxed": (box,), "strict:answer": (tags,)}.get(self.extraction, (f"#### {answer}",))

    def box(self, answer: str) -> str:
        """``answer`` in the first form that the extraction accepts."""
        return self.slots(answer)[0]


def stated(answer: str, form: str) -> str:
    """A completion that states ``answer`` in an answer form."""
    if form == "strict:####":
        return f"Step by step.\n#### {answer}"
    if form == "strict:code":
        return f"```python\n{answer}\n```"
    if form == "strict:boxed":
        return f"So the answer is $\\boxed{{{answer}}}$."
    return f"<think>Step by step.</think>\n<answer>{answer}</answer>"


def wrong_answers(right: str, kind: str, reference: Any = None) -> tuple[str, ...]:
    """Answers that cannot be right where ``right`` is: by arithmetic, by another letter, by a number too many."""
    if kind == "countdown":
        numbers, target = reference["numbers"], reference["target"]
        joined = "+".join(map(str, numbers))
        more = tuple(f"({right})+{number}" for number in range(1, 5))
        return (*more, *([joined] if sum(numbers) != target else []), str(target))
    if kind == "code":
        return ("pass",)
    if kind == "choice":
        options = reference.get("options", ()) if isinstance(reference, Mapping) else ()
        letters = _CHOICE[: len(options) or 4]
        text = dict(zip(letters, options, strict=False)).get(right)
        return tuple(letter for letter, option in zip(letters, options or letters, strict=False)
                     if letter != right and option != text)  # fmt: skip
    if _INTEGER.fullmatch(right):
        value = int(right)
        near = [value + 1, value - 1, *([-value] if value else []), value + 10, value * 10 + 2]
        return tuple(str(number) for number in near if number != value)
    if _VALUE.fullmatch(right):
        return f"{right}+1", "123457", f"2+{right}"
    return ("123457", "\\text{none}") if right not in ("123457", "none") else ("7",)


def _is_python(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def judge_by_step(env: Any, index: int) -> Callable[[str], Judged]:
    """Judge completions of task ``index`` through ``reset`` and ``step``, as a trainer would."""

    def grade(completion: str) -> Judged:
        env.reset(seed=0, options={"index": index})
        begin = time.perf_counter()
        _, reward, _, _, info = env.step(completion)
        seconds = time.perf_counter() - begin
        return Judged(
            info["verdict"], info["score"], info["reason"], dict(info["reward_terms"]), float(reward), seconds
        )

    return grade


def of_task(env: Any, index: int) -> Subject | None:
    """The subject of task ``index`` of a reasoning environment; None where its right answer is not known.

    Of programs only those whose reference is Python.
    """
    prompt, info = env.reset(seed=0, options={"index": index})
    base = env.unwrapped
    task = base.tasks[index]
    right = answer_of(task.reference, task.meta)
    if not right or (task.domain == "code" and not _is_python(right)):
        return None
    return Subject(
        name=info["task_id"],
        question=task.question,
        prompt=prompt,
        right=right,
        wrong=wrong_answers(right, task.domain, task.reference),
        grade=judge_by_step(env, index),
        form=base.template.form,
        extraction=base.extraction,
        kind=task.domain,
    )
