"""LanguageConsistency: mathematical questions in many languages, each to be thought about in its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from r1gym.errors import ConfigError, unknown_name
from r1gym.tasks.mgsm import Selection
from r1gym.tasks.phrases import INSTRUCTIONS, KINDS, PHRASES
from r1gym.tasks.procedural import MAX_TRIES, ProceduralSource, Stream, in_split, whole
from r1gym.tasks.taskset import TaskSet
from r1gym.types import Task

__all__ = ["LANGUAGE", "LanguageConfig"]

QUESTIONS = ("generated", "mgsm")


@dataclass(frozen=True, slots=True)
class LanguageConfig:
    """In which languages is asked, and what."""

    languages: Sequence[str] = ()
    """ISO 639-1 codes, each equally likely; () for all."""
    max_number: int = 99
    """Numbers are drawn from 2 to this, 10 to 9999."""
    questions: Literal["generated", "mgsm"] = "generated"
    """"generated", or "mgsm": the rows of mgsm.jsonl in R1GYM_DATA, a test set."""

    def __post_init__(self) -> None:
        whole("max_number", self.max_number, 10, 9999)
        if self.questions not in QUESTIONS:
            raise unknown_name("questions", self.questions, QUESTIONS)
        if not isinstance(self.languages, (list, tuple)):
            raise ConfigError(f"languages must be a list of codes such as ['fr', 'de'], got {self.languages!r:.60}")
        for language in self.languages:
            if language not in PHRASES:
                raise unknown_name("language", language, PHRASES)
        object.__setattr__(self, "languages", tuple(self.languages))


def make(config: LanguageConfig, split: str, seed: int, index: int) -> Task:
    """Item ``index`` of a split; a problem stands in one split only, whatever its language."""
    stream = Stream(seed, index)
    below = stream.below
    codes = config.languages or tuple(PHRASES)
    language = codes[below(len(codes))]
    kind = below(len(KINDS))
    span = config.max_number - 1
    for _ in range(MAX_TRIES):
        a, b, c = 2 + below(span), 2 + below(span), 2 + below(span)
        if in_split(split, [a, b, c], kind) and (kind != 0 or c < a * b):
            break
    else:
        raise ConfigError(f"{config} has no problem in split {split!r}: raise max_number")
    phrase = PHRASES[language][KINDS[kind]].format(a=a, b=b, c=c, t=a * b)
    answer = (a * b - c, a + b + c, a + c)[kind]
    question = f"{phrase}\n\n{INSTRUCTIONS[language]}"
    return Task(f"language/{split}/{seed}/{index}", "math", question, str(answer), {"language": language})


def stored(config: LanguageConfig, split: str) -> TaskSet | None:
    """The rows of MGSM where they are asked for."""
    return Selection(split, tuple(config.languages)) if config.questions == "mgsm" else None


LANGUAGE = ProceduralSource("language", "LanguageConsistency", "math", LanguageConfig, make, stored)
