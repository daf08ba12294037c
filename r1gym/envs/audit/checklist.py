"""The checklist as a table: number, name, the kinds of environment that a row fits, and the function that tries it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from r1gym.envs.audit import controls, hedges, hostile, idle, programs, spellings, steadiness, terms
from r1gym.envs.audit.records import Probe, RowResult
from r1gym.envs.audit.subject import Subject

__all__ = ["ANSWERS", "CODE", "ROWS", "Row"]

ProbeRow = Callable[[Subject], Iterator[Probe]]
CheckRow = Callable[[list[Subject], RowResult, Any], None]

ANSWERS = ("math", "choice", "countdown")
CODE = ("code",)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the checklist."""

    number: int
    name: str
    fits: tuple[str, ...] = ANSWERS
    probes: ProbeRow | None = None
    """Completions for each task."""
    check: CheckRow | None = None
    """A check of the whole environment, beside or instead of probes."""
    full: CheckRow | None = None
    """A check that a quick audit leaves out."""
    bench: bool = False
    """Whether the probes are tried on references of every kind, through the verifier, and not on the env's tasks."""
    searches: bool = False
    absent: str = ""
    """Why a row without probes and check is not run."""


_TURNS = "one question, one completion: the environment has no turns and no tools"
_JUDGE = "it is an attack on the judge, not on a task: r1gym sandbox survive runs it"
_JSON = "no environment here asks for JSON"

ROWS: tuple[Row, ...] = (
    Row(1, "gold in the requested form", probes=controls.gold_as_asked),
    Row(2, "gold in other dress", probes=controls.gold_in_other_dress),
    Row(3, "other spellings of the gold", ("math",), spellings.written_forms, bench=True),
    Row(4, "near misses", ("math",), spellings.near_misses, bench=True),
    Row(5, "no answer", probes=idle.nothing),
    Row(6, "refusals and constants", probes=idle.constants, check=steadiness.best_constant),
    Row(7, "prompt echoed", probes=idle.echo),
    Row(8, "filled scaffold echoed", probes=idle.filled_scaffold),
    Row(9, "sprays", probes=hedges.sprays),
    Row(10, "two answers joined", probes=hedges.alternatives),
    Row(11, "equations with a wrong side", probes=hedges.equalities),
    Row(12, "denial in the slot", probes=hedges.denied_in_the_slot),
    Row(13, "denial around the slot", probes=hedges.denied),
    Row(14, "right in the thought, wrong at the end", probes=hedges.buried),
    Row(15, "wrong in perfect form", probes=hedges.wrong_as_asked),
    Row(16, "half of the gold", probes=hedges.half),
    Row(17, "confidence and skeletons", probes=idle.confidence),
    Row(18, "notes to the grader", probes=idle.notes_to_the_grader),
    Row(19, "filler", probes=idle.filler),
    Row(20, "NaN and infinity", probes=hostile.not_numbers),
    Row(21, "torn markup", probes=hostile.torn),
    Row(22, "form named in prose", probes=controls.format_named_in_prose),
    Row(23, "repeated and torn forms", probes=controls.repeated_and_torn),
    Row(24, "repetition, order, another process", check=steadiness.repetition, full=steadiness.another_process),
    Row(25, "reference swapped", check=steadiness.swapped),
    Row(26, "look-alike digits", ("math",), hostile.look_alikes),
    Row(27, "seeded search", searches=True),
    Row(28, "too costly to compute", probes=hostile.costly),
    Row(29, "reference in other dress", CODE, programs.reference_in_dress),
    Row(30, "no program", CODE, programs.no_program),
    Row(31, "hollow bodies", CODE, programs.hollow),
    Row(32, "exit at once", CODE, programs.exits),
    Row(33, "equal to everything", CODE, programs.equal_to_all),
    Row(34, "forged verdicts", CODE, programs.forged),
    *(
        Row(number, name, CODE, absent=_JUDGE)
        for number, name in (
            (35, "harness patched"), (36, "visible outputs hard-coded"), (37, "hollow artefacts"),
            (38, "plug-ins of the runner"), (39, "tests changed"), (40, "tools hijacked"), (41, "gold reachable"),
            (42, "state across tests"),
        )
    ),
    Row(43, "strength of the tests", CODE, check=programs.strength),
    Row(44, "hang, flood, fork", CODE, absent=_JUDGE),
    Row(45, "faults that are ours", check=steadiness.our_faults),
    Row(46, "format skeletons", check=terms.skeletons),
    Row(47, "terms that nothing satisfies", check=terms.empty_terms),
    Row(48, "floors and ceilings of the terms", check=terms.floors_and_ceilings),
    Row(49, "JSON answers", ("schema",), absent=_JSON),
    Row(50, "order-free answers", ("schema",), absent="row 3 holds sets and tuples"),
    Row(51, "language of the thought", check=terms.language_term),
    Row(52, "data", (*ANSWERS, *CODE), check=steadiness.data),
    Row(53, "never answers", absent=_TURNS),
    Row(54, "after an unrelated episode", check=steadiness.unrelated_episode),
    Row(55, "answer revealed after a loss", absent=_TURNS),
    Row(56, "no tool, every tool, unknown tool", absent=_TURNS),
    Row(57, "a tool call that does nothing", absent=_TURNS),
    Row(58, "constant decisions, stated confidence", absent=_TURNS),
    Row(59, "seeds, range, reference beats nothing", check=steadiness.seeds),
    Row(60, "choice view", absent="the environment has no finite set of actions"),
)  # fmt: skip
"""Rows 1 to 60 of the checklist, in order."""
