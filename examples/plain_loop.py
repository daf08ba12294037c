"""REINFORCE on r1/Arithmetic-v0 in plain NumPy: a third party's loop that knows nothing but Gymnasium.

The policy is a table: for each question it has met, a softmax over the candidate answers "0" to "18".
Run it with ``python examples/plain_loop.py``; the share of right answers rises from about 1/19 to nearly 1.
"""

from __future__ import annotations

from collections import defaultdict

import gymnasium as gym
import numpy as np

import r1gym  # noqa: F401 - registers the ids

ANSWERS = [f"<answer>{number}</answer>" for number in range(19)]


def train(steps: int = 20_000, lr: float = 2.0, seed: int = 0) -> np.ndarray:
    """Rewards of all steps, in order."""
    env = gym.make("r1/Arithmetic-v0", digits=1, operations=["+"])
    rng = np.random.default_rng(seed)
    logits: defaultdict[str, np.ndarray] = defaultdict(lambda: np.zeros(len(ANSWERS)))
    baseline: defaultdict[str, float] = defaultdict(float)
    rewards = np.zeros(steps)
    for step in range(steps):
        question, _ = env.reset(seed=seed if step == 0 else None)
        weights = np.exp(logits[question] - logits[question].max())
        probabilities = weights / weights.sum()
        choice = rng.choice(len(ANSWERS), p=probabilities)
        _, reward, _, _, _ = env.step(ANSWERS[choice])
        # ∇ log π(choice) = onehot(choice) − π
        logits[question] -= lr * (reward - baseline[question]) * probabilities
        logits[question][choice] += lr * (reward - baseline[question])
        baseline[question] += 0.1 * (reward - baseline[question])
        rewards[step] = reward
    env.close()
    return rewards


if __name__ == "__main__":
    for part, chunk in enumerate(np.array_split(train(), 10), start=1):
        print(f"{part * 10:3d} %  right {chunk.mean():.3f}")
