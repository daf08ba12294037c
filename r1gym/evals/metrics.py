"""What k judged completions a task say about a policy: pass@k, cons@k and rates, each with its interval.

Every figure is a mean over tasks of one number a task; the interval is that mean's. Ungradable samples (our fault,
not the policy's) are left out of a task's n and counted apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from r1gym.errors import ConfigError
from r1gym.evals.intervals import bootstrap, mean_interval
from r1gym.evals.samples import Sample
from r1gym.types import Outcome

__all__ = ["Estimate", "consensus", "measure", "pass_at_k", "ranks"]

UNVOTABLE = ("code", "format", "instructions", "language", "schema")
"""Domains whose right completions share no answer that could be voted for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over tasks and its interval."""

    value: float
    low: float | None
    """None, as ``high``, where one task alone says nothing about the spread."""
    high: float | None
    tasks: int
    """Tasks that the mean is over."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """Chance that at least one of k samples drawn without replacement from n, c of them right, is right.

        pass@k = 1 − C(n − c, k) / C(n, k) = 1 − ∏_{j = n−c+1}^{n} (1 − k/j),    1 where n − c < k

    The unbiased estimator of 1 − (1 − p)^k (Chen et al. 2021, arXiv 2107.03374, equation 1; the product keeps
    large binomials out of the arithmetic). pass@1 = c/n.

    Raises:
        ConfigError: k > n (fewer samples than draws cannot be unbiased), k < 1, or c outside [0, n].
    """
    if not 0 <= c <= n:
        raise ConfigError(f"pass@k needs 0 <= right <= samples, got {c} right of {n}")
    if not 1 <= k <= n:
        raise ConfigError(f"pass@{k} needs at least {max(k, 1)} samples a task and k >= 1, got {n} samples")
    if k == 1:
        return c / n
    if n - c < k:
        return 1.0
    missed = 1.0
    for j in range(n - c + 1, n + 1):
        missed *= 1 - k / j
    return 1 - missed


def consensus(samples: Sequence[Sample]) -> float:
    """Credit in [0, 1] of the majority answer among one task's samples (cons@k, also maj@k or self-consistency).

    Votes are extracted answers (Wang et al. 2022, arXiv 2203.11171). All CORRECT samples vote as one answer, however
    it is spelled, as the verifier found each equal to the reference; WRONG ones vote by their extracted text with
    white space folded, so that two spellings of one wrong answer count as two (which can only help the right one).
    NO_ANSWER, TRUNCATED and UNGRADABLE samples do not vote. Where answers tie for the most votes the credit is shared:
    1/m for m tied answers with the right one among them, the expectation of a random choice. No vote earns 0.
    """
    right = object()  # equal to no text, so that no wrong answer can be spelled like it
    votes: Counter[object] = Counter()
    for sample in samples:
        if sample.verdict is Outcome.CORRECT:
            votes[right] += 1
        elif sample.verdict is Outcome.WRONG and sample.extracted:
            votes[" ".join(sample.extracted.split())] += 1
    if not votes:
        return 0.0
    most = max(votes.values())
    tied = [answer for answer, count in votes.items() if count == most]
    return 1 / len(tied) if right in tied else 0.0


def ranks(k: int) -> list[int]:
    """The k of the pass@k that are reported: powers of two up to ``k``, and ``k`` itself."""
    powers = [1 << power for power in range(k.bit_length())]
    return powers if powers[-1] == k else [*powers, k]


def measure(groups: Sequence[Sequence[Sample]], k: int, level: float = 0.95) -> dict[str, Estimate]:
    """Every figure of an evaluation with ``k`` samples a task.

    Args:
        groups: The samples of each task, [N][k].
        k: Samples a task.
        level: Coverage of the intervals.

    Returns:
        In the order to show: ``pass@1`` and on, ``cons@k`` (where k > 1 and answers can be voted for),
        ``no_answer`` (share of the graded samples that ended by themselves without an answer), ``truncated`` (share
        of all samples that the token budget cut, right before the cut or not), ``ungradable`` (share of all samples)
        and ``mean_length`` (tokens). A pass@j leaves out the tasks with fewer than j graded samples; a figure
        without any task is absent.
    """
    graded = [[each for each in group if each.verdict is not Outcome.UNGRADABLE] for group in groups]
    graded = [group for group in graded if group]
    figures: dict[str, Estimate] = {}

    def add(name: str, values: Sequence[float]) -> None:
        if values:
            figures[name] = Estimate(sum(values) / len(values), *mean_interval(values, level), len(values))

    right = [(len(group), sum(each.verdict is Outcome.CORRECT for each in group)) for group in graded]
    for rank in ranks(k):
        add(f"pass@{rank}", [pass_at_k(n, c, rank) for n, c in right if n >= rank])
    if k > 1 and _votable(graded):
        add(f"cons@{k}", [consensus(group) for group in graded])
    add("no_answer", [_share(group, lambda each: each.verdict is Outcome.NO_ANSWER) for group in graded])
    add("truncated", [_share(group, lambda each: each.finish == "length") for group in groups])
    add("ungradable", [_share(group, lambda each: each.verdict is Outcome.UNGRADABLE) for group in groups])
    lengths = [sum(each.tokens for each in group) / len(group) for group in groups]
    if lengths:
        mean = sum(lengths) / len(lengths)
        low, high = bootstrap(lengths, level) if len(lengths) > 1 else (None, None)
        figures["mean_length"] = Estimate(mean, low, high, len(lengths))
    return figures


def _votable(groups: Sequence[Sequence[Sample]]) -> bool:
    """Whether answers are there to vote for; an environment that reads none leaves every verdict without one."""
    samples = [each for group in groups for each in group]
    judged = [each for each in samples if each.verdict in (Outcome.CORRECT, Outcome.WRONG)]
    readable = not judged or any(each.extracted for each in judged)
    return bool(samples) and readable and all(each.domain not in UNVOTABLE for each in samples)


def _share(group: Sequence[Sample], is_such: Callable[[Sample], bool]) -> float:
    return sum(map(is_such, group)) / len(group)
