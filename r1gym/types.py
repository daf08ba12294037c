"""The records that travel along the road: Task → Prompt → Completion → Verdict → Reward → Episode.

Every record is a frozen, slotted dataclass: it is made once, never changed (``dataclasses.replace`` makes a changed
copy) and can be pickled. Nothing here needs more than the standard library.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from r1gym.errors import ConfigError

__all__ = [
    "CallCase",
    "CheckerProgram",
    "CodeReference",
    "Completion",
    "Episode",
    "Finish",
    "Limits",
    "Message",
    "Outcome",
    "Prompt",
    "Reward",
    "Sampling",
    "Span",
    "StdioCase",
    "Task",
    "Turn",
    "Verdict",
]

Message = Mapping[str, str]
"""One chat message: ``{"role": "user", "content": "…"}``."""

Finish = Literal["stop", "length", "abort"]
"""How a completion ended: by its own stop token, by the token budget, or because sampling was interrupted."""


class Outcome(enum.Enum):
    """What a verifier found; the five cases never stand in for one another."""

    CORRECT = "CORRECT"
    """The answer is right, all tests pass, or the share reaches the task's threshold."""
    WRONG = "WRONG"
    """A final answer was read and it is not right; also a submission that hangs, floods or crashes."""
    NO_ANSWER = "NO_ANSWER"
    """The completion holds no final answer in a form that the extraction accepts."""
    TRUNCATED = "TRUNCATED"
    """NO_ANSWER of a completion that ran out of its token budget; only the rollout can know."""
    UNGRADABLE = "UNGRADABLE"
    """Our own fault (bad reference, dead sandbox, crashed grader): masked, never a reward of zero."""


@dataclass(frozen=True, slots=True)
class Task:
    """One problem: what is asked, and what a verifier compares with."""

    id: str
    """Unique within its task set; stable over releases."""
    domain: str
    """Which verifier judges it: "math", "code", "choice", "language", …"""
    question: str
    """The problem's text, without any prompt template."""
    reference: Any
    """The gold answer in the form the domain's verifier takes (a string for "math")."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Facts about the row (subject, level, source): JSON-able, never needed to judge the answer."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn."""

    temperature: float = 1.0
    """Divides the logits before the softmax; 0 takes the most probable token (greedy)."""
    top_p: float = 1.0
    """Keep the smallest set of most probable tokens whose mass reaches this; 1 keeps all."""
    top_k: int = 0
    """Keep this many most probable tokens; 0 keeps all."""
    min_p: float = 0.0
    """Drop tokens less probable than this share of the most probable one; 0 keeps all."""
    max_new_tokens: int = 256
    """Token budget of one completion, the stop token included."""
    repetition_penalty: float = 1.0
    """Logits above 0 of tokens seen (prompt included) are divided by this, others multiplied (arXiv 1909.05858, section
    4.1); 1 is off."""
    frequency_penalty: float = 0.0
    """Taken off a token's logit each time the completion has it."""
    presence_penalty: float = 0.0
    """Taken off once where the completion has the token."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion as soon as its text holds one of them."""
    keep_stop: bool = True
    """The text ends with the stop string (as from ``generate``); False leaves it out. Token ids always stay whole."""

    @property
    def penalised(self) -> bool:
        """Tokens seen before change what is drawn."""
        return self.repetition_penalty != 1 or self.frequency_penalty != 0 or self.presence_penalty != 0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ConfigError(f"temperature must be 0 (greedy) or above, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ConfigError(f"top_p must be in (0, 1], got {self.top_p}")
        if self.top_k < 0:
            raise ConfigError(f"top_k must be 0 (off) or above, got {self.top_k}")
        if not 0 <= self.min_p < 1:
            raise ConfigError(f"min_p must be in [0, 1), got {self.min_p}")
        if self.max_new_tokens < 1:
            raise ConfigError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")
        if not 0 < self.repetition_penalty < float("inf"):
            raise ConfigError(f"repetition_penalty must be above 0 (1 is off), got {self.repetition_penalty}")
        for name in ("frequency_penalty", "presence_penalty"):
            if not abs(getattr(self, name)) < float("inf"):
                raise ConfigError(f"{name} must be a finite number (0 is off), got {getattr(self, name)}")
        given: object = self.stop  # a bare string is the mistake to expect
        if not isinstance(given, tuple) or not all(isinstance(each, str) and each for each in given):
            raise ConfigError(f"stop must be a tuple of strings that are not empty, got {self.stop!r}")


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a policy is asked to continue: chat messages and, once a tokenizer has seen them, token ids."""

    messages: tuple[Message, ...]
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Completion:
    """What a policy wrote. The token ids reach the loss unchanged: they are never decoded and re-tokenised."""

    token_ids: tuple[int, ...]
    """Sampled ids in order, the stop token included when one was drawn."""
    logprobs: tuple[float, ...]
    """Log-probability of each sampled id in nats, at the sampling temperature, before top-p or top-k; same length
    as ``token_ids``, or empty where a backend cannot give it."""
    text: str
    """Decoded text, stop token left out: all an environment sees."""
    finish: Finish
    policy_version: int = 0
    """How often the policy had been synchronised when this was sampled."""


@dataclass(frozen=True, slots=True)
class Span:
    """A passage of a completion, in characters, ``start`` inclusive and ``end`` exclusive, and what it is worth."""

    start: int
    end: int
    term: str
    """Name of the reward term that marks it, or "answer" for the extracted answer."""
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a verifier says of one completion. Build it with the constructors named after the outcomes."""

    outcome: Outcome
    score: float
    """In [0, 1]: 1.0 or 0.0 for answers, the share for language, the fraction for tests; 0.0 where UNGRADABLE."""
    extracted: str
    """The final answer as read from the completion; "" where there is none."""
    reason: str
    """``"rule: text"``: the rule that decided, then why in words."""
    spans: tuple[Span, ...] = ()
    tests: tuple[str, ...] = ()
    """Of a program: the ruling of each test that ran, in order ("AC", "WA", …)."""

    def __bool__(self) -> NoReturn:
        """Refuse: a verdict has five outcomes, and ``if not verdict`` would merge four of them."""
        raise TypeError("a Verdict has no truth value: compare verdict.outcome, for example with Outcome.CORRECT")

    @classmethod
    def correct(cls, extracted: str, reason: str, spans: tuple[Span, ...] = (), score: float = 1.0) -> Verdict:
        """A right answer."""
        return cls(Outcome.CORRECT, score, extracted, reason, spans)

    @classmethod
    def wrong(cls, extracted: str, reason: str, spans: tuple[Span, ...] = (), score: float = 0.0) -> Verdict:
        """An answer that was read and is not right (``score`` above 0 only where a domain pays fractions)."""
        return cls(Outcome.WRONG, score, extracted, reason, spans)

    @classmethod
    def no_answer(cls, reason: str, spans: tuple[Span, ...] = ()) -> Verdict:
        """No final answer in an accepted form."""
        return cls(Outcome.NO_ANSWER, 0.0, "", reason, spans)

    @classmethod
    def truncated(cls, reason: str, spans: tuple[Span, ...] = ()) -> Verdict:
        """No final answer, and the token budget ran out. Only ``rollout.py`` builds it."""
        return cls(Outcome.TRUNCATED, 0.0, "", reason, spans)

    @classmethod
    def ungradable(cls, reason: str, extracted: str = "") -> Verdict:
        """Our fault; never for a cause that the completion controls."""
        return cls(Outcome.UNGRADABLE, 0.0, extracted, reason)


@dataclass(frozen=True, slots=True)
class Reward:
    """A step's reward: the weighted total, and every named term raw in [0, 1]."""

    total: float
    terms: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange with an environment."""

    prompt: Prompt
    completion: Completion
    observation: str
    """What the environment answered; "" at the end of an episode."""
    reward: float


@dataclass(frozen=True, slots=True)
class Episode:
    """One task attempted once: what was asked, written, judged and paid."""

    task: Task
    seed: int
    """Seed of this sample, derived from (run, step, task, sample)."""
    group_id: int
    """Episodes of one group share a task and a prompt."""
    turns: tuple[Turn, ...]
    verdict: Verdict
    reward: Reward
    truncated: bool
    """The token budget or the environment's turn limit ended it."""


@dataclass(frozen=True, slots=True)
class StdioCase:
    """A test of a program that reads stdin and writes stdout."""

    input: str
    expected: str


@dataclass(frozen=True, slots=True)
class CallCase:
    """A test of a function: positional arguments, and the value that it must return (JSON values)."""

    function: str
    args: tuple[Any, ...]
    expected: Any


@dataclass(frozen=True, slots=True)
class CheckerProgram:
    """A program that judges an output where several are right."""

    source: str
    language: str
    convention: Literal["testlib", "open-r1"] = "testlib"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one test of a submission may use."""

    cpu_seconds: float = 2.0
    wall_seconds: float = 10.0
    memory_mb: int = 256
    output_mb: int = 16
    processes: int = 16


@dataclass(frozen=True, slots=True)
class CodeReference:
    """The gold of a program: the tests that it must pass, and how they are run and compared."""

    tests: tuple[StdioCase, ...] | tuple[CallCase, ...]
    checker: str | CheckerProgram = "tokens"
    """How an output is compared; for functions "equal" is Python's own ``==``, other names a tolerance."""
    limits: Limits = Limits()
    """What one test may use, before the time factor."""
    time_factor: float | Literal["language"] = "language"
    """Multiplies the time limits; "language" takes the factor of the submission's language."""
    prefix: str = ""
    """Source put before the submission of a function problem: imports and given functions."""
    oracle: str = ""
    """A right solution in Python, whose values are the expected ones; the cases' own are then not looked at."""
