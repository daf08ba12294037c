"""The embedded default: a tiny language model learns, from nothing but right or wrong, to think before it answers.

A Llama of 85 thousand parameters with one token a character is shown right worked examples of additions: first such
that write the steps, digit by digit, then a mixture in which most give the answer at once. It imitates both, and at
once it is hardly ever right. GRPO then pays for right answers only. Everything is made in code: no download, no GPU,
minutes on a CPU.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from r1gym.agents import checkpoint, reporting
from r1gym.agents.held_out import HeldOut, measure
from r1gym.agents.interrupt import Interrupt
from r1gym.agents.optim import make_optimizer
from r1gym.agents.setup import make_env, make_held_out
from r1gym.agents.sft import Example, SFTConfig, supervise
from r1gym.config import as_json
from r1gym.errors import ConfigError
from r1gym.evals.intervals import wilson
from r1gym.logbook import RunFolder
from r1gym.policy.hf import HFPolicy
from r1gym.policy.protocol import Sampling
from r1gym.policy.tokens import character_tokenizer
from r1gym.rollout import derive_seed
from r1gym.screen import Screen, make_screen
from r1gym.types import Outcome

if TYPE_CHECKING:
    from r1gym.agents.grpo_config import GRPOConfig

__all__ = ["ColdStart", "Reading", "build_policy", "run", "worked_examples"]

TAGS = ("<think>", "</think>", "<answer>", "</answer>")
CHARACTERS = "0123456789+=,"
FINAL_TASKS = 1000
"""Held-out tasks of the final table."""
STEPS, MIXTURE, CONTROL = "cold-start-steps", "cold-start-mixture", "control"


@dataclass(frozen=True)
class ColdStart:
    """What the model is shown before GRPO."""

    stepwise: int = 2400
    """Different examples that write the steps."""
    terse: int = 800
    """Different examples that answer at once: few, so that the model learns the form and not terse addition."""
    terse_copies: int = 5
    """How often each terse example stands in the mixture: they are five eighths of it."""
    steps: SFTConfig = field(default_factory=lambda: SFTConfig(steps=1500))
    """How the model learns from the stepwise examples alone."""
    mixture: SFTConfig = field(default_factory=lambda: SFTConfig(steps=300, lr=1e-3, warmup=20))
    """How it then learns from the mixture of both."""


COLD_STARTS = {
    "demo": ColdStart(),
    "demo-short": ColdStart(
        stepwise=800,
        terse=250,
        steps=SFTConfig(steps=300),
        mixture=SFTConfig(steps=150, lr=1e-3, warmup=20),
    ),
}


def build_policy(seed: int) -> HFPolicy:
    """The tiny model with fresh weights: 2 layers, width 64, 4 heads, a vocabulary of 20."""
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = character_tokenizer(CHARACTERS, TAGS)
    shape = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=False,
        initializer_range=0.05,  # the usual 0.02 is for wide layers: it costs a narrow model hundreds of steps
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        return HFPolicy(LlamaForCausalLM(shape), tokenizer)


def steps_of(a: int, b: int) -> str:
    """Addition on paper, from the units on: ``7+7=14,8+9+1=18,…`` (two digits a sum, the first one is carried)."""
    lines, carry = [], 0
    while a or b:
        total = a % 10 + b % 10 + carry
        lines.append(f"{a % 10}+{b % 10}{'+1' if carry else ''}={total:02d}")
        a, b, carry = a // 10, b // 10, total // 10
    return ",".join(lines)


def worked_examples(cold: ColdStart, env: Any, policy: HFPolicy, seed: int) -> tuple[list[Example], list[Example]]:
    """Right examples on tasks of the training split: those with the steps written out, and the mixture of both."""
    tasks = env.unwrapped.tasks
    generator = np.random.default_rng(derive_seed(seed, "worked examples"))
    rows = generator.choice(len(tasks), size=cold.stepwise + cold.terse, replace=False)
    stepwise: list[Example] = []
    terse: list[Example] = []
    for number, row in enumerate(rows):
        question = tasks[int(row)].question
        a, plus, b = question.rstrip("=").partition("+")
        if not plus or not (a.isdigit() and b.isdigit()):
            raise ConfigError(
                "the embedded default has worked examples for sums of two numbers only: leave operations, depth and "
                f"style of --env-options as they are, or give a model with --model (the task was {question!r})"
            )
        thought = steps_of(int(a), int(b)) if number < cold.stepwise else ""
        text = f"<think>{thought}</think><answer>{int(a) + int(b)}</answer>"
        prompt = policy.prompt([{"role": "user", "content": question}])
        completion = (*policy.tokenizer(text)["input_ids"], policy.tokenizer.eos_token_id)
        (stepwise if thought else terse).append((prompt.token_ids, completion))
    return stepwise, stepwise + terse * cold.terse_copies


@dataclass(frozen=True, slots=True)
class Reading:
    """How a policy answers, and how well."""

    pass_at_1: float
    low: float
    high: float
    stepwise: float
    """Share of completions with a thought that is not empty."""
    right_stepwise: float
    """Accuracy of those; 0 where there are none."""
    right_terse: float
    """Accuracy of the others; 0 where there are none."""
    length: float
    """Mean tokens a completion."""

    @classmethod
    def of(cls, seen: HeldOut) -> Reading:
        """Read an evaluation."""
        right: dict[bool, list[bool]] = {True: [], False: []}
        for episode in seen.episodes:
            thought = episode.turns[-1].completion.text.partition("</think>")[0].removeprefix("<think>")
            right[bool(thought)].append(episode.verdict.outcome is Outcome.CORRECT)
        low, high = wilson(seen.right, seen.total)
        lengths = [len(episode.turns[-1].completion.token_ids) for episode in seen.episodes]
        return cls(
            seen.right / seen.total,
            low,
            high,
            len(right[True]) / len(seen.episodes),
            sum(right[True]) / max(len(right[True]), 1),
            sum(right[False]) / max(len(right[False]), 1),
            sum(lengths) / len(lengths),
        )


def run(config: GRPOConfig) -> int:
    """Cold start, GRPO, and the table of before and after; returns the exit status."""
    from r1gym.agents.grpo import STAGE, train  # grpo's main imports this module

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ConfigError("the embedded default trains in one process: run it without accelerate launch")
    torch.set_num_threads(1)  # a second thread only waits for so small a model
    env = make_env(config)
    held_out = make_held_out(config, env)
    if held_out is None:
        raise ConfigError(
            "the embedded default measures itself on held-out tasks: leave --split at train, --eval-tasks above 0"
        )
    cold = COLD_STARTS.get(config.preset, COLD_STARTS["demo"])
    policy = build_policy(config.seed)
    stepwise, mixture = worked_examples(cold, env, policy, config.seed)
    folder = RunFolder.open(config.out, as_json(config), config.run_name())
    screen = make_screen()
    screen.note(f"run folder: {folder.path}" + (" (going on where it was interrupted)" if folder.resumed else ""))
    for stage, examples, how in ((STEPS, stepwise, cold.steps), (MIXTURE, mixture, cold.mixture)):
        if not _supervised(policy, examples, how, config.seed, stage, folder, screen):
            return reporting.say_interrupted(folder)
    sampling = Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens)

    def read() -> Reading:
        return Reading.of(measure(policy, held_out, FINAL_TASKS, sampling, config.seed))

    readings = {"cold start": read()}
    before = readings["cold start"]
    screen.note(f"after the cold start: held-out pass@1 {before.pass_at_1:.3f}, {before.stepwise:.0%} stepwise")
    result = train(config, policy, env, folder=folder, screen=screen)
    if not result.finished:
        return reporting.say_interrupted(folder)
    readings["GRPO"] = read()
    control_steps = _steps_for(folder, STAGE, cold.mixture.batch_size, mixture)
    if config.control:
        start = checkpoint.latest(folder.path / "checkpoints", MIXTURE)
        if start is None:
            raise ConfigError(f"{folder.path} has lost its cold-start checkpoint: run again with a new --out")
        checkpoint.restore(start, policy)
        more = replace(cold.mixture, steps=control_steps)
        if not _supervised(policy, mixture, more, config.seed + 1, CONTROL, folder, screen):
            return reporting.say_interrupted(folder)
        readings["control"] = read()
    reporting.draw_curve(
        folder, STAGE, f"GRPO on {config.env}, a model of {_size(policy):,} parameters, seed {config.seed}"
    )
    folder.finish({name: asdict(reading) for name, reading in readings.items()} | {"control_steps": control_steps})
    screen.show(_table(readings, control_steps))
    screen.note(_gain(readings["cold start"], readings["GRPO"]))
    screen.note(f"{folder.path}: curve.png, metrics.jsonl, completions.jsonl, checkpoints")
    return 0


def _supervised(
    policy: HFPolicy,
    examples: Sequence[Example],
    config: SFTConfig,
    seed: int,
    stage: str,
    folder: RunFolder,
    screen: Screen,
) -> bool:
    """Run a supervised stage, or go on with it, or load what it came to; False where it was interrupted."""
    optimizer = make_optimizer(policy.parameters(), config.lr)
    done = checkpoint.resume(folder, stage, policy, optimizer)
    if done == config.steps:
        return True
    with screen, Interrupt(screen.note) as interrupt:
        screen.stage(stage, config.steps, done)
        losses: list[float] = []

        def on_step(step: int, loss: float, tokens: int) -> bool:
            losses.append(loss)
            if step % 50 == 0 or step == config.steps:
                values = {"loss": sum(losses) / len(losses)}
                losses.clear()
                folder.metrics(stage, step, values)
                screen.step(step - 1, values)
            # Only where a line was written, so that a run that goes on writes the same lines.
            return not (interrupt.requested and step % 50 == 0)

        done = supervise(policy, optimizer, examples, config, seed, on_step, done)
    checkpoint.save(folder.path / "checkpoints", stage, done, policy, optimizer)
    return done == config.steps


def _steps_for(folder: RunFolder, stage: str, batch_size: int, examples: Sequence[Example]) -> int:
    """Supervised steps that cost what the GRPO stage cost.

    Counted in tokens through the network: one unit a token sampled (a forward pass), three a token trained (forward,
    and a backward pass of twice that).
    """
    records = [record for record in folder.read_metrics() if record["stage"] == stage]
    units = sum(record.get("tokens/sampled", 0) + 3 * record.get("tokens/trained", 0) for record in records)
    width = max(len(prompt) + len(completion) for prompt, completion in examples)
    return max(round(float(units) / (3 * batch_size * width)), 1)


def _size(policy: HFPolicy) -> int:
    return sum(parameter.numel() for parameter in policy.parameters())


def _table(readings: dict[str, Reading], control_steps: int) -> Any:
    from rich.table import Table

    table = Table(title=f"{FINAL_TASKS:,} held-out tasks, one completion each, temperature 1")
    for column in ("", "pass@1 (95 % interval)", "stepwise", "right if stepwise", "right if terse", "mean tokens"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for name, reading in readings.items():
        table.add_row(
            name,
            f"{reading.pass_at_1:.3f} [{reading.low:.3f}, {reading.high:.3f}]".replace("[", r"\["),
            f"{reading.stepwise:.1%}",
            f"{reading.right_stepwise:.3f}" if reading.stepwise else "-",
            f"{reading.right_terse:.3f}" if reading.stepwise < 1 else "-",
            f"{reading.length:.1f}",
        )
    if "control" not in readings:
        table.add_row("control", "not run (--control)", *["-"] * 4)
    table.caption = f"control: {control_steps:,} more supervised steps instead of GRPO, at the same compute"
    return table


def _gain(before: Reading, after: Reading) -> str:
    """What the gain is made of: the choice to write the steps, at the old accuracies, and better steps."""
    total = after.pass_at_1 - before.pass_at_1
    choice = (after.stepwise - before.stepwise) * (before.right_stepwise - before.right_terse)
    return (
        f"gain {total:+.3f}: {choice:+.3f} by writing the steps more often ({before.stepwise:.0%} to "
        f"{after.stepwise:.0%} of completions, at the accuracies of before), {total - choice:+.3f} by being right more "
        "often in the same form"
    )
