"""What both verifier benchmarks share: real rows, and Math-Verify as its README calls it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

FILES = {
    "MATH-500": ["math500"],
    "MATH": ["math_train_3000", "math_with_solutions_1000"],
    "AIME": ["aime_1983_2023", "aime_2024", "aime_2025", "aime_2026"],
    "GSM8K": ["gsm8k_test", "gsm8k_train_1000"],
}


def rows(name: str) -> Iterator[dict[str, str]]:
    """Rows of a set, each with its gold under "answer"."""
    folder = os.environ.get("R1GYM_DATA")
    if not folder:
        sys.exit("set R1GYM_DATA to the folder with math500.jsonl and the other real rows")
    for file in FILES[name]:
        for line in (Path(folder) / f"{file}.jsonl").read_text(encoding="utf-8").split("\n"):
            if line:
                row = json.loads(line)
                if "####" in row["answer"]:
                    row["solution"], row["answer"] = (part.strip() for part in row["answer"].split("####"))
                yield row


def math_verify() -> Callable[[str, str], bool] | None:
    """(gold, completion) → right, by Math-Verify with its defaults; None where it is not installed."""
    try:
        from math_verify import parse, verify
    except ImportError:
        print("Math-Verify is not installed (pip install 'math-verify[antlr4_13_2]==0.9.0'): its column stays empty")
        return None

    def judge(gold: str, completion: str) -> bool:
        # Wrapped: bare LaTeX golds parse to their first number (Math-Verify issue 60).
        return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(completion)))

    return judge
