"""The hostile suite as a table to show around: the sandbox's backends against three naive graders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from r1gym.errors import SandboxError
from r1gym.sandbox.chooser import Sandbox, open_sandbox
from r1gym.sandbox.hostile.table import CALLS, HONEST, LIMITS, STDIO, Hostile, all_programs
from r1gym.sandbox.judging import judge
from r1gym.sandbox.naive import EXPLOITS, GRADERS, fooled
from r1gym.sandbox.records import Ruling

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["held", "report"]


def held(sandbox: Sandbox, program: Hostile) -> tuple[Ruling, bool, bool]:
    """The ruling, whether it is one of the right ones, and whether the next honest program is right and on time."""
    found = judge(program.source, program.language, CALLS if program.call else STDIO, LIMITS, sandbox=sandbox)
    after = judge(HONEST, "python", STDIO, LIMITS, sandbox=sandbox)
    return found.verdict, found.verdict in program.expect, after.verdict is Ruling.AC


def report(backends: Sequence[str], only: str = "") -> int:
    """Print what held; 0 where everything did on every backend that runs here."""
    from rich.console import Console
    from rich.table import Table

    console, failed, ran = Console(), 0, 0
    programs = [program for program in all_programs() if only in program.name]
    for backend in backends:
        try:
            sandbox = open_sandbox(backend, slots=1)  # type: ignore[arg-type]
        except SandboxError as error:
            console.print(f"{backend}: not available: {error}", highlight=False)
            continue
        ran += 1
        with sandbox:
            failed += _suite(console, sandbox, programs)
            table = Table(
                "exploit", *GRADERS, f"r1gym on {backend}", title="grader exploits: is the wrong program paid?"
            )
            for exploit in EXPLOITS:
                naive = ["PAID" if fooled(sandbox, grader, exploit) else "held" for grader in GRADERS]
                verdict = judge(exploit.source, "python", CALLS, LIMITS, sandbox=sandbox).verdict
                failed += verdict is Ruling.AC
                table.add_row(exploit.name, *naive, "PAID" if verdict is Ruling.AC else f"held ({verdict})")
            console.print(table)
    return 1 if failed or not ran else 0


def _suite(console: Console, sandbox: Sandbox, programs: Sequence[Hostile]) -> int:
    """Run ``programs``; print the counts, and a line for each that did not hold. How many did not."""
    verdicts: Counter[str] = Counter()
    bad = []
    for program in programs:
        verdict, right, next_fine = held(sandbox, program)
        verdicts[str(verdict)] += 1
        if not right or not next_fine:
            bad.append(f"{program.name}: {verdict}" + ("" if next_fine else ", and the next honest program failed"))
    counts = ", ".join(f"{count} {name}" for name, count in sorted(verdicts.items()))
    console.print(f"{sandbox.name}: {len(programs) - len(bad)} of {len(programs)} hostile programs held ({counts})")
    for line in bad:
        console.print(f"  {line}", highlight=False)
    return len(bad)
