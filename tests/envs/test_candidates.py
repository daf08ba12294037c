"""Candidates: exactly one is right, features see no reference, and the set alone does not betray it."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from r1gym.envs.candidates import features, make_candidates, width
from r1gym.types import Task

TASKS = 3000
COUNT = 4
# A share of 1/4 over 3000 tasks has the standard deviation 0.0079; 4 of them are 0.032.
CHANCE = pytest.approx(0.25, abs=0.032)


def sets() -> list[tuple[list[int], int]]:
    """(values in the order shown, place of the right one)."""
    found = []
    for index in range(TASKS):
        task = Task(str(index), "math", "", str(500 + index % 50))
        made = make_candidates(task, COUNT, 10, 0)
        assert made is not None
        values = [value for _, value in made]
        assert len(set(values)) == COUNT
        found.append((values, values.index(int(task.reference))))
    return found


def test_no_rule_that_sees_only_the_candidates_beats_chance() -> None:
    table = sets()
    places = np.array([place for _, place in table])
    values = np.array([row for row, _ in table], dtype=float)
    centre = np.abs(values - values.mean(axis=1, keepdims=True))
    middle = np.abs(values - np.median(values, axis=1, keepdims=True))
    guesses = {
        "first": np.zeros(TASKS, int),
        "last": np.full(TASKS, COUNT - 1),
        "least": values.argmin(axis=1),
        "most": values.argmax(axis=1),
        "nearest the mean": centre.argmin(axis=1),
        "farthest from the mean": centre.argmax(axis=1),
        "nearest the median": middle.argmin(axis=1),
    }
    for name, guess in guesses.items():
        assert (guess == places).mean() == CHANCE, name


def test_candidates_are_a_function_of_seed_and_task() -> None:
    task = Task("t", "math", "", "-7")
    assert make_candidates(task, 4, 10, 0) == make_candidates(task, 4, 10, 0)
    assert make_candidates(task, 4, 10, 0) != make_candidates(task, 4, 10, 1)
    for reference in ("\\frac{1}{2}", "1.5", "x", "1" * 19):
        assert make_candidates(Task("t", "math", "", reference), 4, 10, 0) is None


def test_features_by_hand() -> None:
    """The reference is no argument, so nothing of it can be seen."""
    assert list(inspect.signature(features).parameters) == ["question", "values"]
    row = features("7-3=", [4, -10]).tolist()
    assert len(row) == width(2) == 10 + 2 * 10
    assert row[:10] == pytest.approx([np.log(8) / 70, np.log(4) / 70, 0, 0, 0, 0, 0, 1 / 3, 0, 0])
    # c = 4: nearness to 7 + 3, 7 - 3, 7 * 3, then to 7 and to 3
    nearness = [10 / 16, 1.0, 10 / 27, 10 / 13, 10 / 11, 0, 0, 0, 0]
    assert row[10:20] == pytest.approx([np.log(5) / 70, *nearness])
    assert row[20] == pytest.approx(-np.log(11) / 70) and row[21] == pytest.approx(10 / 30)
    wild = features("1" * 5000 + " + 2 × 3 / 4 − 5 · 6 * 7", [10**18, 0])
    assert np.isfinite(wild).all() and np.abs(wild).max() <= 1
    assert not features("no number", [1])[:10].any()
