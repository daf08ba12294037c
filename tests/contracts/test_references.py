"""Every gold at hand earns CORRECT from its own verifier, through the environment's own grader."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from r1gym.envs.catalog import CATALOG
from r1gym.envs.reasoning import ReasoningEnv
from r1gym.envs.refused import REFUSED
from r1gym.tasks.procedural import ProceduralSource
from r1gym.tasks.registry import SOURCES
from r1gym.types import Outcome, Task

STORED = [entry for entry in CATALOG if not isinstance(SOURCES[entry.source], ProceduralSource)]
NOT_AT_HAND = {"gpqa", "mmlu"}
"""Sets of which the folder of real rows holds no copy."""
CASES = [
    (entry.source, split)
    for entry in STORED
    for split in entry.splits
    if split != "sample" and entry.source not in NOT_AT_HAND
]


def completions(task: Task) -> Iterator[str]:
    """The gold in each form in which a model may state it."""
    gold = task.reference["answer"] if task.domain == "choice" else task.reference
    yield f"Therefore the answer is $\\boxed{{{gold}}}$."
    yield f"<think>…</think>\n<answer>{gold}</answer>"


def failures(env: ReasoningEnv) -> dict[str, str]:
    """Task id → why its own gold did not earn CORRECT; {} if all did."""
    failed = {}
    for index, task in enumerate(env.tasks):
        for completion in completions(task):
            env.reset(options={"index": index})
            verdict, reward = env.judge(completion)
            if verdict.outcome is not Outcome.CORRECT or reward.total != 1.0:
                failed[task.id] = f"{task.reference!r}: {verdict.outcome.name} {verdict.reason}"
    return failed


@pytest.mark.skipif(not os.environ.get("R1GYM_DATA"), reason="needs real rows: set R1GYM_DATA")
@pytest.mark.parametrize(("source", "split"), CASES)
def test_every_gold_earns_correct_or_is_listed(source: str, split: str) -> None:
    env = ReasoningEnv(source, split=split)
    failed = failures(env)
    listed = {task.id for task in env.tasks} & REFUSED.get(source, frozenset())
    assert set(failed) == listed, "\n".join(f"{key}: {why}" for key, why in failed.items() if key not in listed)
    assert len(env.gradable) == len(env.tasks) - len(listed)


@pytest.mark.parametrize("entry", STORED, ids=lambda entry: entry.id)
def test_every_sample_gold_earns_correct(entry: object) -> None:
    env = ReasoningEnv(entry.source, split="sample")  # type: ignore[attr-defined]
    assert failures(env) == {} and len(env.tasks) == 10


def test_the_list_of_refused_rows_names_only_sets_that_exist() -> None:
    assert set(REFUSED) <= set(SOURCES)
