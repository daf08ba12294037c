"""GRPO, read top to bottom: sample groups, judge them, compare within the group, take the clipped gradient step.

Shao et al. 2024 (arXiv 2402.03300), as DeepSeek-R1 uses it (arXiv 2501.12948). One departure: a group whose rewards
are all equal has no advantage and is left out of the batch, so the mean runs over completions that teach something.

Axes: P tasks, G completions of one task (the group), B rows (one completion each), T tokens.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from r1gym.agents import checkpoint, reporting
from r1gym.agents.advantages import ADVANTAGES, zero_variance
from r1gym.agents.batch import Batch, rewards
from r1gym.agents.credit import span_credit
from r1gym.agents.grpo_config import TINY, GRPOConfig, preset_of
from r1gym.agents.interrupt import Interrupt
from r1gym.agents.losses import LOSSES, LossInputs, clipped_share, k3
from r1gym.agents.memory import naming_the_option
from r1gym.agents.optim import learning_rate, make_optimizer, set_learning_rate
from r1gym.agents.setup import check_run, make_env, make_held_out, make_policy, open_folder
from r1gym.config import parse, run_command
from r1gym.engine.sending import send
from r1gym.errors import NumericalError
from r1gym.policy.protocol import Sampling
from r1gym.rollout import TextEnv, derive_seed, draw_starts, rollout
from r1gym.screen import Screen, make_screen

if TYPE_CHECKING:
    from accelerate import Accelerator

    from r1gym.logbook import RunFolder
    from r1gym.policy.protocol import Policy

__all__ = ["GRPOConfig", "RunResult", "main", "train"]

STAGE = "grpo"


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run came to."""

    policy: Policy
    folder: RunFolder
    steps: int
    """Steps done; fewer than asked for where the run was interrupted."""
    finished: bool


def train(
    config: GRPOConfig,
    policy: Policy | None = None,
    env: TextEnv | None = None,
    *,
    folder: RunFolder | None = None,
    screen: Screen | None = None,
) -> RunResult:
    """Improve ``policy`` on ``env``; both come from ``config`` where they are not given.

    A run folder that holds the beginning of this very run is continued, to the same bits on a CPU.

    Raises:
        R1GymError: Something that would have failed minutes later: unknown names, a missing task set, a prompt
            longer than the context, another run's folder; and NumericalError where the loss is not finite.
    """
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=not torch.cuda.is_available())
    env = env or make_env(config)
    held_out = make_held_out(config, env)
    policy = policy or make_policy(config, accelerator.device)
    check_run(config, policy, env, accelerator.num_processes)
    folder = folder or open_folder(config, accelerator)
    reference = policy.frozen() if config.beta > 0 else None
    optimizer = accelerator.prepare(make_optimizer(policy.parameters(), config.lr))
    sampling = Sampling(temperature=config.temperature, max_new_tokens=config.max_new_tokens)
    first = checkpoint.resume(folder, STAGE, policy, optimizer)
    screen = screen or make_screen(quiet=not accelerator.is_main_process)
    meter = reporting.Meter(config, folder, screen, accelerator, held_out, sampling, STAGE)

    with screen, Interrupt(screen.note) as interrupt:
        meter.begin(policy, first)
        step, stopping = first, interrupt.heard(accelerator)
        while step < config.steps and not stopping:
            clock = time.perf_counter()
            set_learning_rate(optimizer, learning_rate(config.lr, step, config.steps, config.warmup, config.schedule))

            # Sample G completions of each of P tasks, and let the environment judge them.
            # Each of several processes takes its part; what a task's completions are does not depend on how many.
            share = config.prompts_per_step // accelerator.num_processes
            begin = accelerator.process_index * share
            mine = draw_starts(env, config.seed, step, config.prompts_per_step)[begin : begin + share]
            seed, first_group = derive_seed(config.seed, "sample", step), step * config.prompts_per_step + begin
            groups_PG = rollout(policy, env, mine, config.group_size, sampling, seed, first_group)
            rollout_seconds = time.perf_counter() - clock

            # A completion is worth what it earned above its own group.
            rewards_PG, valid_PG = rewards(groups_PG)
            advantages_PG = ADVANTAGES[config.advantage](rewards_PG, valid_PG)
            silent_P = zero_variance(rewards_PG, valid_PG)
            keep_PG = valid_PG & (~silent_P[:, None] if reference is None else torch.ones_like(valid_PG))
            credit = span_credit(groups_PG, policy, config.span_credit, silent_P.tolist())
            batch = Batch.build(groups_PG, advantages_PG, keep_PG, credit)

            # Learn from them.
            figures = reporting.Figures()
            for minibatch in batch.minibatches(config.minibatches, derive_seed(config.seed, "minibatch", step)):
                with naming_the_option(config, minibatch.token_ids_BT.shape[1]):
                    learn(config, policy, reference, optimizer, accelerator, minibatch, figures, step)
            policy.sync()

            step += 1
            meter.step(policy, step, groups_PG, advantages_PG, silent_P, batch, figures, clock, rollout_seconds)
            stopping = interrupt.heard(accelerator)
            if step % config.save_every == 0 or step == config.steps or stopping:
                meter.save(policy, optimizer, step)
    return RunResult(policy, folder, step, step == config.steps)


def learn(
    config: GRPOConfig,
    policy: Policy,
    reference: Policy | None,
    optimizer: Any,
    accelerator: Accelerator,
    minibatch: Batch,
    figures: reporting.Figures,
    step: int,
) -> None:
    """One optimizer step on one minibatch, made of as many forward and backward passes as memory asks for.

    The denominators of the loss are those of the whole minibatch over all processes, so neither the size of a
    micro-batch nor the dealing of its rows to processes changes the gradient.
    """
    device = accelerator.device
    rows, tokens = accelerator.reduce(torch.tensor([minibatch.rows, minibatch.tokens], device=device)).tolist()
    if rows == 0:
        return
    optimizer.zero_grad()
    done: list[tuple[LossInputs, torch.Tensor, int]] = []
    for micro in minibatch.micro_batches(config.micro_batch_tokens, getattr(policy, "packs", False)):
        logprobs_BT = policy.logprobs(micro.token_ids_BT, micro.mask_BT, config.temperature)
        ref_logprobs_BT = None
        if reference is not None:
            with torch.no_grad():
                ref_logprobs_BT = reference.logprobs(micro.token_ids_BT, micro.mask_BT, config.temperature)
        inputs = LossInputs(
            logprobs_BT=logprobs_BT,
            old_logprobs_BT=send(micro.logprobs_BT, logprobs_BT.device),
            advantages_B=send(micro.advantages_B, logprobs_BT.device),
            mask_BT=send(micro.mask_BT, logprobs_BT.device),
            rows=rows,
            tokens=tokens,
            max_new_tokens=config.max_new_tokens,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            beta=config.beta,
            ref_logprobs_BT=ref_logprobs_BT,
            credit_BT=None if micro.credit_BT is None else send(micro.credit_BT, logprobs_BT.device),
        )
        loss = LOSSES[config.loss](inputs)
        accelerator.backward(loss)
        done.append((replace(inputs, logprobs_BT=logprobs_BT.detach()), loss.detach(), micro.token_ids_BT.numel()))
    # Looked at after the last one: a look waits for a GPU, which meanwhile would have nothing to do.
    for each in done:
        _look(config, figures, step, *each)
    sum_over_processes(accelerator, policy.parameters())
    norm = float(accelerator.clip_grad_norm_(list(policy.parameters()), config.max_grad_norm))
    if norm != norm or norm == float("inf"):
        raise NumericalError(f"the gradient of step {step} is not finite: lower --lr (now {config.lr:g}) and run again")
    figures.norms.append(norm)
    optimizer.step()


def _look(
    config: GRPOConfig, figures: reporting.Figures, step: int, inputs: LossInputs, loss: torch.Tensor, passed: int
) -> None:
    """Check the loss of one micro-batch and take its figures; waits for the device."""
    if not bool(torch.isfinite(loss)):
        raise NumericalError(f"the loss of step {step} is {loss.item()}: lower --lr (now {config.lr:g}) and run again")
    ref_BT = inputs.ref_logprobs_BT
    kl = 0.0 if ref_BT is None else float(k3(inputs.logprobs_BT, ref_BT)[inputs.mask_BT].sum())
    figures.add(inputs, float(loss), float(clipped_share(inputs)), kl, passed)


def sum_over_processes(accelerator: Accelerator, parameters: Any) -> None:
    """Add up the gradients of all processes (each holds its part of the same global mean)."""
    if accelerator.num_processes > 1:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            # In place: gradients of a packed pass are parts of one buffer, which would stay beside new ones.
            parameter.grad.copy_(accelerator.reduce(parameter.grad, "sum"))


def main(argv: Sequence[str] | None = None) -> None:
    """Run from the command line; without an option, the embedded default."""
    words = list(sys.argv[1:] if argv is None else argv)

    def command() -> int:
        config = parse(GRPOConfig, words, prog="python -m r1gym.agents.grpo", default=preset_of(words))
        if config.model == TINY:
            from r1gym.agents.demo import run

            return run(config)
        result = train(config)
        if not result.finished:
            return reporting.say_interrupted(result.folder)
        reporting.draw_curve(result.folder, STAGE, f"GRPO on {config.env}, seed {config.seed}")
        result.folder.finish({"steps": result.steps})
        if result.folder.writes:
            print(f"done: {result.folder.path} (curve.png, metrics.jsonl, completions.jsonl, checkpoints)")
        return 0

    run_command(command)


if __name__ == "__main__":
    from r1gym.agents.grpo import main

    main()
