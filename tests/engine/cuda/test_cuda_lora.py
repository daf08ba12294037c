"""LoRA on captured graphs: rank-8 adapters against peft's own ``generate``, learning, merged, switched off."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from r1gym.policy.hf import HFPolicy
from r1gym.policy.tokens import character_tokenizer
from r1gym.types import Completion, Prompt, Sampling

peft = pytest.importorskip("peft", reason="adapters are tested with peft, which the dev extra brings")
# peft reads a property of transformers that is about to go.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
BUDGET = 14
GREEDY = Sampling(temperature=0.0, max_new_tokens=BUDGET)
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 50)), tuple(range(20, 84)))
CHANGED = "has changed under the sampler"


def lora_policy(gpu_model: Any, family: str, dtype: torch.dtype = torch.float32) -> HFPolicy:
    """Rank 8, with a B that is not zero, so that the adapter counts from the start."""
    target: Any = {"gpt2": ["c_attn"], "phi3": ["qkv_proj"]}.get(family, "all-linear")
    fan = {"fan_in_fan_out": True} if family == "gpt2" else {}
    base = gpu_model(family, dtype)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        config = peft.LoraConfig(
            r=8, lora_alpha=16, init_lora_weights=False, task_type="CAUSAL_LM", target_modules=target, **fan
        )
        model = peft.get_peft_model(base, config).to(base.device)
    return HFPolicy(model, character_tokenizer("0123456789+-*/=?abcdefghij"), 3)


def draw(policy: HFPolicy) -> list[Completion]:
    prompts = [Prompt(({"role": "user", "content": "?"},), ids) for ids in PROMPTS]
    return [row[0] for row in policy.sample(prompts, 1, GREEDY, [[1]] * len(PROMPTS))]


def check(label: str, policy: HFPolicy, by_generate: Any, same_tokens: Any) -> list[tuple[int, ...]]:
    drawn = draw(policy)
    for prompt, completion in zip(PROMPTS, drawn, strict=True):
        expected = _until_stop(by_generate(policy.model, prompt, BUDGET), policy.stops)
        same_tokens(label, policy.model, prompt, completion.token_ids, expected)
    return [completion.token_ids for completion in drawn]


def _until_stop(ids: Sequence[int], stops: Sequence[int]) -> tuple[int, ...]:
    """The tests' ``generate`` knows one stop id, the policy also its tokenizer's."""
    end = next((place for place, token in enumerate(ids) if token in stops), len(ids))
    return tuple(ids[: end + 1])


def learn(policy: HFPolicy) -> None:
    ids = torch.tensor([PROMPTS[2]])
    mask = torch.arange(ids.shape[1])[None] >= 3
    optimizer = torch.optim.AdamW(list(policy.parameters()), 0.02)
    policy.logprobs(ids, mask).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("family", ["llama-wide", "qwen2", "gpt2", "phi3"])
def test_greedy_tokens_equal_generate_before_and_after_steps(
    family: str, gpu_model: Any, by_generate: Any, same_tokens: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Two optimizer steps in place, under the same graphs."""
    policy = lora_policy(gpu_model, family)
    assert policy._sampler.name == "general", f"{family} took {policy._sampler.name}: {policy._sampler.reason}"
    seen = []
    with caplog.at_level(logging.WARNING):
        for step in range(3):
            seen.append(check(f"{family}, after {step} steps", policy, by_generate, same_tokens))
            learn(policy)
    assert seen[0] != seen[1] != seen[2], f"{family}: a step of the adapter does not change what is drawn"
    assert CHANGED not in caplog.text, "an optimizer step is no reason to start anew"


def test_adapters_switched_off_merged_and_exchanged_are_noticed(
    gpu_model: Any, by_generate: Any, same_tokens: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A captured graph holds the way through the adapters: every change of it must give other graphs."""
    policy = lora_policy(gpu_model, "llama")
    model: Any = policy.model

    def noticed(label: str) -> list[tuple[int, ...]]:
        caplog.clear()
        drawn = check(label, policy, by_generate, same_tokens)
        assert (CHANGED in caplog.text) == (label != "adapter on"), f"{label}: {caplog.text or 'nothing was told'}"
        return drawn

    with caplog.at_level(logging.WARNING):
        on = noticed("adapter on")
        with model.disable_adapter():
            off = noticed("adapter off")
        assert off != on, "the adapter changes nothing"
        noticed("adapter on again")
        model.merge_adapter()
        noticed("merged")
        model.unmerge_adapter()
        noticed("unmerged")
        config = peft.LoraConfig(r=4, init_lora_weights=False, target_modules=["v_proj"])
        model.add_adapter("other", config)
        model.to(model.device)
        model.set_adapter("other")
        noticed("another adapter")


@pytest.mark.parametrize("family", ["llama-wide", "gpt2"])
def test_bf16_draws_learns_and_agrees_with_the_trainer(family: str, gpu_model: Any, trained_logprobs: Any) -> None:
    policy = lora_policy(gpu_model, family, torch.bfloat16)
    prompt = policy.prompt([{"role": "user", "content": "12+3="}])
    for _ in range(2):
        (row,) = policy.sample([prompt], 4, Sampling(max_new_tokens=20), [[1, 2, 3, 4]])
        gaps = [
            abs(a - b)
            for one in row
            for a, b in zip(trained_logprobs(policy, prompt.token_ids, one), one.logprobs, strict=True)
        ]
        mean = sum(gaps) / len(gaps)
        print(f"parity {family}, LoRA in bf16: mean {mean:.4f}, largest {max(gaps):.4f} over {len(gaps)} tokens")
        assert mean < 0.1, f"{family}: sampler and trainer are {mean:.4f} nats apart in the mean"
        learn(policy)
    assert draw(policy) == draw(policy)


def test_an_adapter_is_read_into_the_graphs(gpu_model: Any, tmp_path: Path) -> None:
    policy = lora_policy(gpu_model, "llama")
    first = draw(policy)
    policy.save(tmp_path)
    learn(policy)
    assert draw(policy) != first
    sampler = policy._sampler
    policy.load(tmp_path)
    assert draw(policy) == first, "the loaded adapter is not the one that was stored"
    assert policy._sampler is sampler, "loading in place must not start the sampler anew"
