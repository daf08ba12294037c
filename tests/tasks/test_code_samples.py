"""The expected outputs of our own programming problems, computed again by other means than their solutions."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from r1gym.tasks import loading
from r1gym.tasks.registry import source_named
from r1gym.types import StdioCase, Task

Solve = Callable[[list[str]], object]


def shelf_digits(words: list[str]) -> object:
    """Shelf n has a k-th digit iff n ≥ 10^(k-1): for each k, how many of a..b are that long."""
    a, b = map(int, words)
    return sum(max(0, b - max(a, 10**k) + 1) for k in range(1, 14)) + (b - a + 1)


def conveyors(words: list[str]) -> object:
    """A parcel is on conveyor one iff an even number of drops came before it."""
    weights = [int(word) for word in words[1:]]
    drops = [sum(weights[j] < weights[j - 1] for j in range(1, i + 1)) for i in range(len(weights))]
    one = sum(weight for weight, drop in zip(weights, drops, strict=True) if drop % 2 == 0)
    return f"{one} {sum(weights) - one}"


def warm_spell(words: list[str]) -> object:
    """The longest strictly rising slice of three or more, over all slices."""
    readings = [int(word) for word in words[1:]]
    slices = [readings[i:j] for i in range(len(readings)) for j in range(i + 3, len(readings) + 1)]
    return max((len(part) for part in slices if part == sorted(set(part))), default=0)


def mirror(words: list[str]) -> object:
    """The mirror times are HH:MM with MM = HH reversed, below 60."""
    times = [f"{h:02}:{f'{h:02}'[::-1]}" for h in range(24) if int(f"{h:02}"[::-1]) < 60]
    return next((time for time in times if time >= words[0]), times[0])


def tickets(words: list[str]) -> object:
    """Before child k's last ticket each child has bought as often as its turns allow."""
    k, wants = int(words[1]), [int(word) for word in words[2:]]
    need = wants[k - 1]
    return sum(min(want, need if child <= k else need - 1) for child, want in enumerate(wants, 1))


def lighthouses(words: list[str]) -> object:
    """By trial of the second one's flashes d + b·q until their residues by p repeat."""
    p, q, d = map(int, words)
    seen: set[int] = set()
    flash = d
    while flash % p not in seen:
        seen.add(flash % p)
        flash += q
    return "YES" if 0 in seen else "NO"


def steps(words: list[str]) -> object:
    heights = [float(word) for word in words[1:]]
    return f"{sum(abs(heights[i] - heights[i + 1]) for i in range(len(heights) - 1)) / (len(heights) - 1):.6f}"


SOLVED: dict[str, Solve] = {
    "sample/A": shelf_digits,
    "sample/B": conveyors,
    "sample/C": lighthouses,
    "sample_thermometer": warm_spell,
    "sample_mirror_clock": mirror,
    "sample_average_step": steps,
    "sample_ticket_queue": tickets,
}
TASKS = [task for name in ("codeforces", "code_contests") for task in loading.load(source_named(name), "sample")]


@pytest.mark.parametrize("task", [task for task in TASKS if task.id in SOLVED], ids=lambda task: task.id)
def test_every_output_is_right(task: Task) -> None:
    assert len(task.reference.tests) >= 4
    for case in task.reference.tests:
        assert isinstance(case, StdioCase)
        assert case.expected == f"{SOLVED[task.id](case.input.split())}\n", case.input


def test_the_others_are_judged_by_a_checker_program() -> None:
    (rope,) = [task for task in TASKS if task.id not in SOLVED]
    assert rope.id == "sample/D" and rope.reference.checker.convention == "open-r1"
    for case in rope.reference.tests:
        n, total = map(int, case.input.split())
        parts = [int(word) for word in case.expected.split()]
        assert len(parts) == n and min(parts) > 0 and sum(parts) == total


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_functions_give_what_their_asserts_say(name: str) -> None:
    """Our own code in our own process: each case's value by the sample's solution."""
    for task in loading.load(source_named(name), "sample"):
        names: dict[str, Callable[..., object]] = {}
        exec(task.meta["solution"], names)
        assert len(task.reference.tests) >= 3 and task.meta["sample"] is True
        for case in task.reference.tests:
            value = names[case.function](*case.args)
            assert value == case.expected or abs(value - case.expected) < 1e-9  # type: ignore[operator]
