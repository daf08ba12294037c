"""Whether load and hostile answers change anything: verdicts beside busy processes, throughput beside hostile answers.

    python benchmarks/verifier_load.py --verdicts      # every golden and hostile row idle, then beside 8 busy processes
    R1GYM_DATA=… python benchmarks/verifier_load.py --throughput    # batches with and without 10 % hostile answers

The rows that only computer algebra settles are among them, so that workers are starved too.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from pathlib import Path

from verifier_pairs import rows

from r1gym.types import Task
from r1gym.verifiers import prepare, verify_batch
from r1gym.verifiers.domains import Grader

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS / "verifiers"))

from hostile import GOLDS, HOSTILE, WORKER_GOLD, WORKER_HOSTILE  # noqa: E402
from test_workers import PROVEN, REFUTED  # noqa: E402

Pair = tuple[str, str]
BUSY = 8


def checked_rows() -> list[Pair]:
    """(gold, completion): golden rows, hostile answers against every gold of theirs, what needs a worker."""
    lines = (TESTS / "golden" / "math.jsonl").read_text(encoding="utf-8").split("\n")
    found = [(row["reference"], row["completion"]) for row in map(json.loads, filter(None, lines))]
    found += [(gold, f"\\boxed{{{answer}}}") for gold in GOLDS for answer in HOSTILE]
    found += [(gold, f"\\boxed{{{answer}}}") for gold, answer in PROVEN + REFUTED]
    found += [(WORKER_GOLD, f"\\boxed{{{answer}}}") for answer in WORKER_HOSTILE]
    return found


def judged(pairs: list[Pair]) -> list[tuple[str, str, str]]:
    """Outcome, reason and extracted answer of each."""
    graders: dict[str, Grader] = {}
    found = []
    for gold, completion in pairs:
        if gold not in graders:
            graders[gold] = prepare(Task("", "math", "", gold))
        verdict = graders[gold].grade(completion)
        found.append((verdict.outcome.name, verdict.reason, verdict.extracted))
    return found


def compare_verdicts() -> None:
    pairs = checked_rows()
    began = time.perf_counter()
    idle = judged(pairs)
    middle = time.perf_counter()
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        loaded = judged(pairs)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    end = time.perf_counter()
    differing = [(pair, one, other) for pair, one, other in zip(pairs, idle, loaded, strict=True) if one != other]
    symbolic = sum(reason.startswith(("symbolic", "over_budget")) for _, reason, _ in idle)
    print(f"{len(pairs)} rows ({symbolic} symbolic or over budget): {len(differing)} verdicts or reasons differ")
    print(f"idle {middle - began:.1f} s, beside {BUSY} busy processes {end - middle:.1f} s")
    for pair, one, other in differing:
        print(f"    {pair}: {one} / {other}")
    if differing:
        sys.exit(1)


def mixed(pairs: list[Pair]) -> list[Pair]:
    """``pairs`` with every tenth completion replaced by a hostile one."""
    draw = random.Random(0)
    return [
        (gold, f"\\boxed{{{draw.choice(HOSTILE)}}}" if index % 10 == 0 else completion)
        for index, (gold, completion) in enumerate(pairs)
    ]


def throughput(count: int, rounds: int) -> None:
    draw = random.Random(0)
    table = list(rows("MATH-500"))
    honest = []
    for index in range(count):
        row = draw.choice(table)
        other = row if index % 2 == 0 else draw.choice(table)
        honest.append((row["answer"], other["solution"]))
    hostile = mixed(honest)
    print(f"{count} whole solutions of MATH-500, answers/s (wall, best of {rounds} paired rounds)")
    print(f"{'':24} {'honest':>10} {'10 % hostile':>14} {'share':>7}")
    for workers in (0, 2):
        best = [float("inf"), float("inf")]
        for _ in range(rounds):
            for place, pairs in enumerate((honest, hostile)):
                began = time.perf_counter()
                verify_batch([text for _, text in pairs], [gold for gold, _ in pairs], workers=workers)
                best[place] = min(best[place], time.perf_counter() - began)
        label = "in process" if workers == 0 else f"{workers} processes"
        print(f"{label:24} {count / best[0]:10,.0f} {count / best[1]:14,.0f} {best[0] / best[1]:7.2f}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--verdicts", action="store_true", help="compare verdicts at load 0 and load 8")
    options.add_argument("--throughput", action="store_true", help="time batches with and without hostile answers")
    options.add_argument("--count", type=int, default=4000, help="answers a batch")
    options.add_argument("--rounds", type=int, default=4, help="paired rounds, the best of which counts")
    arguments = options.parse_args()
    if arguments.verdicts or not arguments.throughput:
        compare_verdicts()
    if arguments.throughput:
        throughput(arguments.count, arguments.rounds)


if __name__ == "__main__":
    main()
