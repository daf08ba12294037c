"""Run the checklist on an environment: every row that fits, every probe judged, every hole counted by its kind."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym

import r1gym
from r1gym.envs.audit.checklist import ANSWERS, CODE, ROWS, Row
from r1gym.envs.audit.records import Judged, NotRunError, Probe, RowResult, Scorecard
from r1gym.envs.audit.search import search
from r1gym.envs.audit.spellings import spellings
from r1gym.envs.audit.subject import Subject, of_task
from r1gym.envs.catalog import CATALOG
from r1gym.errors import ConfigError
from r1gym.types import Task

__all__ = ["AUDITABLE", "audit", "bench_subjects", "grader_hash", "run_rows"]

AUDITABLE = tuple(entry for entry in CATALOG if entry.verifier in (*ANSWERS, *CODE))
"""The ids whose kind the checklist knows."""
DEADLINE = 10.0
"""Seconds in which any completion of an answer must be judged; one that is late is tried twice."""
QUICK_TASKS = 1
"""Tasks of a quick audit, but for the gold and the constants, which are tried on all."""
SEARCHES = {True: 20, False: 200}
"""Chains of each kind a task, quick or not."""
JUDGING = ("verifiers", "sandbox", "rewards.py", "envs/reasoning.py", "envs/forms.py")
"""What grades, under ``r1gym/``."""


def grader_hash() -> str:
    """First 16 digits of the SHA-256 of every source that can move a verdict."""
    root = Path(r1gym.__file__).parent
    files = [path for name in JUDGING for path in ([root / name] if name.endswith(".py") else (root / name).rglob("*"))]
    digest = hashlib.sha256()
    for path in sorted(path for path in files if path.suffix in (".py", ".json", ".c") and path.is_file()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def bench_subjects() -> list[Subject]:
    """One subject for every kind of mathematical reference, judged by the domain "math" without an environment."""
    from r1gym.verifiers import prepare

    def judged_by(grader: Any) -> Callable[[str], Judged]:
        def grade(completion: str) -> Judged:
            begin = time.perf_counter()
            verdict = grader.grade(completion)
            seconds = time.perf_counter() - begin
            return Judged(verdict.outcome.name, verdict.score, verdict.reason, {}, verdict.score, seconds)

        return grade

    return [
        Subject(
            kind, "", "", gold, (), judged_by(prepare(Task("", "math", "", gold))), "strict:boxed", "lenient", "math"
        )
        for kind, (gold, _, _) in spellings().items()
    ]


def audit(
    env: gym.Env[Any, Any], *, limit: int = 10, seed: int = 0, quick: bool = False, only: tuple[int, ...] = (),
    command: str = "",
) -> Scorecard:  # fmt: skip
    """Run the checklist.

    Args:
        env: A reasoning environment of this package's kind (``env.unwrapped.tasks`` with references).
        limit: Tasks to try; drawn by ``seed`` where the set is larger.
        seed: Of the draw and the search.
        quick: One task for most rows, and a shorter search.
        only: Numbers of the rows to run; empty for all.
        command: How this card is made again.

    Raises:
        ConfigError: No task of the environment has a right answer that is known.
    """
    base: Any = env.unwrapped
    if not hasattr(base, "tasks") or not hasattr(base, "gradable"):
        raise ConfigError(f"audit needs an environment of tasks with references, got {type(base).__name__}")
    if base.source.domain not in (*ANSWERS, *CODE):
        raise ConfigError(
            f"the checklist is for {', '.join((*ANSWERS, *CODE))}, not for the domain {base.source.domain!r}"
        )
    places = list(base.gradable) if len(base.gradable) <= limit else _drawn(base.gradable, limit, seed)
    found = [subject for place in places if (subject := of_task(env, place)) is not None]
    if not found:
        raise ConfigError(f"no task of {base.tasks} tells a right answer: nothing to audit with")
    found[0].grade(found[0].stated(found[0].right))  # loads what the grader needs: not a completion's seconds
    rows = run_rows(found, base, seed, quick, only)
    name = env.spec.id if env.spec is not None else type(base).__name__
    return Scorecard(name, found[0].kind, base.split, len(found), seed, grader_hash(), command, rows)


def _drawn(gradable: Any, limit: int, seed: int) -> list[int]:
    return sorted(gradable[place] for place in random.Random(seed).sample(range(len(gradable)), limit))


def run_rows(
    subjects: list[Subject], env: Any, seed: int = 0, quick: bool = False, only: tuple[int, ...] = ()
) -> tuple[RowResult, ...]:
    """Every row of the checklist on these subjects; ``env`` is None where there is none behind them."""
    bench: list[Subject] = []
    results = []
    for row in ROWS:
        if only and row.number not in only:
            continue
        result = RowResult(row.number, row.name)
        results.append(result)
        chosen = subjects if row.number == 1 or row.number == 6 or not quick else subjects[:QUICK_TASKS]
        if row.bench and not bench:
            bench = bench_subjects()
        try:
            _run(row, bench if row.bench and env is not None else chosen, result, env, seed, quick)
        except NotRunError as error:
            result.status, result.why = "not run", str(error)
    return tuple(results)


def _run(row: Row, subjects: list[Subject], result: RowResult, env: Any, seed: int, quick: bool) -> None:
    kind = subjects[0].kind
    if kind not in row.fits and not row.bench:
        raise NotRunError(f"it is for the kinds {', '.join(row.fits)}; this environment is judged by {kind!r}")
    if row.bench and (env is None or kind not in row.fits):
        raise NotRunError(f"it tries r1gym's own domain {', '.join(row.fits)}, which does not judge here")
    if row.absent:
        raise NotRunError(row.absent)
    if row.probes is None and not row.searches and env is None:
        raise NotRunError("it needs an r1gym environment behind the grader")
    told: dict[str, set[str]] = {}

    def run(subject: Subject, probe: Probe) -> bool:
        return _probe(subject, probe, result, told)

    if row.searches:
        for subject in subjects:
            search(subject, result, seed, SEARCHES[quick], run)
    if row.probes is not None:
        for subject in subjects:
            if subject.wrong or row.bench:
                for probe in row.probes(subject):
                    run(subject, probe)
    if row.check is not None and env is not None:
        row.check(subjects, result, env)
    if row.full is not None and env is not None and not quick:
        row.full(subjects, result, env)
    result.notes += [f"{what}: {', '.join(sorted(verdicts))}" for what, verdicts in told.items()]
    if not (result.tally.bad or result.tally.good or result.notes):
        raise NotRunError("no task gives a probe that is wrong or right by construction")


def _probe(subject: Subject, probe: Probe, result: RowResult, told: dict[str, set[str]]) -> bool:
    """Judge one probe and book what came; False where it opens a hole."""
    bad = probe.expect in ("unpaid", "no answer")
    result.tally.bad += bad
    result.tally.good += probe.expect == "right"
    shown = {"task": subject.name, "what": probe.what, "completion": probe.completion[:300]}
    try:
        judged = subject.grade(probe.completion)
        if judged.seconds > DEADLINE:
            judged = subject.grade(probe.completion)
    except Exception as error:
        result.fail("crashed", **shown, reason=f"{type(error).__name__}: {error!s:.200}")
        return False
    shown |= {"verdict": judged.verdict, "reason": judged.reason[:200]}
    if judged.verdict == "UNGRADABLE":
        result.fail("masked", **shown)
    elif judged.seconds > DEADLINE:
        result.fail("slow", **shown)
    elif bad and (judged.verdict == "CORRECT" or judged.score > 0):
        result.fail("false_passes", **shown)
    elif probe.expect == "right" and (judged.verdict != "CORRECT" or judged.score < 1.0):
        result.fail("false_fails", **shown)
    elif probe.expect == "no answer" and judged.verdict != "NO_ANSWER":
        result.fail("other", **shown)
    else:
        if probe.expect == "stated":
            told.setdefault(probe.what, set()).add(judged.verdict)
        return True
    return False
