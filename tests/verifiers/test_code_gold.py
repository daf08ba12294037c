"""What a program's reference may be; everything wrong with it is said before a program runs."""

from __future__ import annotations

import pytest

from r1gym.errors import ConfigError, ReferenceRefusedError, UnknownNameError
from r1gym.types import CallCase, CheckerProgram, CodeReference, Limits, Outcome, StdioCase, Task
from r1gym.verifiers import prepare, verify
from r1gym.verifiers.code_gold import read_code_gold

IO = {"input": "1", "output": "2"}
CALL = {"function": "f", "args": [1], "expected": 2}


def test_plain_values_are_read() -> None:
    gold = read_code_gold({"tests": [IO], "limits": {"cpu_seconds": 1.0}, "checker": "lines", "time_factor": 2})
    assert gold == CodeReference((StdioCase("1", "2"),), "lines", Limits(cpu_seconds=1.0), 2)
    assert read_code_gold([CALL]) == CodeReference((CallCase("f", (1,), 2),), "equal")
    assert read_code_gold([StdioCase("1", "2")]).tests == gold.tests
    program = read_code_gold({"tests": [IO], "checker": {"source": "print(1)", "language": "python"}})
    assert program.checker == CheckerProgram("print(1)", "python") and read_code_gold(program) is program


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("print(1)", "expected a CodeReference"),
        (None, "expected a CodeReference"),
        ([], "no test"),
        ({"tests": []}, "no test"),
        ({}, "'tests' is None"),
        ({"tests": [IO], "limit": 1}, "Did you mean 'limits'"),
        ([{"input": "1"}], "test 1"),
        ([IO, {"input": 1, "output": "2"}], "test 2: expected strings"),
        ([IO, CALL], "do not mix"),
        ({"tests": [IO], "limits": {"cpu": 1}}, "limits: "),
        ({"tests": [IO], "limits": {"cpu_seconds": -1}}, "positive"),
        ({"tests": [IO], "time_factor": "fast"}, "time_factor"),
        ({"tests": [IO], "checker": "tokns"}, "Did you mean 'tokens'"),
        ({"tests": [IO], "checker": {"source": "x", "language": "perl"}}, "unknown language"),
        ({"tests": [CALL], "checker": {"source": "x", "language": "python"}}, "compared by value"),
        ([{**CALL, "args": [object()]}], "must be JSON values"),
        ([{**CALL, "expected": 1j}], "must be JSON values"),
    ],
)
def test_a_bad_reference_is_refused_and_says_why(reference: object, said: str) -> None:
    with pytest.raises(ReferenceRefusedError, match=said):
        read_code_gold(reference)
    verdict = verify("```python\nprint(1)\n```", reference, domain="code")
    assert verdict.outcome is Outcome.UNGRADABLE and verdict.reason.startswith("reference_refused: ")


def test_a_task_that_cannot_be_verified_is_refused() -> None:
    task = Task("t", "code", "", CodeReference((StdioCase("", ""),)), {"unverifiable": "its tests are not complete"})
    with pytest.raises(ReferenceRefusedError, match="not verifiable: its tests are not complete"):
        prepare(task)


@pytest.mark.parametrize(
    ("option", "error", "said"),
    [
        ({"sandbox": "dokcer"}, UnknownNameError, "docker"),
        ({"score": "half"}, UnknownNameError, "fraction"),
        ({"time_factor": 0}, ConfigError, "positive"),
        ({"timeout": 1}, UnknownNameError, "time_factor"),
    ],
)
def test_options_are_checked(option: dict[str, object], error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        verify("```python\nprint(1)\n```", [IO], domain="code", **option)
