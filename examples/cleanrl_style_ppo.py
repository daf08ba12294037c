"""PPO in one file, in the manner of CleanRL: pick the right one of four answers to ``73*18=``.

    python examples/cleanrl_style_ppo.py --total-steps 3072 --seed 1

Everything that happens stands below, in the order in which it happens: vector environments, rollout, advantages,
clipped updates. The only thing that is r1gym's is the environment. Chance is 1/4.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import gymnasium as gym
import numpy as np
import torch
import tyro
from torch import nn
from torch.distributions import Categorical

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.views import ChooseCandidate


@dataclass
class Args:
    """Options."""

    seed: int = 0
    """seed of everything"""
    total_steps: int = 3_072
    """steps of all environments together; an episode is one step"""
    num_envs: int = 8
    """environments side by side"""
    num_steps: int = 32
    """steps of each between updates"""
    learning_rate: float = 1e-3
    """peak; it falls linearly to 0"""
    gamma: float = 0.99
    """discount"""
    gae_lambda: float = 0.95
    """λ of the generalised advantage estimate"""
    epochs: int = 10
    """passes over a rollout"""
    minibatches: int = 4
    """updates a pass"""
    clip: float = 0.2
    """the ratio's clip"""
    entropy: float = 0.0
    """weight of the entropy"""
    value: float = 0.5
    """weight of the value loss"""
    max_grad_norm: float = 0.5
    """gradients are scaled down to this norm"""


def make_env() -> gym.Env:
    return ChooseCandidate(gym.make("r1/Arithmetic-v0", digits=2, operations=["+", "-", "*"]), k=4)


def layer(inputs: int, outputs: int, gain: float) -> nn.Linear:
    linear = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(linear.weight, gain)
    nn.init.zeros_(linear.bias)
    return linear


class Agent(nn.Module):
    """Two small networks: what to choose, and what to expect."""

    def __init__(self, inputs: int, choices: int) -> None:
        super().__init__()

        def network(outputs: int, gain: float) -> nn.Sequential:
            return nn.Sequential(
                layer(inputs, 64, 2**0.5), nn.Tanh(), layer(64, 64, 2**0.5), nn.Tanh(), layer(64, outputs, gain)
            )

        self.actor, self.critic = network(choices, 0.01), network(1, 1.0)

    def forward(self, seen: torch.Tensor, action: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        """Action, its log-probability, entropy, value."""
        chances = Categorical(logits=self.actor(seen))
        action = chances.sample() if action is None else action
        return action, chances.log_prob(action), chances.entropy(), self.critic(seen).squeeze(-1)


def train(args: Args) -> list[float]:
    """Mean reward of each rollout, in order."""
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    torch.set_num_threads(1)

    # SAME_STEP: a finished episode is followed by a fresh question at once, so that no step is lost on a reset.
    same_step = gym.vector.AutoresetMode.SAME_STEP
    envs = gym.vector.SyncVectorEnv([make_env] * args.num_envs, autoreset_mode=same_step)
    agent = Agent(envs.single_observation_space.shape[0], int(envs.single_action_space.n))
    optimizer = torch.optim.Adam(agent.parameters(), lr=args.learning_rate, eps=1e-5)
    shape = (args.num_steps, args.num_envs)
    seen = torch.zeros(*shape, *envs.single_observation_space.shape)
    actions, logprobs, rewards, dones, values = (torch.zeros(shape) for _ in range(5))
    observation, _ = envs.reset(seed=args.seed)
    updates = args.total_steps // (args.num_steps * args.num_envs)
    means = []

    for update in range(updates):
        optimizer.param_groups[0]["lr"] = args.learning_rate * (1 - update / updates)

        # Play.
        for step in range(args.num_steps):
            seen[step] = torch.as_tensor(observation)
            with torch.no_grad():
                action, logprobs[step], _, values[step] = agent(seen[step])
            actions[step] = action
            observation, reward, terminated, truncated, _ = envs.step(action.numpy())
            rewards[step] = torch.as_tensor(reward)
            dones[step] = torch.as_tensor(terminated | truncated)
        means.append(rewards.mean().item())

        # Generalised advantages; nothing is carried over the end of an episode.
        with torch.no_grad():
            following = agent(torch.as_tensor(observation))[3]
        advantages = torch.zeros(shape)
        running = torch.zeros(args.num_envs)
        for step in reversed(range(args.num_steps)):
            goes_on = 1 - dones[step]
            error = rewards[step] + args.gamma * following * goes_on - values[step]
            running = error + args.gamma * args.gae_lambda * goes_on * running
            advantages[step], following = running, values[step]
        returns = (advantages + values).flatten()

        # Learn.
        flat_seen, flat_actions = seen.flatten(0, 1), actions.flatten()
        flat_logprobs, flat_advantages = logprobs.flatten(), advantages.flatten()
        for _ in range(args.epochs):
            for rows in torch.randperm(flat_actions.numel()).chunk(args.minibatches):
                _, logprob, entropy, value = agent(flat_seen[rows], flat_actions[rows])
                gain = flat_advantages[rows]
                gain = (gain - gain.mean()) / (gain.std() + 1e-8)
                ratio = (logprob - flat_logprobs[rows]).exp()
                clipped = ratio.clamp(1 - args.clip, 1 + args.clip)
                loss = -torch.minimum(ratio * gain, clipped * gain).mean()
                loss = loss + args.value * 0.5 * (value - returns[rows]).square().mean() - args.entropy * entropy.mean()
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(agent.parameters(), args.max_grad_norm)
                optimizer.step()
    envs.close()
    return means


if __name__ == "__main__":
    for number, mean in enumerate(train(tyro.cli(Args)), start=1):
        print(f"rollout {number:3d}  right {mean:.3f}")
