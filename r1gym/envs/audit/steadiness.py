"""Checks of the whole environment: repetition, other processes, faults that are ours, seeds, and the data."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections import Counter, defaultdict
from typing import Any

from r1gym.envs.audit.records import RowResult
from r1gym.envs.audit.subject import Subject
from r1gym.errors import DataError

__all__ = [
    "another_process",
    "best_constant",
    "data",
    "our_faults",
    "repetition",
    "seeds",
    "swapped",
    "unrelated_episode",
]

MANY, SOME = 20_000, 1_000
"""Tasks that are compared, of a stored and of a generated set."""

_JUDGE = """
import json, sys, gymnasium, r1gym
from r1gym.envs.audit.subject import judge_by_step
told = json.load(sys.stdin)
env = gymnasium.make(told["id"], **told["kwargs"])
print(json.dumps([list(judge_by_step(env, told["index"])(text)[:3]) for text in told["texts"]]))
"""


def _texts(subject: Subject) -> list[str]:
    return [subject.stated(subject.right), subject.stated(subject.wrong[0]), "", subject.question, subject.box("x")]


def repetition(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 24: ten times, and in another order: the same verdict."""
    for subject in subjects:
        texts = _texts(subject)
        first = [subject.grade(text)[:3] for text in texts]
        for count in range(9):
            order = texts if count % 2 else list(reversed(texts))
            again = {text: subject.grade(text)[:3] for text in order}
            row.tally.bad += len(texts)
            if [again[text] for text in texts] != first:
                row.fail("other", task=subject.name, reason=f"repetition {count + 2} was judged otherwise")


def another_process(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 24: a fresh interpreter gives the same verdicts."""
    if env.spec is None:
        row.notes.append("another process: not run, the environment has no spec")
        return
    subject = subjects[0]
    index = env.tasks.index_of(subject.name)
    told = {"id": env.spec.id, "kwargs": env.spec.kwargs, "texts": _texts(subject), "index": index}
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{_JUDGE}"],
        input=json.dumps(told), capture_output=True, text=True, check=True,
    )  # fmt: skip
    here = [list(subject.grade(text)[:3]) for text in told["texts"]]
    row.tally.bad += len(here)
    if json.loads(done.stdout.splitlines()[-1]) != here:
        row.fail("other", task=subject.name, reason="another process judged otherwise")


def swapped(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 25: each task's gold on every other task whose gold is another: the verdict follows the reference."""
    for one in subjects:
        for other in subjects:
            different = one.integer != other.integer if one.integer is not None and other.integer is not None else False
            if not different and one.right not in other.wrong:
                continue
            row.tally.bad += 1
            judged = other.grade(other.stated(one.right))
            if judged.verdict == "CORRECT" or judged.score > 0:
                row.fail("false_passes", task=other.name, completion=other.stated(one.right), reason=judged.reason)


def our_faults(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 45: a gold that cannot be read and a grader that raises are UNGRADABLE, whatever was answered."""
    from r1gym.types import Outcome
    from r1gym.verifiers import verify

    kind = subjects[0].kind
    for reference in ("", "\\boxed{", "\\undefinedmacro{{{", None, 3.5j):
        verdict = verify(subjects[0].stated("7"), reference, kind)
        row.tally.bad += 1
        if verdict.outcome is not Outcome.UNGRADABLE:
            row.fail("other", completion=repr(reference), reason=f"a bad gold gave {verdict.outcome.name}")

    class Crashes:
        def grade(self, completion: str) -> Any:
            raise RuntimeError("a grader's own fault")

    env.reset(seed=0, options={"index": 0})
    task = env.asked
    kept = env._graders.get(task.id)
    env._graders[task.id] = Crashes()
    logging.disable(logging.CRITICAL)
    try:
        _, reward, _, _, info = env.step(subjects[0].stated("7"))
    finally:
        logging.disable(logging.NOTSET)
        env._graders.pop(task.id)
        if kept is not None:
            env._graders[task.id] = kept
    row.tally.bad += 1
    if info["verdict"] != "UNGRADABLE" or reward != 0.0:
        row.fail("other", reason=f"a grader that raises gave {info['verdict']}, reward {reward}")


def unrelated_episode(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 54: the same answer after an unrelated episode is judged alike."""
    for subject in subjects:
        texts = _texts(subject)
        first = [subject.grade(text)[:3] for text in texts]
        env.reset(seed=77)
        env.step("\\boxed{\\text{something else}}")
        row.tally.bad += len(texts)
        if [subject.grade(text)[:3] for text in texts] != first:
            row.fail("other", task=subject.name, reason="an unrelated episode changed a verdict")


def seeds(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 59: one seed, one question; rewards finite and in range; the reference beats nothing on each task."""
    for seed in range(5):
        row.tally.bad += 1
        if env.reset(seed=seed) != env.reset(seed=seed):
            row.fail("other", reason=f"seed {seed} asked two different questions")
    for subject in subjects:
        best, null = subject.grade(subject.stated(subject.right)).reward, subject.grade("").reward
        row.tally.good += 1
        if not 0.0 <= null < best <= sum(weight for weight in env.weights.values() if weight > 0) + 1e-9:
            row.fail("false_fails", task=subject.name, reason=f"the reference earns {best}, nothing earns {null}")


def best_constant(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 6, second half: the constant that is most often right, and its share."""
    if subjects[0].kind == "countdown":
        return
    ((constant, count),) = Counter(subject.right for subject in subjects).most_common(1)
    row.notes.append(f"best constant {constant!r}: right on {count} of {len(subjects)} tasks")


def _plain(question: str) -> str:
    return re.sub(r"\W+", " ", question.casefold()).strip()


def data(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 52: empty and repeated questions, golds that contradict each other or are refused, splits that overlap."""
    from r1gym.envs.reasoning import ReasoningEnv
    from r1gym.envs.refused import REFUSED

    tasks = env.tasks if len(env.tasks) <= SOME or not hasattr(env.source, "make") else env.tasks[:SOME]
    seen: dict[str, list[Any]] = defaultdict(list)
    for task in tasks:
        row.tally.good += 1
        if not task.question.strip():
            row.fail("other", task=task.id, reason="the question is empty")
        seen[_plain(task.question)].append(task)
    for same in seen.values():
        if len({repr(task.reference) for task in same}) > 1 and env.source.name not in ("gpqa", "mmlu"):
            row.fail("other", task=same[1].id, reason=f"the question of {same[0].id} with another gold")
    repeated = sum(len(same) - 1 for same in seen.values())
    first = "" if len(tasks) == len(env.tasks) else "the first "
    row.notes.append(f"{first}{len(tasks)} tasks: {repeated} repeat a question")
    if not first:
        row.notes.append(f"{len(tasks) - len(env.gradable)} golds are refused by their verifier and never drawn")
    listed = REFUSED.get(env.source.name, frozenset())
    refused = [task.id for task in tasks if task.id not in listed and isinstance(env._grader(task), str)]
    for name in refused:
        row.fail("other", task=name, reason="the gold is refused by its verifier and not listed in r1gym.envs.refused")
    splits = getattr(env.source, "splits", {"train": 0, "test": 0})
    for split in splits:
        if split == env.split:
            continue
        try:
            other = ReasoningEnv(env.source.name, split=split).tasks
        except DataError as error:
            row.notes.append(f"split {split!r} was not at hand: {type(error).__name__}")
            continue
        looked_at = other[: SOME if hasattr(env.source, "make") else MANY]
        both = [task.id for task in looked_at if _plain(task.question) in seen]
        row.tally.good += len(looked_at)
        for name in both:
            row.fail("other", task=name, reason=f"a question of {env.split!r} stands in {split!r} too")
