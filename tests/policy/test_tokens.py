"""Templates, BOS and EOS, decoding, and the character tokenizer."""

from __future__ import annotations

from typing import Any

import pytest

from r1gym.errors import TokenizerError
from r1gym.policy.tokens import character_tokenizer, decode, encode, stop_ids

CHAT = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<bot>{% endif %}"
USER = [{"role": "user", "content": "1+1="}]


@pytest.fixture
def tokenizer() -> Any:
    return character_tokenizer("0123456789+=\n", ("<think>", "</think>", "<user>", "<bot>", "<system>"))


def test_a_plain_tokenizer_gets_the_contents(tokenizer: Any) -> None:
    system = {"role": "system", "content": "2"}
    assert tokenizer.decode(encode(tokenizer, [system, *USER])) == "2\n\n1+1="


def test_a_chat_template_renders_and_opens_the_answer(tokenizer: Any) -> None:
    tokenizer.chat_template = CHAT
    assert tokenizer.decode(encode(tokenizer, USER)) == "<user>1+1=<bot>"


def test_a_bos_stays_and_a_closing_eos_goes(tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    eos = tokenizer.eos_token_id
    bare = encode(tokenizer, USER)
    pair = [("<eos>", eos), ("<user>", tokenizer.convert_tokens_to_ids("<user>"))]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<user> $A <eos>", special_tokens=pair)
    assert encode(tokenizer, USER) == (pair[1][1], *bare)
    # A chat template has written its own special tokens: none are added.
    tokenizer.chat_template = CHAT
    assert encode(tokenizer, USER)[-1] != eos


def test_a_template_that_refuses_a_role_is_a_tokenizer_error(tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(TokenizerError, match="refuses these messages \\(system, user\\): System role not supported"):
        encode(tokenizer, [{"role": "system", "content": "2"}, *USER])


def test_an_empty_prompt_is_refused(tokenizer: Any) -> None:
    with pytest.raises(TokenizerError, match="empty"):
        encode(tokenizer, [{"role": "user", "content": ""}])


def test_decoding_keeps_tags_and_drops_the_stop_token_only(tokenizer: Any) -> None:
    ids = tokenizer("<think>1+1=2</think>2")["input_ids"]
    eos = tokenizer.eos_token_id
    assert decode(tokenizer, [*ids, eos], [eos]) == "<think>1+1=2</think>2"
    assert decode(tokenizer, ids, [eos]) == "<think>1+1=2</think>2"
    assert decode(tokenizer, [*ids, eos, eos], [eos]) == "<think>1+1=2</think>2<eos>"
    assert decode(tokenizer, [], [eos]) == ""


def test_stop_ids_may_be_numbers_lists_or_absent() -> None:
    class Owner:
        def __init__(self, eos: Any) -> None:
            self.eos_token_id = eos

    assert stop_ids(Owner(7)) == (7,)
    assert stop_ids(Owner(7), Owner([9, 7, 8])) == (7, 8, 9)
    assert stop_ids(Owner(None), Owner((0,))) == (0,)  # token 0 is a token
    with pytest.raises(TokenizerError, match="eos_token"):
        stop_ids(Owner(None), Owner([]))


def test_the_character_tokenizer_gives_one_token_a_character_and_a_tag() -> None:
    tokenizer = character_tokenizer("01+", ("<think>",))
    ids = tokenizer("<think>10+1?")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["<think>", "1", "0", "+", "1", "<unk>"]
    assert len({*ids, tokenizer.pad_token_id, tokenizer.eos_token_id}) == 7
