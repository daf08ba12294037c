"""Rulings at the edges: large inputs, odd bytes, extreme limits, forged values; found by an adversarial examination."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1gym.errors import ConfigError, SandboxError, SandboxUnavailableError
from r1gym.sandbox import Session, judge
from r1gym.sandbox.chooser import Sandbox, open_sandbox
from r1gym.sandbox.functions import read_answer, shown
from r1gym.sandbox.pool import Pool
from r1gym.types import CallCase, CheckerProgram, Limits, StdioCase

SMALL = Limits(cpu_seconds=8.0, wall_seconds=20.0, memory_mb=64, output_mb=32)
ONE = [StdioCase("", "1")]
LARGE = "0123456789abcde\n" * (24 << 16)


def test_a_large_input_is_not_the_programs_memory(sandbox: Sandbox) -> None:
    tests = [StdioCase(LARGE, "1"), StdioCase(LARGE, "1")]
    assert judge("print(1)", "python", tests, SMALL, sandbox=sandbox).verdict == "AC"


def test_a_large_output_is_not_the_programs_memory(sandbox: Sandbox) -> None:
    source = "import sys\nfor _ in range(30): sys.stdout.write('x' * 1048575 + '\\n')"
    text = ("x" * 1048575 + "\n") * 30
    assert judge(source, "python", [StdioCase("", text)], SMALL, sandbox=sandbox).verdict == "AC"


@pytest.mark.parametrize(("stream", "extra"), [(1, 0), (2, 1 << 16)])
def test_output_is_limited_to_the_byte(sandbox: Sandbox, stream: int, extra: int) -> None:
    source = "import os, sys\nn = int(input())\nwhile n:\n    n -= os.write({}, b'x' * min(n, 65536))"
    tests = [StdioCase(str((1 << 20) + extra + over), "") for over in (0, 1)]
    found = judge(source.format(stream), "python", tests, replace(SMALL, output_mb=1), sandbox=sandbox)
    assert [test.verdict for test in found.tests] == ["WA" if stream == 1 else "AC", "OLE"]


def test_nothing_to_judge_is_no_success(sandbox: Sandbox) -> None:
    found = judge("print(1)", "python", [], sandbox=sandbox)
    assert (found.verdict, found.fraction) == ("IE", 0.0) and "no tests" in found.message


def test_bytes_that_are_no_utf_8_come_through(sandbox: Sandbox) -> None:
    copy = "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())"
    for text in (b"\xff\xfe\x80 \xc3".decode("utf-8", "surrogateescape"), "\ud800", "é\r\n\0"):
        assert judge(copy, "python", [StdioCase(text, text)], checker="exact", sandbox=sandbox).verdict == "AC"
    size = "import sys\nprint(len(sys.stdin.buffer.read()))"
    assert judge(size, "python", [StdioCase("\udcff", "1"), StdioCase("\ud800", "3")], sandbox=sandbox).verdict == "AC"


def test_a_wall_limit_below_the_cpu_limit_holds(sandbox: Sandbox) -> None:
    nap = "import time\ntime.sleep(0.6)\nprint(1)"
    found = judge(nap, "python", ONE, Limits(cpu_seconds=2.0, wall_seconds=0.3), sandbox=sandbox)
    assert found.verdict == "TLE" and found.limits.wall_seconds == 0.3
    assert judge(nap, "python", ONE, Limits(cpu_seconds=60.0), sandbox=sandbox).limits.wall_seconds == 60.0


@pytest.mark.parametrize(
    "change",
    [
        {"cpu_seconds": 0}, {"cpu_seconds": -1.0}, {"cpu_seconds": math.nan}, {"wall_seconds": math.inf},
        {"wall_seconds": 1e9}, {"memory_mb": 0}, {"memory_mb": 256.0}, {"memory_mb": True}, {"output_mb": 0},
        {"processes": 0}, {"processes": "4"},
    ],
    ids=str,
)  # fmt: skip
def test_limits_under_which_nothing_runs_are_refused(sandbox: Sandbox, change: dict[str, Any]) -> None:
    limits = replace(Limits(), **change)
    with pytest.raises(ConfigError, match=next(iter(change))):
        judge("print(1)", "python", ONE, limits, sandbox=sandbox)
    with pytest.raises(ConfigError, match=next(iter(change))):
        Session(sandbox, limits)


@pytest.mark.parametrize("limits", [Limits(1e6, 1e6), Limits(memory_mb=1 << 20, output_mb=1 << 12, processes=1 << 15)])
def test_very_large_limits_are_limits(sandbox: Sandbox, limits: Limits) -> None:
    assert judge("print(1)", "python", ONE, limits, sandbox=sandbox).verdict == "AC"


def test_a_few_megabytes_are_enough_for_c(sandbox: Sandbox) -> None:
    source = '#include <stdio.h>\nint main(void) { puts("1"); return 0; }'
    assert judge(source, "c", ONE, Limits(memory_mb=4, processes=1), sandbox=sandbox).verdict == "AC"


def test_an_unforeseen_error_of_a_resize_keeps_the_pool_alive(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = Pool(sandbox.backend, 1)
    with pool.lease(64) as slot:
        monkeypatch.setattr(slot.link, "resize", lambda memory_mb: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pool.acquire(65)
    with pool.lease(64) as fresh:
        assert fresh is not slot
    pool.close()


def test_gnu_c_and_later_standards_of_cpp_compile(sandbox: Sandbox) -> None:
    source = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <math.h>\n"
    source += 'int main(void) { char *s = strdup("1"); if (M_PI > 3) puts(s); free(s); return 0; }'
    assert judge(source, "c", ONE, sandbox=sandbox).verdict == "AC"
    ranges = "#include <algorithm>\n#include <bit>\n#include <iostream>\n#include <vector>\n"
    ranges += "int main() { std::vector v{3, 1}; std::ranges::sort(v); std::cout << v[0] * std::popcount(4u); }"
    assert judge(ranges, "cpp", ONE, sandbox=sandbox).verdict == "AC"
    flood = "#warning hello\n" * 20_000 + "int main() { return 0; }"
    assert judge(flood, "c", [StdioCase("", "")], sandbox=sandbox).verdict == "AC"


def test_pools_of_processes_and_reopened_streams(sandbox: Sandbox) -> None:
    source = "import multiprocessing\ndef f(x): return x * x\nif __name__ == '__main__':\n"
    source += "    with multiprocessing.Pool(2) as pool, open('/dev/stdout', 'w') as out:\n"
    source += "        print(sum(pool.map(f, range(4))) - 13, file=out)\n"
    assert judge(source, "python", ONE, sandbox=sandbox).verdict == "AC"
    leave = "open('/dev/shm/left', 'w').close()\nprint(1)"
    look = "import os\nprint(1 - len(os.listdir('/dev/shm')))"
    for program in (leave, look):
        assert judge(program, "python", ONE, sandbox=sandbox).verdict == "AC"


FORGE = """
import sys, os
def f():
    frame = sys._getframe(1)
    text = '["%s", %s]' % (frame.f_locals["request"]["nonce"], {value})
    os.write(frame.f_locals["answer"], text.encode())
    os._exit(0)
"""


@pytest.mark.parametrize(
    "value",
    [
        """'{"float": "0x1p99999"}'""", """'{"list": [' * 900 + ']}' * 900""", "'1e999'", "'9' * 6000", "'NaN'",
        """'{"int": "0x' + 'f' * 6000 + '"}'""", """'{"dict": [[{"list": []}, 1]]}'""",
    ],
)  # fmt: skip
def test_a_forged_answer_loses_and_raises_nothing(sandbox: Sandbox, value: str) -> None:
    cases = [CallCase("f", (), expected) for expected in (1.0, [1], {"a": 1})]
    found = judge(FORGE.format(value=value), "python", cases, sandbox=sandbox)
    assert {test.verdict for test in found.tests} <= {"WA", "RE"}


def test_keys_of_one_hash_are_refused_in_linear_time() -> None:
    keys = ", ".join(f'{{"int": "{number * ((1 << 61) - 1):#x}"}}' for number in range(100_000))
    for text in (
        f'["n", {{"set": [{keys}]}}]',
        '["n", {"dict": [' + keys.replace("{", "[{").replace("}", "}, 1]") + "]}]",
    ):
        with pytest.raises(ValueError, match="not one value"):
            read_answer(text.encode(), "n")
    assert read_answer(b'["n", {"set": [-1, -2, 18446744073709551614]}]', "n") == {-1, -2, 18446744073709551614}


def test_values_of_honest_functions(sandbox: Sandbox) -> None:
    source = (
        "import collections\ndef f(kind):\n"
        "    if kind == 'many': return list(range(600_000))\n"
        "    if kind == 'long': return 10 ** 5000\n"
        "    if kind == 'counter': return collections.Counter('aab')\n"
        "    d = collections.defaultdict(list)\n    d[1].append(-0.0)\n    return d"
    )
    cases = [
        CallCase("f", ("many",), list(range(600_000))),
        CallCase("f", ("long",), 10**5000),
        CallCase("f", ("long",), 10**5000 + 1),
        CallCase("f", ("counter",), {"a": 2, "b": 1}),
        CallCase("f", ("",), {1: [0.0]}),
    ]
    found = judge(source, "python", cases, Limits(cpu_seconds=8.0), sandbox=sandbox)
    assert [test.verdict for test in found.tests] == ["AC", "AC", "WA", "AC", "AC"]
    assert "too long to show" in found.message and shown([1]) == "[1]"


def test_an_unknown_convention_of_a_checker_is_named(sandbox: Sandbox) -> None:
    checker = CheckerProgram("", "python", "testlip")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="testlib"):
        judge("print(1)", "python", ONE, checker=checker, sandbox=sandbox)


def test_a_sandbox_of_another_process_is_refused(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge("print(1)", "python", ONE, sandbox=sandbox).verdict == "AC"
    with monkeypatch.context() as patch:
        patch.setattr("os.getpid", lambda: 1)
        with pytest.raises(SandboxError, match="another process"):
            judge("print(1)", "python", ONE, sandbox=sandbox)
        sandbox.close()
    assert judge("print(1)", "python", ONE, sandbox=sandbox).verdict == "AC"


POINTS = """
import sys
text = open(sys.argv[2]).read()
if text == "crash": sys.exit(3)
sys.stderr.write("points %s so much" % text)
sys.exit(7)
"""


@pytest.mark.parametrize(("printed", "ruling"), [("1", "AC"), ("0.5", "WA"), ("2", "AC"), ("x", "WA"), ("crash", "WA")])
def test_full_points_are_what_the_jurys_answer_earns(sandbox: Sandbox, printed: str, ruling: str) -> None:
    checker = CheckerProgram(POINTS, "python")
    source = f"print({printed!r}, end='')"
    found = judge(source, "python", [StdioCase("", "1")], checker=checker, sandbox=sandbox)
    assert found.verdict == ruling, found.message


def test_an_engine_that_takes_connections_and_is_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("r1gym.sandbox.docker._OPEN_SECONDS", 0.2)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/s")
        listener.listen(4)
        with pytest.raises(SandboxUnavailableError, match="does not answer within"):
            open_sandbox("docker")


def test_nothing_lies_in_the_temporary_folder(open_backend: Callable[..., Sandbox], tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(tmp_path))
        with open_backend("local", slots=1) as opened:
            assert judge("print(1)", "python", ONE, sandbox=opened).verdict == "AC"
            assert not list(tmp_path.iterdir()), "what is on disk stays behind where the process is killed"


@pytest.mark.parametrize("slots", [0, -1, 1.5, True, "2"])
def test_a_number_of_slots_that_is_none_is_refused(slots: Any) -> None:
    with pytest.raises(ConfigError, match="slots must be a whole number from 1"):  # -1 waited for a slot for ever
        open_sandbox("local", slots=slots)
