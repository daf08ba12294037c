"""The sandbox against one ``docker run`` or ``docker exec`` a test, side by side; leaks, stability, labels.

``python benchmarks/sandbox.py speed`` prints the table of latency and throughput; ``leak``, ``stable`` and ``labels``
are the long runs. Labels need real rows (``R1GYM_DATA``).
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro
from rich.console import Console
from rich.table import Table
from sandbox_labels import report as labels

from r1gym.errors import SandboxError
from r1gym.sandbox import judge, judge_many, open_sandbox
from r1gym.sandbox.chooser import Sandbox
from r1gym.sandbox.hostile.table import CALLS, LIMITS, STDIO, Hostile, all_programs
from r1gym.types import Limits, StdioCase

CONSOLE = Console(width=120)
SUM = [StdioCase(f"{a} {a + 1}\n", f"{2 * a + 1}\n") for a in range(10)]
PYTHON = "a, b = map(int, input().split())\nprint(a + b)"
CPP = "#include <bits/stdc++.h>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << '\\n'; } // "
LIMIT = Limits(cpu_seconds=2.0, wall_seconds=10.0, memory_mb=256, output_mb=1)


@dataclass(frozen=True)
class Options:
    """What to measure."""

    what: tyro.conf.Positional[Literal["speed", "leak", "stable", "labels"]]
    """Which part."""
    backends: tuple[str, ...] = ("docker", "local")
    """Backends to measure."""
    submissions: int = 5000
    """Submissions of the leak run, a tenth of them hostile."""
    repeats: int = 200
    """Reruns of the stability run; a tenth as many submissions are timed by ``speed``."""


def milliseconds(action: Callable[[], object], repeats: int) -> float:
    """Median time of one call."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        action()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def bare_docker(image: str) -> list[tuple[str, float, float]]:
    """(way, milliseconds a one-test submission, tests a second) of the engine without any pool, by its SDK."""
    import docker

    client, command = docker.from_env(), ["python3", "-I", "-S", "-c", PYTHON.replace("input()", "'1 2'")]
    flags = {"network_mode": "none", "read_only": True, "cap_drop": ["ALL"], "mem_limit": "256m", "pids_limit": 64}
    run = milliseconds(lambda: client.containers.run(image, command, remove=True, **flags), 7)
    keeper = client.containers.run(image, ["sleep", "600"], detach=True, **flags)
    try:
        execute = milliseconds(lambda: keeper.exec_run(command), 20)
    finally:
        keeper.remove(force=True)
        client.close()
    return [("docker run --rm a test", run, 1000 / run), ("docker exec a test", execute, 1000 / execute)]


def throughput(sandbox: Sandbox, isolation: Literal["fork", "exec"], submissions: int) -> float:
    """Tests a second of trivial submissions of ten tests each, all slots busy."""
    sources = [f"{PYTHON}\n# {number}" for number in range(submissions)]
    started = time.perf_counter()
    found = judge_many(sources, "python", SUM, LIMIT, sandbox=sandbox, isolation=isolation)
    assert all(judgement.verdict == "AC" for judgement in found)
    return 10 * submissions / (time.perf_counter() - started)


def rows(backend: str, repeats: int) -> list[tuple[str, float, float]]:
    """The same for one backend of ours, and C++."""
    found = []
    with open_sandbox(backend) as sandbox:  # type: ignore[arg-type]
        for isolation, count in (("fork", repeats), ("exec", max(4, repeats // 4))):
            throughput(sandbox, isolation, 4)  # type: ignore[arg-type]
            one = milliseconds(
                lambda: judge(PYTHON, "python", SUM[:1], LIMIT, sandbox=sandbox, isolation=isolation),  # noqa: B023
                2 * count,
            )
            many = throughput(sandbox, isolation, count)  # type: ignore[arg-type]
            found.append((f"{backend}, python, isolation={isolation}", one, many))
        stamps = iter(range(10**6))
        compiles = [judge(CPP + str(next(stamps)), "cpp", SUM[:1], LIMIT, sandbox=sandbox).compile for _ in range(5)]
        seconds = statistics.median(result.seconds for result in compiles if result is not None)
        found.append((f"{backend}, C++ compile of bits/stdc++.h at -O2", 1000 * seconds, float("nan")))
        many_tests = SUM * 10
        judge(CPP, "cpp", SUM[:1], LIMIT, sandbox=sandbox)
        each = milliseconds(lambda: judge(CPP, "cpp", many_tests, LIMIT, sandbox=sandbox), 5) / len(many_tests)
        found.append((f"{backend}, C++ a test, compiled", each, 1000 / each))
    return found


def speed(options: Options) -> None:
    measured: list[tuple[str, float, float]] = []
    for backend in options.backends:
        try:
            if backend == "docker":
                from r1gym.sandbox.image import default_tag

                measured += bare_docker(default_tag())
            measured += rows(backend, max(4, options.repeats // 10))
        except SandboxError as error:
            CONSOLE.print(f"{backend}: {error}")
    base = dict((name, rate) for name, _, rate in measured)
    table = Table(
        "way", "ms, median", "tests/s", "× docker run", "× docker exec", title="one-test latency, ten-test throughput"
    )
    for name, each, rate in measured:
        ratios = [f"{rate / base[key]:.1f}" if key in base and rate == rate else "" for key in list(base)[:2]]
        table.add_row(name, f"{each:.1f}", f"{rate:.0f}" if rate == rate else "", *ratios)
    CONSOLE.print(table)


def footprint() -> dict[str, int]:
    """Processes of this machine's sandboxes, our own memory in MB and open descriptors."""
    status = Path("/proc/self/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    states = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:
                continue
            states.append(text.rpartition(")")[2].split()[0])
    return {
        "processes": len(states),
        "zombies": states.count("Z"),
        "our MB": resident // 1024,
        "our descriptors": len(list(Path("/proc/self/fd").iterdir())),
    }


def leak(options: Options) -> None:
    hostile = [row for row in all_programs() if row.language == "python"]
    for backend in options.backends:
        with open_sandbox(backend) as sandbox:  # type: ignore[arg-type]
            judge(PYTHON, "python", SUM, LIMIT, sandbox=sandbox)
            first = judge(PYTHON, "python", SUM, LIMIT, sandbox=sandbox)
            marks, wrong, started = {"before": footprint()}, Counter[str](), time.monotonic()
            for number in range(options.submissions):
                if number == options.submissions // 2:
                    marks["half way"] = footprint()
                if number % 10 == 9:
                    program: Hostile = hostile[number // 10 % len(hostile)]
                    tests = CALLS if program.call else STDIO
                    found = judge(program.source, "python", tests, LIMITS, sandbox=sandbox)
                    wrong[f"hostile {program.name}"] += found.verdict not in program.expect
                else:
                    wrong["honest"] += judge(PYTHON, "python", SUM[:1], LIMIT, sandbox=sandbox).verdict != "AC"
            seconds = time.monotonic() - started
            last = judge(PYTHON, "python", SUM, LIMIT, sandbox=sandbox)
            marks["after"] = footprint()
            same = [(t.verdict, t.stdout, t.stderr) for t in first.tests] == [
                (t.verdict, t.stdout, t.stderr) for t in last.tests
            ]
            bad = {name: count for name, count in wrong.items() if count}
            CONSOLE.print(
                f"{backend}: {options.submissions} submissions in {seconds:.0f} s, wrong: {bad or 'none'}, "
                f"first equals last: {same}, slots started: {sandbox.pool.started}"
            )
            for when, found_then in marks.items():
                CONSOLE.print(f"  {when:8} {found_then}")


BUSY = "s = 0\nfor i in range({count}):\n    s += i\nprint(s)"


def stable(options: Options) -> None:
    """Programs at about a third of the limit and over three times the limit, again and again."""
    limits = Limits(cpu_seconds=0.3, wall_seconds=5.0)
    for backend in options.backends:
        with open_sandbox(backend) as sandbox:  # type: ignore[arg-type]
            for name, count in (("below", 1_000_000), ("above", 30_000_000)):
                expected = [StdioCase("", str(count * (count - 1) // 2))]
                sources = [BUSY.format(count=count)] * options.repeats
                found = judge_many(sources, "python", expected, limits, sandbox=sandbox)
                cpu = [judgement.tests[0].cpu_seconds for judgement in found]
                rulings = Counter(str(judgement.verdict) for judgement in found)
                CONSOLE.print(f"{backend}, {name} the limit: {dict(rulings)}, CPU {min(cpu):.3f} to {max(cpu):.3f} s")


if __name__ == "__main__":
    chosen = tyro.cli(Options)
    if chosen.what == "labels":
        for name in chosen.backends:
            with open_sandbox(name) as opened:  # type: ignore[arg-type]
                labels(CONSOLE, opened)
    else:
        {"speed": speed, "leak": leak, "stable": stable}[chosen.what](chosen)
