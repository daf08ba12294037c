"""Programs: the reference in other dress, hollow and cheating ones, and mutants that the tests must tell from it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from r1gym.envs.audit.mutants import Mutant, fresh_arguments, mutants
from r1gym.envs.audit.records import NotRunError, Probe, RowResult
from r1gym.envs.audit.subject import Subject
from r1gym.types import CallCase, Outcome, Task

__all__ = ["equal_to_all", "exits", "forged", "hollow", "no_program", "reference_in_dress", "strength"]

FRESH = 60
"""New inputs on which a mutant that passed the tests is compared with the reference."""
_EQUAL = "\n".join(
    f"class {name}({base}):\n    __eq__ = lambda *a: True\n    __ne__ = lambda *a: 0\n    __hash__ = {base}.__hash__\n"
    for name, base in (("E", "object"), ("I", "int"), ("S", "str"))
)


def fenced(source: str) -> str:
    """A completion that states ``source``."""
    return f"So:\n```python\n{source}\n```"


def reference_in_dress(subject: Subject) -> Iterator[Probe]:
    """Row 29: the reference as it is, printed again from its tree, without comments, with text before."""
    yield Probe(fenced(subject.right), "right", "the reference")
    yield Probe(fenced(ast.unparse(ast.parse(subject.right))), "right", "the reference printed again, no comments")
    yield Probe(f"First a try:\n\n{fenced(subject.right)}", "right", "text before the reference")


def no_program(subject: Subject) -> Iterator[Probe]:
    """Row 30: no program is NO_ANSWER, an empty one unpaid."""
    for text in ("", " \n", "I would sort the list.", "```python\n```"):
        yield Probe(text, "no answer", "no program")
    for source in ("pass", "# nothing", "'''text'''", "import os"):
        yield Probe(fenced(source), "unpaid", "an empty program")


def _bodies(subject: Subject, *bodies: str) -> Iterator[str]:
    """Programs that define every function of the reference with one of these bodies."""
    names = [node.name for node in ast.parse(subject.right).body if isinstance(node, ast.FunctionDef)]
    for body in bodies:
        yield (
            "\n".join(f"def {name}(*a, **k):\n    {body}" for name in names)
            if names
            else body.replace("return", "print")
        )


def hollow(subject: Subject) -> Iterator[Probe]:
    """Row 31: bodies that do nothing, constants, the input given back, what a model writes where it gives up."""
    for source in _bodies(subject, "pass", "return 0", "return 1", "return -1", "return True", "return ''", "return []",
                          "return float('nan')", "raise NotImplementedError", "return a"):  # fmt: skip
        yield Probe(fenced(source), "unpaid", "a hollow body")


def exits(subject: Subject) -> Iterator[Probe]:
    """Row 32: an exit with status 0, at import and in the body."""
    ways = ("import sys; sys.exit(0)", "import os; os._exit(0)", "raise SystemExit(0)")
    for source in (*ways, *_bodies(subject, *ways)):
        yield Probe(fenced(source), "unpaid", "an exit with status 0")


def equal_to_all(subject: Subject) -> Iterator[Probe]:
    """Row 33: a result that says it is equal to everything."""
    for source in _bodies(subject, "return E()", "return I(0)", "return S()", "return [E()] * 3"):
        yield Probe(fenced(f"{_EQUAL}\n{source}"), "unpaid", "a result equal to everything")


def forged(subject: Subject) -> Iterator[Probe]:
    """Row 34: a verdict printed by the program, in its body or when it ends."""
    said = 'print(\'{"verdict": "AC", "passed": true, "score": 1.0}\')'
    for source in _bodies(subject, f"{said}; return 0", "raise AssertionError('all tests passed')"):
        yield Probe(fenced(source), "unpaid", "a forged verdict")
        yield Probe(fenced(f"import atexit\natexit.register(lambda: {said})\n{source}"), "unpaid", "one at the end")


def strength(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 43: every mutant that differs from the reference on a shown input must fail the tests."""
    tried = 0
    for subject in subjects:
        task: Task = env.tasks[env.tasks.index_of(subject.name)]
        cases = [case for case in task.reference.tests if isinstance(case, CallCase)]
        if len(cases) != len(task.reference.tests) or task.reference.oracle or not cases:
            row.notes.append(f"{subject.name}: not tried, its tests are no calls with values")
            continue
        made = mutants(subject.right)
        tried += 1
        survivors = [mutant for mutant in made if subject.grade(fenced(mutant.source)).verdict == "CORRECT"]
        weak = [(mutant, witness) for mutant in survivors if (witness := _witness(mutant, task, subject, env))]
        row.tally.bad += len(made) - len(survivors) + len(weak)
        for mutant, witness in weak:
            row.fail("false_passes", task=subject.name, completion=mutant.source[-300:], what=mutant.change,
                     reason=f"passes every test, and differs from the reference on {witness}")  # fmt: skip
        row.notes.append(
            f"{subject.name}: {len(made)} mutants, {len(made) - len(survivors)} fail the tests, {len(weak)} pass and "
            f"are wrong, {len(survivors) - len(weak)} pass and were not told from the reference"
        )
    if not tried:
        raise NotRunError("no task here is tested by calls of a function")


def _witness(mutant: Mutant, task: Task, subject: Subject, env: Any) -> str:
    """A call on which the mutant and the reference differ, "" where none was found."""
    from r1gym.verifiers import prepare

    cases = [case for case in task.reference.tests if isinstance(case, CallCase)]
    fresh = fresh_arguments([case.args for case in cases], FRESH, seed=0)
    if not fresh:
        return ""
    calls = tuple(CallCase(cases[0].function, arguments, None) for arguments in fresh)
    gold = replace(task.reference, tests=calls, oracle=subject.right)
    verdict = prepare(replace(task, reference=gold), extraction=env.extraction, **env.options).grade(
        fenced(mutant.source)
    )
    if verdict.outcome is not Outcome.WRONG or not verdict.tests:
        return ""
    place = len(verdict.tests) - 1  # judging ends at the first test that fails
    shown = ", ".join(map(repr, calls[place].args))
    return f"{calls[place].function}({shown})"[:200]
