"""The loop: its gradient against the closed form, that it learns, and what it leaves in the run folder."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from r1gym.agents.grpo import train
from r1gym.errors import ConfigError, NumericalError
from r1gym.policy.toy import TabularPolicy
from r1gym.types import Sampling

METRICS = {
    "stage",
    "step",
    "reward/mean",
    "length/mean",
    "share/truncated",
    "share/ungradable",
    "share/zero_variance",
    "entropy",
    "kl",
    "clip",
    "grad_norm",
    "lr",
    "loss",
    "parity/mean",
    "parity/max",
    "parity/ratio",
    "tokens/sampled",
    "tokens/trained",
}


@pytest.mark.parametrize("loss", ["grpo", "dr_grpo", "dapo"])
@pytest.mark.parametrize("advantage", ["group", "centred", "rloo"])
def test_one_step_is_the_softmax_gradient(
    loss: str, advantage: str, word_env: Any, options: Any, interrupting: Any, lines: Any
) -> None:
    env, policy = word_env("b", pay=lambda word, action: {"a": 0.0, "b": 1.0, "c": 0.25}[action]), TabularPolicy("abc")
    config = options(steps=1, prompts_per_step=1, group_size=16, loss=loss, advantage=advantage, max_new_tokens=5)
    result = train(config, policy, env, screen=interrupting())
    drawn = lines(result.folder, "completions.jsonl")
    rewards = [line["reward"] for line in drawn]
    mean = sum(rewards) / 16
    std = math.sqrt(sum((reward - mean) ** 2 for reward in rewards) / 15)
    scale = {"group": 1 / (std + 1e-4), "centred": 1.0, "rloo": 16 / 15}[advantage]
    advantages = [(reward - mean) * scale for reward in rewards]
    assert [line["advantage"] for line in drawn] == pytest.approx(advantages, abs=1e-6)
    # Before the first update ρ = 1, so ∂loss/∂θ_c = -1/D Σ_i A_i (1[c_i = c] - π_c) with π = 1/3. A completion is one
    # token: D is B = 16 for the mean of means and for the mean over tokens, and B · 5 for the budget.
    count = 16 * 5 if loss == "dr_grpo" else 16
    expected = [
        -sum(a * ((line["completion"] == c) - 1 / 3) for a, line in zip(advantages, drawn, strict=True)) / count
        for c in "abc"
    ]
    assert policy.logits_PC.grad is not None
    assert policy.logits_PC.grad[0].tolist() == pytest.approx(expected, abs=1e-7)
    # AdamW's first step is -lr · sign(gradient), with no weight decay.
    assert policy.logits_PC[0].tolist() == pytest.approx([-0.1 * math.copysign(1, g) for g in expected], rel=1e-3)
    (line,) = lines(result.folder, "metrics.jsonl")
    assert line.keys() == METRICS
    assert line["reward/mean"] == pytest.approx(mean)
    assert line["entropy"] == pytest.approx(math.log(3), abs=1e-6)
    assert line["grad_norm"] == pytest.approx(math.hypot(*expected), rel=1e-5)
    assert line["parity/max"] < 1e-6
    assert line["parity/ratio"] == pytest.approx(1.0, abs=1e-6)
    assert (line["clip"], line["kl"], line["lr"], line["tokens/sampled"]) == (0.0, 0.0, 0.1, 16)


def test_a_large_gradient_is_scaled_to_the_norm(word_env: Any, options: Any, interrupting: Any) -> None:
    policy = TabularPolicy("ab")
    config = options(steps=1, prompts_per_step=1, max_grad_norm=0.01)
    train(config, policy, word_env("a"), screen=interrupting())
    assert policy.logits_PC.grad is not None
    assert float(policy.logits_PC.grad.norm()) == pytest.approx(0.01, rel=1e-3)


def test_micro_batches_do_not_change_the_gradient(word_env: Any, options: Any, interrupting: Any) -> None:
    gradients = []
    for tokens in (1, 4, 10_000):  # a row is 2 tokens: 8 × 1 row, 4 × 2 rows, 1 × 8 rows
        policy = TabularPolicy("abc")
        config = options(f"micro-{tokens}", steps=1, prompts_per_step=1, micro_batch_tokens=tokens)
        train(config, policy, word_env("a"), screen=interrupting())
        assert policy.logits_PC.grad is not None
        gradients.append(policy.logits_PC.grad)
    assert gradients[0].abs().max() > 0
    for gradient in gradients[1:]:
        assert torch.allclose(gradient, gradients[0], atol=1e-7)


def test_the_loop_learns_a_plain_environment(word_env: Any, options: Any, interrupting: Any, lines: Any) -> None:
    words = ("yes", "no", "maybe")
    env, policy = word_env(*words), TabularPolicy((*words, "never"))
    result = train(options(steps=60), policy, env, screen=interrupting())
    assert result.finished and result.steps == 60
    for word in words:
        row = policy.prompt([{"role": "user", "content": f"say {word}"}]).token_ids[0]
        probabilities = torch.softmax(policy.logits_PC[row].detach(), dim=-1)
        assert float(probabilities[(*words, "never").index(word)]) > 0.95
    metrics = lines(result.folder, "metrics.jsonl")
    assert metrics[0]["reward/mean"] < 0.5 < 0.95 < metrics[-1]["reward/mean"]
    assert metrics[-1]["entropy"] < 0.3 < metrics[0]["entropy"]


def test_where_nothing_is_learned_the_weights_stay(word_env: Any, options: Any, interrupting: Any, lines: Any) -> None:
    policy = TabularPolicy("ab")
    result = train(options(steps=2), policy, word_env("x", pay=lambda *_: 1.0), screen=interrupting())
    assert policy.logits_PC.abs().max() == 0
    assert [line["share/zero_variance"] for line in lines(result.folder, "metrics.jsonl")] == [1.0, 1.0]
    assert all("loss" not in line for line in lines(result.folder, "metrics.jsonl"))


def test_an_ungradable_completion_moves_nothing(word_env: Any, options: Any, interrupting: Any, lines: Any) -> None:
    env = word_env("b", pay=lambda word, action: float(action == "b"))
    plain = env.step

    def step(action: str) -> Any:
        observation, reward, terminated, truncated, _ = plain(action)
        outcome = {"a": "WRONG", "b": "CORRECT", "c": "UNGRADABLE"}[action]
        info = {
            "verdict": outcome,
            "score": reward,
            "extracted": "",
            "reason": "test: x",
            "reward_terms": {"t": reward},
        }
        return observation, reward, terminated, truncated, info

    env.step = step
    policy = TabularPolicy("abc")
    result = train(options(steps=1, prompts_per_step=1, group_size=32), policy, env, screen=interrupting())
    drawn = lines(result.folder, "completions.jsonl")
    lost = sum(line["verdict"] == "UNGRADABLE" for line in drawn)
    assert 0 < lost < 32
    assert all(line["advantage"] == 0 for line in drawn if line["verdict"] == "UNGRADABLE")
    right = sum(line["verdict"] == "CORRECT" for line in drawn)
    (line,) = lines(result.folder, "metrics.jsonl")
    assert line["share/ungradable"] == pytest.approx(lost / 32)
    assert line["reward/mean"] == line["reward/t"] == pytest.approx(right / (32 - lost))
    assert line["tokens/trained"] == 2 * (32 - lost)
    # In the closed form only rows that were judged count, so ∂loss/∂θ_c = -1/B Σ_judged A_i (0 - 1/3) = 0: the
    # advantages of the judged add up to nothing.
    assert policy.logits_PC.grad is not None
    assert policy.logits_PC.grad[0, 2].item() == pytest.approx(0.0, abs=1e-6)


def test_the_kl_term_pulls_towards_the_start(word_env: Any, options: Any, interrupting: Any) -> None:
    ends = []
    for beta in (0.0, 1.0):
        policy = TabularPolicy("ab")
        train(options(f"beta-{beta}", steps=30, beta=beta), policy, word_env("a"), screen=interrupting())
        ends.append(float(torch.softmax(policy.logits_PC[0].detach(), dim=-1)[0]))
    assert 0.5 < ends[1] < ends[0] - 0.05


def test_a_loss_that_is_no_number_stops_the_run(word_env: Any, options: Any, interrupting: Any) -> None:
    class Broken(TabularPolicy):
        def logprobs(self, token_ids_BT: Any, mask_BT: Any, temperature: float = 1.0) -> torch.Tensor:
            return super().logprobs(token_ids_BT, mask_BT, temperature) * math.nan

    policy = Broken("ab")
    with pytest.raises(NumericalError, match=r"the loss of step 0 is nan: lower --lr \(now 0\.1\)"):
        train(options(), policy, word_env("a"), screen=interrupting())
    assert policy.logits_PC.abs().max() == 0


@pytest.mark.parametrize("broken", [1, 2, 3, 4])
def test_a_broken_micro_batch_moves_nothing(broken: int, word_env: Any, options: Any, interrupting: Any) -> None:
    """Of four, four rows each: all run before one is looked at, for a look waits for a GPU; then the weights stay."""

    class Broken(TabularPolicy):
        passes = 0

        def logprobs(self, token_ids_BT: Any, mask_BT: Any, temperature: float = 1.0) -> torch.Tensor:
            self.passes += 1
            logprobs_BT = super().logprobs(token_ids_BT, mask_BT, temperature)
            return logprobs_BT * math.nan if self.passes == broken else logprobs_BT

    policy = Broken("abcd")
    config = options(steps=1, prompts_per_step=1, group_size=16, micro_batch_tokens=8)
    with pytest.raises(NumericalError, match=r"the loss of step 0 is nan"):
        train(config, policy, word_env("a"), screen=interrupting())
    assert policy.logits_PC.abs().max() == 0 and policy.passes == 4


def test_micro_batches_do_not_change_the_figures(word_env: Any, options: Any, interrupting: Any, lines: Any) -> None:
    """Every one is counted once, with the weights before the first update and after it."""
    found = []
    for tokens in (1, 10_000):
        config = options(
            f"micro-{tokens}", steps=2, prompts_per_step=2, minibatches=2, beta=0.5, micro_batch_tokens=tokens
        )
        result = train(config, TabularPolicy("abc"), word_env("a"), screen=interrupting())
        found.append(lines(result.folder, "metrics.jsonl"))
    names = ("loss", "kl", "clip", "grad_norm", "parity/mean", "parity/max", "parity/ratio", "tokens/trained")
    one, whole = ([{name: line[name] for name in names} for line in run] for run in found)
    assert one == [pytest.approx(line, abs=1e-6) for line in whole]
    assert whole[-1]["kl"] > 0 and whole[-1]["loss"] != 0 and whole[-1]["tokens/trained"] > 2


def test_the_learning_rate_of_a_step_is_logged_and_used(
    word_env: Any, options: Any, interrupting: Any, lines: Any
) -> None:
    config = options(steps=4, warmup=2, schedule="linear", lr=0.4)
    result = train(config, TabularPolicy("ab"), word_env("a"), screen=interrupting())
    assert [line["lr"] for line in lines(result.folder, "metrics.jsonl")] == pytest.approx([0.2, 0.4, 0.4, 0.2])


def test_prompts_that_cannot_be_dealt_to_the_processes_are_refused(word_env: Any, options: Any) -> None:
    from r1gym.agents.setup import check_run

    with pytest.raises(ConfigError, match="take a multiple of 3"):
        check_run(options(), TabularPolicy("ab"), word_env("a"), 3)


def test_a_policy_of_ones_own_is_not_measured_on_another_environment(
    word_env: Any, options: Any, interrupting: Any, lines: Any
) -> None:
    config = options(steps=1, env="r1/Arithmetic-v0", eval_tasks=5)
    result = train(config, TabularPolicy("ab"), word_env("a"), screen=interrupting())
    assert all("eval/pass@1" not in line for line in lines(result.folder, "metrics.jsonl"))


def test_held_out_tasks_are_measured_with_an_interval(options: Any, interrupting: Any, lines: Any) -> None:
    from r1gym.agents.setup import make_env

    config = options(
        steps=2, env="r1/Arithmetic-v0", env_options='{"digits": 1}', eval_tasks=20, eval_every=1, prompts_per_step=2
    )
    policy = TabularPolicy(tuple(f"\\boxed{{{n}}}" for n in range(3)), prompts=5000)
    result = train(config, policy, make_env(config), screen=interrupting())
    metrics = lines(result.folder, "metrics.jsonl")
    assert [line["step"] for line in metrics] == [0, 1, 2]
    for line in metrics:
        assert 0 <= line["eval/pass@1_low"] <= line["eval/pass@1"] <= line["eval/pass@1_high"] <= 1
        assert (line["eval/pass@1"] * 20) % 1 == pytest.approx(0, abs=1e-9)


def test_sampling_is_called_with_the_seeds_that_the_lines_name(
    word_env: Any, options: Any, interrupting: Any, lines: Any
) -> None:
    policy = TabularPolicy("abc")
    result = train(options(steps=1, prompts_per_step=2), policy, word_env("a", "b"), screen=interrupting())
    drawn = lines(result.folder, "completions.jsonl")
    assert len({line["seed"] for line in drawn}) == len(drawn) == 16
    assert [line["group_id"] for line in drawn] == [0] * 8 + [1] * 8
    fresh = TabularPolicy("abc")
    for line in drawn[:3]:
        prompt = fresh.prompt([{"role": "user", "content": line["prompt"]}])
        ((again,),) = fresh.sample([prompt], 1, Sampling(), [[line["seed"]]])
        assert again.text == line["completion"]


def test_the_screen_gets_the_last_groups_best_and_worst(word_env: Any, options: Any) -> None:
    from r1gym.screen import PlainScreen

    class Watching(PlainScreen):
        pairs: Callable[..., None]

        def completions(self, best: str, worst: str) -> None:
            seen.append((best, worst))

    seen: list[tuple[str, str]] = []
    train(options(steps=1, prompts_per_step=1), TabularPolicy("ab"), word_env("a"), screen=Watching(quiet=True))
    assert seen == [("1  say a a", "0  say a b")]


def test_where_nothing_can_be_judged_there_is_no_mean_reward(
    word_env: Any, options: Any, interrupting: Any, lines: Any
) -> None:
    env = word_env("b", pay=lambda *_: 0.0)
    plain = env.step
    told = {"verdict": "UNGRADABLE", "score": 0.0, "extracted": "", "reason": "test: x", "reward_terms": {"t": 0.0}}
    env.step = lambda action: (*plain(action)[:4], told)
    policy = TabularPolicy("abc")
    result = train(options(steps=1), policy, env, screen=interrupting())
    (line,) = lines(result.folder, "metrics.jsonl")
    assert line["share/ungradable"] == 1.0
    assert "reward/mean" not in line and "reward/t" not in line
    assert policy.logits_PC.abs().max() == 0
