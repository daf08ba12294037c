"""How often the maths verifier is right, beside Math-Verify, in one run.

    R1GYM_DATA=… python benchmarks/verifier_accuracy.py            # r1gym alone where Math-Verify is not installed
    pip install 'math-verify[antlr4_13_2]==0.9.0'                  # the peer; a development dependency only

Counts: golds and their rewritings that earn CORRECT, near misses and gaming rows that do, real solutions graded whole.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from verifier_pairs import FILES, math_verify, rows

from r1gym.types import Outcome, Task
from r1gym.verifiers import prepare
from r1gym.verifiers.domains import Grader
from r1gym.verifiers.near_misses import corruptions
from r1gym.verifiers.variants import rewritings

Case = tuple[str, str, bool, str]
"""Gold, completion, whether it is right, the question ("" where there is none)."""


class Ours:
    """r1gym, with its grader of each gold kept."""

    def __init__(self) -> None:
        self.graders: dict[tuple[str, str], Grader] = {}
        self.rules: Counter[str] = Counter()

    def __call__(self, gold: str, completion: str, question: str = "") -> bool:
        """Whether the completion earns CORRECT."""
        grader = self.graders.get((gold, question))
        if grader is None:
            grader = self.graders[gold, question] = prepare(Task("", "math", question, gold))
        verdict = grader.grade(completion)
        self.rules[verdict.reason.split(":")[0]] += 1
        return verdict.outcome is Outcome.CORRECT


def cases(limit: int) -> dict[str, list[Case]]:
    """Every part of the table: name → cases, at most ``limit`` drawn with a fixed seed."""
    table: dict[str, list[Case]] = {}
    for name in FILES:
        golds = list(dict.fromkeys(row["answer"] for row in rows(name)))
        table[f"{name}: gold itself"] = [(gold, f"\\boxed{{{gold}}}", True, "") for gold in golds]
        table[f"{name}: rewritings"] = [(g, f"\\boxed{{{text}}}", True, "") for g in golds for _, text in rewritings(g)]
        table[f"{name}: near misses"] = [
            (g, f"\\boxed{{{text}}}", False, "") for g in golds for _, text in corruptions(g)
        ]
    for name in ("MATH-500", "MATH"):
        table[f"{name}: solutions"] = [
            (row["answer"], row["solution"], True, row["problem"]) for row in rows(name) if "solution" in row
        ]
    golden = Path(__file__).parents[1] / "tests" / "golden" / "math.jsonl"
    for line in golden.read_text(encoding="utf-8").split("\n"):
        if line:
            row = json.loads(line)
            key = f"golden rows: {row['kind']}"
            table.setdefault(key, []).append((row["reference"], row["completion"], row["correct"], ""))
    draw = random.Random(0)
    return {key: value if len(value) <= limit else draw.sample(value, limit) for key, value in table.items()}


def mistakes(judge: Callable[[str, str, str], bool], part: Iterable[Case]) -> list[Case]:
    return [case for case in part if judge(case[0], case[1], case[3]) is not case[2]]


def disagreements(ours: Ours, peer: Callable[[str, str], bool], count: int) -> Iterator[tuple[str, str, bool]]:
    """Pairs of different real golds on which the two differ: (gold, answer, our verdict)."""
    draw = random.Random(1)
    golds = list(dict.fromkeys(row["answer"] for name in ("MATH-500", "MATH") for row in rows(name)))
    # Golds with the same digits are the pairs that tempt a grader: 40 and 40_9, (1,2) and 1,2, 5 cm and 5.
    alike: dict[str, list[str]] = {}
    for gold in golds:
        alike.setdefault("".join(letter for letter in gold if letter.isdigit()), []).append(gold)
    pairs = [(left, right) for group in alike.values() for left in group for right in group if left != right]
    pairs = draw.sample(pairs, min(count, len(pairs)))
    for gold, answer in pairs:
        mine = ours(gold, f"\\boxed{{{answer}}}")
        if mine is not peer(gold, f"\\boxed{{{answer}}}"):
            yield gold, answer, mine


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--limit", type=int, default=600, help="cases a line of the table")
    options.add_argument("--pairs", type=int, default=1500, help="random pairs of real golds to look for disagreement")
    options.add_argument("--show", type=int, default=8, help="mistakes of r1gym shown a line")
    arguments = options.parse_args()
    ours, peer = Ours(), math_verify()
    print(f"{'':32} {'cases':>7} {'r1gym':>9} {'Math-Verify':>12}   (wrong verdicts)")
    totals: dict[str, list[int]] = {}
    for name, part in cases(arguments.limit).items():
        began = time.perf_counter()
        wrong = mistakes(ours, part)
        theirs = "" if peer is None else str(len(mistakes(lambda gold, text, _: peer(gold, text), part)))
        print(f"{name:32} {len(part):7} {len(wrong):9} {theirs:>12}   {time.perf_counter() - began:.1f} s", flush=True)
        for gold, completion, _, _ in wrong[: arguments.show]:
            print(f"    gold {gold!r}: {completion[-80:]!r}")
        kind = "refused though right" if part[0][2] else "accepted though wrong"
        count = totals.setdefault(kind, [0, 0, 0])
        count[0] += len(part)
        count[1] += len(wrong)
        count[2] += int(theirs or 0)
    for kind, (total, wrong_count, peer_count) in totals.items():
        print(f"{kind:32} {total:7} {wrong_count:9} {peer_count if peer else '':>12}")
    print("\nrules that decided:", dict(ours.rules.most_common()))
    if peer is not None:
        print("\ndisagreements on pairs of real golds (gold | answer | r1gym):")
        for gold, answer, mine in disagreements(ours, peer, arguments.pairs):
            print(f"  {gold} | {answer} | {'right' if mine else 'wrong'}", flush=True)


if __name__ == "__main__":
    main()
