"""Learning-rate schedules by hand."""

from __future__ import annotations

import math

import pytest

from r1gym.agents.optim import SCHEDULES, learning_rate


def test_the_rise_is_linear_and_starts_above_zero() -> None:
    for schedule in SCHEDULES:
        rates = [learning_rate(1.0, step, 100, 4, schedule) for step in range(5)]
        assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0], rel=1e-6)


def test_schedules_at_a_quarter_and_half_of_the_way() -> None:
    # 4 steps of rise, then 8: step 6 has done 2/8, step 8 has done 4/8.
    assert [learning_rate(2.0, step, 12, 4, "constant") for step in (6, 8)] == [2.0, 2.0]
    assert [learning_rate(2.0, step, 12, 4, "linear") for step in (6, 8, 11)] == pytest.approx([1.5, 1.0, 0.25])
    quarter = 2.0 * 0.5 * (1 + math.cos(math.pi / 4))
    assert [learning_rate(2.0, step, 12, 4, "cosine") for step in (6, 8)] == pytest.approx([quarter, 1.0])


def test_no_rise_and_a_rise_longer_than_the_run() -> None:
    assert learning_rate(1.0, 0, 10, 0, "linear") == 1.0
    assert learning_rate(1.0, 2, 3, 10, "linear") == pytest.approx(0.3)
