"""Estimators against numbers worked out by hand and against enumeration."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1gym.errors import ConfigError
from r1gym.evals.metrics import consensus, measure, pass_at_k, ranks
from r1gym.evals.samples import Sample

Group = Callable[..., list[Sample]]


@pytest.mark.parametrize(
    "n, c, k, expected",
    [
        (4, 1, 1, 1 / 4),  # c/n
        (4, 1, 2, 1 / 2),  # 1 − C(3,2)/C(4,2) = 1 − 3/6
        (5, 2, 3, 9 / 10),  # 1 − C(3,3)/C(5,3) = 1 − 1/10
        (10, 3, 4, 5 / 6),  # 1 − C(7,4)/C(10,4) = 1 − 35/210
        (4, 0, 4, 0.0),
        (4, 3, 2, 1.0),  # one wrong sample cannot fill two places
        (4, 4, 1, 1.0),
    ],
)
def test_pass_at_k_by_hand(n: int, c: int, k: int, expected: float) -> None:
    assert pass_at_k(n, c, k) == pytest.approx(expected, abs=1e-12)


def test_pass_at_k_is_the_share_of_subsets_with_a_right_one() -> None:
    # The definition, by listing every choice of k among n samples of which the first c are right.
    for n in range(1, 8):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            subsets = list(itertools.combinations(range(n), k))
            hits = sum(any(sample < c for sample in subset) for subset in subsets)
            assert pass_at_k(n, c, k) == pytest.approx(hits / len(subsets))


def test_pass_at_k_is_unbiased() -> None:
    # E over c ~ Binomial(n = 6, p = 0.3) of the estimate must be 1 − (1 − p)^k exactly; the plug-in estimate
    # 1 − (1 − c/n)^k is not (0.6024 instead of 0.657 at k = 3).
    n, p = 6, 0.3
    mass = [math.comb(n, c) * p**c * (1 - p) ** (n - c) for c in range(n + 1)]
    for k in range(1, n + 1):
        mean = sum(weight * pass_at_k(n, c, k) for c, weight in enumerate(mass))
        assert mean == pytest.approx(1 - (1 - p) ** k, abs=1e-12)
    plug_in = sum(weight * (1 - (1 - c / n) ** 3) for c, weight in enumerate(mass))
    assert abs(plug_in - (1 - 0.7**3)) > 0.02


@given(st.integers(1, 200), st.data())
def test_pass_at_k_grows_with_k(n: int, data: st.DataObject) -> None:
    c = data.draw(st.integers(0, n))
    values = [pass_at_k(n, c, k) for k in range(1, n + 1)]
    assert all(0 <= value <= 1 for value in values)
    assert all(later >= earlier - 1e-12 for earlier, later in itertools.pairwise(values))


def test_pass_at_k_of_many_samples_stays_finite() -> None:
    # Binomials of 100,000 overflow a float; the product does not. C(n−1, k)/C(n, k) = 1 − k/n, so pass = k/n = 0.4.
    assert pass_at_k(100_000, 1, 40_000) == pytest.approx(0.4)


@pytest.mark.parametrize("n, c, k", [(4, 1, 5), (4, 1, 0), (4, 5, 1), (4, -1, 1), (0, 0, 1)])
def test_pass_at_k_refuses(n: int, c: int, k: int) -> None:
    with pytest.raises(ConfigError):
        pass_at_k(n, c, k)


@pytest.mark.parametrize(
    "word, wrong, credit",
    [
        ("CCWN", ["2"], 1.0),  # 2 votes to 1
        ("CWWN", ["2", "2"], 0.0),  # 1 vote to 2
        ("CWNN", ["2"], 1 / 2),  # tie of two answers
        ("CWWN", ["2", "3"], 1 / 3),  # tie of three
        ("CCWW", ["2", " 2 "], 1 / 2),  # white space at the ends is folded: 2 to 2
        ("CWWT", ["x  y", "x\ny"], 0.0),  # and inside: 1 to 2
        ("CNNT", [], 1.0),  # completions without an answer do not vote
        ("CUUU", [], 1.0),
        ("CWWN", ["", ""], 1.0),  # nor do those whose answer was read as empty
        ("NNTN", [], 0.0),  # no vote
        ("WWNN", ["2", "2"], 0.0),
    ],
)
def test_consensus_by_hand(make_group: Group, word: str, wrong: list[str], credit: float) -> None:
    assert consensus(make_group(word, wrong)) == pytest.approx(credit)


def test_right_answers_vote_together_however_spelled(make_sample: Callable[..., Sample], make_group: Group) -> None:
    right = [make_sample(extracted=text) for text in ("1/2", "0.5", "\\frac12")]
    assert consensus([*right, *make_group("WW", ["2", "2"])]) == 1.0  # 3 to 2, not 1 to 2


def test_ranks() -> None:
    assert [ranks(k) for k in (1, 2, 6, 8)] == [[1], [1, 2], [1, 2, 4, 6], [1, 2, 4, 8]]


def test_measure_by_hand(make_group: Group) -> None:
    # Three tasks of k = 4. Task 0: 2 of 4 right. Task 1: one sample ungradable, 1 of 3 right. Task 2: all ungradable.
    groups = [
        make_group("CCWN", ["2"], index=0, tokens=10),
        make_group("CTWU", ["2"], index=1, tokens=20),
        make_group("UUUU", index=2, tokens=30),
    ]
    figures = measure(groups, 4)
    assert list(figures) == [
        "pass@1", "pass@2", "pass@4", "cons@4", "no_answer", "truncated", "ungradable", "mean_length",
    ]  # fmt: skip
    values = {name: each.value for name, each in figures.items()}
    assert values["pass@1"] == pytest.approx((2 / 4 + 1 / 3) / 2)
    # Task 0: 1 − C(2,2)/C(4,2) = 5/6; task 1: 1 − C(2,2)/C(3,2) = 2/3.
    assert values["pass@2"] == pytest.approx((5 / 6 + 2 / 3) / 2)
    # Only task 0 has four graded samples.
    assert (values["pass@4"], figures["pass@4"].tasks) == (1.0, 1)
    assert values["cons@4"] == pytest.approx((1 + 1 / 2) / 2)
    assert values["no_answer"] == pytest.approx((1 / 4 + 0) / 2)
    assert values["truncated"] == pytest.approx((0 + 1 / 4 + 0) / 3)
    assert values["ungradable"] == pytest.approx((0 + 1 / 4 + 1) / 3)
    assert values["mean_length"] == 20
    assert (figures["pass@1"].tasks, figures["truncated"].tasks) == (2, 3)
    for each in figures.values():
        assert each.low is not None and each.high is not None
        assert each.low <= each.value <= each.high


def test_measure_counts_a_right_answer_before_the_cut_as_both(make_sample: Callable[..., Sample]) -> None:
    figures = measure([[make_sample(finish="length")]], 1)
    assert (figures["pass@1"].value, figures["truncated"].value) == (1.0, 1.0)


def test_measure_of_one_task_gives_its_length_no_interval(make_group: Group) -> None:
    figures = measure([make_group("CW")], 2)
    assert (figures["mean_length"].low, figures["mean_length"].high) == (None, None)
    assert (figures["pass@1"].low, figures["pass@1"].high) != (figures["pass@1"].value,) * 2


def test_measure_without_a_gradable_sample_gives_no_pass_rate(make_group: Group) -> None:
    assert list(measure([make_group("UU")], 2)) == ["truncated", "ungradable", "mean_length"]


@pytest.mark.parametrize("changes", [{"domain": "code"}, {"extracted": ""}])
def test_answers_that_cannot_be_voted_for_get_no_consensus(
    make_sample: Callable[..., Sample], changes: dict[str, Any]
) -> None:
    assert "cons@2" not in measure([[make_sample(**changes), make_sample(sample=1, **changes)]], 2)


def test_completions_without_any_answer_have_a_consensus_of_zero(make_group: Group) -> None:
    assert measure([make_group("NT")], 2)["cons@2"].value == 0.0
