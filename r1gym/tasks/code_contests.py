"""CodeContests (Li et al., arXiv 2203.07814): rows of deepmind/code_contests, or of excerpts with one list of tests."""

from __future__ import annotations

from typing import Any

from r1gym.tasks.contest import contest_task, read_limits, read_tests
from r1gym.tasks.source import DataFile, Fingerprint, Row, Source, Split
from r1gym.types import Limits, StdioCase, Task

__all__ = ["CODE_CONTESTS"]

_TEST_FIELDS = ("public_tests", "private_tests", "generated_tests")
_LANGUAGES = {2: "cpp", 3: "python"}
"""deepmind/code_contests' numbers of the languages that the judge knows."""
_FACTS = ("difficulty", "source", "cf_rating", "cf_tags", "solution", "solution_language", "sample")


def parse(row: Row, split: str, index: int) -> Task:
    """A row with ``description`` is read as deepmind has it, one with ``problem`` as an excerpt."""
    name = "id" if "id" in row.fields else "name"
    if "description" not in row.fields:
        return contest_task(
            row.text(name), row.text("problem").strip(), read_tests(row, "tests"),
            read_limits(row, "time_limit", "memory_limit"), **row.facts(*_FACTS, "name"),
        )  # fmt: skip
    tests = [case for field in _TEST_FIELDS if row.fields.get(field) is not None for case in _columns(row, field)]
    files = [field for field in ("input_file", "output_file") if row.fields.get(field)]
    return contest_task(
        row.text(name), row.text("description").strip(), tuple(tests), _limits(row),
        unverifiable="it reads and writes files" if files else "", **(row.facts(*_FACTS) | _solution(row)),
    )  # fmt: skip


def _columns(row: Row, field: str) -> list[StdioCase]:
    """Tests as two lists, ``input`` and ``output``."""
    value = row.fields[field]
    if not isinstance(value, dict):
        raise row.error(field, f"expected {{'input': […], 'output': […]}}, got {value!r:.60}")
    for part in ("input", "output"):
        column = value.get(part)
        if not isinstance(column, list) or not all(isinstance(item, str) for item in column):
            raise row.error(f"{field}.{part}", f"expected a list of strings, got {column!r:.60}")
    if len(value["input"]) != len(value["output"]):
        raise row.error(field, f"{len(value['input'])} inputs and {len(value['output'])} outputs")
    return [StdioCase(given, wanted) for given, wanted in zip(value["input"], value["output"], strict=True)]


def _limits(row: Row) -> tuple[Limits, list[str]]:
    """``time_limit`` is ``{"seconds", "nanos"}`` or null, ``memory_limit_bytes`` 0 where it is not known."""
    time = row.fields.get("time_limit")
    if isinstance(time, dict):
        try:
            time = (time.get("seconds") or 0) + (time.get("nanos") or 0) / 1e9 or None
        except TypeError as error:
            raise row.error("time_limit", f"expected {{'seconds', 'nanos'}}, got {time!r:.60}") from error
    size = row.fields.get("memory_limit_bytes") or None
    if size is not None and (isinstance(size, bool) or not isinstance(size, int)):
        raise row.error("memory_limit_bytes", f"expected a whole number, got {size!r:.60}")
    fields = {**row.fields, "time_limit": time, "memory_limit": size and size / 1e6}
    return read_limits(Row(fields, row.file, row.line), "time_limit", "memory_limit")


def _solution(row: Row) -> dict[str, Any]:
    """The first right solution in a language that the judge knows, as facts."""
    known = row.fields.get("solutions")
    if not isinstance(known, dict):
        return {}
    for number, source in zip(known.get("language") or [], known.get("solution") or [], strict=False):
        if number in _LANGUAGES:
            return {"solution": source, "solution_language": _LANGUAGES[number]}
    return {}


CODE_CONTESTS = Source(
    name="code_contests",
    title="CodeContests",
    domain="code",
    splits={
        "train": Split(files=(DataFile("code_contests_train.jsonl"), DataFile("code_contests_sandboxfusion_20.jsonl"))),
        "test": Split(
            files=(
                DataFile(
                    "code_contests_test_165.jsonl",
                    Fingerprint(165, "f7f0f2f7e372eab06607bf04d6a4beb57af743372f216217efa7a2699c74ffd4"),
                ),
                DataFile("code_contests_test.jsonl"),
            )
        ),
    },
    parse=parse,
    needs="those of deepmind/code_contests (name, description, public_tests, private_tests, …), or id, problem, tests",
)
