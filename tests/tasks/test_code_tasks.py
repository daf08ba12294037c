"""Rows of programming sets: read, refused with file, line and field, or left out and counted."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from r1gym.errors import RowError
from r1gym.tasks import loading
from r1gym.tasks.asserts import read_asserts, read_check
from r1gym.tasks.contest import SEVERAL_ANSWERS, comparison, several_answers
from r1gym.tasks.literals import UnreadableError
from r1gym.tasks.registry import SOURCES
from r1gym.tasks.source import Source
from r1gym.tasks.taskset import TaskSet
from r1gym.types import CallCase, CheckerProgram, Limits, StdioCase

TEST = {"input": "1\n", "output": "2\n"}
OPEN_R1 = {
    "id": "1/A", "title": "Add", "description": "Add one.", "input_format": "n", "output_format": "n + 1",
    "note": None, "examples": [TEST], "official_tests": [TEST, TEST], "official_tests_complete": True,
    "generated_checker": None, "input_mode": "stdio", "interaction_format": None, "time_limit": 1.5,
    "memory_limit": 512.0, "executable": True, "rating": 800,
}  # fmt: skip
EXCERPT = {"id": "1B", "problem": "Add one.", "tests": [TEST], "exact_match_ok": True}
DEEPMIND = {
    "name": "1_C. Add", "description": "Add one.", "public_tests": {"input": ["1"], "output": ["2"]},
    "private_tests": {"input": ["2", "3"], "output": ["3", "4"]}, "generated_tests": {"input": [], "output": []},
    "time_limit": {"seconds": 1, "nanos": 500000000}, "memory_limit_bytes": 256000000,
    "solutions": {"language": [4, 2], "solution": ["java", "int main(){}"]},
}  # fmt: skip
HUMAN = {
    "task_id": "H/0", "prompt": "import re\n\ndef f(x):\n    '''Add one.'''\n", "entry_point": "f",
    "canonical_solution": "    return x + 1\n", "test": "def check(c):\n    assert c(1) == 2\n",
}  # fmt: skip
SHORT = {"task_id": 7, "text": "Add one.", "code": "def f(x): return x + 1", "test_list": ["assert f(1) == 2"]}


def tasks_of(name: str, tmp_path: Path, *rows: dict[str, Any]) -> TaskSet:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    source = SOURCES[name]
    assert isinstance(source, Source)
    return loading.load(source, next(iter(source.splits)), data=str(path))


def test_open_r1_rows(tmp_path: Path) -> None:
    (task,) = tasks_of("codeforces", tmp_path, OPEN_R1)
    assert task.id == "1/A" and task.domain == "code" and "assumed" not in task.meta and task.meta["rating"] == 800
    assert task.question == ("Add\n\nAdd one.\n\nInput\nn\n\nOutput\nn + 1\n\nExample 1\nInput\n1\nOutput\n2")
    assert task.reference.limits == Limits(cpu_seconds=1.5, wall_seconds=3.5, memory_mb=512)
    assert task.reference.tests == (StdioCase("1\n", "2\n"),) * 2 and task.reference.time_factor == "language"


def test_a_missing_limit_is_assumed_and_says_so(tmp_path: Path) -> None:
    (task,) = tasks_of("codeforces", tmp_path, EXCERPT)
    assert task.reference.limits == Limits(cpu_seconds=2.0, wall_seconds=4.0, memory_mb=256)
    assert task.meta["assumed"] == ["time_limit", "memory_limit"]
    (task,) = tasks_of("codeforces", tmp_path, {**OPEN_R1, "memory_limit": None})
    assert task.meta["assumed"] == ["memory_limit"]


def test_a_generated_checker_is_a_program(tmp_path: Path) -> None:
    several = {**OPEN_R1, "note": "If there are multiple answers, print any of them.", "generated_checker": "print(1)"}
    (task,) = tasks_of("codeforces", tmp_path, several)
    assert task.reference.checker == CheckerProgram("print(1)", "python", "open-r1")
    assert "unverifiable" not in task.meta


@pytest.mark.parametrize(
    ("name", "row", "why"),
    [
        ("codeforces", {**OPEN_R1, "official_tests_complete": False}, "its tests are not complete"),
        ("codeforces", {**OPEN_R1, "official_tests": None}, "no tests"),
        ("codeforces", {**OPEN_R1, "official_tests": []}, "no tests"),
        ("codeforces", {**OPEN_R1, "interaction_format": "ask"}, "interactive, and no interactor is there"),
        ("codeforces", {**OPEN_R1, "input_mode": "file"}, "it reads and writes files"),
        ("codeforces", {**OPEN_R1, "executable": False}, "no accepted solution passed its tests"),
        ("codeforces", {**OPEN_R1, "note": "If there are several answers, print any."}, SEVERAL_ANSWERS),
        ("codeforces", {**EXCERPT, "exact_match_ok": False}, "exact comparison refuses an accepted program"),
        ("code_contests", {**DEEPMIND, "input_file": "a.in"}, "it reads and writes files"),
        ("humaneval", {**HUMAN, "test": "def check(c):\n    assert c(random())"}, "its test is not a list of calls"),
        ("mbpp", {**SHORT, "test_setup_code": "r = Node(1)"}, "its test is not a list of calls"),
    ],
)
def test_what_cannot_be_verified_is_kept_aside_and_counted(
    name: str, row: dict[str, Any], why: str, tmp_path: Path
) -> None:
    tasks = tasks_of(name, tmp_path, row)
    assert len(tasks) == 1 and tasks[0].meta["unverifiable"].startswith(why)
    ((reason, count),) = tasks.unverifiable().items()
    assert reason.startswith(why) and count == 1


@pytest.mark.parametrize(
    ("name", "row", "said"),
    [
        ("codeforces", {**OPEN_R1, "description": None}, "field 'description': expected a string"),
        ("codeforces", {**OPEN_R1, "official_tests": [TEST, {"input": "1"}]}, r"field 'official_tests\[1\].output'"),
        ("codeforces", {**OPEN_R1, "time_limit": "2 s"}, "field 'time_limit': expected a positive number"),
        ("codeforces", {**OPEN_R1, "generated_checker": 1}, "field 'generated_checker'"),
        ("codeforces", {**EXCERPT, "tests": {}}, "field 'tests': expected a list"),
        ("codeforces", {**EXCERPT, "exact_match_ok": "yes"}, "field 'exact_match_ok'"),
        ("code_contests", {**DEEPMIND, "private_tests": {"input": ["1"], "output": []}}, "field 'private_tests'"),
        ("code_contests", {**DEEPMIND, "memory_limit_bytes": "1"}, "field 'memory_limit_bytes'"),
        ("humaneval", {**HUMAN, "entry_point": "g"}, "field 'entry_point': the prompt defines no function 'g'"),
        ("humaneval", {**HUMAN, "plus_input": [1], "base_input": []}, "field 'plus_input'"),
        ("mbpp", {**SHORT, "test_list": "assert f(1) == 2"}, "field 'test_list': expected a list of strings"),
        ("mbpp", {**SHORT, "code": 1}, "field 'code': expected a string"),
    ],
)  # fmt: skip
def test_a_bad_row_names_file_line_and_field(name: str, row: dict[str, Any], said: str, tmp_path: Path) -> None:
    good = {"codeforces": OPEN_R1, "code_contests": DEEPMIND, "humaneval": HUMAN, "mbpp": SHORT}[name]
    with pytest.raises(RowError, match=f"rows.jsonl, line 2, {said}"):
        tasks_of(name, tmp_path, good, row)


def test_deepmind_rows(tmp_path: Path) -> None:
    (task,) = tasks_of("code_contests", tmp_path, DEEPMIND)
    assert [case.input for case in task.reference.tests] == ["1", "2", "3"]
    assert task.reference.limits == Limits(cpu_seconds=1.5, wall_seconds=3.5, memory_mb=256)
    assert (task.meta["solution"], task.meta["solution_language"]) == ("int main(){}", "cpp")
    (task,) = tasks_of("code_contests", tmp_path, {**DEEPMIND, "time_limit": None, "memory_limit_bytes": 0})
    assert task.meta["assumed"] == ["time_limit", "memory_limit"]


def test_a_humaneval_prompt_comes_before_the_submission(tmp_path: Path) -> None:
    (task,) = tasks_of("humaneval", tmp_path, HUMAN)
    assert task.reference.prefix == "import re" and task.reference.tests == (CallCase("f", (1,), 2),)
    plus = {**HUMAN, "base_input": [[1]], "plus_input": [[2], [3]], "atol": 0}
    (task,) = tasks_of("humaneval", tmp_path, plus)
    assert [case.args for case in task.reference.tests] == [(1,), (2,), (3,)]
    assert task.reference.oracle == task.meta["solution"] and task.reference.checker == "float-abs:1e-06"


def test_mbpp_shows_one_assert(tmp_path: Path) -> None:
    (task,) = tasks_of("mbpp", tmp_path, {**SHORT, "test_list": ["assert f(1) == 2", "assert f(41) == 42"]})
    assert "f(1) == 2" in task.question and "41" not in task.question and len(task.reference.tests) == 2


@pytest.mark.parametrize(
    ("line", "args", "expected", "checker"),
    [
        ("assert f([1, -2.5], 'x') == {'a': (1, None)}", ([1, -2.5], "x"), {"a": (1, None)}, "equal"),
        ("assert 3 == f(2 ** 3 - 1)", (7,), 3, "equal"),
        ("assert f() is None, 'message'", (), None, "equal"),
        ("assert f(1)", (1,), True, "equal"),
        ("assert not f({1, 2})", ({1, 2},), False, "equal"),
        ("assert abs(f(1) - 2 / 4) < 1e-3", (1,), 0.5, "float-abs:0.001"),
        ("assert math.isclose(f(1), 0.5, rel_tol=0.01)", (1,), 0.5, "float:0.01"),
        ("assert tuple(f(1)) == tuple([1, 2])", (1,), (1, 2), "exact"),
        ("assert f(list(range(3))) == sum([i * i for i in range(4) if i > 1])", ([0, 1, 2],), 13, "equal"),
    ],
)
def test_asserts_that_compare_a_call_with_a_value(line: str, args: object, expected: object, checker: str) -> None:
    found = read_asserts([line])
    assert found.cases == (CallCase("f", args, expected),) and found.checker == checker  # type: ignore[arg-type]
    assert type(found.cases[0].expected) is type(expected)


@pytest.mark.parametrize(
    "line",
    [
        "assert f(x) == 1", "assert f(1) == g(1)", "assert f(1) != 2", "assert f(*[1]) == 2", "assert f(x=1) == 2",
        "assert sorted(f(1)) == [1]", "assert f(1).x == 2", "assert f(1j) == 1", "assert 1 == 1", "f(1) == 2",
        "assert f(10 ** 10 ** 10) == 1", "assert f('a' * 10 ** 9) == 1", "assert f(range(10 ** 12)) == 1",
        "assert f(__import__('os').system('true')) == 0", "assert f(1) == 1 or True", "assert f(1", "assert f(1) is 7",
    ],
)  # fmt: skip
def test_other_asserts_are_left_to_nobody(line: str) -> None:
    with pytest.raises(UnreadableError):
        read_asserts([line])


def test_no_assert_builds_a_large_value() -> None:
    begin = time.process_time()
    for huge in (
        "'a' * 10 ** 10",
        "10 ** 10 * [0]",
        "[0] * 10 ** 5 * 10 ** 5",
        "2 ** 1024 ** 1024",
        "(9 ** 900) ** 900",
    ):
        with pytest.raises(UnreadableError):
            read_asserts([f"assert f({huge}) == 1"])
    assert time.process_time() - begin < 0.5


def test_a_check_is_read_statement_by_statement() -> None:
    check = (
        "import math\ndef check(candidate):\n    'doc'\n    print('x')\n    xs = [1, 2]\n    assert True, 'trivial'\n"
        "    assert candidate(xs) == f(xs)\n    assert candidate(xs) == 3\n"
        "    for x in range(2):\n        assert candidate(x) == str(x)\n"
    )
    found = read_check(check, "f")
    assert [(case.args, case.expected) for case in found.cases] == [(([1, 2],), 3), ((0,), "0"), ((1,), "1")]
    with pytest.raises(UnreadableError, match="several ways"):
        read_check("def check(c):\n    assert c(1) == 'a'\n    assert abs(c(2) - 0.5) < 1e-6\n", "f")
    close = read_check("def check(c):\n    assert c(1) == 0.25\n    assert abs(c(2) - 0.5) < 1e-6\n", "f")
    assert close.checker == "float-abs:1e-06"


def test_outputs_choose_their_comparison() -> None:
    assert comparison((StdioCase("", "3 4\n"), StdioCase("", "x"))) == "tokens"
    assert comparison((StdioCase("", "YES\n"), StdioCase("", "no"))) == "yesno"
    assert comparison((StdioCase("", "3\n"), StdioCase("", "0.50\n"))) == "float:1e-6"
    assert comparison((StdioCase("", "version 1.2.3"),)) == comparison((StdioCase("", ""),)) == "tokens"


@pytest.mark.parametrize(
    ("statement", "several"),
    [
        ("If there are multiple answers, print any of them.", True),
        ("If there are several such sequences, any of them is acceptable.", True),
        ("Output the edges in arbitrary order.", True),
        ("Find any array b that fits.", True),
        ("If there are several correct answers, you may choose any of them.", True),
        ("If there are several such vertices, take the smallest.", False),
        ("Print the number of ways. He did not want to marry any of them.", False),
        ("If he cannot find any such snack, he fails.", False),
        ("A permutation has n distinct integers in arbitrary order.", False),
    ],
)
def test_statements_that_accept_several_outputs(statement: str, several: bool) -> None:
    assert several_answers(statement) is several
