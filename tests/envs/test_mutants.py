"""Mutants: each another program, fresh inputs inside the domain, weak tests named with a witness, strong ones not."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import gymnasium as gym
import pytest

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.audit.mutants import fresh_arguments, mutants
from r1gym.envs.audit.running import audit

SOURCE = '''def largest(numbers: list) -> int:
    """The largest number, 0 if there is none."""
    best = 0
    for number in numbers:
        if number > best and number != -1:
            best = number
    return best
'''


def test_each_mutant_is_another_program_that_parses() -> None:
    made = mutants(SOURCE)
    plain = ast.unparse(ast.parse(SOURCE))
    assert len({mutant.source for mutant in made}) == len(made) > 10
    assert all(ast.unparse(ast.parse(mutant.source)) == mutant.source != plain for mutant in made)


@pytest.mark.parametrize(
    "change", ["Gt → GtE", "Gt → Lt", "And → Or", "0 → 1", "condition turned", "returns None", "statement of line"]
)
def test_a_change_of_each_kind_is_made(change: str) -> None:
    assert any(change in mutant.change for mutant in mutants(SOURCE))


def test_what_does_not_parse_has_no_mutants_and_many_are_thinned_out() -> None:
    assert mutants("int main() { return 0; }") == []
    assert len(mutants(SOURCE, limit=5)) <= 5


def test_fresh_arguments_stay_in_the_domain() -> None:
    known = [([1, 5, 9], "ab", True), ([2, 4], "c", False)]
    made = fresh_arguments(known, 30, seed=0)
    assert made == fresh_arguments(known, 30, seed=0) and len(made) > 10
    for numbers, text, flag in made:
        assert all(1 <= number <= 9 for number in numbers) and 1 <= len(numbers) <= 3
        assert set(text) <= set("abc") and type(flag) is bool
        assert (numbers, text, flag) not in known


def env_with(asserts: list[str], folder: Path) -> gym.Env[str, str]:
    head, _, body = SOURCE.partition("\n    best")
    row = {
        "task_id": "Own/0", "prompt": head + "\n", "entry_point": "largest", "canonical_solution": "    best" + body,
        "test": "def check(candidate):\n" + "".join(f"    assert {line}\n" for line in asserts),
    }  # fmt: skip
    path = folder / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    return gym.make("r1/HumanEval-v0", data=str(path), sandbox="local")


@pytest.mark.xdist_group("sandbox")
def test_weak_tests_are_named_with_a_witness(tmp_path: Path) -> None:
    card = audit(env_with(["candidate([3, 7]) == 7", "candidate([2, 8]) == 8"], tmp_path), only=(43,))
    (row,) = card.rows
    assert row.status == "fail" and row.tally.false_passes >= 1
    for failure in row.failures:
        assert "differs from the reference on largest([" in failure["reason"], failure
        # The witness is checked here, by running both programs on it.
        call = failure["reason"].partition(" on ")[2]
        values = []
        for source in (SOURCE, next(m.source for m in mutants(SOURCE) if m.change == failure["what"])):
            space: dict[str, object] = {}
            exec(source, space)
            values.append(eval(call, space))
        assert values[0] != values[1], failure


@pytest.mark.xdist_group("sandbox")
def test_strong_tests_leave_no_wrong_survivor(tmp_path: Path) -> None:
    asserts = [
        "candidate([]) == 0", "candidate([1]) == 1", "candidate([3, 7, 5]) == 7", "candidate([-3, -1]) == 0",
        "candidate([1, 2]) == 2", "candidate([2, 1]) == 2", "candidate([-1, 4, 2]) == 4", "candidate([0]) == 0",
    ]  # fmt: skip
    (row,) = audit(env_with(asserts, tmp_path), only=(43,)).rows
    assert row.status == "pass" and row.tally.bad > 10, row.as_json()
