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


def judged_by(dataset: Any, entry: dict[str, Any]) -> Callable[[str], Judged]:
    """Judge completions of one entry; a full score is CORRECT, no answer tag NO_ANSWER."""

    def grade(completion: str) -> Judged:
        begin = time.perf_counter()
        answer = extract_answer(completion)
        score = float(dataset.score_answer(answer, entry))
        seconds = time.perf_counter() - begin
        verdict = "CORRECT" if score >= 1.0 else "WRONG" if (answer or "").strip() else "NO_ANSWER"
        return Judged(verdict, score, f"score {score:g} for {answer!r:.80}", {}, score, seconds)

    return grade


def subjects(name: str, size: int, seed: int) -> list[Subject]:
    """One subject an entry."""
    dataset = reasoning_gym.create_dataset(name, size=size, seed=seed)
    found = []
    for index, entry in enumerate(dataset):
        right = str(entry["answer"])
        wrong = wrong_answers(right, "math")
        found.append(
            Subject(f"{name}/{index}", entry["question"], entry["question"], right, wrong, judged_by(dataset, entry),
                    "think-answer", "strict:answer", "math")
        )  # fmt: skip
    return found


def total(rows: tuple[RowResult, ...]) -> Tally:
    counted = Tally()
    for row in rows:
        counted.add(row.tally)
    return counted


def as_markdown(cards: dict[str, tuple[RowResult, ...]], version: str, size: int, seed: int) -> str:
    ran = [row.number for row in next(iter(cards.values())) if row.status != "not run"]
    lines = [
        "# reasoning-gym under the audit", "",
        f"reasoning-gym {version}, {size} tasks a set, seed {seed}, `benchmarks/audit_reasoning_gym.py`. Rows run: "
        f"{', '.join(map(str, ran))}.", "Any score above 0 for a wrong completion is a "
        "false pass: partial scores, too, are paid.", "",
        "| set | false passes | false fails | crashed | rows that failed |",
        "| --- | --- | --- | --- | --- |",
    ]  # fmt: skip
    for name, rows in cards.items():
        counted = total(rows)
        failed = ", ".join(str(row.number) for row in rows if row.status == "fail") or "none"
        lines.append(
            f"| {name} | {counted.false_passes} of {counted.bad} | {counted.false_fails} of {counted.good} | "
            f"{counted.crashed} | {failed} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=3, help="tasks a set")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    version = importlib.metadata.version("reasoning-gym")
    cards = {name: run_rows(subjects(name, options.size, options.seed), None, options.seed) for name in DATASETS}
    told = {name: [row.as_json() for row in rows] for name, rows in cards.items()}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps({"reasoning-gym": version, "size": options.size, "seed": options.seed, "sets": told}, indent=1)
    (RESULTS / "audit_reasoning_gym.json").write_text(text + "\n", encoding="utf-8")
    table = as_markdown(cards, version, options.size, options.seed)
    (RESULTS / "audit_reasoning_gym.md").write_text(table, encoding="utf-8")
    print(table)


if __name__ == "__main__":
    main()
