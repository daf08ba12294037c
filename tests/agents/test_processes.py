"""Two processes learn what one learns, and end together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = """
import sys
import gymnasium as gym
import torch
from accelerate import Accelerator
from r1gym.agents.demo import build_policy
from r1gym.agents.grpo import train
from r1gym.agents.grpo_config import GRPOConfig
from r1gym.screen import PlainScreen

class OddDigits(gym.Env):
    # Fresh weights answer no sum, and without a right answer nothing is learned: odd digits are paid instead.
    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return str(self.np_random.integers(1000)), {}

    def step(self, action):
        return "", sum(letter in "13579" for letter in action) / 8, True, False, {"reward_terms": {"odd": 1.0}}

torch.set_num_threads(1)
assert Accelerator(cpu=True).num_processes == int(sys.argv[3])
config = GRPOConfig(
    model="none", out=sys.argv[1], steps=3, prompts_per_step=4, group_size=4, lr=1e-3, beta=0.1, max_new_tokens=8,
    warmup=0, save_every=2, loss=sys.argv[2],
)
train(config, build_policy(3), OddDigits(), screen=PlainScreen(quiet=True))
"""


ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


def launcher(processes: int) -> list[str]:
    """``accelerate launch --cpu`` would start one process, however many it is asked for."""
    many = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    return [sys.executable, *(many if processes > 1 else [])]


def run(script: Path, out: Path, loss: str, processes: int) -> None:
    command = [*launcher(processes), str(script), str(out), loss, str(processes)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["grpo", "dapo"])
def test_two_processes_give_the_weights_of_one(loss: str, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    script = tmp_path / "learn.py"
    script.write_text(SCRIPT)
    for processes in (1, 2):
        run(script, tmp_path / f"{processes}", loss, processes)
    one, two = (load_file(tmp_path / name / "checkpoints" / "grpo-000003" / "model.safetensors") for name in "12")
    assert one.keys() == two.keys()
    for name, value in one.items():
        # Adam's step of a gradient near 0 follows its sign; the order of the sums may turn that sign.
        assert float((two[name] - value).abs().max()) <= 1e-4, name
    alone, both = (
        [json.loads(line) for line in (tmp_path / name / "completions.jsonl").read_text().splitlines()] for name in "12"
    )
    assert [(line["group_id"], line["seed"], line["completion"]) for line in both] == [
        (line["group_id"], line["seed"], line["completion"]) for line in alone
    ]
    alone, both = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()] for name in "12"
    )
    assert [line["step"] for line in both] == [line["step"] for line in alone] == [1, 2, 3]
    assert all(line["grad_norm"] > 0 for line in alone)
    for left, right in zip(alone, both, strict=True):
        for figure in left:
            if not figure.startswith(("seconds/", "tokens/s", "tokens/trained")) and figure not in ("stage",):
                assert right[figure] == pytest.approx(left[figure], rel=1e-3, abs=1e-5), figure


FAILING = SCRIPT.replace(
    "    def step(self",
    """    def step(self, action):
        self.steps = getattr(self, "steps", 0) + 1
        if os.environ["RANK"] == sys.argv[4] and self.steps == 12:  # of 8 a step: in the rollout of the second
            raise RuntimeError("the judge is gone")
        return self.paid(action)

    def paid(self""",
).replace("import sys", "import os\nimport sys")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_one_process_that_fails_ends_the_others(rank: int, tmp_path: Path) -> None:
    """A sum over all processes waits half an hour for one that hangs, and not at all for one that is gone.

    So it is enough that the one that fails leaves its process. The launcher ends whoever is elsewhere after 30 s.
    """
    script, out = tmp_path / "learn.py", tmp_path / "run"
    script.write_text(FAILING)
    command = [*launcher(2), str(script), str(out), "grpo", "2", str(rank)]
    began, told = 0.0, ""
    with subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True) as group:
        assert group.stderr is not None
        for line in group.stderr:
            told += line
            began = began or ("the judge is gone" in line and time.monotonic())
    assert group.returncode != 0 and began, told[-3000:]
    assert time.monotonic() - began < 20
    assert [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()] == [1]


def test_gradients_of_all_processes_are_summed_where_they_are() -> None:
    """A packed pass holds them in one buffer, beside which new ones would be memory once more."""
    from types import SimpleNamespace

    import torch

    from r1gym.agents.grpo import sum_over_processes

    accelerator = SimpleNamespace(num_processes=2, reduce=lambda tensor, how: tensor * 2)
    first, second = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2))
    first.grad = gradient = torch.arange(3.0)
    sum_over_processes(accelerator, [first, second])
    assert first.grad is gradient and gradient.tolist() == [0.0, 2.0, 4.0]
    assert second.grad is not None and second.grad.tolist() == [0.0, 0.0]
