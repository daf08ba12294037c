"""How sure a measured mean is: Wilson's score interval and a bootstrap that resamples whole tasks.

Axes: N tasks, R resamples. The task is the unit: k samples of one task are not independent of each other, so no
interval here ever counts samples as if they were tasks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from r1gym.errors import ConfigError

__all__ = ["bootstrap", "mean_interval", "wilson"]

DRAWS_AT_ONCE = 4_000_000
"""Task draws held in memory at a time (8 bytes each): bounds the bootstrap at about 64 MB."""


def wilson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a share of independent tasks.

    With p = successes / n and z the (1 + level) / 2 quantile of the standard normal distribution:

        (p + z²/2n ± z √(p(1 − p)/n + z²/4n²)) / (1 + z²/n)

    (Wilson 1927, J. Am. Stat. Assoc. 22, 209–212, "Probable inference"; recommended over p ± z·σ by Brown, Cai and
    DasGupta 2001, Stat. Sci. 16, 101–133, because it stays in [0, 1] and keeps a width where p is 0 or 1.)

    Args:
        successes: Tasks solved, in [0, n]. A fraction is allowed (the sum of shares in [0, 1] over tasks): the
            variance of a share is at most p(1 − p), so the interval is then wider than needed, not narrower.
        n: Number of independent tasks; 0 gives (0, 1), nothing being known.
        level: Coverage wanted, in (0, 1).

    Raises:
        ConfigError: ``successes`` outside [0, n], ``n`` below 0, or ``level`` outside (0, 1).
    """
    _check_level(level)
    if n < 0 or not 0 <= successes <= n:
        raise ConfigError(f"wilson needs 0 <= successes <= n, got successes={successes}, n={n}")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At a share of 0 or 1 the bound is exactly that share; rounding must not put it beside.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return low, high


def bootstrap(
    values: Sequence[float], level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap of a mean over tasks, clustered by task.

    ``values`` holds one number a task, its mean (or pass@k) over that task's samples. A resample draws N tasks with
    replacement, each with all its samples, and takes their mean; the interval goes from the (1 − level)/2 to the
    (1 + level)/2 quantile of R such means. (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter
    13; resampling clusters whole: Davison and Hinkley 1997, "Bootstrap Methods and their Application", section 3.8.)
    With few tasks (below about 20) it is too narrow by a few per cent of coverage, as every bootstrap.

    Args:
        values: One number a task, [N].
        level: Coverage wanted, in (0, 1).
        resamples: R, at least 100.
        seed: Of the numpy generator: equal arguments give an equal interval.

    Raises:
        ConfigError: No value, a value that is not finite, fewer than 100 resamples, or ``level`` outside (0, 1).
    """
    _check_level(level)
    if resamples < 100:
        raise ConfigError(f"a bootstrap needs at least 100 resamples, got {resamples}")
    values_N = np.asarray(values, dtype=np.float64)
    if values_N.ndim != 1 or not values_N.size or not np.isfinite(values_N).all():
        raise ConfigError(f"a bootstrap needs one finite number a task and at least one task, got {list(values)[:5]}")
    rng = np.random.default_rng(seed)
    at_once = max(1, DRAWS_AT_ONCE // values_N.size)
    means_R = np.concatenate(
        [
            values_N[rng.integers(values_N.size, size=(min(at_once, resamples - done), values_N.size))].mean(axis=1)
            for done in range(0, resamples, at_once)
        ]
    )
    low, high = np.quantile(means_R, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_interval(values: Sequence[float], level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """The interval for the mean of one share in [0, 1] a task: Wilson's where it holds exactly, else the bootstrap.

    Where every task's share is 0 or 1 (one sample a task, or pass@k at k = n) tasks are Bernoulli trials and Wilson's
    interval applies. Shares in between get the bootstrap; but where all shares are equal a bootstrap would claim
    certainty, so that Wilson's (wider than needed there) stands in.

    Args:
        values: One share a task, [N]; none gives (0, 1).
        level: Coverage wanted, in (0, 1).
        seed: Of the bootstrap.

    Raises:
        ConfigError: A value outside [0, 1].
    """
    outside = [value for value in values if not 0 <= value <= 1]
    if outside:
        raise ConfigError(f"mean_interval is for shares in [0, 1], got {outside[0]}; for other means use bootstrap")
    if all(value in (0, 1) for value in values) or len(set(values)) == 1:
        return wilson(min(math.fsum(values), len(values)), len(values), level)
    return bootstrap(values, level, seed=seed)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"the level of an interval must be between 0 and 1, got {level}")
