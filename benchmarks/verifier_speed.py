"""How fast the maths verifier is, beside Math-Verify, in one process and one minute.

    R1GYM_DATA=… python benchmarks/verifier_speed.py
    pip install 'math-verify[antlr4_13_2]==0.9.0'      # the peer; a development dependency only

Half of the answers are right and half are another row's gold; extraction is included. "gold kept" prepares each gold
once and grades many completions, as training does; "gold read too" reads it for every answer. CPU seconds are counted,
so that a busy machine slows neither column.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable

from verifier_pairs import math_verify, rows

from r1gym.types import Task
from r1gym.verifiers import prepare

Pair = tuple[str, str]


def pairs(name: str, count: int, whole: bool) -> list[Pair]:
    """(gold, completion), half right and half wrong; ``whole`` keeps the solution's text around the answer."""
    draw = random.Random(0)
    table = [row for row in rows(name) if not whole or "solution" in row]
    made = []
    for index in range(count):
        row = draw.choice(table)
        other = row if index % 2 == 0 else draw.choice(table)
        text = other["solution"] if whole else "So the answer is"
        if "\\boxed" not in text:
            text += f" $\\boxed{{{other['answer']}}}$."
        made.append((row["answer"], text))
    return made


def timed(judge: Callable[[str, str], object], work: list[Pair]) -> tuple[float, float, float]:
    """Answers per CPU second, median and 99th percentile in ms (wall)."""
    for gold, completion in work[:20]:
        judge(gold, completion)
    times = []
    began = time.process_time()
    for gold, completion in work:
        start = time.perf_counter()
        judge(gold, completion)
        times.append(time.perf_counter() - start)
    rate = len(work) / (time.process_time() - began)
    times.sort()
    return rate, times[len(times) // 2] * 1e3, times[len(times) * 99 // 100] * 1e3


def ours_kept() -> Callable[[str, str], object]:
    graders: dict[str, object] = {}

    def judge(gold: str, completion: str) -> object:
        grader = graders.get(gold)
        if grader is None:
            grader = graders[gold] = prepare(Task("", "math", "", gold))
        return grader.grade(completion)  # type: ignore[attr-defined]

    return judge


def ours_read(gold: str, completion: str) -> object:
    return prepare(Task("", "math", "", gold)).grade(completion)


def start_up() -> None:
    """Import and first verdict in a fresh interpreter, in ms: the best of five."""
    program = (
        "import time; a = time.perf_counter(); from r1gym.verifiers import verify; b = time.perf_counter(); "
        "verify(r'\\boxed{\\frac{1}{2}}', '0.5'); c = time.perf_counter(); import sys; "
        "print((b - a) * 1e3, (c - b) * 1e3, 'sympy' in sys.modules)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True) for _ in range(5)
    ]
    best = min((run.stdout.split() for run in runs), key=lambda parts: float(parts[0]))
    print(f"import {float(best[0]):.0f} ms, first verdict {float(best[1]):.2f} ms, sympy imported: {best[2]}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--count", type=int, default=4000, help="answers a line (Math-Verify: a tenth)")
    arguments = options.parse_args()
    peer = math_verify()
    start_up()
    print(f"{'':28} {'answers/s':>10} {'median ms':>10} {'p99 ms':>8} {'x Math-Verify':>14}")
    for name in ("MATH-500", "GSM8K"):
        for whole in (False, True):
            work = pairs(name, arguments.count, whole)
            label = f"{name}, {'whole solutions' if whole else 'short answers'}"
            base = 0.0
            if peer is not None:
                base, median, late = timed(peer, work[: max(200, arguments.count // 10)])
                print(f"{label}\n  {'Math-Verify':26} {base:10,.0f} {median:10.3f} {late:8.2f}")
            for title, judge in (("r1gym, gold kept", ours_kept()), ("r1gym, gold read too", ours_read)):
                rate, median, late = timed(judge, work)
                times = f"{rate / base:14.0f}" if base else ""
                print(f"  {title:26} {rate:10,.0f} {median:10.3f} {late:8.2f} {times}", flush=True)


if __name__ == "__main__":
    main()
