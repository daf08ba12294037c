"""Every source of tasks in one table, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from r1gym.errors import unknown_name
from r1gym.tasks.aime import AIME, AIME2024, AIME2025, AIME2026
from r1gym.tasks.arithmetic import ARITHMETIC
from r1gym.tasks.code_contests import CODE_CONTESTS
from r1gym.tasks.codeforces import CODEFORCES
from r1gym.tasks.countdown import COUNTDOWN
from r1gym.tasks.gpqa import GPQA
from r1gym.tasks.gsm8k import GSM8K
from r1gym.tasks.humaneval import HUMANEVAL
from r1gym.tasks.language import LANGUAGE
from r1gym.tasks.math500 import MATH500
from r1gym.tasks.math_train import MATH
from r1gym.tasks.mbpp import MBPP
from r1gym.tasks.mgsm import MGSM
from r1gym.tasks.mmlu import MMLU
from r1gym.tasks.own import source_from
from r1gym.tasks.procedural import ProceduralSource
from r1gym.tasks.source import Source

__all__ = ["SOURCES", "source_named"]

SOURCES: dict[str, Source | ProceduralSource] = {
    source.name: source
    for source in (
        *(MATH500, MATH, AIME, AIME2024, AIME2025, AIME2026, GSM8K, MGSM, GPQA, MMLU),
        *(CODEFORCES, CODE_CONTESTS, HUMANEVAL, MBPP),
        *(ARITHMETIC, COUNTDOWN, LANGUAGE),
    )
}


def source_named(name: str | Mapping[str, Any]) -> Source | ProceduralSource:
    """The source called ``name``, or described by a mapping (``r1gym.tasks.own``); a near miss is named."""
    if isinstance(name, Mapping):
        return source_from(name)
    if name not in SOURCES:
        raise unknown_name("task set", name, SOURCES)
    return SOURCES[name]
