"""PPO of stable-baselines3 on a numeric view: pick the right one of four answers to ``73*18=``.

    pip install 'r1gym[examples]'
    python examples/sb3_ppo.py                                            # one seed, seconds
    python examples/sb3_ppo.py --seeds 10 --figure docs/figures/sb3_curve.png

Nothing here knows of text: stable-baselines3 sees a Box and a Discrete(4). Chance is 1/4.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import gymnasium as gym
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.views import ChooseCandidate

STEPS = 3_072
HELD_OUT = 500


def make(split: str) -> gym.Env:
    """Four candidates around the result of two numbers of two digits."""
    return ChooseCandidate(gym.make("r1/Arithmetic-v0", split=split, digits=2, operations=["+", "-", "*"]), k=4)


def held_out(model: PPO) -> float:
    """Share of ``HELD_OUT`` tasks of the test split that the greedy policy gets right."""
    env = make("test")
    started = [env.reset(options={"index": index}) for index in range(HELD_OUT)]
    choices, _ = model.predict(np.stack([seen for seen, _ in started]), deterministic=True)
    right = 0.0
    for index, choice in enumerate(choices):
        env.reset(options={"index": index})
        right += env.step(choice)[1]
    return right / HELD_OUT


class HeldOut(BaseCallback):
    """Measures before the first rollout and after every twelfth part of the run."""

    def __init__(self, every: int) -> None:
        super().__init__()
        self.every = every
        self.curve: list[tuple[int, float]] = []

    def _on_rollout_start(self) -> None:
        if not self.curve or self.num_timesteps - self.curve[-1][0] >= self.every:
            self.curve.append((self.num_timesteps, held_out(self.model)))

    def _on_training_end(self) -> None:
        self.curve.append((self.num_timesteps, held_out(self.model)))

    def _on_step(self) -> bool:
        return True


def train(seed: int = 0, steps: int = STEPS) -> list[tuple[int, float]]:
    """Steps and held-out accuracy, from the untrained policy to the trained one."""
    torch.set_num_threads(1)  # more only wait for so small a network
    envs = DummyVecEnv([lambda: make("train") for _ in range(8)])
    model = PPO("MlpPolicy", envs, n_steps=32, batch_size=64, learning_rate=1e-3, seed=seed, device="cpu")
    callback = HeldOut(steps // 12)
    model.learn(steps, callback=callback)
    envs.close()
    return callback.curve


def draw(curves: list[list[tuple[int, float]]], path: Path) -> None:
    """Mean over the seeds, with the 95 % interval of Student's t."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    steps = [step for step, _ in curves[0]]
    values = np.array([[value for _, value in curve] for curve in curves])
    mean = values.mean(axis=0)
    t = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}[len(curves)]
    half = t * values.std(axis=0, ddof=1) / np.sqrt(len(curves))
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.plot(steps, mean, marker=".", label=f"held-out accuracy, mean of {len(curves)} seeds, 95 % interval")
    axes.fill_between(steps, mean - half, mean + half, alpha=0.2, linewidth=0)
    axes.axhline(0.25, color="0.6", linewidth=1, label="chance")
    axes.set(xlabel="episodes", ylabel="right", ylim=(0, 1.02), title="stable-baselines3 PPO on ChooseCandidate")
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description="PPO of stable-baselines3 on ChooseCandidate")
    parser.add_argument("--seeds", type=int, default=1, help="runs, with the seeds 0, 1, …")
    parser.add_argument("--steps", type=int, default=STEPS, help="episodes of a run")
    parser.add_argument("--figure", type=Path, help="where to draw the curve (needs 2 to 10 seeds)")
    args = parser.parse_args()
    curves = [train(seed, args.steps) for seed in range(args.seeds)]
    for seed, curve in enumerate(curves):
        print(f"seed {seed}: " + "  ".join(f"{step}: {value:.3f}" for step, value in curve))
    if args.figure:
        draw(curves, args.figure)


if __name__ == "__main__":
    main()
