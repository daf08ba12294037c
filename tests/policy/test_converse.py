"""Dialogues through a policy: texts for the environment, ids for the loss, and models that cannot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from r1gym.errors import ConfigError, ModelError
from r1gym.policy.hf import HFPolicy
from r1gym.policy.tokens import character_tokenizer
from r1gym.types import Completion, Sampling

SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "bos_token_id": None, "pad_token_id": None,
}  # fmt: skip


def policy(kind: str = "Llama", **options: Any) -> HFPolicy:
    import transformers

    tokenizer = character_tokenizer("0123456789+=?")
    shape = SHAPE | options | {"vocab_size": len(tokenizer), "eos_token_id": tokenizer.eos_token_id}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**shape))
    return HFPolicy(model, tokenizer)


def test_turns_carry_texts_versions_and_the_trainers_logprobs() -> None:
    agent = policy()
    prompts = [agent.prompt([{"role": "user", "content": text}]) for text in ("1+1=", "22+3=")]
    observation = tuple(agent.tokenizer("?+")["input_ids"])
    heard: list[tuple[int, int, int]] = []

    def answer(p: int, g: int, turns: Sequence[Completion]) -> Sequence[int] | None:
        heard.append((p, g, len(turns)))
        assert turns[-1].text == agent.tokenizer.decode(
            [token for token in turns[-1].token_ids if token != agent.tokenizer.eos_token_id]
        )
        return observation if len(turns) < 2 + g else None

    sampling = Sampling(max_new_tokens=5)
    dialogues = agent.converse(prompts, 2, sampling, [[1, 2], [3, 4]], answer)
    assert [[len(turns) for turns in row] for row in dialogues] == [[2, 3], [2, 3]]
    assert sorted(heard) == [(p, g, n) for p in (0, 1) for g in (0, 1) for n in range(1, 3 + g)]
    # The whole dialogue in one row, observations out of the mask: what is drawn has the probability it was drawn with.
    for prompt, row in zip(prompts, dialogues, strict=True):
        for turns in row:
            ids, mask, expected = list(prompt.token_ids), [False] * len(prompt.token_ids), []
            for turn in turns:
                ids += [*turn.token_ids, *observation]
                mask += [True] * len(turn.token_ids) + [False] * len(observation)
                expected += turn.logprobs
            got = agent.logprobs(torch.tensor([ids]), torch.tensor([mask]))[0][torch.tensor(mask)]
            assert got.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_model_without_the_own_cache_cannot_converse() -> None:
    agent = policy("Mistral", sliding_window=4)
    prompt = agent.prompt([{"role": "user", "content": "1+1="}])
    with pytest.raises(ModelError, match=r"dialogues need the paged cache.*looks back 4 positions"):
        agent.converse([prompt], 1, Sampling(max_new_tokens=2), [[1]], lambda p, g, turns: None)


def test_a_wide_model_on_a_cpu_draws_the_same_to_the_bit_again() -> None:
    agent = policy(hidden_size=256, num_attention_heads=4, max_position_embeddings=128)
    assert agent._sampler._engine.forward is not None  # fused weights
    prompts = [agent.prompt([{"role": "user", "content": text}]) for text in ("1+1=", "22+3=")]
    sampling, seeds = Sampling(max_new_tokens=60), [[1, 2, 3, 4], [5, 6, 7, 8]]
    first = agent.sample(prompts, 4, sampling, seeds)
    assert agent.sample(prompts, 4, sampling, seeds) == first
    agent.converse(prompts, 4, sampling, seeds, lambda p, g, turns: None)
    assert not agent._sampler.stale  # both ways read the same fused weights
    frozen = agent.frozen()
    with torch.no_grad():
        for parameter in agent.parameters():
            parameter.mul_(1.5)
    assert frozen.sample(prompts, 4, sampling, seeds) == first != agent.sample(prompts, 4, sampling, seeds)
    agent.model.to(torch.bfloat16)
    ((half,), _) = agent.sample(prompts, 1, sampling, [[1], [2]])
    ids = torch.tensor([[*prompts[0].token_ids, *half.token_ids]])
    mask = torch.arange(ids.shape[1])[None] >= len(prompts[0].token_ids)
    assert agent.logprobs(ids, mask)[mask].tolist() == pytest.approx(half.logprobs, abs=0.1)


@pytest.mark.parametrize("answered", ["text", [10**6], [-1], [1.5], 3])
def test_an_answer_that_is_no_token_ids_is_named(answered: Any) -> None:
    agent = policy()
    prompt = agent.prompt([{"role": "user", "content": "1+1="}])
    with pytest.raises(ConfigError, match="answer must give token ids from 0 to "):
        agent.converse([prompt], 1, Sampling(max_new_tokens=2), [[1]], lambda p, g, turns: answered)
