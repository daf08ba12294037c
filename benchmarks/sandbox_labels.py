"""Right and wrong solutions with known labels, judged: how often the ruling and the label agree."""

from __future__ import annotations

import ast
import gzip
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from r1gym.sandbox import judge, judge_many
from r1gym.sandbox.chooser import Sandbox
from r1gym.types import CallCase, Limits, StdioCase

LIMITS = Limits(cpu_seconds=10.0, wall_seconds=30.0, memory_mb=512)


def rows(name: str) -> list[dict[str, Any]]:
    path = Path(os.environ["R1GYM_DATA"], name)
    data = gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()
    return [json.loads(line) for line in data.decode().split("\n") if line]


def call_cases(test: str, callee: str, function: str) -> list[CallCase] | None:
    """The asserts ``callee(arguments) == literal`` of ``test`` as cases; None where one of them is something else."""
    cases = []
    for node in ast.walk(ast.parse(test)):
        if not isinstance(node, ast.Assert):
            continue
        compare = node.test
        try:
            assert isinstance(compare, ast.Compare) and isinstance(compare.ops[0], ast.Eq)
            call = compare.left
            assert isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == callee
            arguments = tuple(ast.literal_eval(item) for item in [*call.args, *(word.value for word in call.keywords)])
            cases.append(CallCase(function, arguments, ast.literal_eval(compare.comparators[0])))
        except (AssertionError, ValueError):
            return None
    return cases or None


class Tally:
    """Agreement of one data set, with every exception named."""

    def __init__(self, name: str) -> None:
        self.name, self.agree, self.total, self.skipped = name, 0, 0, 0
        self.exceptions: list[str] = []

    def add(self, what: str, right: bool, verdict: str) -> None:
        """Count one program."""
        self.total += 1
        if right == (verdict == "AC"):
            self.agree += 1
        else:
            self.exceptions.append(f"{what}: labelled {'right' if right else 'wrong'}, judged {verdict}")

    def show(self, console: Console) -> None:
        """Print the count and the exceptions."""
        console.print(
            f"{self.name}: {self.agree} of {self.total} agree" + (f", {self.skipped} left out" if self.skipped else "")
        )
        for line in self.exceptions[:20]:
            console.print(f"  {line}", highlight=False)


IMPORTS = "from typing import *\nfrom collections import *\nimport math\n"
"""What the sites of function problems put before a solution."""


def apps(sandbox: Sandbox) -> Tally:
    tally = Tally("apps_right_wrong_5")
    for row in rows("apps_right_wrong_5.jsonl"):
        labelled = [(source, True) for source in row["solutions"]]
        labelled += [(item["code"], item["result"] is True) for item in row["generated"]]
        pairs = list(zip(row["inputs"], row["outputs"], strict=True))
        for number, (source, right) in enumerate(labelled):
            tests: list[StdioCase] | list[CallCase] = [
                StdioCase(given, wanted) for given, wanted in pairs if not row["fn_name"]
            ]
            if row["fn_name"]:
                function = f"Solution().{row['fn_name']}" if "class Solution" in source else row["fn_name"]
                bare = [(tuple(given), wanted[0] if isinstance(wanted, list) else wanted) for given, wanted in pairs]
                tests = [CallCase(function, given, wanted) for given, wanted in bare]  # some rows wrap the value
                source = IMPORTS + source
            found = judge(source, "python", tests, LIMITS, sandbox=sandbox)
            tally.add(f"{row['id']} program {number} ({found.message[:80]})", right, str(found.verdict))
    return tally


def leetcode_right(sandbox: Sandbox) -> Tally:
    """The solutions of ``leetcode_test_228``, up to 30 tests each."""
    tally = Tally("leetcode_test_228")
    for row in rows("leetcode_test_228.jsonl"):
        cases = call_cases(row["test"], "candidate", row["entry_point"])
        if cases is None:
            tally.skipped += 1
            continue
        found = judge(f"{row['prompt']}\n{row['solution']}", "python", cases, LIMITS, sandbox=sandbox)
        tally.add(f"{row['task_id']} ({found.message[:80]})", True, str(found.verdict))
    return tally


def leetcode(sandbox: Sandbox) -> Tally:
    tally = Tally("leetcode_right_wrong")
    for row in rows("leetcode_right_wrong.jsonl"):
        cases = call_cases(row["test"], "candidate", row["entry_point"])
        if cases is None:
            tally.skipped += 1
            continue
        labelled = [(source, True) for source in row["solutions"]] + [(item["code"], False) for item in row["wrong"]]
        sources = [f"{row['prompt']}\n{source}" for source, _ in labelled]
        for (_, right), judgement in zip(
            labelled, judge_many(sources, "python", cases, LIMITS, sandbox=sandbox), strict=True
        ):
            tally.add(f"{row['task_id']} ({judgement.message[:80]})", right, str(judgement.verdict))
    return tally


def humaneval_pack(sandbox: Sandbox, language: str) -> Tally:
    """Python by value where the asserts are literal, else by the exit status of the row's own asserts, as C++ is."""
    tally = Tally(f"humanevalpack_{language}")
    for row in rows(f"humanevalpack_{language}.jsonl"):
        if not row["verified"]:
            tally.skipped += 1
            continue
        cases = call_cases(row["test"], row["entry_point"], row["entry_point"]) if language == "python" else None
        for right, body in ((True, row["canonical_solution"]), (False, row["buggy_solution"])):
            source = row["prompt"] + body
            if cases is not None:
                found = judge(source, "python", cases, LIMITS, sandbox=sandbox)
            else:
                found = judge(f"{source}\n{row['test']}", language, [StdioCase("", "")], LIMITS, sandbox=sandbox)
            tally.add(f"{row['task_id']} ({found.message[:80]})", right, str(found.verdict))
    return tally


def quixbugs(sandbox: Sandbox) -> Tally:
    tally = Tally("quixbugs_python (its own asserts)")
    for row in rows("quixbugs_python.jsonl"):
        for right, program in ((True, row["solution"]), (False, row["buggy_program"])):
            tests = "\n".join(row["tests"]) if isinstance(row["tests"], list) else row["tests"]
            limits = Limits(cpu_seconds=5.0, wall_seconds=60.0, memory_mb=256)
            found = judge(f"{program}\n{tests}", "python", [StdioCase("", "")], limits, sandbox=sandbox)
            tally.add(f"{row['name']} ({found.message[:80]})", right, str(found.verdict))
    return tally


def report(console: Console, sandbox: Sandbox) -> None:
    """Judge every labelled solution at hand."""
    total = Counter[str]()
    for measure in (
        apps,
        leetcode,
        leetcode_right,
        quixbugs,
        lambda box: humaneval_pack(box, "python"),
        lambda box: humaneval_pack(box, "cpp"),
    ):
        tally = measure(sandbox)
        tally.show(console)
        total.update(agree=tally.agree, total=tally.total)
    console.print(f"{sandbox.name}: {total['agree']} of {total['total']} labels agree")
