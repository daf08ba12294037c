"""The audit's checklist on reasoning-gym: its own extraction and scorers, fourteen of its data sets, one table.

In a virtual environment of its own: ``pip install reasoning-gym gymnasium``, then this file with the repository in
PYTHONPATH. A completion goes the way that its documentation gives: ``extract_answer(completion)``, then
``dataset.score_answer(answer, entry)``. Its prompts ask for ``<answer>`` tags, so do the probes. Rows that need an
environment of r1gym's are not run and say so.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import reasoning_gym
from reasoning_gym.utils import extract_answer

from r1gym.envs.audit.records import Judged, RowResult, Tally
from r1gym.envs.audit.running import run_rows
from r1gym.envs.audit.subject import Subject, wrong_answers

DATASETS = (
    "basic_arithmetic", "chain_sum", "products", "gcd", "lcm", "leg_counting", "letter_counting", "simple_equations",
    "fraction_simplification", "decimal_arithmetic", "spell_backward", "caesar_cipher", "family_relationships",
    "syllogism",
)  # fmt: skip
"""Sets whose questions have one right answer, so that another text is wrong by construction."""
RESULTS = Path(__file__).parent / "results"


def judged_by(dataset: Any, entry: dict[str, Any], only_full: bool) -> Callable[[str], Judged]:
    """Judge completions of one entry; a full score is CORRECT, no answer tag NO_ANSWER.

    With ``only_full`` a score below 1 counts as nothing: the false passes that are left were paid as right answers are.
    """

    def grade(completion: str) -> Judged:
        begin = time.perf_counter()
        answer = extract_answer(completion)
        score = float(dataset.score_answer(answer, entry))
        if only_full and score < 1.0:
            score = 0.0
        seconds = time.perf_counter() - begin
        verdict = "CORRECT" if score >= 1.0 else "WRONG" if (answer or "").strip() else "NO_ANSWER"
        return Judged(verdict, score, f"score {score:g} for {answer!r:.80}", {}, score, seconds)

    return grade


def subjects(name: str, size: int, seed: int, only_full: bool) -> list[Subject]:
    """One subject an entry."""
    dataset = reasoning_gym.create_dataset(name, size=size, seed=seed)
    found = []
    for index, entry in enumerate(dataset):
        right = str(entry["answer"])
        wrong, grade = wrong_answers(right, "math"), judged_by(dataset, entry, only_full)
        found.append(
            Subject(f"{name}/{index}", entry["question"], entry["question"], right, wrong, grade,
                    "think-answer", "strict:answer", "math")
        )  # fmt: skip
    return found


def total(rows: tuple[RowResult, ...]) -> Tally:
    counted = Tally()
    for row in rows:
        counted.add(row.tally)
    return counted


def shortened(rows: tuple[RowResult, ...]) -> dict[str, Any]:
    """The numbers of the rows by state, and of those that failed what was found, each in one line of words."""
    states = {state: [row.number for row in rows if row.status == state] for state in ("pass", "fail", "not run")}
    holes = {
        f"{row.number} {row.name}": f"{row.tally.false_passes} of {row.tally.bad} paid, for example "
        f"{row.failures[0]['completion'][:120]!r}"
        for row in rows
        if row.status == "fail"
    }
    return {**{state: ", ".join(map(str, numbers)) for state, numbers in states.items()}, "holes": holes}


def as_markdown(cards: dict[str, tuple[tuple[RowResult, ...], ...]], version: str, size: int, seed: int) -> str:
    ran = [row.number for row in next(iter(cards.values()))[0] if row.status != "not run"]
    lines = [
        "# reasoning-gym under the audit", "",
        f"reasoning-gym {version}, one task of {size} a set for most rows, seed {seed}, by "
        "`benchmarks/audit_reasoning_gym.py`.", f"Rows run: {', '.join(map(str, ran))}.", "Any score above 0 for a "
        "wrong completion is a false pass: partial scores, too, are paid.", "",
        "| set | false passes | with the full score | false fails | crashed | rows that failed |",
        "| --- | --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for name, (rows, full) in cards.items():
        counted = total(rows)
        failed = ", ".join(str(row.number) for row in rows if row.status == "fail") or "none"
        lines.append(
            f"| {name} | {counted.false_passes} of {counted.bad} | {total(full).false_passes} | "
            f"{counted.false_fails} of {counted.good} | {counted.crashed} | {failed} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=3, help="tasks a set")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    version = importlib.metadata.version("reasoning-gym")
    cards = {}
    for name in DATASETS:
        found = [subjects(name, options.size, options.seed, only_full) for only_full in (False, True)]
        cards[name] = tuple(run_rows(some, None, options.seed, quick=True) for some in found)
    told = {name: shortened(rows) for name, (rows, _) in cards.items()}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"reasoning-gym": version, "size": options.size, "seed": options.seed, "sets": told}, indent=1)
    (RESULTS / "audit_reasoning_gym.json").write_text(text + "\n", encoding="utf-8")
    table = as_markdown(cards, version, options.size, options.seed)
    (RESULTS / "audit_reasoning_gym.md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
