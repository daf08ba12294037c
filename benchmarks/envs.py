"""What the environments cost beside what they judge: steps, groups, import and memory, in under a minute.

    R1GYM_DATA=… python benchmarks/envs.py --out benchmarks/results

Times are wall-clock on one core and medians; groups and the bare verifier take turns, and the median is that of the
ratios of neighbours, so that a busy machine slows both sides. The program fails where a limit is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import gymnasium as gym
import numpy as np

import r1gym  # noqa: F401 - registers the ids
from r1gym.types import Task
from r1gym.verifiers import prepare

GROUPS, GROUP_SIZE = 64, 8
INSTANCES = 1000


@dataclass
class Row:
    """One measured promise."""

    what: str
    value: float
    unit: str
    limit: float
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the limit is held."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def single(id: str, count: int = 3000) -> Row:
    """Median of reset() + step() through the whole gym.make stack, the answer right every second time."""
    env = gym.make(id)
    tasks = env.unwrapped.tasks
    env.reset(seed=0)
    times = []
    for number in range(count):
        task = tasks[number]
        right = task.meta.get("solution", task.reference)
        completion = f"<answer>{right if number % 2 else 1}</answer>"
        begin = time.perf_counter()
        env.reset(options={"index": number})
        _, reward, *_ = env.step(completion)
        times.append(time.perf_counter() - begin)
        assert reward >= number % 2
    return Row(f"reset + step of `{id}`, median", median(times) * 1e6, "µs", 100)


def math_rows() -> tuple[list[Task], list[str]]:
    """The tasks of MATH-500 that begin it, and 512 completions: a row's whole solution, right or another's."""
    from r1gym.tasks import loading
    from r1gym.tasks.registry import source_named

    tasks = [loading.load(source_named("math500"), "test", None).at(index) for index in range(GROUPS)]
    folder = Path(os.environ["R1GYM_DATA"])
    rows = [json.loads(line) for line in (folder / "math500.jsonl").read_text("utf-8").split("\n") if line]
    draw = np.random.default_rng(0)
    completions = []
    for index in range(GROUPS):
        others = draw.integers(len(rows), size=GROUP_SIZE)
        for member, other in enumerate(others):
            completions.append(rows[index if member % 2 else int(other)]["solution"])
    return tasks, completions


def grouped(rounds: int, workers: int) -> list[Row]:
    """512 MATH answers through the grouped env, beside the bare graders that give the same verdicts; golds are read."""
    tasks, completions = math_rows()
    envs = gym.make_vec("r1/MATH500-v0", num_envs=GROUPS * GROUP_SIZE, group_size=GROUP_SIZE)
    shared = gym.make_vec("r1/MATH500-v0", num_envs=GROUPS * GROUP_SIZE, group_size=GROUP_SIZE, workers=workers)
    pins = {"index": list(range(GROUPS))}
    graders = [prepare(task) for task in tasks for _ in range(GROUP_SIZE)]
    times: dict[str, list[float]] = {"verifier": [], "env": [], "workers": []}
    for _ in range(rounds):
        begin = time.perf_counter()
        verdicts = [grader.grade(text) for grader, text in zip(graders, completions, strict=True)]
        times["verifier"].append(time.perf_counter() - begin)
        bare = [verdict.score for verdict in verdicts]
        for name, env in (("env", envs), ("workers", shared)):
            env.reset(options=dict(pins))
            begin = time.perf_counter()
            _, rewards, *_ = env.step(completions)
            times[name].append(time.perf_counter() - begin)
            assert rewards.tolist() == bare
    shared.close()
    shares = {  # the first round reads the golds
        name: median(bare / own for bare, own in zip(times["verifier"][1:], times[name][1:], strict=True)) * 100
        for name in ("env", "workers")
    }
    rate = GROUPS * GROUP_SIZE / min(times["verifier"])
    return [
        Row(f"512 MATH answers in groups, of the verifier's own {rate:,.0f} a second", shares["env"], "%", 90, True),
        Row(f"the same, judged by {workers} workers", shares["workers"], "%", 0, True),
    ]


def imported() -> Row:
    """``import r1gym`` in a fresh interpreter, the interpreter's own start not counted: best of seven."""
    program = "import time; a = time.perf_counter(); import r1gym; print(time.perf_counter() - a)"
    runs = [float(subprocess.check_output([sys.executable, "-c", program], text=True)) for _ in range(7)]
    return Row("`import r1gym`", min(runs), "s", 0.3)


def memory() -> Row:
    """Resident memory of 1,000 instances of MATH-500, each asked once, above that of one."""
    program = (
        "import gymnasium as gym, r1gym, resource\n"
        "def size(): return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 2**20\n"
        "def one(seed):\n"
        "    env = gym.make('r1/MATH500-v0')\n"
        "    env.reset(seed=seed); env.step('so \\\\boxed{1}')\n"
        "    return env\n"
        "envs = [one(0)]\n"
        "alone = size()\n"
        f"envs += [one(seed) for seed in range(1, {INSTANCES})]\n"
        "print(size() - alone)\n"
    )
    value = float(subprocess.check_output([sys.executable, "-c", program], text=True))
    return Row(f"{INSTANCES:,} instances of `r1/MATH500-v0` above one", value, "MB", 200)


def table(rows: list[Row]) -> str:
    lines = ["| what | measured | limit |", "| --- | ---: | ---: |"]
    for row in rows:
        sign = "≥" if row.at_least else "≤"
        shown = f"{row.value:.3f}" if row.value < 1 else f"{row.value:.0f}"
        limit = f"{sign} {row.limit:g} {row.unit}" if row.limit else "none"
        lines.append(f"| {row.what} | {shown} {row.unit} | {limit} |")
    return "\n".join(lines)


def machine() -> str:
    """The processor, as Linux names it."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").split("\n")
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, gymnasium {gym.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description="the speed table of the environments")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of the grouped comparison")
    parser.add_argument("--workers", type=int, default=2, help="worker processes of the last row")
    parser.add_argument("--out", type=Path, help="folder for envs.json and envs.md")
    args = parser.parse_args()
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)  # now: a table that cannot be kept is minutes lost
    rows = [
        single("r1/Arithmetic-v0"),
        single("r1/Countdown-v0"),
        *grouped(args.rounds, args.workers),
        imported(),
        memory(),
    ]
    text = table(rows)
    print(text)
    if args.out:
        record = {"machine": machine(), "rows": [asdict(row) | {"kept": row.kept} for row in rows]}
        (args.out / "envs.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (args.out / "envs.md").write_text(f"`python benchmarks/envs.py` on {machine()}.\n\n{text}\n", "utf-8")
    missed = [row.what for row in rows if not row.kept]
    if missed:
        sys.exit(f"over the limit: {'; '.join(missed)}")


if __name__ == "__main__":
    main()
