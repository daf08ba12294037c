"""The table of GRPO steps, from what the GPU benchmarks wrote: one Markdown page, with commit, GPU, versions, command.

python benchmarks/grpo_table.py results/a results/b --note "two cards of one host" --page PAGE.md

Reads grpo_step.json, parity.json, profile.json and sweep.json of the folders given, and writes the page and, beside it,
one .json of everything. Give it only folders of one run on like cards: ratios are taken between all of them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

__all__ = ["page"]

TITLES = {
    "main": "**float32 masters**, one micro-batch",
    "again": "the same once more",
    "bf16": "bf16 AdamW, no masters (TRL's arithmetic of the bf16 row)",
    "eager": "without the captured training graph",
    "half": "micro-batches of 16,384 tokens",
    "recompute": "layers recomputed",
    "small": "bf16 AdamW, layers recomputed, 8,192-token micro-batches, 128 slots",
    "small-masters": "the same with float32 masters",
    "512": "512 completions",
    "general": "general path, 8,192-token micro-batches",
    "general-large": "general path, one micro-batch",
    "top-p": "top-p 0.95",
    "penalty": "repetition penalty 1.1",
    "lora": "LoRA of rank 8 on all linear layers, general path, 8,192-token micro-batches",
    "long": "2,048 new tokens",
    "0.5b": "Qwen2-0.5B shape",
    "1.5b": "Qwen2-1.5B shape, layers recomputed",
    "TRL bf16": "TRL, default path, bf16 module and AdamW",
    "TRL fp32": "TRL, default path, float32 module and AdamW under bf16 autocast",
    "TRL continuous": "TRL, `use_transformers_continuous_batching`, bf16 module",
}


def read(paths: list[Path], name: str) -> list[dict[str, Any]]:
    """What the files called ``name`` in these folders hold."""
    files = [path / name for path in paths if (path / name).is_file()]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def page(paths: list[Path], note: str) -> str:
    """The whole page."""
    runs = read(paths, "grpo_step.json")
    results = [result for run in runs for result in run["results"]]
    steps = [result for result in results if "step_s" in result]
    parts = ["# One GRPO step on a GPU: r1gym beside TRL", *_machines(runs)]
    if note:
        parts.append(note)
    parts += [
        "Random weights; prompts of 100 to 140 tokens, G 16, lognormal lengths (sigma 0.6) forced for every "
        "completion. A step is rollout, host work, forward, backward, clip and AdamW; medians after four steps "
        "that warm up (TRL: one), range in brackets. `alloc` is the allocator's peak, over the rollout and over the "
        "training too; `device` what the device says is taken after the steps, the CUDA context included. `floor` is "
        "the share of the rollout that moving weights (once a step of decoding) and live keys and values takes at the "
        "copy bandwidth measured in that process.",
        _step_table(steps),
        _start_table(steps),
    ]
    missing = [result["missing"] for result in results if "missing" in result]
    if missing:
        parts.append("Not run, or failed: " + "; ".join(f"`{each}`" for each in missing))
    parts += [_decode_table(result) for result in results if "rows" in result and "bandwidth_tb_s" in result]
    reports = [*read(paths, "parity.json"), *(r for r in results if r.get("name") == "parity")]
    for report in reports:
        parts.append(_parity_table(report.get("results") or report["rows"]))
    for report in read(paths, "profile.json"):
        parts += _profile_tables(report)
    for report in read(paths, "sweep.json"):
        parts += _sweep_tables(report)
    return "\n\n".join(part for part in parts if part) + "\n"


def _machines(runs: list[dict[str, Any]]) -> list[str]:
    lines = []
    for run in runs:
        seen = run["machine"] or {}
        versions = ", ".join(f"{name} {version}" for name, version in seen.get("versions", {}).items())
        lines.append(
            f"`{seen.get('command')}` on {seen.get('gpu')} (device {seen.get('visible')}, driver {seen.get('driver')}, "
            f"{seen.get('cores')} cores), {seen.get('date')}, commit {seen.get('commit')}; {versions}."
        )
    return lines


def _peer(steps: list[dict[str, Any]], row: dict[str, Any]) -> dict[str, Any] | None:
    """TRL's default path on the same job, in the arithmetic nearest to the row's, where it was run."""
    job = row["job"]
    same = [
        other
        for other in steps
        if other["name"] in ("TRL bf16", "TRL fp32")
        and all(other["job"][key] == job[key] for key in ("shape", "prompts", "group", "limit"))
    ]
    return next((other for other in same if other["name"] == "TRL bf16"), next(iter(same), None))


def _step_table(steps: list[dict[str, Any]]) -> str:
    lines = [
        "| job | steps | step s (range) | × TRL (its bf16 row) | rollout | host | train | tokens/s | floor | "
        "alloc (rollout / train) / reserved / device GiB | parity mean / max / ratio |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in steps:
        low, high = row["step_range"]
        peer = _peer(steps, row) if not row["name"].startswith("TRL bf16") else None
        parity = (
            f"{row['parity_mean']:.4f} / {row['parity_max']:.3f} / {row['parity_ratio']:.3f}"
            if "parity_mean" in row
            else "–"
        )
        cells = [
            TITLES.get(row["name"], row["name"]) + f" ({row['what'].removeprefix('TRL ')})",
            str(row["steps"]),
            f"{row['step_s']:.3f} ({low:.3f}–{high:.3f})",
            f"{peer['step_s'] / row['step_s']:.1f}" if peer else "–",
            f"{row['rollout_s']:.3f}",
            f"{row['host_s']:.3f}" if "host_s" in row else "–",
            f"{row['train_s']:.3f}" if "train_s" in row else f"{row['step_s'] - row['rollout_s']:.2f} (all the rest)",
            f"{row['tokens_per_s']:,}",
            f"{100 * row['floor_share']:.0f} %" if "floor_share" in row else "–",
            f"{row['alloc_gib']:.2f} ({row['alloc_rollout_gib']:.2f} / {row['alloc_train_gib']:.2f}) / "
            f"{row['reserved_gib']:.2f} / {row['device_gib']:.2f}",
            parity,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _start_table(steps: list[dict[str, Any]]) -> str:
    lines = [
        "## Start, and where the decoding steps went",
        "",
        "| job | model and engine made s | first step s | Triton's disk cache | decoding steps by slots |",
        "|---|---|---|---|---|",
    ]
    for row in steps:
        slots = ", ".join(f"{count} at {size}" for size, count in row.get("decode_steps", {}).items()) or "–"
        made = f"{row['setup_s']:.1f}" if "setup_s" in row else "–"
        lines.append(f"| {row['name']} | {made} | {row['first_step_s']:.1f} | {row.get('triton', '–')} | {slots} |")
    return "\n".join(lines)


def _decode_table(result: dict[str, Any]) -> str:
    lines = [
        f"## Decoding step, {result['bandwidth_tb_s']} TB/s measured",
        "",
        "| path | slots | positions | ms | floor ms | share |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {p} | {s} | {at} | {ms} | {floor} | {100 * share:.0f} % |" for p, s, at, ms, floor, share in result["rows"]
    ]
    equal = ", ".join(f"{value} of 256 {key}" for key, value in result.items() if key.startswith("equal"))
    return "\n".join([*lines, "", f"Completions equal to those of 512 slots: {equal}."])


def _parity_table(rows: list[dict[str, Any]]) -> str:
    lines = ["## Parity on the same tokens, nats: mean / max of the difference", ""]
    lines.append(
        "| | " + " | ".join(f"{r['name'].removeprefix('parity ')}, {r['tokens']:,} tokens" for r in rows) + " |"
    )
    lines.append("|---" * (len(rows) + 1) + "|")
    for key in rows[0]["gaps"]:
        lines.append(
            f"| {key} | "
            + " | ".join(f"{r['gaps'][key]['mean']:.5f} / {r['gaps'][key]['max']:.4f}" for r in rows)
            + " |"
        )
    share = " | ".join(f"{r['share_of_two_forwards']:.2f}" for r in rows)
    lines.append(f"| sampler against two correct forwards (asked: at most 1.2) | {share} |")
    lines.append("| largest importance ratio | " + " | ".join(f"{r['largest_ratio']:.3f}" for r in rows) + " |")
    exact = " | ".join(f"{r['float32']['mean']:.1e} / {r['float32']['max']:.1e}" for r in rows)
    lines.append(f"| float32: sampler - trainer (asked: mean at most 1e-5) | {exact} |")
    lines.append("| mean surprise, nats | " + " | ".join(f"{r['entropy']}" for r in rows) + " |")
    return "\n".join(lines)


def _profile_tables(report: dict[str, Any]) -> list[str]:
    parts = []
    for profile in report["profiles"]:
        lines = [f"## {profile['title']}", "", profile["summary"], ""]
        lines += ["| kernel | count | mean µs | total µs | share | floor µs |", "|---|---|---|---|---|---|"]
        for row in profile["kernels"]:
            floor = "–" if row.get("floor_us") is None else f"{row['floor_us']:.1f}"
            lines.append(
                f"| {row['kernel']} | {row['count']:g} | {row['mean_us']:.2f} | {row['total_us']:.1f} | "
                f"{100 * row['share']:.1f} % | {floor} |"
            )
        parts.append("\n".join(lines))
    return parts


def _sweep_tables(report: dict[str, Any]) -> list[str]:
    sizes = [str(size) for size in report["slots"]]
    parts = []
    for kernel, rows in report["kernels"].items():
        lines = [f"## Sweep: {kernel}, µs a layer", "", f"| configuration | {' | '.join(sizes)} |"]
        lines.append("|---" * (len(sizes) + 1) + "|")
        for row in rows:
            cells = " | ".join("–" if row["us"].get(size) is None else f"{row['us'][size]:.2f}" for size in sizes)
            lines.append(f"| {row['configuration']} | {cells} |")
        parts.append("\n".join(lines))
    return parts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--note", default="")
    parser.add_argument("--page", type=Path, required=True)
    options = parser.parse_args()
    options.page.write_text(page(options.folders, options.note), encoding="utf-8")
    names = ("grpo_step.json", "parity.json", "profile.json", "sweep.json")
    kept = {
        f"{folder.name}/{name}": each for folder in options.folders for name in names for each in read([folder], name)
    }
    options.page.with_suffix(".json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
