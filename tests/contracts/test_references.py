"""Every gold at hand earns CORRECT from its own verifier, through the environment's own grader."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from probes import GROUP, PROBES, each, probe_of

from r1gym.envs.catalog import CATALOG, Entry
from r1gym.envs.reasoning import ReasoningEnv
from r1gym.envs.refused import REFUSED
from r1gym.tasks.procedural import ProceduralSource
from r1gym.tasks.registry import SOURCES
from r1gym.types import Outcome, Task

SANDBOX = {entry.source: PROBES[entry.verifier].options for entry in CATALOG}
STORED = tuple(entry for entry in CATALOG if not isinstance(SOURCES[entry.source], ProceduralSource))
NOT_AT_HAND = {"gpqa", "mmlu"}
"""Sets of which the folder of real rows holds no copy."""
CASES = [
    pytest.param(entry.source, split, marks=[GROUP] if entry.verifier == "code" else [])
    for entry in STORED
    for split in entry.splits
    if split != "sample" and entry.source not in NOT_AT_HAND
]


LEFT_OUT = {
    ("codeforces", "train"): 71 + 21,  # exact comparison refuses an accepted program; several outputs are right
    ("code_contests", "train"): 3,
    ("code_contests", "test"): 36,
    ("humaneval", "test"): 4,  # random inputs
    ("mbpp", "train"): 3,
    ("mbpp", "test"): 2,
}
"""Rows by which no program can be judged."""
SHARE = 16
"""Of a large set of programs every 16th is run here; benchmarks/code_golds.py runs them all."""


def completions(task: Task) -> Iterator[str]:
    """The gold in each form in which a model may state it; of programs that have no solution at hand, none."""
    if task.domain == "code":
        language = task.meta.get("solution_language", "python")
        if "solution" in task.meta:
            yield f"<think>…</think>So:\n\n```{language}\n{task.meta['solution']}\n```\n"
        return
    gold = task.reference["answer"] if task.domain == "choice" else task.reference
    yield f"Therefore the answer is $\\boxed{{{gold}}}$."
    yield f"<think>…</think>\n<answer>{gold}</answer>"


def failures(env: ReasoningEnv) -> dict[str, str]:
    """Task id → why its own gold did not earn CORRECT; {} if all did."""
    failed = {}
    every = SHARE if env.source.domain == "code" and len(env.tasks) > SHARE else 1
    for index, task in enumerate(env.tasks):
        if "unverifiable" in task.meta or index % every:
            continue
        for completion in completions(task):
            env.reset(options={"index": index})
            verdict, reward = env.judge(completion)
            if verdict.outcome is not Outcome.CORRECT or reward.total != 1.0:
                failed[task.id] = f"{task.reference!r}: {verdict.outcome.name} {verdict.reason}"
    return failed


@pytest.mark.skipif(not os.environ.get("R1GYM_DATA"), reason="needs real rows: set R1GYM_DATA")
@pytest.mark.parametrize(("source", "split"), CASES)
def test_every_gold_earns_correct_or_is_listed(source: str, split: str) -> None:
    env = ReasoningEnv(source, split=split, **SANDBOX[source])
    failed = failures(env)
    listed = {task.id for task in env.tasks} & REFUSED.get(source, frozenset())
    assert set(failed) == listed, "\n".join(f"{key}: {why}" for key, why in failed.items() if key not in listed)
    left_out = sum(env.tasks.unverifiable().values())
    assert len(env.gradable) == len(env.tasks) - len(listed) - left_out
    assert left_out == LEFT_OUT.get((source, split), 0)


@each(STORED)
def test_every_sample_gold_earns_correct(entry: Entry) -> None:
    probe_of(entry)  # skips where no program can run
    env = ReasoningEnv(entry.source, split="sample", **SANDBOX[entry.source])
    assert failures(env) == {} and not env.tasks.unverifiable()
    assert all(list(completions(task)) for task in env.tasks), "every sample has a gold"


def test_the_list_of_refused_rows_names_only_sets_that_exist() -> None:
    assert set(REFUSED) <= set(SOURCES)
