"""Programs: a completion's fenced block, run in the sandbox on every test and judged outside it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from r1gym.errors import (
    ConfigError,
    ReferenceRefusedError,
    SandboxError,
    SandboxUnavailableError,
    UnsafeSandboxError,
    unknown_name,
)
from r1gym.types import CallCase, CodeReference, Span, Task, Verdict
from r1gym.verifiers.code_gold import read_code_gold
from r1gym.verifiers.fences import Code, find_code

if TYPE_CHECKING:
    from r1gym.sandbox.chooser import Sandbox
    from r1gym.sandbox.records import Judgement, TestResult

__all__ = ["OPTIONS", "CodeGrader", "check_options", "prepare"]

OPTIONS = ("sandbox", "score", "time_factor")
"""Options of domain "code"."""

SANDBOXES = ("auto", "docker", "local")
SCORES = ("all", "fraction")
PATIENCE = 3
"""Tests over the time limit after which "fraction" gives the rest up: a program that hangs must not hold a slot for
hours."""
PORTION = 8
"""Tests between two looks at that."""

_SHOWN = 200
_FUNCTION_LANGUAGES = ("python",)
_PROGRAM_LANGUAGES = ("python", "cpp", "c")


@dataclass(frozen=True, slots=True)
class CodeGrader:
    """The tests of a task; the sandbox is opened when the first program has to run, one for all graders of a process.

    With ``score`` "all" the score is 1.0 where every test passes and 0.0 otherwise, and judging ends at the first test
    that fails; with "fraction" every test runs and the score is the share that passed.
    """

    gold: CodeReference
    extraction: str
    sandbox: str | Sandbox = "auto"
    score: str = "all"

    @property
    def calls(self) -> bool:
        """Whether the tests call a function."""
        return isinstance(self.gold.tests[0], CallCase)

    @property
    def seconds(self) -> float:
        """Wall seconds that one test may take, in the slowest language that the task takes."""
        from r1gym.sandbox.toolchain import LANGUAGES

        slowest = max(language.time_factor for language in LANGUAGES.values())
        factor = slowest if self.gold.time_factor == "language" else self.gold.time_factor
        return factor * max(self.gold.limits.wall_seconds, self.gold.limits.cpu_seconds)

    def grade(self, completion: str) -> Verdict:
        """The verdict on one completion, whatever its text.

        Raises:
            SandboxUnavailableError: No program can run here at all: no verdict could be an honest one.
            UnsafeSandboxError: The sandbox lacks a protection that untrusted code needs.
        """
        code = find_code(completion, self.extraction, _FUNCTION_LANGUAGES if self.calls else _PROGRAM_LANGUAGES)
        if code.rule:
            return Verdict.no_answer(f"{code.rule}: {code.detail}")
        try:
            return self._judge(code)
        except (SandboxUnavailableError, UnsafeSandboxError):
            raise
        except SandboxError as error:
            return Verdict.ungradable(f"sandbox: {error}", code.source)

    def _judge(self, code: Code) -> Verdict:
        from r1gym.sandbox.chooser import resolve
        from r1gym.verifiers.oracle import with_expected

        place = resolve(self.sandbox)
        gold = self.gold
        if gold.oracle:
            try:
                gold = with_expected(gold, place)
            except ReferenceRefusedError as error:
                return Verdict.ungradable(f"reference_refused: {error}", code.source)
        found, results = _run(gold, code, place, stop=self.score == "all")
        return _verdict(code, found, results, len(gold.tests), self.score)


def _run(gold: CodeReference, code: Code, place: Sandbox, stop: bool) -> tuple[Judgement, tuple[TestResult, ...]]:
    """Judge up to the first failure, or all tests in portions; the last judgement, and the results of all."""
    from r1gym.sandbox.judging import judge
    from r1gym.sandbox.records import Ruling

    source = f"{gold.prefix}\n\n{code.source}" if gold.prefix else code.source
    results: tuple[TestResult, ...] = ()
    size = len(gold.tests) if stop else PORTION
    for first in range(0, len(gold.tests), size):
        found = judge(
            source, code.language, gold.tests[first : first + size], gold.limits, gold.checker, place, stop,
            time_factor=gold.time_factor,
        )  # fmt: skip
        results += found.tests
        late = sum(result.verdict is Ruling.TLE for result in results)
        if found.verdict in (Ruling.CE, Ruling.IE) or late >= PATIENCE:
            break
    return found, results


def _verdict(code: Code, found: Judgement, results: tuple[TestResult, ...], total: int, score: str) -> Verdict:
    from r1gym.sandbox.records import Ruling

    rulings = tuple(str(result.verdict) for result in results)
    if found.verdict is Ruling.CE:
        return _wrong(code, f"compile: {_line(found.message)}", 0.0, ())
    failing = next((index for index, result in enumerate(results) if result.verdict is not Ruling.AC), None)
    ours = next((result for result in results if result.verdict is Ruling.IE), None)
    if ours is not None or found.verdict is Ruling.IE:
        said = ours.message if ours is not None else found.message
        return replace(Verdict.ungradable(f"sandbox: {_line(said)}", code.source), tests=rulings)
    if failing is None:
        what = "test" if total == 1 else "tests"
        spans = (Span(code.start, code.end, "answer", 1.0),)
        return replace(Verdict.correct(code.source, f"tests: {total} {what} accepted", spans), tests=rulings)
    passed = rulings.count("AC")
    share = passed / total if score == "fraction" else 0.0
    first = results[failing]
    why = _line(first.message)
    if first.verdict is Ruling.TLE:  # which of the two ends it depends on what else the machine does
        why = f"over the limit ({found.limits.cpu_seconds:g} s of CPU, {found.limits.wall_seconds:g} s of wall time)"
    told = f"tests: test {failing + 1} of {total} is {first.verdict}: {why}"
    if score == "fraction":
        told += f"; {passed} of {total} accepted"
    return _wrong(code, told, share, rulings)


def _wrong(code: Code, reason: str, score: float, tests: tuple[str, ...]) -> Verdict:
    spans = (Span(code.start, code.end, "answer", score),)
    return replace(Verdict.wrong(code.source, reason, spans, score), tests=tests)


def _line(text: str) -> str:
    """``text`` on one line, cut."""
    return " ".join(text.split())[:_SHOWN]


def check_options(sandbox: Any = "auto", score: Any = "all", time_factor: Any = None) -> None:
    """UnknownNameError or ConfigError for an option of domain "code" whose value cannot work."""
    if isinstance(sandbox, str) and sandbox not in SANDBOXES:
        raise unknown_name("sandbox", sandbox, SANDBOXES)
    if score not in SCORES:
        raise unknown_name("score", score, SCORES)
    if time_factor is None or time_factor == "language":
        return
    if isinstance(time_factor, bool) or not isinstance(time_factor, (int, float)) or not 0 < time_factor < math.inf:
        raise ConfigError(f"time_factor must be a positive number or 'language', got {time_factor!r:.60}")


def prepare(task: Task, extraction: str, **options: Any) -> CodeGrader:
    """The grader of a task whose reference is a ``CodeReference``, or the same as plain values.

    Options: ``sandbox`` ("auto", "docker", "local" or an open ``Sandbox``), ``score`` ("all" or "fraction"),
    ``time_factor`` (instead of the reference's own).

    Raises:
        ReferenceRefusedError: The reference has another shape, or ``task.meta["unverifiable"]`` says why no program
            can be judged by it.
        UnknownNameError: No such option or value.
        ConfigError: A value that cannot work.
    """
    for option in options:
        if option not in OPTIONS:
            raise unknown_name("option of domain 'code'", option, OPTIONS)
    check_options(**options)
    if "unverifiable" in task.meta:
        raise ReferenceRefusedError(f"not verifiable: {task.meta['unverifiable']}")
    gold = read_code_gold(task.reference)
    if options.get("time_factor") is not None:
        gold = replace(gold, time_factor=options["time_factor"])
    return CodeGrader(gold, extraction, options.get("sandbox", "auto"), options.get("score", "all"))
