"""What the GPU benchmarks read off the device: peaks of memory by phase, bandwidth, and what machine it was.

Everything here also runs on a CPU, where memory reads 0, so that a benchmark can be rehearsed without a GPU.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

__all__ = ["DEVICE", "Peaks", "bandwidth", "floor_bytes", "machine", "synchronize", "weight_bytes"]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def synchronize() -> None:
    """Wait for the device."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()


class Peaks:
    """Peaks of the allocator in GiB, for the whole process and for named phases of it.

    ``begin(phase)`` closes the phase that ran before. The allocator's own peaks are set back at every border, so the
    whole is the largest of the phases.
    """

    def __init__(self) -> None:
        self.allocated: dict[str, float] = {}
        self.reserved = 0.0
        self._phase = "start"

    def begin(self, phase: str) -> None:
        """What is allocated from here on belongs to ``phase``."""
        if DEVICE == "cuda":
            peak = torch.cuda.max_memory_allocated() / 2**30
            self.allocated[self._phase] = max(self.allocated.get(self._phase, 0.0), peak)
            self.reserved = max(self.reserved, torch.cuda.max_memory_reserved() / 2**30)
            torch.cuda.reset_peak_memory_stats()
        self._phase = phase

    def figures(self) -> dict[str, float]:
        """Peaks so far, and what the device says is in use now, all in GiB."""
        self.begin(self._phase)
        used = 0.0
        if DEVICE == "cuda":
            free, total = torch.cuda.mem_get_info()
            used = (total - free) / 2**30
        return {
            "alloc_gib": round(max(self.allocated.values(), default=0.0), 2),
            "alloc_rollout_gib": round(self.allocated.get("rollout", 0.0), 2),
            "alloc_train_gib": round(self.allocated.get("train", 0.0), 2),
            "reserved_gib": round(self.reserved, 2),
            "device_gib": round(used, 2),
        }


def bandwidth() -> float:
    """Bytes a second of a large copy on the device, read and written."""
    size = 2**31 if DEVICE == "cuda" else 2**22
    a, b = torch.zeros(2, size, dtype=torch.uint8, device=DEVICE)
    times = []
    for _ in range(10):
        synchronize()
        began = time.perf_counter()
        b.copy_(a)
        synchronize()
        times.append(time.perf_counter() - began)
    return 2 * a.numel() / statistics.median(times)


def weight_bytes(model: Any) -> int:
    """Bytes of the weights that one decoding step reads: all, but of an embedding that is no output layer only rows."""
    total = sum(parameter.numel() * parameter.element_size() for parameter in model.parameters())
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    return total if embedding is head else total - embedding.numel() * embedding.element_size()


def floor_bytes(prompts: list[int], lengths: list[int], steps: int, weights: int, position: int) -> int:
    """Bytes that a rollout's decoding must move: the weights once a step, and every sequence's own keys and values.

    The token number t of a completion (from 0) reads ``prompt + t`` positions, its own included. Positions are
    counted for every sequence, also where a group shares the pages of its prompt. The prefill is left out.

    Args:
        prompts: Prompt tokens of each completion.
        lengths: New tokens of each completion.
        steps: Decoding steps run, however many slots they had.
        weights: Bytes of the weights that a step reads.
        position: Bytes of the keys and values of one position.
    """
    read = sum(length * prompt + length * (length - 1) // 2 for prompt, length in zip(prompts, lengths, strict=True))
    return steps * weights + read * position


def machine(commit: str = "", command: str = "") -> dict[str, Any]:
    """GPU, driver, processor, versions and commit, as they stand beside every figure."""
    versions = {"python": platform.python_version()}
    for name in ("torch", "triton", "transformers", "accelerate", "peft", "trl", "datasets"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "absent"
    versions["torch"] = torch.__version__
    return {
        "gpu": torch.cuda.get_device_name() if DEVICE == "cuda" else platform.processor() or platform.machine(),
        "driver": _said(["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]),
        "visible": os.environ.get("CUDA_VISIBLE_DEVICES", "all"),
        "cores": os.cpu_count(),
        "versions": versions,
        "commit": commit or _said(["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]),
        "command": command,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _said(command: list[str]) -> str:
    """First line of what a program prints; "unknown" where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return next(iter(done.stdout.splitlines()), "unknown")


if __name__ == "__main__":
    print("RESULT " + json.dumps(machine(*sys.argv[1:3])), flush=True)
