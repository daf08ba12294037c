"""Multiple choice: the hand-written rows, strict modes, what a reference may be, and spans."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1gym.errors import ConfigError, ReferenceRefusedError, UnknownNameError
from r1gym.types import Outcome, Task
from r1gym.verifiers import prepare, verify
from r1gym.verifiers.reasons import RULES

FILE = Path(__file__).parents[1] / "golden" / "choice.jsonl"
ROWS = [json.loads(line) for line in FILE.read_text(encoding="utf-8").split("\n") if line]
FORCE = {"answer": "C", "options": ["5 N", "10 N", "12 N", "20 N"]}


def test_enough_rows_of_each_kind() -> None:
    kinds = Counter(row["kind"] for row in ROWS)
    assert len({(json.dumps(row["reference"]), row["completion"]) for row in ROWS}) == len(ROWS) >= 200
    assert kinds["right"] >= 75 and kinds["near miss"] >= 50 and kinds["gaming"] >= 75


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['family']}: {row['completion'][:40]!r}")
def test_golden_row(row: dict[str, Any]) -> None:
    verdict = verify(row["completion"], row["reference"], "choice")
    assert (verdict.outcome is Outcome.CORRECT) == row["correct"], verdict
    assert verdict.outcome is not Outcome.UNGRADABLE and verdict.reason.split(":")[0] in RULES
    for span in verdict.spans:
        assert 0 <= span.start < span.end <= len(row["completion"])


@pytest.mark.parametrize("gold", "ABCD")
@pytest.mark.parametrize("row", [row for row in ROWS if row["family"] == "spray"], ids=lambda row: row["completion"])
def test_a_spray_earns_nothing_whatever_the_gold(gold: str, row: dict[str, Any]) -> None:
    reference = {**FORCE, "answer": gold}
    assert verify(row["completion"], reference, "choice").outcome is not Outcome.CORRECT
    assert verify(row["completion"], gold, "choice").outcome is not Outcome.CORRECT


@pytest.mark.parametrize(
    ("mode", "right", "wrong"),
    [
        ("strict:boxed", r"\boxed{C}", ["<answer>C</answer>", "The answer is C.", "C", "(C)"]),
        ("strict:answer", "<answer>C</answer>", [r"\boxed{C}", "The answer is C.", "C", "Option C is correct."]),
        ("strict:####", "m a\n#### C", [r"\boxed{C}", "<answer>C</answer>", "The answer is C.", "C"]),
    ],
)
def test_strict_modes_take_only_the_declared_form(mode: str, right: str, wrong: list[str]) -> None:
    assert verify(right, FORCE, "choice", extraction=mode).outcome is Outcome.CORRECT
    for completion in wrong:
        assert verify(completion, FORCE, "choice", extraction=mode).outcome is Outcome.NO_ANSWER


def test_the_reason_says_why() -> None:
    assert verify(r"\boxed{C or D}", FORCE, "choice").reason.startswith("hedge: 'C or D' names several options")
    assert verify(r"\boxed{C} or D", FORCE, "choice").reason.startswith("hedge: C, D are named")
    assert verify(r"\boxed{E}", FORCE, "choice").reason.startswith("kind: 'E' is no letter from A to D")
    assert verify("A car moves.", FORCE, "choice").reason.startswith("no_final_answer: ")
    assert verify(r"\boxed{D}", FORCE, "choice").reason == "choice: D is not the right option"


def test_extracted_is_the_letter_so_that_votes_agree() -> None:
    for completion in (r"\boxed{D}", "<answer>(D) 20 N</answer>", "The answer is 20 N."):
        verdict = verify(completion, FORCE, "choice")
        assert (verdict.outcome, verdict.extracted) == (Outcome.WRONG, "D")


def test_options_of_one_text_are_one_answer() -> None:
    twice = {"answer": "B", "options": ["1", "2", "$2$", "2 0"]}
    assert [verify(rf"\boxed{{{x}}}", twice, "choice").score for x in ("A", "B", "C", "D", "2", "20")] == [
        0.0, 1.0, 1.0, 0.0, 1.0, 0.0,
    ]  # fmt: skip
    spaced = {"answer": "A", "options": ["to day", "today"]}
    assert [verify(f"The answer is {x}.", spaced, "choice").score for x in ("to day", "today", "B")] == [1.0, 0.0, 0.0]


def test_options_may_stand_beside_a_letter() -> None:
    assert verify("The answer is 12 N.", "C", "choice", options=FORCE["options"]).score == 1.0
    assert verify("The answer is 12 N.", "(c)", "choice").score == 0.0
    with pytest.raises(ConfigError, match="2 to 10 texts"):
        verify("C", "C", "choice", options="5 N")
    with pytest.raises(UnknownNameError, match="Did you mean 'options'"):
        verify("C", "C", "choice", option=["x", "y"])


@pytest.mark.parametrize(
    "reference",
    [None, 2, "", "K", "CD", {"answer": "E", "options": ["1", "2", "3", "4"]}, {"answer": "A"},
     {"answer": "A", "options": ["1"]}, {"answer": "A", "options": "12"}, {"answer": "A", "options": [1, 2]}],
)  # fmt: skip
def test_a_reference_that_names_no_option_is_refused(reference: object) -> None:
    with pytest.raises(ReferenceRefusedError):
        prepare(Task("t", "choice", "?", reference))
    assert verify("C", reference, "choice").outcome is Outcome.UNGRADABLE


def test_a_grader_pickles() -> None:
    grader = pickle.loads(pickle.dumps(prepare(Task("t", "choice", "?", FORCE))))
    verdict = grader.grade(r"So $\boxed{12\text{ N}}$.")
    assert (verdict.outcome, verdict.extracted) == (Outcome.CORRECT, "C")
    assert [(span.start, span.end, span.value) for span in verdict.spans] == [(4, 23, 1.0)]


PIECES = st.sampled_from(
    ["A", "B", "C", "D", "(C)", "12 N", "or", "answer is", r"\boxed{", "}", "<answer>", "</answer>", "option", "\n",
     ". ", ", ", "not", "correct", "a car", "$", "**", ")", "I", "é", "\ud800"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=14).map(" ".join))
def test_no_text_makes_it_raise_and_two_golds_never_both_win(text: str) -> None:
    won = [verify(text, {**FORCE, "answer": letter}, "choice").outcome is Outcome.CORRECT for letter in "ABCD"]
    assert sum(won) <= 1


def test_long_texts_are_judged_in_time() -> None:
    for text in (
        "C) 12 N " * 300,
        "A " * 200_000,
        "(" * 100_000,
        "The answer is " + "C) " * 100_000,
        r"\boxed{" * 50_000,
    ):
        assert verify(text, FORCE, "choice").outcome is not Outcome.UNGRADABLE
