"""Our own sample problems: every answer is computed again here, by brute force where the problem allows it."""

from __future__ import annotations

import os
from fractions import Fraction
from itertools import combinations, product
from math import comb, gcd, hypot, log10, sqrt

import pytest

from r1gym.tasks import loading
from r1gym.tasks.registry import SOURCES
from r1gym.tasks.source import Source
from r1gym.types import Task

STORED = [source for source in SOURCES.values() if isinstance(source, Source)]


def tilings(length: int) -> int:
    """2×n tilings with dominoes and squares: an upright domino, or two columns in two ways."""
    return 1 if length <= 1 else tilings(length - 1) + 2 * tilings(length - 2)


def count(items: object) -> int:
    return sum(1 for _ in items)  # type: ignore[attr-defined]


def share(hits: int, total: int) -> int:
    fraction = Fraction(hits, total)
    return fraction.numerator + fraction.denominator


def tex(value: Fraction) -> str:
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


DICE = Fraction(count(1 for a, b in product(range(1, 7), repeat=2) if a * b % 6 == 0), 36)

ANSWERS: dict[str, list[object]] = {
    "math500": [
        next(x * x - x for x in range(100) if 3 * x + 7 == 28),
        5 - Fraction(14 - 5, 4 - 1) * 1,
        7**50 % 13,
        count(n for n in range(1000, 10000) if list(str(n)) == sorted(set(str(n)))),
        tex(DICE),
        int((9 + 40 - hypot(9, 40)) / 2),
        (17 * 17 - 13 * 13) // 2,  # (a + b)² − (a² + b²) = 2ab
        next(f"({x},{y})" for x, y in product(range(-9, 10), repeat=2) if 2 * x + y == 7 and x - y == -1),
        4 * 4 - 2 * 1,  # (Σr)² − 2Σrs
        tex(Fraction(3, 4) + Fraction(5, 6)),
    ],
    "math": [
        sum(d for d in range(1, 61) if 60 % d == 0),
        count(n for n in range(1, 201) if n % 4 and n % 6),
        (lambda f: f(f(2)))(lambda x: 2 * x * x - 5 * x + 1),
        next(n for n in range(1, 50) if 5 * 3 ** (n - 1) > 10_000),
        int("110101", 2),
        tex(Fraction(comb(4, 2) + comb(5, 2), comb(9, 2))),
        abs(7 * 6 - 2 * 1) // 2,
        next(c for c in range(200) if 14 * 14 - 4 * c == 0),
        tex(Fraction(15, int(hypot(8, 15)))),
        next(n + n + 2 for n in range(1, 100, 2) if n * (n + 2) == 323),
    ],
    "aime": [
        count(a for a in range(1, 100) if gcd(a, 100 - a) == 1),
        3**2026 % 1000,
        count(mask for mask in range(1 << 10) if not mask & (mask << 1)),
        sum(n for n in range(10, 100) if n * n % 100 == n),
        share(count(c for c in combinations(range(1, 21), 3) if sum(c) % 3 == 0), comb(20, 3)),
        count(1 for x, y in product(range(-8, 9), repeat=2) if x * x + y * y < 50),
        next(n for n in range(1, 1000) if count(d for d in range(1, n + 1) if n % d == 0) == 18),
        tilings(9),
        share(13 * 14 * 15, 2 * (13 + 14 + 15)),  # rR = abc / (2(a + b + c))
        count(n for n in range(100, 1000) if sum(map(int, str(n))) == 12),
    ],
    "gsm8k": [
        (35 - 28) * 12,
        3 * (5 * 18 + 2 * 30),
        240 // (15 - 3),
        50 - 2 * 8 - 4 * 5,
        "1,872",  # 2,496 = 4 parts of 624; three of them
        120 * 3 // 4 - 10,
        156 - 156 // 3 + 20 - 24,
        6 * 14 - 9 + 4,
        4 * 90 // 60 + 12 * 45 // 60,
        5 * 72 // 24,
    ],
    "mgsm": [
        7 * 9 - 12,
        140 + 35 + 28,
        8 * 6 // 6 + 5,
        14 * 6 - 20,
        220 + 45 + 19,
        9 * 4 // 4 + 3,
        16 * 5 - 11,
        75 + 25 + 40,
        12 * 8 - 15,
        11 * 7 // 7 + 6,
    ],
    "gpqa": [
        f"{sqrt(2 * 9.8 * 5.0):.1f} m/s",
        f"{6 * 6 // (6 + 6) + 6} μF",
        f"{(3**2 - 4**2) / 5**2 / 2:.2f}",
        1 - -1,  # 1 − cos 180°
        f"{2.2e-6 * 0.8 * 3e8 / sqrt(1 - 0.8**2):.0f} m",
        f"{4.76 + log10(0.020 / 0.20):.2f}",
        Fraction(1, 2) ** 3,
        len({"methyl", "ring"}),
        f"{2 * sqrt(0.09) * (1 - sqrt(0.09)) * 100:.0f} %",
        3 + 2 + 1,
    ],
    "mmlu": [
        1000 % 7,
        sum((2, 4, 4, 7, 13)) // 5,
        12 - 1,
        f"{4 * 3**2 // 2} J",
        count(k for k in range(1, 13) if gcd(k, 12) == 1),
        f"{30 / (30 + 10):.2f}",
        f"{(92 - 80) * 100 // 80} %",
        count(1 for p, q, r in product((True, False), repeat=3) if (p or q) and not r),
        2**10,
        f"{45 // 15} p.m.",
    ],
}  # fmt: skip


def test_the_helpers_of_this_file_are_right() -> None:
    assert [tilings(n) for n in (1, 2, 3)] == [1, 3, 5] and 3 * 624 == 1872 and 4 * 624 == 2496


@pytest.mark.skipif(not os.environ.get("R1GYM_DATA"), reason="needs real rows: set R1GYM_DATA")
def test_no_sample_is_a_row_of_a_real_set() -> None:
    def letters(text: str) -> str:
        return "".join(filter(str.isalnum, text.lower()))

    at_hand = [source for source in STORED if source.name not in ("gpqa", "mmlu")]
    real = {letters(t.question) for s in at_hand for split in s.splits for t in loading.load(s, split, offline=True)}
    ours = {letters(task.question) for source in STORED for task in loading.load(source, "sample")}
    assert len(real) > 5000 and len(ours) == 86 and not real & ours


def gold(task: Task) -> object:
    """The gold answer; of multiple choice the text of the right option, the only one of its kind."""
    if task.domain != "choice":
        return task.reference
    right: str = task.reference["options"]["ABCD".index(task.reference["answer"])]
    assert len(task.reference["options"]) == 4 and task.reference["options"].count(right) == 1
    return right


@pytest.mark.parametrize("source", [s for s in STORED if s.domain != "code"], ids=lambda source: source.name)
def test_every_answer_is_right(source: Source) -> None:
    tasks = loading.load(source, "sample")
    assert [gold(task) for task in tasks] == [str(answer) for answer in ANSWERS[source.sample or source.name]]
    assert all(task.meta["sample"] is True for task in tasks)
