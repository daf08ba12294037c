"""LoRA: a peft model's tokens on every path against its own ``generate``, before and after an optimizer step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from r1gym.engine import choice
from r1gym.engine.adapters import unwrap
from r1gym.engine.compact import CompactForward
from r1gym.engine.dense import DenseForward
from r1gym.engine.engine import Engine
from r1gym.engine.fused import not_compact
from r1gym.engine.general import GeneralForward
from r1gym.engine.request import Request
from r1gym.engine.sampler import Sampler, unsupported
from r1gym.errors import ModelError
from r1gym.policy.hf import HFPolicy
from r1gym.policy.tokens import character_tokenizer
from r1gym.types import Sampling

peft = pytest.importorskip("peft", reason="adapters are tested with peft, which the dev extra brings")
# peft reads a property of transformers that is about to go.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
STOP = 3
GREEDY = Sampling(temperature=0.0)
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 50)), tuple(range(20, 84)))
ByGenerate = Callable[..., tuple[int, ...]]


def with_lora(model: Any, **options: Any) -> Any:
    """Rank 8, with a B that is not zero, so that the adapter counts from the start."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        fan = {"fan_in_fan_out": True} if model.config.model_type == "gpt2" else {}
        return peft.get_peft_model(
            model,
            peft.LoraConfig(r=8, lora_alpha=16, init_lora_weights=False, task_type="CAUSAL_LM", **fan, **options),
        ).eval()


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt2", "phi3"])
def test_greedy_tokens_equal_generate_after_an_optimizer_step_too(
    family: str, fresh_model: Callable[[str], Any], by_generate: ByGenerate
) -> None:
    target: Any = {"gpt2": ["c_attn"], "phi3": ["qkv_proj"]}.get(family, "all-linear")
    plain = fresh_model(family)
    bare = [by_generate(plain, prompt, 14) for prompt in PROMPTS]
    model = with_lora(plain, target_modules=target)
    inner = unwrap(model)
    assert unsupported(inner) == "" and type(inner) is type(plain)
    requests = [Request(prompt, 1, 14) for prompt in PROMPTS]
    runs = Sampler(inner, [STOP], 3).run, Engine(GeneralForward(inner), [STOP], 3).run
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], 0.02)
    seen = [bare]
    for _ in range(2):
        expected = [by_generate(model, prompt, 14) for prompt in PROMPTS]
        assert expected not in seen  # the adapter, and then its step, change what is drawn
        for run in runs:
            assert [sample.token_ids for sample in run(requests, GREEDY)] == expected
        seen.append(expected)
        model(input_ids=torch.tensor([PROMPTS[2]])).logits.log_softmax(-1)[0, :, 11].sum().neg().backward()
        optimizer.step()


def test_the_compact_path_hands_adapters_to_the_general_one(
    fresh_model: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "no_kernels", lambda device: "")  # as on a GPU; nothing is run here
    model = fresh_model("llama-wide")
    assert choice.choose(model, [STOP], 4).name == "compact"
    lora = with_lora(model, target_modules=["down_proj"], layers_to_transform=[1])
    with caplog.at_level(logging.INFO, logger="r1gym.engine.choice"):
        drawer = choice.choose(lora, [STOP], 4)
    assert drawer.name == "general" and drawer.reason == "its down_proj carries an adapter"
    assert "through the model's own forward: its down_proj carries an adapter" in caplog.text
    assert drawer.packed_weights is None  # training takes the model's own forward, too


def test_an_engine_notices_adapters_put_into_its_model(fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("llama")
    engines = [Engine(CompactForward(model), [STOP], 2), Engine(GeneralForward(model), [STOP], 2)]
    with_lora(model, target_modules=["v_proj"], layers_to_transform=[1])
    for engine in engines:
        with pytest.raises(ModelError, match="make a new engine"):
            engine.run([Request((5,), 1, 2)], GREEDY)
    assert "carries an adapter" in not_compact(model)


def test_prompt_tuning_is_left_to_generate(fresh_model: Callable[[str], Any], caplog: pytest.LogCaptureFixture) -> None:
    config = peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
    model = peft.get_peft_model(fresh_model("llama"), config)
    assert unwrap(model) is model
    assert choice.choose(model, [STOP], 4).name == "generate"
    assert "falls back to model.generate" in caplog.text


def test_a_policy_learns_stores_and_reads_its_adapter(tmp_path: Path, fresh_model: Callable[[str], Any]) -> None:
    def make() -> HFPolicy:
        model = with_lora(fresh_model("llama"), target_modules="all-linear")
        return HFPolicy(model, character_tokenizer("0123456789+="))

    policy = make()
    (prompt,) = [policy.prompt([{"role": "user", "content": "1+1="}])]
    ((completion,),) = policy.sample([prompt], 1, Sampling(max_new_tokens=12), [[1]])
    ids = torch.tensor([[*prompt.token_ids, *completion.token_ids]])
    mask = torch.arange(ids.shape[1])[None] >= len(prompt.token_ids)
    logprobs = policy.logprobs(ids, mask)
    assert logprobs[mask].tolist() == pytest.approx(completion.logprobs, abs=1e-5)
    learning = list(policy.parameters())
    assert 0 < sum(p.numel() for p in learning) < sum(p.numel() for p in policy.model.parameters()) / 2
    optimizer = torch.optim.AdamW(learning, 0.05)
    logprobs.sum().backward()
    optimizer.step()
    policy.save(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").is_file() and not (tmp_path / "model.safetensors").exists()
    other = make()
    with torch.no_grad():
        assert not torch.allclose(other.logprobs(ids, mask), policy.logprobs(ids, mask))
        other.load(tmp_path)
        assert torch.equal(other.logprobs(ids, mask), policy.logprobs(ids, mask))
    assert other.sample([prompt], 1, GREEDY, [[1]]) == policy.sample([prompt], 1, GREEDY, [[1]])


@pytest.mark.parametrize("target", ["q_proj", "v_proj", "up_proj", "o_proj"])
def test_weights_that_a_merge_puts_elsewhere_are_noticed(target: str, fresh_model: Callable[[str], Any]) -> None:
    """A safe merge replaces the tensor of each target, and of no other matrix."""
    model = fresh_model("llama")
    forwards = CompactForward(model), DenseForward(model)
    model.requires_grad_(False)
    merged = with_lora(model, target_modules=[target]).merge_and_unload(safe_merge=True)
    assert merged is model and not_compact(model) == ""
    assert all(forward.stale for forward in forwards)
    assert not CompactForward(model).stale


@pytest.mark.parametrize("name", ["self_attn.k_proj.bias", "input_layernorm.weight", "self_attn.q_norm.weight"])
def test_small_parameters_that_move_are_noticed_too(name: str, fresh_model: Callable[[str], Any]) -> None:
    model = fresh_model("qwen3" if "q_norm" in name else "qwen2")
    forward = CompactForward(model)
    assert not forward.stale
    parameter = model.model.layers[1].get_parameter(name)
    parameter.data = parameter.data * 2
    assert forward.stale


def test_adapters_merged_or_switched_off_make_captured_graphs_stale(fresh_model: Callable[[str], Any]) -> None:
    model = with_lora(fresh_model("llama"), target_modules=["v_proj"])
    forward = GeneralForward(unwrap(model))
    assert not forward.stale
    with model.disable_adapter():
        assert forward.stale
    model.merge_adapter()
    assert forward.stale
    model.unmerge_adapter()
    assert not forward.stale


def test_learned_prompts_come_back_too(fresh_model: Callable[[str], Any], tmp_path: Path) -> None:
    config = peft.PromptTuningConfig(num_virtual_tokens=3, task_type="CAUSAL_LM")
    policy = HFPolicy(peft.get_peft_model(fresh_model("llama"), config), character_tokenizer("abc"))
    (prompt,) = policy.parameters()
    stored = prompt.detach().clone()
    policy.save(tmp_path)
    with torch.no_grad():
        prompt.zero_()
    policy.load(tmp_path)
    assert stored.any() and torch.equal(prompt, stored)


def lora_policy(fresh_model: Callable[[str], Any], targets: list[str], name: str = "default") -> HFPolicy:
    model = fresh_model("llama")
    config = peft.LoraConfig(r=2, init_lora_weights=False, target_modules=targets)
    return HFPolicy(peft.get_peft_model(model, config, adapter_name=name), character_tokenizer("abc"))


def test_an_adapter_of_another_name_comes_back(fresh_model: Callable[[str], Any], tmp_path: Path) -> None:
    policy = lora_policy(fresh_model, ["v_proj"], "mine")
    stored = [parameter.detach().clone() for parameter in policy.parameters()]
    policy.save(tmp_path)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.zero_()
    policy.load(tmp_path)
    assert stored and all(torch.equal(a, b) for a, b in zip(policy.parameters(), stored, strict=True))


@pytest.mark.parametrize(
    ("stored", "own"),
    [(["v_proj"], ["q_proj"]), (["v_proj"], ["q_proj", "v_proj"]), (["q_proj", "v_proj"], ["v_proj"])],
)
def test_an_adapter_for_other_modules_is_refused(
    stored: list[str], own: list[str], fresh_model: Callable[[str], Any], tmp_path: Path
) -> None:
    lora_policy(fresh_model, stored).save(tmp_path)
    with pytest.raises(ModelError, match=r"does not fit this model: its adapter 'default' (lacks|holds) .*_proj"):
        lora_policy(fresh_model, own).load(tmp_path)
