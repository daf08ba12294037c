"""A whole GRPO step, r1gym and TRL one after the other on the same card: seconds, memory, parity, one table.

python benchmarks/grpo_step.py --out results            (the issue's jobs; about eight minutes on one H100)
python benchmarks/grpo_step.py --jobs main --no-trl     (one job)
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

JOBS: dict[str, dict[str, Any]] = {
    "bf16": {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 6, "masters": False},
    "main": {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 6},
    "recompute": {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 5, "recompute": True},
    "small": {
        "shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 5, "recompute": True,
        "masters": False, "micro": 8192, "slots": 128,
    },
    "512": {"shape": "smollm2-135m", "prompts": 32, "group": 16, "limit": 512, "steps": 5},
    "general": {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 5, "general": True,
                "micro": 8192},
    "top-p": {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 5, "top_p": 0.95},
    "long": {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 2048, "steps": 3},
    "0.5b": {"shape": "qwen2-0.5b", "prompts": 8, "group": 16, "limit": 512, "steps": 3},
    "1.5b": {"shape": "qwen2-1.5b", "prompts": 8, "group": 16, "limit": 512, "steps": 3},
}  # fmt: skip
TRL = [
    {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 4, "dtype": "bfloat16",
     "continuous": False},
    {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 3, "dtype": "float32",
     "continuous": False},
]  # fmt: skip


def child(arguments: list[str], log: Path) -> dict[str, Any] | None:
    """Run a part in its own process, so that its memory is its own; its last RESULT line, or None."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(arguments)}\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}\n")
    found = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if not found:
        print(f"no result of {arguments[-1]}: {done.stderr[-1500:]}", flush=True)
        return None
    result: dict[str, Any] = json.loads(found[-1].removeprefix("RESULT "))
    print(json.dumps(result), flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--jobs", default="main,bf16,512,small,general,top-p,recompute,0.5b,1.5b", help="names, by comma"
    )
    parser.add_argument("--no-trl", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--one", help="internal: run one job in this process")
    options = parser.parse_args()
    if options.one:
        from step_ours import run

        print("RESULT " + json.dumps(run(**JOBS[options.one])), flush=True)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    here = Path(__file__).parent
    names = [name for name in options.jobs.split(",") if name]
    parts = [[str(here / "grpo_step.py"), "--one", name] for name in names]
    if not options.no_trl:
        first, last = parts[:4], parts[4:]
        parts = [*first, [str(here / "step_trl.py"), json.dumps(TRL[0])], [str(here / "decode_step.py")], *last]
        parts += [[str(here / "step_trl.py"), json.dumps(job)] for job in TRL[1:]]
    results = []
    for part in parts:
        results.append(child(part, options.out / "log.txt"))
        kept = [result for result in results if result]
        (options.out / "grpo_step.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
