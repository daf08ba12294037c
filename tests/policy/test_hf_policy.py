"""HFPolicy: sampling, log-probabilities, copies, storage, and what cannot be loaded."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from r1gym.errors import ConfigError, ModelError, PromptTooLongError, TokenizerError
from r1gym.policy.hf import HFPolicy
from r1gym.policy.tokens import character_tokenizer
from r1gym.types import Sampling

CONTEXT = 32


def tiny(seed: int = 0, **options: Any) -> HFPolicy:
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = character_tokenizer("0123456789+=", ("<think>", "</think>"))
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": None,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": None,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return HFPolicy(LlamaForCausalLM(LlamaConfig(**(shape | options))), tokenizer)


def ask(policy: HFPolicy, *questions: str) -> list[Any]:
    return [policy.prompt([{"role": "user", "content": question}]) for question in questions]


def weights(policy: HFPolicy) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in policy.model.state_dict().items()}


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], two[name]) for name in one | two)


def test_sample_gives_p_by_g_completions_in_order() -> None:
    policy = tiny()
    policy.sync()
    prompts = ask(policy, "1+1=", "22+22=")
    together = policy.sample(prompts, 2, Sampling(max_new_tokens=8), [[1, 2], [3, 4]])
    assert [len(row) for row in together] == [2, 2]
    assert policy.sample(prompts[1:], 1, Sampling(max_new_tokens=8), [[4]])[0][0].token_ids == together[1][1].token_ids
    completion = together[0][0]
    assert len(completion.logprobs) == len(completion.token_ids) <= 8
    assert completion.policy_version == 1


def test_logprobs_are_zero_outside_the_mask_and_the_sampled_ones_inside() -> None:
    policy = tiny()
    sampling = Sampling(temperature=0.7, max_new_tokens=10)
    prompts = ask(policy, "1+1=", "22+22=")
    completions = [row[0] for row in policy.sample(prompts, 1, sampling, [[1], [2]])]
    rows = [(*p.token_ids, *c.token_ids) for p, c in zip(prompts, completions, strict=True)]
    width = max(map(len, rows)) + 2
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    mask = torch.zeros_like(ids, dtype=torch.bool)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        begin = len(prompt.token_ids)
        mask[row, begin : begin + len(completion.token_ids)] = True
    got = policy.logprobs(ids, mask, 0.7)
    assert got.shape == ids.shape
    assert got[~mask].abs().max() == 0
    for row, completion in enumerate(completions):
        assert got[row][mask[row]].tolist() == pytest.approx(completion.logprobs, abs=1e-5)
    got.sum().backward()
    assert all(parameter.grad is not None for parameter in policy.parameters())


def test_logprobs_of_a_first_token_and_of_nothing() -> None:
    policy, ids = tiny(), torch.tensor([[5, 6, 7]])
    everything = policy.logprobs(ids, torch.ones_like(ids, dtype=torch.bool))
    assert everything[0, 0] == 0  # nothing stands before it that could give it a probability
    assert (everything[0, 1:] < 0).all()
    assert policy.logprobs(ids, torch.zeros_like(ids, dtype=torch.bool)).tolist() == [[0.0, 0.0, 0.0]]


def test_dropout_is_off_so_that_trainer_and_sampler_are_one_distribution() -> None:
    policy = tiny(attention_dropout=0.5)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    mask = torch.tensor([[False, False, True, True, True]])
    assert torch.equal(policy.logprobs(ids, mask), policy.logprobs(ids, mask))


def test_a_prompt_that_fills_the_context_is_refused_and_a_long_one_gets_what_is_left() -> None:
    policy = tiny()
    with pytest.raises(PromptTooLongError, match=rf"{CONTEXT} tokens and the model's context holds {CONTEXT}"):
        policy.sample(ask(policy, "1" * CONTEXT), 1, Sampling(), [[1]])
    (row,) = policy.sample(ask(policy, "1" * (CONTEXT - 2)), 1, Sampling(max_new_tokens=50), [[1]])
    assert len(row[0].token_ids) <= 2


def test_a_frozen_copy_does_not_move() -> None:
    policy = tiny()
    frozen = policy.frozen()
    before = weights(frozen)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(1.0)
    assert same(weights(frozen), before)
    assert not same(weights(policy), before)
    assert list(frozen.parameters()) == []


@pytest.mark.parametrize("tied", [True, False])
def test_saving_and_loading_give_the_same_bits_in_place(tied: bool, tmp_path: Path) -> None:
    policy = tiny(tie_word_embeddings=tied)
    before = weights(policy)
    policy.save(tmp_path)
    other = tiny(seed=1, tie_word_embeddings=tied)
    tensors = [parameter.data_ptr() for parameter in other.parameters()]
    other.load(tmp_path)
    assert same(weights(other), before)
    assert [parameter.data_ptr() for parameter in other.parameters()] == tensors
    opened = HFPolicy.from_pretrained(str(tmp_path))
    assert same(weights(opened), before)
    assert opened.stops == policy.stops
    assert ask(opened, "1+1=") == ask(policy, "1+1=")


def test_loading_another_shape_is_refused(tmp_path: Path) -> None:
    tiny().save(tmp_path)
    with pytest.raises(ModelError, match="does not fit this model"):
        tiny(num_hidden_layers=2).load(tmp_path)


def test_a_model_that_needs_the_fallback_says_so_and_samples_the_same_way(caplog: pytest.LogCaptureFixture) -> None:
    from transformers import MistralConfig, MistralForCausalLM

    tokenizer = character_tokenizer("0123456789+=")
    config = MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=64,
        sliding_window=4,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    with caplog.at_level(logging.WARNING, logger="r1gym.policy.hf"):
        policy = HFPolicy(MistralForCausalLM(config), tokenizer)
    assert "falls back to model.generate, which is slower: its" in caplog.text
    (prompt,) = ask(policy, "12+34=")
    (row,) = policy.sample([prompt], 2, Sampling(max_new_tokens=10), [[1, 2]])
    for completion in row:
        ids = torch.tensor([[*prompt.token_ids, *completion.token_ids]])
        mask = torch.arange(ids.shape[1])[None] >= len(prompt.token_ids)
        assert policy.logprobs(ids, mask)[mask].tolist() == pytest.approx(completion.logprobs, abs=1e-5)


def test_stop_tokens_come_from_the_tokenizer_and_from_the_generation_settings() -> None:
    policy = tiny()
    policy.model.generation_config.eos_token_id = [5, 6]
    assert HFPolicy(policy.model, policy.tokenizer).stops == (policy.tokenizer.eos_token_id, 5, 6)


def test_a_tokenizer_without_eos_is_refused_and_one_without_padding_is_fine() -> None:
    policy = tiny(eos_token_id=None)
    policy.tokenizer.pad_token = None
    plain = HFPolicy(policy.model, policy.tokenizer)
    questions = ask(plain, "1+1=", "22+22=+1")  # rows of different length: our padding asks no tokenizer
    assert len(plain.sample(questions, 1, Sampling(max_new_tokens=4), [[1], [2]])) == 2
    policy.tokenizer.eos_token = None
    with pytest.raises(TokenizerError, match="no end-of-sequence token"):
        HFPolicy(policy.model, policy.tokenizer)


@pytest.mark.parametrize("name", ["./missing", "/missing/model", "a/b/c", "missing.gguf"])
def test_a_path_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ModelError, match="no model at"):
        HFPolicy.from_pretrained(name)


def test_folders_and_files_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        HFPolicy.from_pretrained(str(tmp_path))
    note = tmp_path / "model.bin"
    note.write_text("x")
    with pytest.raises(ModelError, match=r"no \.gguf file"):
        HFPolicy.from_pretrained(str(note))
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    with pytest.raises(ModelError, match="cannot load the model") as caught:
        HFPolicy.from_pretrained(str(tmp_path))
    assert "\n" not in str(caught.value)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot load the model"):
        HFPolicy.from_pretrained(str(tmp_path))


def test_a_gguf_is_unpacked_even_where_packed_weights_could_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Packed weights do not learn; transformers' marks of either kind forbid to store the model, and are taken off."""
    import transformers

    asked: list[dict[str, Any]] = []
    policy = tiny()

    def load(**options: Any) -> Any:
        asked.append(options)
        policy.model.is_quantized, policy.model.config.quantization_config = True, object()
        return policy.model

    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda **_: policy.tokenizer)
    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", load)
    (tmp_path / "w.gguf").write_bytes(b"GGUF")
    loaded = HFPolicy.from_pretrained(str(tmp_path / "w.gguf"))
    assert asked[0]["gguf_file"] == "w.gguf"
    if hasattr(transformers, "GgufConfig"):
        assert asked[0]["quantization_config"].dequantize
    assert not loaded.model.is_quantized and not hasattr(loaded.model.config, "quantization_config")


def test_damaged_weights_are_a_model_error(tmp_path: Path) -> None:
    tiny().save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors at all")
    with pytest.raises(ModelError, match="cannot load the model"):
        HFPolicy.from_pretrained(str(tmp_path))


def test_a_hub_id_that_cannot_be_reached_fails_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelError, match="or a hub id that can be reached") as caught:
        HFPolicy.from_pretrained("r1gym-tests/there-is-no-such-model")
    assert "\n" not in str(caught.value)


def test_an_unknown_dtype_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ModelError, match="float32, bfloat16 or float16, got 'float8'"):
        HFPolicy.from_pretrained("./missing", dtype="float8")


def test_a_real_model_writes_the_recorded_text() -> None:
    folder = Path(os.environ.get("R1GYM_DATA", "")) / "stories260k"
    if not (folder / "expected_greedy.json").is_file():
        pytest.skip("R1GYM_DATA holds no stories260k")
    policy = HFPolicy.from_pretrained(str(folder))
    (prompt,) = ask(policy, "Once upon a time")
    assert prompt.token_ids[0] == 1  # the tokenizer's BOS stands in front
    ((completion,),) = policy.sample([prompt], 1, Sampling(temperature=0.0, max_new_tokens=20), [[1]])
    assert completion.text.startswith(", there was a little girl named Lily")


def test_a_stop_string_ends_the_text_and_leaves_the_ids_whole() -> None:
    policy = tiny()
    prompts, greedy = ask(policy, "1+1="), Sampling(temperature=0.0, max_new_tokens=20)
    ((plain,),) = policy.sample(prompts, 1, greedy, [[1]])
    string = plain.text[3:5]
    assert string and string not in plain.text[:4]
    for keep, text in ((True, plain.text[:5]), (False, plain.text[:3])):
        ((got,),) = policy.sample(prompts, 1, replace(greedy, stop=("#", string), keep_stop=keep), [[1]])
        assert (got.text, got.finish) == (text, "stop")
        assert got.token_ids == plain.token_ids[: len(got.token_ids)] and len(got.logprobs) == len(got.token_ids)
        assert policy._decode(got.token_ids).startswith(plain.text[:5])


@pytest.mark.parametrize("seeds", [[[1], [2]], [[1, 2]], [[1, 2], [3, 4, 5]], [[1, 2]] * 3])
def test_seeds_that_are_not_one_a_completion_are_refused(seeds: list[list[int]]) -> None:
    """They would shift completions to other prompts' groups."""
    policy = tiny()
    with pytest.raises(ConfigError, match=r"2 rows \(one a prompt\) of 2 \(one a completion\)"):
        policy.sample(ask(policy, "1+1=", "2+2="), 2, Sampling(max_new_tokens=4), seeds)


def test_a_device_that_is_not_there_is_refused_before_anything_is_read() -> None:
    with pytest.raises(ModelError, match=r"cannot use the device 'gpu': .* Give cpu, or cuda"):
        HFPolicy.from_pretrained("no/such/model", device="gpu")
