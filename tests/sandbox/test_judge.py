"""Rulings of honest and plainly wrong programs, the same on every backend."""

from __future__ import annotations

import asyncio
import time

import pytest

from r1gym.errors import ConfigError, UnknownNameError
from r1gym.sandbox import judge, judge_async, judge_many
from r1gym.sandbox.chooser import Sandbox
from r1gym.sandbox.records import Ruling
from r1gym.types import CallCase, CheckerProgram, Limits, StdioCase

SUM = [StdioCase(f"{a} {a + 1}\n", f"{2 * a + 1}\n") for a in range(10)]
RIGHT = "a, b = map(int, input().split())\nprint(a + b)"
RIGHT_CPP = "#include <bits/stdc++.h>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << '\\n'; }"
RIGHT_C = '#include <stdio.h>\nint main(void) { int a, b; scanf("%d%d", &a, &b); printf("%d", a + b); return 0; }'
QUICK = Limits(cpu_seconds=0.5, wall_seconds=30.0, memory_mb=64, output_mb=1)


@pytest.mark.parametrize("isolation", ["fork", "exec"])
def test_a_right_python_program(sandbox: Sandbox, isolation: str) -> None:
    found = judge(RIGHT, "python", SUM, sandbox=sandbox, isolation=isolation)  # type: ignore[arg-type]
    assert found.verdict == "AC" and found.fraction == 1.0 and found.passed == found.total == 10
    assert (found.backend, found.isolation, found.language) == (sandbox.name, isolation, "python")
    first = found.tests[0]
    assert first.exit_code == 0 and first.signal is None and first.stdout == "1\n"
    assert 0 < first.cpu_seconds < 1 and 0 < first.wall_seconds < 5 and 5 < first.peak_mb < 64


@pytest.mark.parametrize(("language", "source"), [("cpp", RIGHT_CPP), ("c", RIGHT_C)])
def test_compiled_once_and_then_from_the_cache(sandbox: Sandbox, language: str, source: str) -> None:
    source += "\n// " + sandbox.name + " " + str(time.monotonic_ns())
    first, second = (judge(source, language, SUM, sandbox=sandbox) for _ in range(2))
    assert first.verdict is second.verdict is Ruling.AC
    assert first.compile is not None and first.compile.ok and not first.compile.cached and first.compile.seconds > 0
    assert second.compile is not None and second.compile.cached and second.compile.seconds == 0.0


def test_every_test_is_reported_or_only_up_to_the_first_failure(sandbox: Sandbox) -> None:
    wrong = "a, b = map(int, input().split())\nprint(a + b if a != 3 else 0)"
    whole = judge(wrong, "python", SUM, sandbox=sandbox)
    assert whole.verdict == "WA" and len(whole.tests) == 10 and whole.fraction == 0.9
    assert [test.verdict for test in whole.tests].index(Ruling.WA) == 3
    assert whole.message == "token 1: expected '7', found '0'"
    short = judge(wrong, "python", SUM, sandbox=sandbox, stop_on_first_failure=True)
    assert [test.verdict for test in short.tests] == [Ruling.AC] * 3 + [Ruling.WA] and short.fraction == 0.3


def test_the_worst_test_gives_the_ruling(sandbox: Sandbox) -> None:
    source = "n = int(input())\nif n == 1: print('x')\nif n == 2: raise SystemExit(3)\nwhile n == 3: pass\nprint(n)"
    tests = [StdioCase(f"{n}\n", f"{n}\n") for n in range(4)]
    found = judge(source, "python", tests, QUICK, sandbox=sandbox)
    assert [test.verdict for test in found.tests] == ["AC", "WA", "RE", "TLE"] and found.verdict == "TLE"
    assert found.tests[2].exit_code == 3 and found.tests[3].signal == 9
    assert 0.45 < found.tests[3].cpu_seconds < 0.8


@pytest.mark.parametrize("isolation", ["fork", "exec"])
def test_a_python_syntax_error_is_a_compile_error(sandbox: Sandbox, isolation: str) -> None:
    found = judge("print(1", "python", SUM, sandbox=sandbox, isolation=isolation)  # type: ignore[arg-type]
    assert found.verdict == "CE" and found.tests == () and "SyntaxError" in found.message and found.fraction == 0.0


def test_a_syntax_error_raised_by_hand_is_no_compile_error(sandbox: Sandbox) -> None:
    assert judge("raise SyntaxError('x')", "python", SUM[:1], sandbox=sandbox).verdict == "RE"


def test_a_compile_error_has_the_compilers_words(sandbox: Sandbox) -> None:
    found = judge("int main() { return x; }", "cpp", SUM, sandbox=sandbox)
    assert found.verdict == "CE" and "'x'" in found.message.replace("‘", "'").replace("’", "'")


def test_signals_and_exit_codes(sandbox: Sandbox) -> None:
    crash = judge("int main() { *(volatile int *)0 = 1; }", "c", SUM[:1], sandbox=sandbox).tests[0]
    assert (crash.verdict, crash.signal, crash.exit_code) == ("RE", 11, None)
    code = judge("int main() { return 7; }", "c", SUM[:1], sandbox=sandbox).tests[0]
    assert (code.verdict, code.signal, code.exit_code, code.message) == ("RE", None, 7, "exit status 7")


def test_python_behaves_as_python_does(sandbox: Sandbox) -> None:
    source = (
        "from __future__ import annotations\nimport atexit, sys, threading\natexit.register(lambda: print('end'))\n"
        "t = threading.Thread(target=lambda: print('thread'))\nt.start(); t.join()\n"
        "assert __name__ == '__main__' and sys.argv == ['main.py']\ndef f(x: Undefined): return x\nprint(f(1))\nexit()"
    )
    found = judge(source, "python", [StdioCase("", "thread\n1\nend\n")], checker="exact", sandbox=sandbox)
    assert found.verdict == "AC", found.tests
    traced = judge("def f():\n    return 1 / 0\nf()", "python", SUM[:1], sandbox=sandbox).tests[0]
    assert "return 1 / 0" in traced.stderr and "programs.py" not in traced.stderr


@pytest.mark.parametrize(
    "source",
    [
        "import numpy; print(int(numpy.arange(5).sum()))",
        "import sortedcontainers as s; print(sum(s.SortedList(range(5))))",
    ],
)
def test_libraries_are_there_where_the_backend_has_them(sandbox: Sandbox, source: str) -> None:
    found = judge(source, "python", [StdioCase("", "10")], sandbox=sandbox)
    assert found.verdict == "AC" or (sandbox.name == "local" and "ModuleNotFoundError" in found.tests[0].stderr)


def test_a_large_input_that_nobody_reads(sandbox: Sandbox) -> None:
    assert judge("print(1)", "python", [StdioCase("x" * 10_000_000, "1")], sandbox=sandbox).verdict == "AC"


def test_a_large_input_and_output_pass_through(sandbox: Sandbox) -> None:
    text = "0123456789\n" * 500_000
    found = judge("import sys\nsys.stdout.write(sys.stdin.read())", "python", [StdioCase(text, text)], sandbox=sandbox)
    assert found.verdict == "AC" and len(found.tests[0].stdout) == 4096


def test_function_problems(sandbox: Sandbox) -> None:
    source = "class Solution:\n    def f(self, items, k=2):\n        print('noise')\n        return {k: tuple(items)}"
    tests = [
        CallCase("Solution().f", ([1, 2.0, None],), {2: [1, 2, None]}),
        CallCase("Solution.f", ("ab", 3), {3: ["a", "b"]}),
    ]
    assert judge(source, "python", tests, sandbox=sandbox).verdict == "AC"
    close = [CallCase("f", (), 0.3)]
    assert judge("def f(): return 0.1 + 0.2", "python", close, sandbox=sandbox).verdict == "AC"
    assert judge("def f(): return 0.1 + 0.2", "python", close, checker="exact", sandbox=sandbox).verdict == "WA"
    assert judge("def g(): return 1", "python", close, sandbox=sandbox).verdict == "RE"


TESTLIB_STYLE = """
#include <fstream>
#include <string>
int main(int n, char **v) {
  std::ifstream out(v[2]), ans(v[3]); std::string x, y; out >> x; ans >> y;
  if (x == "crash") return 3;
  return x == y || x == "also-right" ? 0 : 1;
}
"""
OPEN_R1_STYLE = """
import sys
_, answer, output = (open(path).read() for path in sys.argv[1:])
print(1 if abs(int(answer)) == abs(int(output)) else 0)
"""


@pytest.mark.parametrize(("printed", "ruling"), [("1", "AC"), ("also-right", "AC"), ("2", "WA"), ("crash", "WA")])
def test_a_checker_program_of_testlibs_convention(sandbox: Sandbox, printed: str, ruling: str) -> None:
    checker = CheckerProgram(TESTLIB_STYLE, "cpp")
    assert (
        judge(f"print('{printed}')", "python", [StdioCase("", "1")], checker=checker, sandbox=sandbox).verdict == ruling
    )


@pytest.mark.parametrize(("printed", "ruling"), [("-1", "AC"), ("2", "WA"), ("not a number", "WA")])
def test_a_checker_program_of_open_r1s_convention(sandbox: Sandbox, printed: str, ruling: str) -> None:
    checker = CheckerProgram(OPEN_R1_STYLE, "python", "open-r1")
    assert (
        judge(f"print('{printed}')", "python", [StdioCase("", "1")], checker=checker, sandbox=sandbox).verdict == ruling
    )


def test_a_checker_that_fails_on_the_answer_too_is_our_fault(sandbox: Sandbox) -> None:
    for source in ("raise SystemExit(1)", "print("):
        checker = CheckerProgram(source, "python", "open-r1")
        assert judge("print(1)", "python", [StdioCase("", "1")], checker=checker, sandbox=sandbox).verdict == "IE"
    broken = CheckerProgram("int main( {", "cpp")
    assert judge("print(1)", "python", [StdioCase("", "1")], checker=broken, sandbox=sandbox).verdict == "IE"


def test_a_checker_runs_where_no_submission_does(sandbox: Sandbox) -> None:
    before = sandbox.pool.started
    checker = CheckerProgram("import os\nprint(1)", "python", "open-r1")
    assert judge("print(5)", "python", [StdioCase("", "1")], checker=checker, sandbox=sandbox).verdict == "AC"
    assert sandbox.checking.started >= 1 and sandbox.pool.started == before


def test_an_answer_that_does_not_fit_its_checker_is_our_fault(sandbox: Sandbox) -> None:
    assert judge("print(1)", "python", [StdioCase("", "maybe")], checker="yesno", sandbox=sandbox).verdict == "IE"


def test_many_and_async_agree_with_one(sandbox: Sandbox) -> None:
    sources = [RIGHT, "print(0)", "raise ValueError", "print(", RIGHT] * 3
    alone = [judge(source, "python", SUM, sandbox=sandbox).verdict for source in sources]
    assert [found.verdict for found in judge_many(sources, "python", SUM, sandbox=sandbox)] == alone

    async def gather() -> list[Ruling]:
        return [
            f.verdict for f in await asyncio.gather(*(judge_async(s, "python", SUM, sandbox=sandbox) for s in sources))
        ]

    assert asyncio.run(gather()) == alone
    assert judge_many([], "python", SUM, sandbox=sandbox) == []


def test_time_factors_are_applied_and_stamped(sandbox: Sandbox) -> None:
    limits = Limits(cpu_seconds=0.2, wall_seconds=1.0)
    plain = judge(RIGHT, "python", SUM[:1], limits, sandbox=sandbox)
    assert plain.time_factor == 1.0 and plain.limits == limits
    longer = judge(RIGHT, "python", SUM[:1], limits, sandbox=sandbox, time_factor="language")
    assert longer.time_factor == 5.0 and (longer.limits.cpu_seconds, longer.limits.wall_seconds) == (1.0, 5.0)


def test_arguments_that_cannot_work_are_refused(sandbox: Sandbox) -> None:
    with pytest.raises(UnknownNameError, match="'python'"):
        judge("", "pyhton", [], sandbox=sandbox)
    with pytest.raises(UnknownNameError, match="tokens"):
        judge("", "python", [], checker="token", sandbox=sandbox)
    with pytest.raises(UnknownNameError, match="fork"):
        judge("", "python", [], isolation="frok", sandbox=sandbox)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="mixed"):
        judge("", "python", [StdioCase("", ""), CallCase("f", (), 1)], sandbox=sandbox)
    for tests, message in [
        ([("1", "1")], "test 1 must be StdioCase.* got tuple"),
        ([StdioCase("", ""), {"input": "1", "output": "1"}], "test 2 must be StdioCase.* got dict"),
        ([StdioCase(7, "7")], "test 1 must hold texts, got int 7"),
        ("1", "tests must be a list .* got str"),
        (None, "tests must be a list .* got NoneType"),
    ]:  # an unknown kind of test was once left out of the count, and the program AC
        with pytest.raises(ConfigError, match=message):
            judge("print(1)", "python", tests, sandbox=sandbox)  # type: ignore[arg-type]
    for change, message in [
        ({"source": 3}, "source must be the program as str, got int"),
        ({"checker": 3}, "a checker is a name or a CheckerProgram, got int"),
        ({"limits": "1s"}, "limits must be Limits.* got str '1s'"),
        ({"time_factor": "2"}, "time_factor must be a number"),
    ]:
        with pytest.raises(ConfigError, match=message):
            judge(**{"source": "", "language": "python", "tests": [StdioCase("", "")], "sandbox": sandbox, **change})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="python only"):
        judge("", "cpp", [CallCase("f", (), 1)], sandbox=sandbox)
    with pytest.raises(UnknownNameError, match="docker"):
        judge("", "python", [], sandbox="dokcer")


def test_no_tests_is_no_success(sandbox: Sandbox) -> None:
    assert judge("print(1)", "python", [], sandbox=sandbox).fraction == 0.0


def test_warm_submissions_start_nothing(sandbox: Sandbox) -> None:
    assert judge(RIGHT, "python", SUM[:1], sandbox=sandbox).verdict == "AC"
    started = sandbox.pool.started
    assert {str(judge(RIGHT, "python", SUM[:1], sandbox=sandbox).verdict) for _ in range(15)} == {"AC"}
    assert sandbox.pool.started == started
