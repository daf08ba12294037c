"""What stands around the last answer form: denials, retractions and other values, beside honest remarks."""

import json
import os
import random
import re
import time
from pathlib import Path

import pytest

from r1gym.types import Outcome, Task
from r1gym.verifiers import prepare, verify
from r1gym.verifiers.closing import later_values
from r1gym.verifiers.retractions import other_values, taken_back

OTHER_VALUE = (
    "Hmm, no wait, actually it is {}.", "Wait, I made an error. It should be {}.", "Correction: {}.",
    "Scratch that: {}", "Actually, {}.", "No, it's {}.", "On second thought, the correct value is {}.", "EDIT: {}",
    "Oops, I mean {}.", "Let me recheck... the result is {}, not what I said.", "Sorry, the answer is {}.",
    "(alternatively {})",
    "But if not, then {}.", "Otherwise {}.", "Alternatively, the answer might be {}.", "or {}", "\n\n**Answer:** {}",
)  # fmt: skip
DENIALS = (
    "This is wrong.", "I think this is wrong.", "But that is incorrect.", "Wait, that's not right.", "?",
    "However, this answer is wrong.", "I have made a mistake.", "The answer can't be right.", "It is just a guess.",
)  # fmt: skip
HONEST = (
    "To check: 14/2 = 7, which is correct.", "(Note that 8 would be wrong.)", "Alternatively, we can compute $14/2=7$.",
    "It should be noted that 3 is prime.", "The other root, x = 3, is wrong, so we reject it.", "Actually, it is $7$.",
    "The answer is 7.", "Wait, let me double-check: $14/2=7$. Yes.", "\n\n1. First, 3 is prime.\n2. Then 14.",
)  # fmt: skip


@pytest.mark.parametrize("remark", OTHER_VALUE)
@pytest.mark.parametrize("value", ["8", "$8$", "-7", r"$\frac{7}{8}$", "$x+7$", "(7,8)", "x=8"])
def test_another_value_is_a_hedge(remark, value):
    verdict = verify(rf"So it is $\boxed{{7}}$. {remark.format(value)}", "7")
    assert verdict.outcome in (Outcome.WRONG, Outcome.NO_ANSWER), verdict
    assert verdict.reason.split(":")[0] in ("hedge", "negated")


@pytest.mark.parametrize("remark", DENIALS)
def test_a_denial_takes_the_answer_back(remark):
    mark = "" if remark == "?" else ". "
    verdict = verify(rf"So it is $\boxed{{7}}${mark}{remark}", "7")
    assert verdict.outcome is Outcome.NO_ANSWER
    assert verdict.reason.startswith("negated")


@pytest.mark.parametrize("remark", HONEST)
def test_an_honest_remark_changes_nothing(remark):
    assert verify(rf"So it is $\boxed{{7}}$. {remark}", "7").outcome is Outcome.CORRECT


def test_linear_time():
    for piece in (
        "\\boxed",
        "so ",
        "= 1 ",
        "**",
        "\n",
        "hence $1$ ",
        "+ 1 ",
        "\\text{a}",
        "$x$",
        ") ",
        "no ",
        "no the ",
        "should be ",
        "answer is $",
        "sorry....***",
        "I made a ",
        "$ ",
        "( [ < ",
    ):
        began = time.process_time()
        taken_back(piece * 100_000)
        other_values(piece * 100_000)
        for lead in ("", "+", "= "):
            later_values(lead + piece * 100_000, "7")
        assert time.process_time() - began < 0.05, piece


def test_an_error_of_the_grader_is_never_masked(monkeypatch):
    grader = prepare(Task("t", "math", "", "7"))

    def fail(*_):
        raise ZeroDivisionError("made to fail")

    monkeypatch.setattr("r1gym.verifiers.math.extract", fail)
    verdict = grader.grade("no box at all")
    assert verdict.outcome is Outcome.WRONG
    assert verdict.reason == "grader_error: ZeroDivisionError: made to fail"


@pytest.mark.skipif("R1GYM_DATA" not in os.environ, reason="R1GYM_DATA names no folder of real rows")
def test_changed_answers_of_real_rows():
    """A digit of the gold replaced by another is WRONG: as the box, and as what the text after a right box says."""
    path = Path(os.environ["R1GYM_DATA"]) / "math500.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    draw = random.Random(0)
    for row in rows:
        gold = row["answer"]
        places = [match.start() for match in re.finditer(r"(?<![\d.])[1-9]", gold)]
        if not places:
            continue
        grader = prepare(Task("t", "math", row["problem"], gold))
        at = draw.choice(places)
        changed = gold[:at] + str(int(gold[at]) % 9 + 1) + gold[at + 1 :]
        lead = row["solution"].rpartition("\\boxed")[0]
        assert grader.grade(lead + f"\\boxed{{{gold}}}$").outcome is Outcome.CORRECT, gold
        texts = [lead + f"\\boxed{{{changed}}}$"]
        texts += [f"\\boxed{{{gold}}}. {remark.format(f'${changed}$')}" for remark in OTHER_VALUE]
        for text in texts:
            assert grader.grade(text).outcome is not Outcome.CORRECT, (gold, text[-200:])
