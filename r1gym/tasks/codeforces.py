"""Codeforces problems: rows of open-r1/codeforces, or of a CodeContests excerpt with one list of tests."""

from __future__ import annotations

from typing import Any

from r1gym.tasks.contest import SEVERAL_ANSWERS, contest_task, read_limits, read_tests
from r1gym.tasks.source import DataFile, Fingerprint, Row, Source, Split
from r1gym.types import CheckerProgram, Task

__all__ = ["CODEFORCES"]

_SECTIONS = (("input_format", "Input"), ("output_format", "Output"), ("note", "Note"))
_FACTS = ("name", "title", "rating", "tags", "contest_id", "index", "contest_type", "solution", "sample")


def parse(row: Row, split: str, index: int) -> Task:
    """A row with ``official_tests`` is read as open-r1 has it, one with ``tests`` as an excerpt."""
    return _open_r1(row) if "official_tests" in row.fields or "description" in row.fields else _excerpt(row)


def _open_r1(row: Row) -> Task:
    """Fields as in open-r1/codeforces: statement in parts, official tests, a checker in Python where there is one."""
    tests = read_tests(row, "official_tests") if row.fields.get("official_tests") is not None else ()
    checker = row.fields.get("generated_checker")
    if checker is not None and not isinstance(checker, str):
        raise row.error("generated_checker", f"expected Python source or null, got {type(checker).__name__}")
    program = CheckerProgram(checker, "python", "open-r1") if checker and checker.strip() else None
    return contest_task(
        row.text("id"), _statement(row), tests, read_limits(row, "time_limit", "memory_limit"),
        checker=program, unverifiable=_open_r1_problem(row, bool(program)), **row.facts(*_FACTS),
    )  # fmt: skip


def _open_r1_problem(row: Row, has_checker: bool) -> str:
    """Why no program can be judged by this row; "" where one can."""
    if row.fields.get("interaction_format"):
        return "interactive, and no interactor is there"
    if row.fields.get("input_mode") not in (None, "stdio"):
        return "it reads and writes files"
    if row.fields.get("official_tests_complete") is not True:
        return "its tests are not complete"
    if row.fields.get("executable") is False:
        return "no accepted solution passed its tests"
    if row.fields.get("needs_checker") is True and not has_checker:
        return SEVERAL_ANSWERS
    return ""


def _statement(row: Row) -> str:
    parts = [str(row.fields[name]) for name in ("title",) if row.fields.get(name)]
    parts.append(row.text("description"))
    for name, heading in _SECTIONS[:2]:
        if row.fields.get(name):
            parts.append(f"{heading}\n{row.text(name)}")
    for number, example in enumerate(_examples(row), 1):
        parts.append(f"Example {number}\nInput\n{example['input'].rstrip()}\nOutput\n{example['output'].rstrip()}")
    if row.fields.get("note"):
        parts.append(f"Note\n{row.text('note')}")
    return "\n\n".join(part.strip() for part in parts)


def _examples(row: Row) -> list[dict[str, Any]]:
    if row.fields.get("examples") is None:
        return []
    return [{"input": case.input, "output": case.expected} for case in read_tests(row, "examples")]


def _excerpt(row: Row) -> Task:
    """``problem, tests``; ``exact_match_ok`` false says that an accepted program fails an exact comparison."""
    exact = row.fields.get("exact_match_ok")
    if exact is not None and not isinstance(exact, bool):
        raise row.error("exact_match_ok", f"expected true or false, got {exact!r:.60}")
    refused = exact is False or row.fields.get("needs_checker") is True
    return contest_task(
        row.text("id"), row.text("problem").strip(), read_tests(row, "tests"),
        read_limits(row, "time_limit", "memory_limit"),
        unverifiable="exact comparison refuses an accepted program" if refused else "", **row.facts(*_FACTS),
    )  # fmt: skip


CODEFORCES = Source(
    name="codeforces",
    title="Codeforces",
    domain="code",
    splits={
        "train": Split(
            files=(
                DataFile("codeforces_train.jsonl"),
                DataFile(
                    "codeforces_cc_300.jsonl",
                    Fingerprint(300, "b954bb981d8d6f72589d87ac8d2e6b474b93465864733b5bffb782e3274d08bc"),
                ),
            )
        )
    },
    parse=parse,
    needs="those of open-r1/codeforces (id, description, official_tests, official_tests_complete, generated_checker, "
    "time_limit, …), or id, problem, tests, exact_match_ok",
)
