"""What a user of the bare wheel relies on: run by .ci/run in an empty environment, away from the sources."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import gymnasium as gym

import r1gym


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m`` with ``words`` in a fresh interpreter."""
    return subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True)


def main() -> None:
    """Assert each promise in turn."""
    assert Path(r1gym.__file__).is_relative_to(sys.prefix), f"the wheel is what is tested, not {r1gym.__file__}"
    assert Path(r1gym.__file__).with_name("py.typed").is_file(), "types travel with the wheel"
    for package in ("torch", "transformers", "accelerate"):
        assert find_spec(package) is None, f"{package} is here: the environment is not empty"

    for name, options in (("r1/Arithmetic-v0", {}), ("r1/GSM8K-v0", {"split": "sample"})):
        env = gym.make(name, **options)
        observation, info = env.reset(seed=0)
        assert observation and info["task_id"], name
        gold = env.unwrapped.tasks[info["index"]].reference
        _, reward, terminated, truncated, info = env.step(f"\\boxed{{{gold}}}")
        assert (reward, terminated, truncated, info["verdict"]) == (1.0, True, False, "CORRECT"), (name, info)

    assert r1gym.verify("so it is \\boxed{0.5}", "1/2").outcome is r1gym.Outcome.CORRECT
    assert r1gym.verify("so it is \\boxed{0.6}", "1/2").outcome is r1gym.Outcome.WRONG

    catalog = run("r1gym.envs")
    assert catalog.returncode == 0 and "r1/MATH500-v0" in catalog.stdout, catalog

    trainer = run("r1gym.agents.grpo")
    said = "error: torch is not installed: run pip install 'r1gym[train]'\n"
    assert (trainer.returncode, trainer.stdout, trainer.stderr) == (2, "", said), trainer
    print(f"smoke: r1gym {r1gym.__version__} alone in {sys.prefix} keeps its promises")


main()
