"""Reward terms: the weighted sum, and what is refused."""

from __future__ import annotations

import pytest

from r1gym.errors import ConfigError, UnknownNameError
from r1gym.rewards import DEFAULT_WEIGHTS, TERMS, check_weights, combine, combine_columns
from r1gym.types import Verdict

RIGHT = Verdict.correct("7", "equal: same value")
WRONG = Verdict.wrong("8", "different: text", score=0.25)


def test_total_is_the_weighted_sum_and_terms_stay_raw() -> None:
    reward = combine({"accuracy": WRONG, "format": RIGHT}, {"accuracy": 2.0, "format": -0.5})
    assert reward.total == 2.0 * 0.25 - 0.5 * 1.0
    assert reward.terms == {"accuracy": 0.25, "format": 1.0}


def test_a_term_without_weight_is_shown_and_not_paid() -> None:
    reward = combine({"accuracy": RIGHT, "format": RIGHT}, DEFAULT_WEIGHTS)
    assert reward.total == 1.0 and reward.terms["format"] == 1.0


def test_the_total_is_a_float_even_of_nothing() -> None:
    reward = combine({"accuracy": Verdict.ungradable("crash: grader")}, {})
    assert type(reward.total) is float and reward.total == 0.0 and reward.terms == {"accuracy": 0.0}


def test_nothing_is_paid_where_the_answer_could_not_be_judged() -> None:
    broken = Verdict.ungradable("grader_crashed: ours")
    reward = combine({"accuracy": broken, "format": RIGHT}, {"accuracy": 1.0, "format": 0.5})
    assert reward.total == 0.0 and reward.terms == {"accuracy": 0.0, "format": 1.0}
    assert combine({"accuracy": RIGHT, "format": broken}, DEFAULT_WEIGHTS).total == 1.0  # format is not paid
    assert combine({"accuracy": RIGHT, "format": broken}, {"accuracy": 1.0, "format": 0.5}).total == 0.0


def test_weights_are_checked() -> None:
    assert check_weights(None) == DEFAULT_WEIGHTS and check_weights(None) is not DEFAULT_WEIGHTS
    assert check_weights({"format": 1}) == {"format": 1.0}
    with pytest.raises(UnknownNameError, match="Did you mean 'format'"):
        check_weights({"fromat": 1.0})
    for bad in ([("accuracy", 1.0)], {"accuracy": "1"}, {"accuracy": True}, {"accuracy": float("nan")}):
        with pytest.raises(ConfigError):
            check_weights(bad)
    assert set(DEFAULT_WEIGHTS) <= set(TERMS)


def test_columns_are_combined_to_the_same_bits() -> None:
    odd = Verdict.wrong("1", "rule: text", score=0.1)
    broken = Verdict.ungradable("crash: text")
    rows = [
        {"accuracy": accuracy, "format": format, "language": language}
        for accuracy in (RIGHT, WRONG, odd, broken)
        for format in (RIGHT, odd, broken)
        for language in (odd, broken)
    ]
    for weights in ({"accuracy": 0.7, "format": 0.1}, {"language": 0.3, "accuracy": -1.0}, {}, {"format": 1.0}):
        totals, terms = combine_columns({name: [row[name] for row in rows] for name in rows[0]}, weights)
        singly = [combine(row, weights) for row in rows]
        assert totals.tolist() == [reward.total for reward in singly]
        assert all(terms[name].tolist() == [reward.terms[name] for reward in singly] for name in terms)
    assert combine_columns({"accuracy": []}, {"accuracy": 1.0})[0].shape == (0,)
