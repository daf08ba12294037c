"""The job that the engine benchmarks share: a model's shape with random weights, prompts, and forced lengths."""

from __future__ import annotations

import random
from typing import Any

import torch

__all__ = ["SHAPES", "make_model", "make_requests"]

SHAPES: dict[str, dict[str, Any]] = {
    "smollm2-135m": {
        "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "max_position_embeddings": 8192,
        "tie_word_embeddings": True, "rope_theta": 100000.0, "initializer_range": 0.041666666666666664,
    },
    "qwen2-0.5b": {
        "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "max_position_embeddings": 8192,
        "tie_word_embeddings": True, "rope_theta": 1000000.0,
    },
    "qwen2-1.5b": {
        "model_type": "qwen2", "vocab_size": 151936, "hidden_size": 1536, "intermediate_size": 8960,
        "num_hidden_layers": 28, "num_attention_heads": 12, "num_key_value_heads": 2, "max_position_embeddings": 8192,
        "tie_word_embeddings": True, "rope_theta": 1000000.0,
    },
    "tiny": {
        "model_type": "llama", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
        "tie_word_embeddings": True,
    },
}  # fmt: skip


def make_model(shape: str, dtype: torch.dtype, device: str, seed: int = 0) -> Any:
    """A transformers model of that shape with random weights."""
    import transformers

    fields = dict(SHAPES[shape])
    kind = {"llama": transformers.LlamaConfig, "qwen2": transformers.Qwen2Config}[fields.pop("model_type")]
    config = kind(**fields, bos_token_id=None, eos_token_id=2, pad_token_id=0)
    torch.manual_seed(seed)
    with torch.device(device):  # a processor takes half a minute for the numbers of 1.5 billion weights
        return transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).to(device)


def make_requests(prompts: int, group: int, vocabulary: int, limit: int) -> tuple[list[list[int]], list[int]]:
    """Prompts of 100 to 140 tokens, and one forced length a completion: lognormal, sigma 0.6, mean about 180."""
    rng = random.Random(7)
    texts = [[rng.randrange(3, vocabulary) for _ in range(rng.randint(100, 140))] for _ in range(prompts)]
    scale = limit / 512
    lengths = [max(1, min(limit, round(scale * 160 * rng.lognormvariate(0, 0.6)))) for _ in range(prompts * group)]
    return texts, lengths
