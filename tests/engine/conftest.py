"""Tiny random models of many families: two layers, width 32, a vocabulary of 97, token 3 ends a completion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

STOP = 3
COMMON: dict[str, Any] = {
    "vocab_size": 97,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": None,
    "eos_token_id": STOP,
    "pad_token_id": 0,
}
SMALL_HEADS = {**COMMON, "head_dim": 8}
WIDE_HEADS = {
    **COMMON,
    "hidden_size": 96,
    "intermediate_size": 160,
    "num_attention_heads": 6,
    "head_dim": 32,
    "max_position_embeddings": 256,
}
GPT2 = {"vocab_size": 97, "n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 4, "bos_token_id": None}
FAMILIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", COMMON),
    "llama-eager": ("LlamaConfig", "LlamaForCausalLM", {**COMMON, "attn_implementation": "eager"}),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", COMMON),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", SMALL_HEADS),
    "mistral": ("MistralConfig", "MistralForCausalLM", COMMON),
    "gemma": ("GemmaConfig", "GemmaForCausalLM", SMALL_HEADS),
    "phi3": ("Phi3Config", "Phi3ForCausalLM", COMMON),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", COMMON),
    "smollm3": ("SmolLM3Config", "SmolLM3ForCausalLM", COMMON),
    "qwen3-moe": ("Qwen3MoeConfig", "Qwen3MoeForCausalLM", SMALL_HEADS),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", {**GPT2, "eos_token_id": STOP}),
    "gpt-neox": ("GPTNeoXConfig", "GPTNeoXForCausalLM", COMMON),
    # Heads of 32, the narrowest that the compact path takes to a GPU.
    "llama-wide": ("LlamaConfig", "LlamaForCausalLM", WIDE_HEADS),
    "llama-deep": ("LlamaConfig", "LlamaForCausalLM", {**WIDE_HEADS, "num_hidden_layers": 8}),
    "qwen3-wide": ("Qwen3Config", "Qwen3ForCausalLM", WIDE_HEADS),
    "qwen2-wide": ("Qwen2Config", "Qwen2ForCausalLM", WIDE_HEADS),
    "mistral-wide": ("MistralConfig", "MistralForCausalLM", WIDE_HEADS),
    # What the own cache does not hold: these fall back to model.generate.
    "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", {**SMALL_HEADS, "sliding_window": 8}),
    "mistral-window": ("MistralConfig", "MistralForCausalLM", {**COMMON, "sliding_window": 8}),
    "mamba": ("MambaConfig", "MambaForCausalLM", {**COMMON}),
    "bloom": ("BloomConfig", "BloomForCausalLM", {**COMMON, "n_layer": 2, "n_head": 4}),
    "falcon-alibi": ("FalconConfig", "FalconForCausalLM", {**COMMON, "alibi": True}),
}
OWN_CACHE = (
    "llama",
    "llama-eager",
    "qwen2",
    "qwen3",
    "mistral",
    "gemma",
    "phi3",
    "olmo2",
    "smollm3",
    "qwen3-moe",
    "gpt2",
    "gpt-neox",
)
FALL_BACK = ("gemma2", "mistral-window", "mamba", "bloom", "falcon-alibi")


def build(family: str) -> Any:
    import transformers

    config, model, options = FAMILIES[family]
    with torch.random.fork_rng():
        torch.manual_seed(7)
        made = getattr(transformers, model)(getattr(transformers, config)(**options))
        # Fresh weights give nearly flat logits; sharper ones make a wrong position or mask visible.
        with torch.no_grad():
            for parameter in made.parameters():
                if parameter.dim() == 2:
                    parameter.mul_(4.0)
    return made.eval()


def generate_greedily(model: Any, prompt: Sequence[int], budget: int, **options: Any) -> tuple[int, ...]:
    ids = torch.tensor([list(prompt)], device=model.device)
    output = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=budget,
        eos_token_id=STOP,
        pad_token_id=0,
        **options,
    )
    return tuple(output[0, len(prompt) :].tolist())


@pytest.fixture(scope="session")
def by_generate() -> Callable[..., tuple[int, ...]]:
    """What ``model.generate`` draws greedily after a prompt: (model, prompt, budget, **its options)."""
    return generate_greedily


@pytest.fixture(scope="session")
def model_of() -> Callable[[str], Any]:
    """Each model is built once; a test that changes weights builds its own with ``build``."""
    made: dict[str, Any] = {}

    def model(family: str) -> Any:
        if family not in made:
            made[family] = build(family)
        return made[family]

    return model


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "own_cache" in metafunc.fixturenames:
        metafunc.parametrize("own_cache", OWN_CACHE)
    if "fall_back" in metafunc.fixturenames:
        metafunc.parametrize("fall_back", FALL_BACK)


@pytest.fixture
def fresh_model() -> Callable[[str], Any]:
    return build
