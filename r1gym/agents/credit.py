"""Credit for passages: what the spans of a verdict add to the advantages of the tokens that wrote them.

Axes: P tasks, G completions of one task, T tokens of one completion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from r1gym.errors import ConfigError
from r1gym.types import Episode, Outcome, Span

if TYPE_CHECKING:
    from r1gym.policy.protocol import Policy

__all__ = ["check_offsets", "span_credit", "term_means", "token_credit"]

REWARD_TERM = {"answer": "accuracy"}
"""Spans that are named otherwise than the reward term which they carry."""


def token_credit(
    offsets_T: Sequence[tuple[int, int]], spans: Sequence[Span], means: Mapping[str, float], weight: float
) -> list[float]:
    """c_t = weight · Σ_s [span s and token t share a character] · (v_s - m_term(s)).

    It is added to the token's advantage, Â_t = A + c_t: A compares whole completions, c_t a passage with what its
    group earned by the same term. A foreign passage (v = 0) in a group that thinks in the right language (m near 1)
    pulls its own tokens down, and only them; the answer's tokens move as the answer was right or wrong.

    Args:
        offsets_T: Start and end, in characters, of what each token wrote.
        spans: Start, end, term and value in [0, 1].
        means: m: for each term of ``spans`` the mean of that term in the group.
        weight: Advantage of a span that is 1 better than its group.

    Returns:
        [T]; 0 outside the spans.
    """
    credit_T = [0.0] * len(offsets_T)
    for span in spans:
        worth = weight * (span.value - means[span.term])
        for token, (start, end) in enumerate(offsets_T):
            if start < span.end and span.start < end:
                credit_T[token] += worth
    return credit_T


def term_means(group_G: Sequence[Episode]) -> dict[str, float]:
    """For each term that a span of the group names, the mean of that reward term over its judged completions.

    A term that the environment does not reward is centred on the mean value of its own spans.
    """
    judged = [episode for episode in group_G if episode.verdict.outcome is not Outcome.UNGRADABLE]
    values: dict[str, list[float]] = {}
    for episode in judged:
        for span in episode.verdict.spans:
            values.setdefault(span.term, []).append(span.value)
    means = {}
    for term, own in values.items():
        name = REWARD_TERM.get(term, term)
        paid = [episode.reward.terms[name] for episode in judged if name in episode.reward.terms]
        means[term] = sum(paid or own) / len(paid or own)
    return means


def span_credit(
    groups_PG: Sequence[Sequence[Episode]], policy: Policy, weight: float, silent_P: Sequence[bool]
) -> list[list[list[float]]] | None:
    """Credit of each token of each completion, [P][G][T]; None where ``weight`` is 0, for then there is none.

    A group in ``silent_P``, whose rewards are all equal, has none either: it is in a batch for the KL term alone.
    """
    if not weight:
        return None
    credit: list[list[list[float]]] = []
    for group, silent in zip(groups_PG, silent_P, strict=True):
        means = term_means(group)
        row = []
        for episode in group:
            completion = episode.turns[-1].completion
            counts = not silent and episode.verdict.outcome is not Outcome.UNGRADABLE
            spans = episode.verdict.spans if counts else ()
            offsets: Any = _offsets(policy)(completion) if spans else [(0, 0)] * len(completion.token_ids)
            row.append(token_credit(offsets, spans, means, weight))
        credit.append(row)
    return credit


def check_offsets(policy: Policy) -> None:
    """ConfigError where the policy cannot tell which characters its tokens wrote; TokenizerError from its tokenizer."""
    _offsets(policy)


def _offsets(policy: Policy) -> Any:
    found = getattr(policy, "offsets", None)
    if found is None:
        raise ConfigError(
            f"--span-credit needs a policy that maps tokens to characters: {type(policy).__name__} has no method "
            "offsets(completion) -> list of (start, end)"
        )
    return found
