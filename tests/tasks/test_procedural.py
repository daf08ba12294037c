"""Generated tasks: pure functions of (config, split, seed, index), right by construction, disjoint between splits."""

from __future__ import annotations

import itertools
import time

import pytest

from r1gym.errors import ConfigError, UnknownNameError
from r1gym.tasks.arithmetic import ARITHMETIC, ArithmeticConfig, Problem, expression, problem, value
from r1gym.tasks.countdown import COUNTDOWN, CountdownConfig
from r1gym.tasks.procedural import in_split, mix
from r1gym.verifiers import prepare


def test_mix_is_the_finaliser_of_splitmix64() -> None:
    # First outputs of SplitMix64 seeded with 0 and with 1234567, as published with the algorithm's reference code.
    golden = 0x9E3779B97F4A7C15
    assert mix(golden) == 0xE220A8397B1DCDAF
    assert mix(1234567 + golden) == 6457827717110365317


def test_the_value_of_an_expression_takes_products_first() -> None:
    # 2 + 3*4 - 5*6*1 + 7 = 2 + 12 - 30 + 7 = -9
    assert value([2, 3, 4, 5, 6, 1, 7], ["+", "*", "-", "*", "*", "+"]) == -9
    # 5 - 3 - 1 is read from the left
    assert value([5, 3, 1], ["-", "-"]) == 1


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_results_agree_with_python(depth: int) -> None:
    config = ArithmeticConfig(digits=3, operations=["+", "-", "*"], depth=depth)
    for index in range(200):
        item = problem(config, "train", 1, index)
        assert len(item.operands) == depth + 1 and len(item.operators) == depth
        assert item.result == eval(expression(item))


@pytest.mark.parametrize("digits", [1, 2, 4, 12])
def test_operands_have_exactly_the_digits_asked_for(digits: int) -> None:
    config = ArithmeticConfig(digits=digits)
    for index in range(300):
        assert all(len(str(operand)) == digits for operand in problem(config, "train", 0, index).operands)


def test_a_task_is_put_as_the_style_says() -> None:
    bare = ARITHMETIC.tasks(ArithmeticConfig(), "train")[5]
    item = problem(ArithmeticConfig(), "train", 0, 5)
    assert bare.question == f"{item.operands[0]}+{item.operands[1]}=" and bare.reference == str(item.result)
    words = ARITHMETIC.tasks(ArithmeticConfig(style="words"), "train")[5]
    assert words.question == f"What is {item.operands[0]} + {item.operands[1]}?"
    assert expression(Problem((7, 2, 9), ("-", "*"), -11)) == "7-2*9"


def test_items_stay_what_they_were() -> None:
    # Recorded when v0 was made: a change here moves every score on the generated ids and needs their next version.
    deep = ArithmeticConfig(digits=2, operations=["+", "-", "*"], depth=3)
    assert problem(ArithmeticConfig(), "train", 1, 123456) == Problem((6017, 3527), ("+",), 9544)
    assert problem(deep, "test", 0, 0) == Problem((63, 49, 18, 28), ("-", "+", "*"), 63 - 49 + 18 * 28)
    task = COUNTDOWN.tasks(CountdownConfig(), "test")[0]
    assert task.reference == {"numbers": [34, 27, 27, 48], "target": 28}
    assert task.meta["solution"] == "(34+48)-(27+27)"


def test_items_are_pure_and_differ_by_seed_and_index() -> None:
    config = ArithmeticConfig()
    items = [problem(config, "train", 3, index) for index in range(500)]
    assert items == [problem(config, "train", 3, index) for index in range(500)]
    assert len(set(items)) > 495  # of 81 million pairs, two equal ones among 500 are rare
    assert items != [problem(config, "train", 4, index) for index in range(500)]


@pytest.mark.parametrize("digits", [1, 2])
def test_splits_share_no_problem_in_any_order(digits: int) -> None:
    config = ArithmeticConfig(digits=digits)
    seen = {
        split: {frozenset(problem(config, split, seed, index).operands) for seed in (0, 9) for index in range(2000)}
        for split in ("train", "test", "sample")
    }
    for left, right in itertools.combinations(seen, 2):
        assert not seen[left] & seen[right], (left, right)
    assert all(seen.values())


def test_every_problem_belongs_to_exactly_one_split() -> None:
    for pair in itertools.product(range(40), repeat=2):
        homes = [split for split in ("train", "test", "sample") if in_split(split, list(pair))]
        assert len(homes) == 1
    shares = [sum(in_split(split, [n, n + 1]) for n in range(10_000)) / 10_000 for split in ("train", "test", "sample")]
    # 7, 2 and 1 of ten classes; 10,000 draws have a standard error below 0.005
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.02)


def test_digits_are_drawn_evenly() -> None:
    config = ArithmeticConfig(digits=1)
    counts = [0] * 10
    for index in range(5000):
        for operand in problem(config, "train", 0, index).operands:
            counts[operand] += 1
    # 10,000 operands, about 1,000 a digit; single pairs are missing from the split, so not exactly even
    assert min(counts) > 500 and max(counts) < 1600


def test_countdown_is_solved_by_the_expression_it_was_built_from() -> None:
    for numbers in (2, 3, 4, 6):
        tasks = COUNTDOWN.tasks(CountdownConfig(numbers=numbers), "test", 2)
        for task in tasks[:150]:
            grader = prepare(task)
            assert grader.grade(f"<answer>{task.meta['solution']}</answer>").outcome.name == "CORRECT", task
            assert str(task.reference["target"]) in task.question
            assert 1 <= task.reference["target"] <= 999 and len(task.reference["numbers"]) == numbers


def test_ids_lead_back_to_their_tasks() -> None:
    tasks = ARITHMETIC.tasks(ArithmeticConfig(), "test", 4)
    assert tasks[31].id == "arithmetic/test/4/31" and tasks.index_of("arithmetic/test/4/31") == 31
    for wrong in ("arithmetic/test/4/031", "arithmetic/test/4/10000", "arithmetic/test/5/1", "arithmetic/test/4/", 31):
        with pytest.raises(UnknownNameError):
            tasks.index_of(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "dials", [{"digits": 0}, {"digits": 2.0}, {"digits": True}, {"depth": 99}, {"operations": []}, {"operations": "+"}]
)
def test_a_dial_turned_too_far_is_refused(dials: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ARITHMETIC.configure(dials)


def test_a_setting_without_problems_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r1gym.tasks.countdown.MAX_TRIES", 3)
    config = CountdownConfig(numbers=8, max_number=9999, max_target=10)
    with pytest.raises(ConfigError, match="raise max_target or max_number"):
        COUNTDOWN.tasks(config, "train")[0]


def test_a_problem_is_cheap() -> None:
    config = ArithmeticConfig()
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for index in range(500):
            problem(config, "train", 0, index)
        best = min(best, (time.perf_counter() - start) / 500)
    assert best < 100e-6  # seconds; 6 µs on the machine it was written on
