"""Judge a submission: compile once, run every test in a slot, compare on the trusted side."""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from r1gym.errors import ConfigError, unknown_name
from r1gym.sandbox import bounds
from r1gym.sandbox.checkers import AnswerError, get_checker
from r1gym.sandbox.chooser import Sandbox, resolve
from r1gym.sandbox.compiling import CompilerFault, Program, build
from r1gym.sandbox.custom import CONVENTIONS, check_with_program
from r1gym.sandbox.execution import Execution, Raw, Request, run_once
from r1gym.sandbox.functions import comparison, make_request, read_answer, shown
from r1gym.sandbox.records import CompileResult, Judgement, Ruling, TestResult, worst
from r1gym.sandbox.toolchain import Language, get_language
from r1gym.types import CallCase, CheckerProgram, Limits, StdioCase

__all__ = ["judge", "judge_async", "judge_many"]

Case = StdioCase | CallCase
Isolation = Literal["fork", "exec"]
TimeFactor = float | Literal["language"]
_SHOWN = 4096
_ISOLATIONS = ("fork", "exec")
Compare = Callable[[int, Raw], str]
"""(test, what it printed or answered) → "" where right, else why not; raises AnswerError for a fault of ours."""


def _bytes(text: str) -> bytes:
    """UTF-8; what ``surrogateescape`` read becomes the bytes it was, any other lone surrogate its three."""
    try:
        return text.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", errors="surrogatepass")


def _shown(data: bytes) -> str:
    return data[: 4 * _SHOWN].decode("utf-8", errors="replace")[:_SHOWN]


def _ended(raw: Raw, limits: Limits) -> tuple[Ruling, str] | None:
    """The ruling of a run that did not end well by itself, from counters and the watch's own record, never from 137."""
    if raw.fault:
        return Ruling.IE, raw.fault
    if raw.report == "syntax":
        return Ruling.CE, "does not compile"
    if raw.oom_kills or raw.cause == "memory" or raw.rss_bytes > limits.memory_mb << 20:
        return Ruling.MLE, f"more than {limits.memory_mb} MB"
    if raw.cause == "cpu" or raw.cpu > limits.cpu_seconds:
        return Ruling.TLE, f"more than {limits.cpu_seconds:g} s of CPU"
    if raw.cause == "wall":
        return Ruling.TLE, f"more than {limits.wall_seconds:g} s of wall time"
    if raw.cause == "output":
        return Ruling.OLE, f"more than {limits.output_mb} MB of output"
    code = os.waitstatus_to_exitcode(raw.status)
    if code < 0:
        return Ruling.RE, f"signal {-code}" + (f": {raw.report}" if raw.report else "")
    return (Ruling.RE, f"exit status {code}") if code else None


def _test_result(raw: Raw, limits: Limits, compare_with: Compare, index: int) -> TestResult:
    ended = _ended(raw, limits)
    if ended is None:
        try:
            said = compare_with(index, raw)
            ended = (Ruling.WA, said) if said else (Ruling.AC, "")
        except AnswerError as error:
            ended = Ruling.IE, str(error)
        except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
            # No readable answer, or one that cannot be compared: the submission's doing, so never a fault of ours.
            ended = Ruling.RE, str(error)
    code = None if raw.fault else os.waitstatus_to_exitcode(raw.status)
    return TestResult(
        verdict=ended[0],
        cpu_seconds=raw.cpu,
        wall_seconds=raw.wall,
        peak_mb=raw.peak_bytes / (1 << 20),
        exit_code=code if code is not None and code >= 0 else None,
        signal=-code if code is not None and code < 0 else None,
        message=ended[1],
        stdout=_shown(raw.stdout),
        stderr=_shown(raw.stderr),
    )


def _stdio(sandbox: Sandbox, tests: Sequence[StdioCase], checker: str | CheckerProgram) -> tuple[list[bytes], Compare]:
    inputs = [_bytes(test.input) for test in tests]
    answers = [_bytes(test.expected) for test in tests]
    if isinstance(checker, CheckerProgram):
        get_language(checker.language)
        if checker.convention not in CONVENTIONS:
            raise unknown_name("convention", checker.convention, CONVENTIONS)
        return inputs, lambda i, raw: check_with_program(sandbox, checker, (inputs[i], answers[i]), raw.stdout)
    check = get_checker(checker)
    return inputs, lambda i, raw: check(answers[i], raw.stdout)


def _calls(tests: Sequence[CallCase], checker: str | CheckerProgram) -> tuple[list[bytes], Compare]:
    if isinstance(checker, CheckerProgram):
        raise ConfigError("a checker program judges text: function problems are compared by value")
    same = comparison(checker)
    nonces = [secrets.token_hex(16) for _ in tests]

    def compare_with(index: int, raw: Raw) -> str:
        value = read_answer(raw.answer, nonces[index])
        return "" if same(tests[index].expected, value) else f"returned {shown(value)}"

    return [make_request(test, nonce) for test, nonce in zip(tests, nonces, strict=True)], compare_with


def _request(language: Language, program: Program, limits: Limits, calls: bool, isolation: Isolation) -> Request:
    if calls:
        return Request("call", program.content, limits)
    if not language.compile_argv and isolation == "fork":
        return Request("python", program.content, limits)
    name = "a.out" if language.compile_argv else language.filename
    return Request("exec", program.content, limits, language.run_argv, name)


def _check_tests(tests: Any) -> None:
    """A value that is no test is refused: left out of the count it would let every program pass."""
    if isinstance(tests, str) or not isinstance(tests, Sequence):
        raise ConfigError(f"tests must be a list of StdioCase or CallCase, got {type(tests).__name__} {tests!r:.60}")
    for number, test in enumerate(tests, start=1):
        if not isinstance(test, (StdioCase, CallCase)):
            raise ConfigError(
                f"test {number} must be StdioCase(input, expected) or CallCase(function, args, expected), "
                f"got {type(test).__name__} {test!r:.60}"
            )
        for text in (test.input, test.expected) if isinstance(test, StdioCase) else (test.function,):
            if not isinstance(text, str):
                raise ConfigError(f"test {number} must hold texts, got {type(text).__name__} {text!r:.60}")


def _prepare(
    sandbox: Sandbox, language: Language, tests: Sequence[Case], checker: str | CheckerProgram
) -> tuple[list[bytes], Compare, bool]:
    """The inputs, how to compare, and whether the tests call a function. Raises ConfigError where they do not fit."""
    _check_tests(tests)
    if not isinstance(checker, (str, CheckerProgram)):
        raise ConfigError(f"a checker is a name or a CheckerProgram, got {type(checker).__name__} {checker!r:.60}")
    calls = [test for test in tests if isinstance(test, CallCase)]
    stdio = [test for test in tests if isinstance(test, StdioCase)]
    if calls and stdio:
        raise ConfigError("the tests of one submission are all StdioCase or all CallCase: they came mixed")
    if calls and language.name != "python":
        raise ConfigError(f"function problems are judged in python only, and the language is {language.name}")
    if calls:
        return *_calls(calls, checker), True
    return *_stdio(sandbox, stdio, checker), False


def _run(
    sandbox: Sandbox, request: Request, inputs: list[bytes], compare_with: Compare, stop: bool
) -> tuple[TestResult, ...]:
    """Run the tests; IE gets a second try on its own. The results up to the first failure, if ``stop``."""
    results: dict[int, TestResult] = {}

    def take(index: int, raw: Raw) -> bool:
        results[index] = _test_result(raw, request.limits, compare_with, index)
        fine = results[index].verdict is Ruling.AC
        return fine or not (stop or results[index].verdict is Ruling.CE)

    Execution(sandbox.pool, request, inputs, take).run()
    ordered = [results[index] for index in sorted(results)]
    for index, result in enumerate(ordered):
        if result.verdict is Ruling.CE or (stop and result.verdict is not Ruling.AC):
            return tuple(ordered[: index + 1])
    return tuple(ordered)


def judge(
    source: str,
    language: str,
    tests: Sequence[Case],
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    checker: str | CheckerProgram = "tokens",
    sandbox: str | Sandbox = "auto",
    stop_on_first_failure: bool = False,
    *,
    isolation: Isolation = "fork",
    time_factor: TimeFactor = 1.0,
) -> Judgement:
    """Judge one submission.

    Args:
        source: The program, or the module that defines the function of a ``CallCase``.
        language: A row of ``toolchain.LANGUAGES``: "python", "cpp", "c".
        tests: All ``StdioCase`` (stdin → stdout) or all ``CallCase`` (function → value; Python only).
        limits: What one test may use, in CPU and wall seconds, MB of memory and output, and processes.
        checker: A name (``tokens exact lines yesno unordered bignum float:1e-6 …``) or a ``CheckerProgram``. For
            functions "equal" is Python's own ``==``; other names compare by type, floats with the name's tolerance.
        sandbox: "auto", "docker", "local", or an open ``Sandbox``.
        stop_on_first_failure: Leave out the tests after the first that fails.
        isolation: For Python: "fork" of a started interpreter (1–3 ms) or "exec" of a fresh one (10–15 ms).
        time_factor: Multiplies the CPU and wall limits; "language" takes the language's own factor.

    Raises UnknownNameError or ConfigError for arguments that cannot work, SandboxError where nothing can run at all.
    What goes wrong on our side later is the ruling IE.
    """
    if isolation not in _ISOLATIONS:
        raise unknown_name("isolation", isolation, _ISOLATIONS)
    row = get_language(language)
    if not isinstance(source, str):
        raise ConfigError(f"source must be the program as str, got {type(source).__name__} {source!r:.60}")
    factor = row.time_factor if time_factor == "language" else time_factor
    applied = bounds.apply(limits, factor)
    place = resolve(sandbox)
    inputs, compare_with, calls = _prepare(place, row, tests, checker)
    stamp = functools.partial(
        Judgement, language=language, limits=applied, time_factor=factor, backend=place.name,
        isolation=isolation if not row.compile_argv else "exec", total=len(tests),
    )  # fmt: skip
    try:
        program = build(place.pool, place.cache, row, source)
    except CompilerFault as error:
        return stamp(verdict=Ruling.IE, tests=(), compile=CompileResult(False, 0.0, False, str(error)))
    if program.result is not None and not program.result.ok:
        return stamp(verdict=Ruling.CE, tests=(), compile=program.result)
    request = _request(row, program, applied, calls, isolation)
    if request.kind == "exec" and not row.compile_argv:
        raw = run_once(place.pool, Request("check", program.content, applied))
        if raw.report == "syntax":
            return stamp(verdict=Ruling.CE, tests=(), compile=CompileResult(False, raw.wall, False, _shown(raw.stderr)))
    results = _run(place, request, inputs, compare_with, stop_on_first_failure)
    verdict = worst([result.verdict for result in results]) if tests else Ruling.IE  # nothing was shown to be right
    compiled = program.result
    if verdict is Ruling.CE:
        compiled, results = CompileResult(False, 0.0, False, results[-1].stderr), ()
    return stamp(verdict=verdict, tests=results, compile=compiled)


async def judge_async(
    source: str,
    language: str,
    tests: Sequence[Case],
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    checker: str | CheckerProgram = "tokens",
    sandbox: str | Sandbox = "auto",
    stop_on_first_failure: bool = False,
    *,
    isolation: Isolation = "fork",
    time_factor: TimeFactor = 1.0,
) -> Judgement:
    """``judge`` without blocking the event loop; same arguments, same errors."""
    call = functools.partial(
        judge, source, language, tests, limits, checker, sandbox, stop_on_first_failure,
        isolation=isolation, time_factor=time_factor,
    )  # fmt: skip
    return await asyncio.to_thread(call)


def judge_many(
    sources: Sequence[str],
    language: str,
    tests: Sequence[Case],
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    checker: str | CheckerProgram = "tokens",
    sandbox: str | Sandbox = "auto",
    stop_on_first_failure: bool = False,
    *,
    isolation: Isolation = "fork",
    time_factor: TimeFactor = 1.0,
) -> list[Judgement]:
    """Judge a whole group of submissions for one problem, in order; as many at a time as there are slots."""
    place = resolve(sandbox)

    def one(source: str) -> Judgement:
        return judge(
            source, language, tests, limits, checker, place, stop_on_first_failure,
            isolation=isolation, time_factor=time_factor,
        )  # fmt: skip

    if len(sources) < 2:
        return [one(source) for source in sources]
    with ThreadPoolExecutor(max_workers=min(len(sources), place.pool.size), thread_name_prefix="r1gym-judge") as pool:
        return list(pool.map(one, sources))
