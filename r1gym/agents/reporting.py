"""What a training step measured: for metrics.jsonl, for the screen, and as the learning curve.

Axes: P tasks, G completions of one task, B rows, T tokens.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object

from r1gym.agents import checkpoint
from r1gym.agents.held_out import HeldOut, measure
from r1gym.types import Episode, Outcome

if TYPE_CHECKING:
    from accelerate import Accelerator

    from r1gym.agents.batch import Batch
    from r1gym.agents.grpo_config import GRPOConfig
    from r1gym.agents.losses import LossInputs
    from r1gym.logbook import RunFolder
    from r1gym.policy.protocol import Policy, Sampling
    from r1gym.rollout import TextEnv
    from r1gym.screen import Screen

__all__ = ["Figures", "Meter", "draw_curve", "say_interrupted"]


@dataclass
class Figures:
    """Sums over the updates of one step."""

    loss: float = 0.0
    clipped: float = 0.0
    kl: float = 0.0
    tokens: int = 0
    passed: int = 0
    """Tokens that went through forward and backward, padding included."""
    gap_sum: float = 0.0
    gap_max: float = 0.0
    gap_tokens: int = 0
    ratio_max: float = 0.0
    """Largest importance ratio π / π_old of a token before the first update; 1 where both sides agree."""
    norms: list[float] = field(default_factory=list)

    def add(self, x: LossInputs, loss: float, clipped: float, kl: float, passed: int) -> None:
        """Take in one micro-batch."""
        self.loss += loss
        self.clipped += clipped
        self.kl += kl
        self.tokens += int(x.mask_BT.sum())
        self.passed += passed
        if not self.norms:  # before the step's first update the trainer and the sampler hold the same weights
            difference = (x.logprobs_BT.detach() - x.old_logprobs_BT)[x.mask_BT]
            gap = difference.abs()
            self.gap_sum += float(gap.sum())
            self.gap_max = max(self.gap_max, float(gap.max()))
            self.gap_tokens += gap.numel()
            self.ratio_max = max(self.ratio_max, float(difference.max().exp()))

    def metrics(self, accelerator: Accelerator) -> dict[str, float]:
        """Means over the step and over all processes; none where no group taught anything (in any process)."""
        if not self.norms:
            return {"tokens/trained": 0.0}
        parts = [self.loss, self.clipped, self.kl, self.tokens, self.passed, self.gap_sum, self.gap_tokens]
        loss, clipped, kl, tokens, passed, gap_sum, gap_tokens = _summed(accelerator, parts)
        here = torch.tensor([[self.gap_max, self.ratio_max]], device=accelerator.device)
        widest, ratio = accelerator.gather(here).amax(dim=0).tolist()
        return {
            "loss": loss / len(self.norms),
            "kl": kl / max(tokens, 1.0),
            "clip": clipped / max(tokens, 1.0),
            "grad_norm": sum(self.norms) / len(self.norms),
            "parity/mean": gap_sum / max(gap_tokens, 1.0),
            "parity/max": widest,
            "parity/ratio": ratio,
            "tokens/trained": passed,
        }


class Meter:
    """Measures a run and reports it: one object beside the loop, so that the loop stays readable."""

    def __init__(
        self,
        config: GRPOConfig,
        folder: RunFolder,
        screen: Screen,
        accelerator: Accelerator,
        held_out: TextEnv | None,
        sampling: Sampling,
        stage: str,
    ) -> None:
        self.config, self.folder, self.screen = config, folder, screen
        self.accelerator, self.held_out, self.sampling, self.stage = accelerator, held_out, sampling, stage

    def begin(self, policy: Policy, done: int) -> None:
        """Open the stage; a fresh run is measured before its first step."""
        self.screen.stage(self.stage, self.config.steps, done)
        if done == 0:
            values = self._evaluate(policy)
            if values:
                self.folder.metrics(self.stage, 0, values)

    def step(
        self,
        policy: Policy,
        step: int,
        groups_PG: Sequence[Sequence[Episode]],
        advantages_PG: torch.Tensor,
        silent_P: torch.Tensor,
        batch: Batch,
        figures: Figures,
        began: float,
        rollout_seconds: float,
    ) -> None:
        """Report step ``step`` (the first is 1)."""
        episodes = [episode for group in groups_PG for episode in group]
        seconds = time.perf_counter() - began
        values = self._over_processes(episodes, silent_P)
        values |= figures.metrics(self.accelerator)
        values |= {
            "lr": self._rate(step),
            "seconds/rollout": rollout_seconds,
            "seconds/train": seconds - rollout_seconds,
            "tokens/s": values["tokens/sampled"] / max(rollout_seconds, 1e-9),
        }
        due = self.config.eval_every and step % self.config.eval_every == 0
        if due or step == self.config.steps:
            values |= self._evaluate(policy)
        self.folder.metrics(self.stage, step, values)
        everyone = gather_object(list(zip(groups_PG, advantages_PG.tolist(), strict=True)))
        self.folder.completions(self.stage, step, [group for group, _ in everyone], [row for _, row in everyone])
        ranked = sorted(groups_PG[-1], key=lambda episode: episode.reward.total)
        self.screen.completions(*(_shown(episode) for episode in (ranked[-1], ranked[0])))
        self.screen.step(step - 1, values)

    def save(self, policy: Policy, optimizer: Any, step: int) -> None:
        """Write a checkpoint of ``step`` steps."""
        if self.accelerator.is_main_process:
            checkpoint.save(self.folder.path / "checkpoints", self.stage, step, policy, optimizer)
        self.accelerator.wait_for_everyone()

    def _rate(self, step: int) -> float:
        from r1gym.agents.optim import learning_rate

        config = self.config
        return learning_rate(config.lr, step - 1, config.steps, config.warmup, config.schedule)

    def _evaluate(self, policy: Policy) -> dict[str, float]:
        if self.held_out is None:
            return {}
        # The same tasks and seeds each time: what moves is the policy.
        part = self.accelerator.process_index, self.accelerator.num_processes
        seen = measure(policy, self.held_out, self.config.eval_tasks, self.sampling, self.config.seed, part=part)
        right, total = _summed(self.accelerator, [float(seen.right), float(seen.total)])
        return HeldOut(seen.episodes, round(right), round(total)).metrics

    def _over_processes(self, episodes: Sequence[Episode], silent_P: torch.Tensor) -> dict[str, float]:
        """Means over all completions of all processes."""
        names = sorted(episodes[0].reward.terms)
        valid = [episode for episode in episodes if episode.verdict.outcome is not Outcome.UNGRADABLE]
        completions = [episode.turns[-1].completion for episode in episodes]
        sums = [
            float(len(episodes)),
            float(len(valid)),
            sum(episode.reward.total for episode in valid),
            float(sum(len(completion.token_ids) for completion in completions)),
            float(sum(episode.truncated for episode in episodes)),
            float(silent_P.sum()),
            float(silent_P.numel()),
            -sum(sum(completion.logprobs) for completion in completions),
            *(sum(episode.reward.terms[name] for episode in valid) for name in names),
        ]
        count, judged, reward, length, cut, silent, groups, surprise, *terms = _summed(self.accelerator, sums)
        # Where nothing could be judged there is no mean: a reward of 0 would blame the policy.
        paid = [value / judged if judged else float("nan") for value in (reward, *terms)]
        return {
            "reward/mean": paid[0],
            **{f"reward/{name}": value for name, value in zip(names, paid[1:], strict=True)},
            "length/mean": length / count,
            "share/truncated": cut / count,
            "share/ungradable": 1 - judged / count,
            "share/zero_variance": silent / groups,
            # -log p of what was drawn: its mean is the entropy per token, without bias.
            "entropy": surprise / max(length, 1.0),
            "tokens/sampled": length,
        }


def _summed(accelerator: Accelerator, values: Sequence[float]) -> list[float]:
    """Each value added up over all processes."""
    if accelerator.num_processes == 1:
        return list(values)
    total: list[float] = accelerator.reduce(torch.tensor(values, device=accelerator.device), "sum").tolist()
    return total


def _shown(episode: Episode) -> str:
    turn = episode.turns[-1]
    question = turn.prompt.messages[-1]["content"].strip().split("\n")[-1][-80:]
    return f"{episode.reward.total:g}  {question} {turn.completion.text.strip()}"


def draw_curve(folder: RunFolder, stage: str, title: str) -> None:
    """Draw curve.png: reward and held-out pass@1 (with its interval) over the steps, and the mean length below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not folder.writes:
        return
    records = [record for record in folder.read_metrics() if record["stage"] == stage]
    figure = Figure(figsize=(7, 6), layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))

    def series(name: str) -> tuple[list[int], list[float]]:
        found = [(record["step"], record[name]) for record in records if name in record]
        return [step for step, _ in found], [value for _, value in found]

    top.plot(*series("reward/mean"), color="0.6", linewidth=1, label="reward of the step's completions")
    steps, rates = series("eval/pass@1")
    if steps:
        low, high = series("eval/pass@1_low")[1], series("eval/pass@1_high")[1]
        top.plot(steps, rates, color="C0", marker=".", label="held-out pass@1, 95 % interval")
        top.fill_between(steps, low, high, color="C0", alpha=0.2, linewidth=0)
    top.set(ylabel="reward, pass@1", title=title, ylim=(-0.02, 1.02))
    top.legend(loc="lower right", frameon=False)
    bottom.plot(*series("length/mean"), color="C1")
    bottom.set(xlabel="step", ylabel="mean length (tokens)")
    figure.savefig(folder.path / "curve.png", dpi=120)


def say_interrupted(folder: RunFolder) -> int:
    """Tell the person how to go on; returns the exit status of an interrupted program."""
    if folder.writes:
        print(f"interrupted: {folder.path} keeps what was done; the same command goes on from there")
    return 130
