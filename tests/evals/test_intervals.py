"""Intervals against numbers worked out by hand, and their coverage on seeded simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1gym.errors import ConfigError
from r1gym.evals.intervals import bootstrap, mean_interval, wilson

Z = 1.959963984540054  # 97.5 % quantile of the standard normal distribution


def test_wilson_of_none_of_ten() -> None:
    # p = 0: centre = half = z²/2n, so low = 0 and high = (z²/n)/(1 + z²/n) = z²/(n + z²) = 3.84146/13.84146.
    low, high = wilson(0, 10)
    assert low == 0.0
    assert high == pytest.approx(0.27753, abs=1e-5)


def test_wilson_of_all_of_ten_mirrors_none() -> None:
    low, high = wilson(10, 10)
    assert high == 1.0
    assert low == pytest.approx(1 - 0.27753, abs=1e-5)


def test_wilson_of_half() -> None:
    # p = 1/2, n = 100: the centre is 1/2 whatever z; half = z √(0.0025 + z²/40000) / (1 + z²/100)
    #   = 1.95996 · √(0.0025 + 0.0000960365) / 1.0384146 = 1.95996 · 0.0509513 / 1.0384146 = 0.0961683
    low, high = wilson(50, 100)
    assert low == pytest.approx(0.5 - 0.0961683, abs=1e-6)
    assert high == pytest.approx(0.5 + 0.0961683, abs=1e-6)


def test_wilson_solves_its_own_equation() -> None:
    # The bounds are the p0 with |p − p0| = z √(p0(1 − p0)/n): Wilson's definition, not the closed form.
    for bound in wilson(7, 40):
        assert abs(7 / 40 - bound) == pytest.approx(Z * math.sqrt(bound * (1 - bound) / 40))


def test_wilson_without_tasks_knows_nothing() -> None:
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 500), st.data(), st.floats(0.5, 0.999))
def test_wilson_holds_its_share_and_widens_with_the_level(n: int, data: st.DataObject, level: float) -> None:
    successes = data.draw(st.integers(0, n))
    low, high = wilson(successes, n, level)
    assert 0 <= low <= successes / n <= high <= 1
    wider_low, wider_high = wilson(successes, n, (1 + level) / 2)
    assert wider_low <= low and high <= wider_high


@pytest.mark.parametrize("successes, n, level", [(3, 2, 0.95), (-1, 2, 0.95), (0, -1, 0.95), (1, 2, 0.0), (1, 2, 1.0)])
def test_wilson_refuses_what_is_no_share(successes: int, n: int, level: float) -> None:
    with pytest.raises(ConfigError):
        wilson(successes, n, level)


@pytest.mark.parametrize("share, n", [(0.5, 50), (0.1, 50), (0.95, 100), (0.02, 200)])
def test_wilson_covers(share: float, n: int) -> None:
    # Exact coverage: the binomial mass of the counts whose interval holds the true share. The score interval
    # oscillates around 95 % and keeps above 91 % at these settings (Brown, Cai and DasGupta 2001, figure 5).
    mass = sum(
        math.comb(n, c) * share**c * (1 - share) ** (n - c)
        for c in range(n + 1)
        if wilson(c, n)[0] <= share <= wilson(c, n)[1]
    )
    assert 0.91 <= mass <= 0.99


def test_bootstrap_of_two_tasks() -> None:
    # Means of two draws from {0, 1}: 0, 1/2, 1 with chances 1/4, 1/2, 1/4: the 2.5 % and 97.5 % quantiles are 0 and
    # 1; at level 0.4 the 30 % and 70 % quantiles both lie in the middle half.
    assert bootstrap([0.0, 1.0]) == (0.0, 1.0)
    assert bootstrap([0.0, 1.0], level=0.4) == (0.5, 0.5)


def test_bootstrap_is_a_function_of_its_seed() -> None:
    values = np.random.default_rng(1).random(40).tolist()
    assert bootstrap(values, seed=3) == bootstrap(values, seed=3)
    assert bootstrap(values, seed=3) != bootstrap(values, seed=4)


def test_bootstrap_agrees_with_the_normal_interval_on_many_tasks() -> None:
    # N = 400 values spread evenly over [0, 1]: sd = 0.2894 (√(1/12) and a little for the grid), error of the mean
    # = 0.2894/20 = 0.01447, interval 0.5 ± 1.96 · 0.01447 = 0.5 ± 0.02836.
    low, high = bootstrap(np.linspace(0, 1, 400).tolist())
    assert low == pytest.approx(0.5 - 0.02836, abs=1.5e-3)
    assert high == pytest.approx(0.5 + 0.02836, abs=1.5e-3)


def test_bootstrap_in_chunks_matches_in_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).random(40).tolist()
    whole = bootstrap(values, resamples=1000)
    monkeypatch.setattr("r1gym.evals.intervals.DRAWS_AT_ONCE", 40 * 64)
    assert bootstrap(values, resamples=1000) == whole


def test_clustered_interval_covers_where_one_over_samples_does_not() -> None:
    # Tasks differ (solve rate uniform on [0, 1], true mean 1/2), k = 8 samples each, N = 50 tasks. Variance of a task
    # share: 1/12 + E[p(1−p)]/8 = 1/12 + (1/6)/8 = 0.1042, so the error of the mean is √(0.1042/50) = 0.0456, while
    # 400 "independent" samples would claim √(0.25/400) = 0.025, and cover 2Φ(1.96 · 0.025/0.0456) − 1 = 72 %.
    rng = np.random.default_rng(0)
    trials, clustered, naive = 300, 0, 0
    for trial in range(trials):
        solved_N = rng.binomial(8, rng.random(50))
        low, high = bootstrap((solved_N / 8).tolist(), resamples=1000, seed=trial)
        clustered += low <= 0.5 <= high
        low, high = wilson(int(solved_N.sum()), 400)
        naive += low <= 0.5 <= high
    # Standard error of a coverage near 0.95 over 300 trials: 0.013.
    assert 0.90 <= clustered / trials <= 0.985
    assert naive / trials < 0.80


@pytest.mark.parametrize(
    "values, options", [([], {}), ([math.nan], {}), ([0.5], {"resamples": 99}), ([0.5], {"level": 95.0})]
)
def test_bootstrap_refuses(values: list[float], options: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        bootstrap(values, **options)  # type: ignore[arg-type]


def test_mean_interval_takes_wilson_for_zeros_and_ones() -> None:
    assert mean_interval([1, 0, 0, 1, 0]) == wilson(2, 5)


def test_mean_interval_never_claims_certainty() -> None:
    assert mean_interval([0.25] * 20) == wilson(5, 20)


def test_mean_interval_takes_the_bootstrap_for_shares() -> None:
    assert mean_interval([0.25, 0.5, 1.0], seed=2) == bootstrap([0.25, 0.5, 1.0], seed=2)


def test_mean_interval_refuses_lengths() -> None:
    with pytest.raises(ConfigError, match="bootstrap"):
        mean_interval([0.5, 43.0])
