"""The Countdown checker: right, wrong and gaming answers."""

from __future__ import annotations

import pickle

import pytest

from r1gym.errors import ReferenceRefusedError, UnknownNameError
from r1gym.types import Task
from r1gym.verifiers import prepare, verify

REFERENCE = {"numbers": [3, 8, 8, 3], "target": 24}


def outcome(answer: str, reference: object = None) -> str:
    return verify(f"<answer>{answer}</answer>", reference or REFERENCE, "countdown").outcome.name


@pytest.mark.parametrize(
    "answer",
    [
        "8/(3-8/3)",  # = 8 / (1/3) = 24
        " 8 / ( 3 - 8 / 3 ) ",
        "(8/(3-(8/3)))",
        "8/(3-8/3) = 24",
        "8 \\div (3 - 8 \\div 3)",
        "$8÷(3−8÷3)$",
        "\\boxed{8/(3-8/3)}",
    ],
)
def test_right(answer: str) -> None:
    assert outcome(answer) == "CORRECT"


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("24", "numbers"),
        ("8*3", "numbers"),  # two numbers left out
        ("8*3+8-8+3-3", "numbers"),  # one 8 and one 3 too many
        ("3*8*(8-3)", "different"),  # 120
        ("8/(3-8/3)=25", "different"),
        ("8/(3-8/3)=8/(3-8/3)", "different"),
        ("24=8/(3-8/3)", "different"),
        ("3*(8-8)+3*0", "numbers"),
        ("8/(8-8)+3+3", "numbers"),
        ("3/(8-8)+3", "unreadable"),  # right numbers for its own reference below, division by zero
        ("8**3-8*3", "unreadable"),
        ("8//3*8*3", "unreadable"),
        ("-8+3*8+3", "unreadable"),  # no unary sign: a number may be used once, zero is not given
        ("38-8-3", "numbers"),  # glued digits
        ("(8/(3-8/3)", "unreadable"),
        ("8/(3-8/3))", "unreadable"),
        ("8 3 8 3", "unreadable"),
        ("８/(3-8/3)", "unreadable"),  # full-width digit
        ("__import__('os').system('id')", "unreadable"),
        ("8/(3-8/3) # comment", "unreadable"),
        ("(" * 300 + "8/(3-8/3)" + ")" * 300, "unreadable"),
    ],
)
def test_wrong(answer: str, rule: str) -> None:
    reference = {"numbers": [3, 8, 8, 3], "target": 3} if answer.startswith("3/(8-8)") else REFERENCE
    verdict = verify(f"<answer>{answer}</answer>", reference, "countdown")
    assert verdict.outcome.name == "WRONG" and verdict.reason.startswith(f"{rule}:"), verdict


def test_deep_brackets_within_the_length_are_read() -> None:
    assert outcome("(" * 190 + "8/(3-8/3)" + ")" * 190) == "CORRECT"


def test_no_answer_and_pickling() -> None:
    grader = prepare(Task("t", "countdown", "q", REFERENCE))
    assert grader.grade("I would rather not.").outcome.name == "NO_ANSWER"
    assert pickle.loads(pickle.dumps(grader)).grade("<answer>8/(3-8/3)</answer>").outcome.name == "CORRECT"


@pytest.mark.parametrize(
    "reference",
    [
        "24",
        {"numbers": [1]},
        {"numbers": [], "target": 1},
        {"numbers": [1.0], "target": 1},
        {"numbers": [1], "target": True},
    ],
)
def test_a_broken_reference_is_refused(reference: object) -> None:
    with pytest.raises(ReferenceRefusedError):
        prepare(Task("t", "countdown", "q", reference))
    assert verify("<answer>1</answer>", reference, "countdown").outcome.name == "UNGRADABLE"


def test_options_are_refused() -> None:
    with pytest.raises(UnknownNameError):
        prepare(Task("t", "countdown", "q", REFERENCE), tolerance=1)
