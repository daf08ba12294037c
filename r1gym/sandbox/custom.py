"""Checker programs: run in slots where no submission runs, after the submission is dead."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from r1gym.sandbox.checkers import AnswerError
from r1gym.sandbox.compiling import CompilerFault, build
from r1gym.sandbox.execution import Raw, Request, run_once
from r1gym.sandbox.toolchain import get_language
from r1gym.types import CheckerProgram, Limits

if TYPE_CHECKING:
    from r1gym.sandbox.chooser import Sandbox

__all__ = ["CONVENTIONS", "check_with_program"]

_LIMITS = Limits(cpu_seconds=10.0, wall_seconds=20.0, memory_mb=512, output_mb=1, processes=16)
_FOLDER = "/w/program"
# testlib's order is input, output, answer; open-r1's Python checkers take input, answer, output
_ORDERS = {"testlib": ("input.txt", "output.txt", "answer.txt"), "open-r1": ("input.txt", "answer.txt", "output.txt")}
CONVENTIONS = tuple(_ORDERS)
_PARTLY = 7
_POINTS = re.compile(rb"\s*(?:points\s+)?(-?[0-9]+(?:\.[0-9]+)?)\b")
_TESTLIB_WRONG = {1: "wrong answer", 2: "presentation error", 4: "dirt at the end", 8: "unexpected end of the output"}


def _points(raw: Raw) -> float | None:
    """The points of a checker that pays partly (testlib's ``quitp``: exit code 7, "points 0.5 …" on stderr)."""
    found = _POINTS.match(raw.stderr) if raw.status == _PARTLY << 8 and not raw.cause else None
    return float(found[1]) if found else None


def _accepts(program: CheckerProgram, raw: Raw) -> bool | None:
    """True or False as the convention has it; None where the checker failed."""
    code = raw.status >> 8 if raw.status & 0x7F == 0 else -1
    if raw.cause or raw.oom_kills or code < 0:
        return None
    if program.convention == "testlib":
        return True if code == 0 else False if code in _TESTLIB_WRONG else None
    if code != 0:
        return None
    return raw.stdout.strip() in (b"1", b"100")


def check_with_program(sandbox: Sandbox, program: CheckerProgram, case: tuple[bytes, bytes], output: bytes) -> str:
    """Empty where the checker accepts ``output`` for ``case`` (input, answer), else why not. Raises AnswerError.

    A checker that fails on an output, but accepts the jury's own answer, failed because of the output: that output is
    wrong, for else a submission could choose not to be judged. Where it fails on the answer too, the fault is ours.
    """
    language = get_language(program.language)
    try:
        built = build(sandbox.checking, sandbox.cache, language, program.source)
    except CompilerFault as error:
        raise AnswerError(f"the checker could not be compiled: {error}") from error
    if built.result is not None and not built.result.ok:
        raise AnswerError(f"the checker does not compile: {built.result.message[:500]}")

    def run(text: bytes) -> Raw:
        name = language.filename if not language.compile_argv else "a.out"
        order = _ORDERS[program.convention]
        contents = {"input.txt": case[0], "answer.txt": case[1], "output.txt": text}
        argv = (*language.run_argv, *(f"{_FOLDER}/{part}" for part in order))
        return run_once(sandbox.checking, Request("exec", built.content, _LIMITS, argv, name, contents))

    def judges_answer() -> bool:
        jury = run(case[1])
        return _accepts(program, jury) is True or _points(jury) is not None

    raw = run(output)
    accepted = None if raw.fault else _accepts(program, raw)
    earned = None if raw.fault or program.convention != "testlib" else _points(raw)
    if earned is not None:  # all that the jury's own answer earns is full marks
        full = _points(run(case[1]))
        accepted = None if full is None else earned >= full
    said = (raw.stderr or raw.stdout).decode(errors="replace").strip()[:500]
    if raw.fault or (accepted is None and not judges_answer()):
        raise AnswerError(f"the checker failed: {raw.fault or said or f'status {raw.status}'}")
    if accepted:
        return ""
    return said or "the checker does not accept the output"
