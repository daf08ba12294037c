"""A whole GRPO step, r1gym and TRL one after the other on the same card: seconds, memory, parity.

python benchmarks/grpo_step.py --jobs main,again,bf16 --trl bf16 --out results     (jobs in this order, then TRL's)
python benchmarks/grpo_step.py --rehearse --out results                             (everything, tiny, on a CPU)

Every job runs in its own process. The first one finds Triton's disk cache empty, the later ones find what it compiled.
benchmarks/grpo_table.py makes the committed table from one or several of the JSON files written here.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SMALL: dict[str, Any] = {"shape": "smollm2-135m", "prompts": 8, "group": 16, "limit": 512, "steps": 5}
JOBS: dict[str, dict[str, Any]] = {
    "main": SMALL,
    "again": SMALL,
    "bf16": SMALL | {"masters": False},
    "eager": SMALL | {"graph": False},
    "half": SMALL | {"micro": 16384},
    "recompute": SMALL | {"recompute": True},
    "small": SMALL | {"recompute": True, "masters": False, "micro": 8192, "slots": 128},
    "small-masters": SMALL | {"recompute": True, "micro": 8192, "slots": 128},
    "512": SMALL | {"prompts": 32},
    "general": SMALL | {"general": True, "micro": 8192},
    "general-large": SMALL | {"general": True, "micro": 32768},
    "top-p": SMALL | {"sampling": {"top_p": 0.95}},
    "penalty": SMALL | {"sampling": {"repetition_penalty": 1.1}},
    "lora": SMALL | {"lora": 8, "micro": 8192},
    "long": SMALL | {"limit": 2048, "steps": 3},
    "0.5b": SMALL | {"shape": "qwen2-0.5b"},
    "1.5b": SMALL | {"shape": "qwen2-1.5b", "steps": 3, "recompute": True},
}
TRL: dict[str, dict[str, Any]] = {
    "bf16": SMALL | {"dtype": "bfloat16"},
    "fp32": SMALL | {"dtype": "float32", "steps": 3},
    "continuous": SMALL | {"dtype": "bfloat16", "continuous": True, "steps": 3},
}
TINY: dict[str, Any] = {"shape": "tiny", "prompts": 2, "group": 4, "limit": 24, "steps": 1}


def child(arguments: list[str], log: Path, seconds: float) -> dict[str, Any] | None:
    """Run a part in its own process, so that its memory is its own; its last RESULT line, or None.

    A part that has not ended after ``seconds`` is stopped; what it said until then counts.
    """
    began = time.monotonic()
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        output, errors = process.communicate(timeout=max(seconds, 1))
    except subprocess.TimeoutExpired:
        process.kill()
        output, errors = process.communicate()
        errors += f"\nstopped after {seconds:.0f} s"
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(arguments)}\n{output[-6000:]}\n{errors[-6000:]}\n")
    found = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if not found:
        print(f"no result of {' '.join(arguments[1:])}: {errors[-1500:]}", flush=True)
        return None
    result: dict[str, Any] = json.loads(found[-1].removeprefix("RESULT "))
    result["process_s"] = round(time.monotonic() - began, 1)  # start of Python and imports included
    print(json.dumps(result), flush=True)
    return result


def parts(options: argparse.Namespace) -> list[list[str]]:
    """The commands, in order: own jobs, TRL's, other programs."""
    here = Path(__file__).parent
    tiny = TINY | {"slots": 4} if options.rehearse else {}
    own = [name for name in options.jobs.split(",") if name]
    peers = [name for name in options.trl.split(",") if name]
    unknown = sorted({*own} - JOBS.keys()) + sorted({*peers} - TRL.keys())
    if unknown:
        raise SystemExit(f"no job {unknown[0]!r}; there are {', '.join(JOBS)} and, of TRL, {', '.join(TRL)}")
    commands = []
    for name in own:
        job = {"name": name} | JOBS[name] | tiny
        commands.append([str(here / "grpo_step.py"), "--one", json.dumps(job)])
    for name in peers:
        steps = {"steps": options.trl_steps} if options.trl_steps else {}
        job = {"name": name} | TRL[name] | steps | (TINY if options.rehearse else {})
        commands.append([str(here / "step_trl.py"), json.dumps(job | {"budget": options.trl_budget})])
    extra = ["--rehearse"] if options.rehearse else []
    commands += [[str(here / name), *extra] for name in options.also.split(",") if name]
    return commands


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", default=",".join(JOBS), help="names, by comma; the first finds no compiled kernel")
    parser.add_argument("--trl", default=",".join(TRL), help="TRL's rows, by comma; empty for none")
    parser.add_argument("--trl-steps", type=int, help="steps of TRL after its first")
    parser.add_argument("--trl-budget", type=float, default=230.0, help="seconds after which TRL begins no new step")
    parser.add_argument("--also", default="", help="other programs of this folder, by comma (decode_step.py, …)")
    parser.add_argument("--out", type=Path, default=Path("results"))
    parser.add_argument("--seconds", type=float, default=570.0, help="for everything; what does not fit is left out")
    parser.add_argument("--commit", default="", help="of the code, where git cannot be asked")
    parser.add_argument("--rehearse", action="store_true", help="tiny shapes, one step: does everything run?")
    parser.add_argument("--one", help="internal: run one job, given as JSON, in this process")
    options = parser.parse_args()
    if options.one:
        from step_ours import run

        print("RESULT " + json.dumps(run(**json.loads(options.one))), flush=True)
        return
    until = time.monotonic() + options.seconds
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRITON_CACHE_DIR"] = tempfile.mkdtemp(prefix="triton-")
    # In a process of its own: asking for the card's name takes a context, which is memory that others would count.
    asked = [str(Path(__file__).parent / "gpu.py"), options.commit, " ".join(["python", *sys.argv])]
    written: dict[str, Any] = {"machine": child(asked, options.out / "log.txt", 60), "results": []}
    for part in parts(options):
        left = until - time.monotonic()
        result = child(part, options.out / "log.txt", left) if left > 15 else None
        written["results"].append(result or {"missing": part[-1], "left_s": round(left)})
        (options.out / "grpo_step.json").write_text(json.dumps(written, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
