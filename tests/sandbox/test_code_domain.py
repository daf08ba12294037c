"""Programs as completions, on both backends: what earns CORRECT, and the ways to cheat that do not."""

from __future__ import annotations

import dataclasses
import os
import pickle
import warnings
from typing import Any

import pytest

from r1gym import verify, verify_batch
from r1gym.errors import SandboxUnavailableError
from r1gym.sandbox.chooser import Sandbox
from r1gym.types import CallCase, CheckerProgram, CodeReference, Limits, Outcome, StdioCase, Task
from r1gym.verifiers import prepare

SQUARE = CodeReference((StdioCase("3\n", "9\n"), StdioCase("5\n", "25\n"), StdioCase("-4\n", "16\n")))
"""Print the square; the statement would show the first test."""
DOUBLE = CodeReference((CallCase("double", ([1],), [1, 1]), CallCase("double", ([0, 2],), [0, 2, 0, 2])), "equal")


def fenced(source: str, tag: str = "python") -> str:
    return f"I think so.\n\n```{tag}\n{source}\n```\n"


RIGHT = fenced("print(int(input()) ** 2)")
RIGHT_CALL = fenced("def double(xs):\n    return xs + xs")


@pytest.mark.parametrize(
    ("completion", "gold"),
    [
        (RIGHT, SQUARE),
        (fenced("print(0)") + "No:\n" + RIGHT, SQUARE),
        (RIGHT + "It prints\n```\n9\n```\n", SQUARE),
        (fenced("#include <iostream>\nint main() { long n; std::cin >> n; std::cout << n * n; }", "cpp"), SQUARE),
        (fenced('#include <stdio.h>\nint main() { int n; scanf("%d", &n); printf("%d", n * n); }', "c"), SQUARE),
        (fenced("def main():\n    print(int(input()) ** 2)\n\nif __name__ == '__main__':\n    main()"), SQUARE),
        (RIGHT_CALL, DOUBLE),
        (fenced("def double(xs): return xs + xs\n\nif __name__ == '__main__':\n    print(double(input()))"), DOUBLE),
        (fenced("from typing import List\nclass A: pass\ndef double(xs: List[int]):\n    return [*xs, *xs]"), DOUBLE),
    ],
)
def test_right_programs(completion: str, gold: CodeReference, sandbox: Sandbox) -> None:
    verdict = verify(completion, gold, domain="code", sandbox=sandbox)
    assert verdict.outcome is Outcome.CORRECT and verdict.score == 1.0, verdict.reason
    assert verdict.tests == ("AC",) * len(gold.tests) and verdict.reason == f"tests: {len(gold.tests)} tests accepted"
    (span,) = verdict.spans
    assert completion[span.start : span.end] == verdict.extracted and span.value == 1.0


FAST = Limits(cpu_seconds=0.3, wall_seconds=1.0, memory_mb=64, output_mb=1)


@pytest.mark.parametrize(
    ("source", "tag", "said"),
    [
        ("print(9)", "python", "tests: test 2 of 3 is WA"),
        ("print(input())", "python", "tests: test 1 of 3 is WA: token 1: expected '9', found '3'"),
        ("print(int(input()) ** 2", "python", "compile: "),
        ("int main() { return x; }", "cpp", "compile: "),
        ("1 / 0", "python", "tests: test 1 of 3 is RE: exit status 1"),
        ("while True: pass", "python", "tests: test 1 of 3 is TLE: over the limit (0.3 s of CPU, 1 s of wall time)"),
        ("import time; time.sleep(60)", "python", "tests: test 1 of 3 is TLE: over the limit (0.3 s of CPU, "),
        ("x = bytearray(200 << 20); print(9)", "python", "tests: test 1 of 3 is MLE"),
        ("while True: print('9' * 1000)", "python", "tests: test 1 of 3 is OLE"),
        ("import os; os.kill(os.getpid(), 9)", "python", "tests: test 1 of 3 is RE: signal 9"),
    ],
)
def test_wrong_programs_name_the_first_failing_test(source: str, tag: str, said: str, sandbox: Sandbox) -> None:
    gold = dataclasses.replace(SQUARE, limits=FAST, time_factor=1.0)
    verdict = verify(fenced(source, tag), gold, domain="code", sandbox=sandbox)
    assert verdict.outcome is Outcome.WRONG and verdict.score == 0.0 and verdict.reason.startswith(said), verdict.reason
    assert "\n" not in verdict.reason and verdict.extracted == f"{source}\n"
    assert verdict == verify(fenced(source, tag), gold, domain="code", sandbox=sandbox), "equal on a repeat"


EQUALS_ALL = """
class Yes(list):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
def double(xs): return Yes()
"""
PATCHED = """
import builtins, json, sys
json.dumps = lambda value, *rest, **more: '[true]'
builtins.isinstance = lambda *rest: True
sys.modules['r1gym'] = sys.modules['__main__']
def double(xs): return None
"""
FORGED = """
import json, os
def double(xs):
    for fd in range(3, 64):
        for text in ('AC', json.dumps(['AC', True]), json.dumps(['', [1, 1]])):
            try: os.write(fd, text.encode())
            except OSError: pass
    os._exit(0)
"""
FRAMES = """
import gc, sys
def double(xs):
    frame = sys._getframe()
    while frame:
        for value in frame.f_locals.values():
            if isinstance(value, dict) and 'expected' in value: return value['expected']
        frame = frame.f_back
    for value in gc.get_objects():
        if isinstance(value, dict) and 'expected' in value: return value['expected']
"""


@pytest.mark.parametrize(
    ("completion", "outcome"),
    [
        (fenced("import sys\ndef double(xs): sys.exit(0)"), Outcome.WRONG),
        (fenced("import os\nos._exit(0)"), Outcome.WRONG),
        (fenced("raise SystemExit"), Outcome.WRONG),
        (fenced(EQUALS_ALL), Outcome.WRONG),
        (fenced(PATCHED), Outcome.WRONG),
        (fenced(FORGED), Outcome.WRONG),
        (fenced(FRAMES), Outcome.WRONG),
        (fenced("def check(candidate): pass\nclass AssertionError(Exception): pass\ndouble = print"), Outcome.WRONG),
        (fenced("def double(xs):\n    return [1, 1]"), Outcome.WRONG),  # hard-codes the test that is shown
        (fenced("def double(xs):\n    return (*xs, *xs)"), Outcome.WRONG),  # a tuple is no list
        (fenced("def double(xs):\n    while True: input()"), Outcome.WRONG),
        (fenced("import unittest\nraise unittest.SkipTest"), Outcome.WRONG),
        ("The function returns [1, 1], then [0, 2, 0, 2].", Outcome.NO_ANSWER),
        (f"<think>{RIGHT_CALL}</think>I cannot do it.", Outcome.NO_ANSWER),
        (f"<think>{RIGHT_CALL}</think>{fenced('def double(xs): return 0')}", Outcome.WRONG),
        (RIGHT_CALL + fenced("def double(xs): return 0"), Outcome.WRONG),
        (RIGHT_CALL.rstrip().rstrip("`"), Outcome.NO_ANSWER),
        (fenced("[1, 1]", "json"), Outcome.NO_ANSWER),
        (fenced("auto double(auto xs) { return xs; }", "cpp"), Outcome.NO_ANSWER),
    ],
)
def test_cheating_a_function_problem_does_not_pay(completion: str, outcome: Outcome, sandbox: Sandbox) -> None:
    verdict = verify(completion, DOUBLE, domain="code", sandbox=sandbox)
    assert verdict.outcome is outcome and verdict.score == 0.0, verdict


FORGERY = """
import json, os, sys
def nested(depth):
    return '{"list": [' * depth + ']}' * depth
def double(xs):
    frame = sys._getframe()
    while 'request' not in frame.f_locals: frame = frame.f_back
    left = ('["%s", ' % frame.f_locals['request']['nonce'] + PAYLOAD + ']').encode()
    while left: left = left[os.write(frame.f_locals['answer'], left):]
    os._exit(0)
"""


@pytest.mark.parametrize(
    "payload",
    [
        """'{"float": "0x1p999999"}'""", "nested(150)", "nested(300)", "nested(20000)", "'[' * 100000",
        """'{"int": "%s"}' % ('f' * 100000)""", """'{"dict": [[{"list": []}, 1]]}'""", """'{"float": "nan"}'""",
        """json.dumps({'set': [{'int': hex(i * (2 ** 61 - 1))} for i in range(30000)]})""",
        "'1, 2'", """'"\\\\ud800"'""",
        """'{"list": [true, {"float": "1.0"}]}'""",
    ],
)  # fmt: skip
def test_no_forged_answer_masks_a_submission_or_hangs_the_judge(payload: str, sandbox: Sandbox) -> None:
    source = FORGERY.replace("PAYLOAD", payload)
    gold = dataclasses.replace(DOUBLE, tests=(CallCase("double", ([1],), [1, 2]),))
    for checker in ("equal", "float:1e-6"):
        verdict = verify(fenced(source), dataclasses.replace(gold, checker=checker), "code", sandbox=sandbox)
        assert verdict.outcome is Outcome.WRONG and verdict.score == 0.0, verdict.reason


@pytest.mark.parametrize(
    "source",
    [
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "print('AC'); print('Accepted')",
        "print('9\\n25\\n16')",  # every output that is expected, in each test
        "while True: input()",
        "open('checker.py', 'w').write('print(1)'); open('answer.txt', 'w').write('9')",
        "import glob; print(*(open(p).read() for p in glob.glob('/w/**/*', recursive=True) if 'answer' in p))",
        "import subprocess; print(subprocess.run(['cat', '/proc/1/environ'], capture_output=True).stdout)",
    ],
)
def test_cheating_a_program_problem_does_not_pay(source: str, sandbox: Sandbox) -> None:
    for gold in (SQUARE, dataclasses.replace(SQUARE, checker=CHECKER)):
        verdict = verify(fenced(source), gold, domain="code", sandbox=sandbox)
        assert verdict.outcome is Outcome.WRONG and verdict.score == 0.0, verdict


CHECKER = CheckerProgram(
    "import sys\ngiven, answer, output = [open(n).read().split() for n in sys.argv[1:]]\nprint(int(answer == output))",
    "python",
    "open-r1",
)


def test_the_fraction_is_paid_where_asked_for(sandbox: Sandbox) -> None:
    verdict = verify(fenced("print(9 if input() == '3' else 16)"), SQUARE, "code", sandbox=sandbox, score="fraction")
    assert verdict.outcome is Outcome.WRONG and verdict.score == pytest.approx(2 / 3)
    assert verdict.tests == ("AC", "WA", "AC") and "test 2 of 3 is WA" in verdict.reason
    assert verdict.reason.endswith("2 of 3 accepted") and verdict.spans[0].value == pytest.approx(2 / 3)


def test_a_program_that_hangs_does_not_hold_a_slot_for_every_test(sandbox: Sandbox) -> None:
    many = CodeReference((StdioCase("", ""),) * 40, limits=FAST, time_factor=0.3)
    verdict = verify(fenced("while True: pass"), many, "code", sandbox=sandbox, score="fraction")
    # Portions of 8: after the first there are 8 time-outs, more than the 3 that patience takes.
    assert verdict.tests == ("TLE",) * 8 and verdict.score == 0.0


def test_a_batch_is_judged_in_order_whatever_its_languages(sandbox: Sandbox) -> None:
    cpp = fenced("#include <iostream>\nint main() { int n; std::cin >> n; std::cout << n * n; }", "cpp")
    completions = [RIGHT, "none", cpp, fenced("print(1)"), RIGHT_CALL]
    verdicts = verify_batch(completions, [SQUARE] * 4 + [DOUBLE], "code", sandbox=sandbox)
    assert [verdict.outcome.name for verdict in verdicts] == ["CORRECT", "NO_ANSWER", "CORRECT", "WRONG", "CORRECT"]


def test_an_oracle_gives_the_expected_values(sandbox: Sandbox) -> None:
    cases = tuple(CallCase("half", (number,), None) for number in (1, 2, 5))
    gold = CodeReference(cases, "float-abs:1e-6", oracle="def half(x): return x / 2")
    assert verify(fenced("def half(x): return x * 0.5"), gold, "code", sandbox=sandbox).outcome is Outcome.CORRECT
    wrong = verify(fenced("def half(x): return x // 2"), gold, "code", sandbox=sandbox)
    assert wrong.reason == "tests: test 1 of 3 is WA: returned 0"
    broken = dataclasses.replace(gold, oracle="def half(x): return 1 / (x - 2)")
    ours = verify(fenced("def half(x): return x * 0.5"), broken, "code", sandbox=sandbox)
    assert ours.outcome is Outcome.UNGRADABLE and "reference solution gives no value for half(2,)" in ours.reason


def test_a_fault_of_ours_is_never_a_reward_or_a_loss(sandbox: Sandbox) -> None:
    broken = dataclasses.replace(SQUARE, checker=CheckerProgram("raise SystemExit(3)", "python", "testlib"))
    verdict = verify(RIGHT, broken, domain="code", sandbox=sandbox)
    assert verdict.outcome is Outcome.UNGRADABLE and verdict.score == 0.0 and verdict.reason.startswith("sandbox: ")
    assert verdict.tests == ("IE",)


def test_the_prefix_is_there_and_the_completion_may_replace_it(sandbox: Sandbox) -> None:
    gold = CodeReference((CallCase("f", (2,), 5),), "equal", prefix="from math import ceil\n\ndef g(x): return x + 2.5")
    for source in ("def f(x): return ceil(g(x))", "def g(x): return x + 3\n\ndef f(x): return g(x)"):
        assert verify(fenced(source), gold, domain="code", sandbox=sandbox).outcome is Outcome.CORRECT


def test_a_grader_travels(backend: str) -> None:
    grader = prepare(Task("t", "code", "", SQUARE), sandbox=backend)
    assert pickle.loads(pickle.dumps(grader)) == grader


@pytest.mark.parametrize("score", ["all", "fraction"])
def test_no_sandbox_is_an_error_and_not_a_reward(score: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*rest: Any, **more: Any) -> Sandbox:
        raise SandboxUnavailableError("no sandbox can run here. docker: not there | local: not allowed")

    monkeypatch.setattr("r1gym.sandbox.chooser._DEFAULTS", {})
    monkeypatch.setattr("r1gym.sandbox.chooser.open_sandbox", nothing)
    with pytest.raises(SandboxUnavailableError, match="no sandbox can run here"):
        verify(RIGHT, SQUARE, domain="code", score=score)
    assert verify("no program", SQUARE, domain="code", score=score).outcome is Outcome.NO_ANSWER
    with pytest.raises(SandboxUnavailableError):
        verify_batch([RIGHT, RIGHT], [SQUARE] * 2, "code", score=score)


def test_a_fork_opens_its_own_sandbox(backend: str, open_backend: Any) -> None:
    open_backend(backend, slots=1).close()  # skips where it cannot run
    assert verify(RIGHT, SQUARE, domain="code", sandbox=backend).outcome is Outcome.CORRECT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads: it is what a data loader does
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            from r1gym.sandbox import close

            code = 0 if verify(RIGHT, SQUARE, domain="code", sandbox=backend).outcome is Outcome.CORRECT else 2
            close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert verify(RIGHT, SQUARE, domain="code", sandbox=backend).outcome is Outcome.CORRECT
