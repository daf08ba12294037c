"""Grade stored completions again without sampling, and say which verdicts flipped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from r1gym.errors import ConfigError, DataError, ReferenceRefusedError
from r1gym.evals.samples import Sample
from r1gym.rollout import Start, rollout
from r1gym.types import Completion, Message, Outcome, Prompt, Verdict

if TYPE_CHECKING:
    import gymnasium as gym

    from r1gym.policy.protocol import Sampling

__all__ = ["Flip", "flips", "regrade"]


@dataclass(frozen=True, slots=True)
class Flip:
    """A completion that was judged one way and is now judged another."""

    task_id: str
    sample: int
    old: Outcome
    new: Outcome
    extracted: str
    """The answer as read now."""
    reason: str
    """Why, now."""


class Replay:
    """The stored completions of one group in the place of a policy: ``rollout`` then judges as it did at first."""

    def __init__(self, group: Sequence[Sample]) -> None:
        self.group = group

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The messages alone: nothing is tokenised."""
        return Prompt(tuple(messages))

    def sample(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[list[Completion]]:
        """The stored texts; their token ids are not stored, only how many they were, which zeros stand for."""
        return [[Completion((0,) * each.tokens, (), each.completion, each.finish) for each in self.group]]


def regrade(samples: Sequence[Sample], env: gym.Env[str, str] | None = None) -> list[Sample]:
    """The samples with the verdicts, scores and rewards that they get now, in their order.

    Args:
        samples: Of one environment.
        env: Judges them, made as when they were sampled (``Sample.env`` and ``env_options``). None has
            ``r1gym.verify`` judge by the stored reference and domain; rewards then stay as stored.

    Raises:
        ConfigError: The samples are of several environments, or there is no ``env`` and a sample has no domain.
        DataError: The environment has another task at a sample's index.
    """
    envs = sorted({sample.env for sample in samples})
    if len(envs) > 1:
        raise ConfigError(f"the samples are of several environments ({', '.join(envs)}): regrade each by itself")
    if env is None:
        return [_verified(sample) for sample in samples]
    graded: dict[tuple[int, int], Sample] = {}
    for group in _groups(samples):
        graded.update({(each.index, each.sample): each for each in _replayed(group, env)})
    return [graded[sample.index, sample.sample] for sample in samples]


def flips(old: Sequence[Sample], new: Sequence[Sample]) -> list[Flip]:
    """Where the outcomes differ."""
    return [
        Flip(after.task_id, after.sample, before.verdict, after.verdict, after.extracted, after.reason)
        for before, after in zip(old, new, strict=True)
        if before.verdict is not after.verdict
    ]


def _groups(samples: Iterable[Sample]) -> list[list[Sample]]:
    groups: dict[int, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(sample.index, []).append(sample)
    return list(groups.values())


def _replayed(group: Sequence[Sample], env: gym.Env[str, str]) -> list[Sample]:
    from r1gym.policy.protocol import Sampling

    first = group[0]
    listed = getattr(env.unwrapped, "tasks", None) is not None
    start = Start(first.task_seed, first.index if listed else None)
    replay: Any = Replay(group)  # of the policy's methods, rollout asks for prompt and sample only
    episodes = rollout(replay, env, [start], len(group), Sampling(), 0, first.group_id)[0]
    if episodes[0].task.id != first.task_id:
        raise DataError(
            f"task {first.index} of {first.env} is {episodes[0].task.id!r} now and was {first.task_id!r} when its "
            "completions were stored: give the data that they were sampled from"
        )
    return [
        replace(
            sample,
            verdict=episode.verdict.outcome,
            score=episode.verdict.score,
            extracted=episode.verdict.extracted,
            reason=episode.verdict.reason,
            reward=episode.reward.total,
            reward_terms=dict(episode.reward.terms),
        )
        for sample, episode in zip(group, episodes, strict=True)
    ]


def _verified(sample: Sample) -> Sample:
    from r1gym.verifiers import verify

    if not sample.domain:
        raise ConfigError(
            f"task {sample.task_id!r} was stored without a domain to verify it in: regrade it through its environment"
        )
    try:
        verdict = verify(sample.completion, sample.reference, sample.domain)
    except ReferenceRefusedError as error:
        verdict = Verdict.ungradable(f"reference_refused: {error}")
    outcome, reason = verdict.outcome, verdict.reason
    if outcome is Outcome.NO_ANSWER and sample.finish == "length":
        outcome = Outcome.TRUNCATED
    return replace(sample, verdict=outcome, score=verdict.score, extracted=verdict.extracted, reason=reason)
