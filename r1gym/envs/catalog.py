"""Every environment id in one table; registration, ``python -m r1gym.envs`` and the tests read it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CATALOG", "Entry", "entry_of_source", "register_all"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One id and the facts that a user chooses by."""

    id: str
    source: str
    """Name of the task set in ``r1gym.tasks.registry``."""
    family: str
    split: str
    """The default split."""
    template: str
    """The default prompt template."""
    verifier: str
    """The domain that judges it."""
    sizes: tuple[tuple[str, int | None], ...]
    """Tasks of each split as published; None where the whole set could not be counted here."""
    about: str
    weights: tuple[tuple[str, float], ...] = (("accuracy", 1.0), ("format", 0.0))
    """Every reward term of the environment, and its default weight."""

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, "sample" included."""
        names = tuple(name for name, _ in self.sizes)
        return names if "sample" in names else (*names, "sample")


GENERATED: tuple[tuple[str, int | None], ...] = (("train", 1_000_000), ("test", 10_000), ("sample", 10))

CATALOG: tuple[Entry, ...] = (
    Entry(
        "r1/MATH500-v0", "math500", "competition math", "test", "boxed", "math", (("test", 500),),
        "MATH-500, held-out problems of MATH",
    ),
    Entry(
        "r1/MATH-v0", "math", "competition math", "train", "boxed", "math", (("train", None),),
        "MATH, the training split",
    ),
    Entry(
        "r1/AIME2024-v0", "aime2024", "competition math", "test", "boxed", "math", (("test", 30),),
        "AIME I and II of 2024",
    ),
    Entry(
        "r1/AIME2025-v0", "aime2025", "competition math", "test", "boxed", "math", (("test", 30),),
        "AIME I and II of 2025",
    ),
    Entry(
        "r1/AIME2026-v0", "aime2026", "competition math", "test", "boxed", "math", (("test", 30),),
        "AIME I and II of 2026",
    ),
    Entry(
        "r1/AIME-v0", "aime", "competition math", "train", "boxed", "math", (("train", 975),),
        "AIME of 1983 to 2023",
    ),
    Entry(
        "r1/GSM8K-v0", "gsm8k", "word problems", "train", "boxed", "math", (("train", None), ("test", 1319)),
        "GSM8K, grade-school word problems",
    ),
    Entry(
        "r1/GPQADiamond-v0", "gpqa", "multiple choice", "test", "boxed", "choice", (("test", None),),
        "GPQA Diamond, graduate science; dial option_seed",
    ),
    Entry(
        "r1/MMLU-v0", "mmlu", "multiple choice", "test", "boxed", "choice", (("test", None),),
        "MMLU, 57 subjects; dial option_seed",
    ),
    Entry(
        "r1/Arithmetic-v0", "arithmetic", "generated", "train", "none", "math", GENERATED,
        "sums, differences, products; dials digits, operations, depth, style",
    ),
    Entry(
        "r1/Countdown-v0", "countdown", "generated", "train", "think-answer", "countdown", GENERATED,
        "reach a target from given numbers; dials numbers, max_number, max_target",
    ),
    Entry(
        "r1/LanguageConsistency-v0", "language", "generated", "train", "none", "math", GENERATED,
        "think in the language of the question; dials languages, max_number, questions",
        weights=(("accuracy", 1.0), ("format", 0.0), ("language", 0.5)),
    ),
    Entry(
        "r1/Codeforces-v0", "codeforces", "programs", "train", "program", "code", (("train", None), ("sample", 4)),
        "Codeforces problems in open-r1's schema: programs against hidden tests",
    ),
    Entry(
        "r1/CodeContests-v0", "code_contests", "programs", "train", "program", "code",
        (("train", None), ("test", 165), ("sample", 4)),
        "CodeContests: programs against hidden tests",
    ),
    Entry(
        "r1/HumanEval-v0", "humaneval", "functions", "test", "function", "code", (("test", 164), ("sample", 4)),
        "HumanEval, functions from their docstrings; HumanEval+ by data=",
    ),
    Entry(
        "r1/MBPP-v0", "mbpp", "functions", "train", "function", "code", (("train", 374), ("test", 500), ("sample", 4)),
        "MBPP, short functions from one sentence and one assert",
    ),
)  # fmt: skip


def entry_of_source(source: str) -> Entry | None:
    """The entry whose task set is ``source``; None where no id uses it."""
    return next((entry for entry in CATALOG if entry.source == source), None)


def register_all() -> None:
    """Register every id with Gymnasium, by strings: nothing of an environment is imported until one is made."""
    from gymnasium.envs.registration import register, registry

    for entry in CATALOG:
        if entry.id not in registry:
            register(
                id=entry.id,
                entry_point="r1gym.envs.reasoning:ReasoningEnv",
                vector_entry_point="r1gym.envs.vector:GroupedVectorEnv",
                kwargs={"source": entry.source, "split": entry.split, "template": entry.template},
            )
