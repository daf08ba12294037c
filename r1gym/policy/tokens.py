"""Between chat messages and token ids: templates, stop tokens, decoding, and a character tokenizer made in code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from r1gym.errors import TokenizerError
from r1gym.types import Message

__all__ = ["character_tokenizer", "decode", "encode", "stop_ids"]

EOS = "<eos>"
PAD = "<pad>"


def encode(tokenizer: Any, messages: Sequence[Message]) -> tuple[int, ...]:
    """Token ids that a policy continues.

    A tokenizer with a chat template renders the messages and opens the assistant's turn; a plain one gets the
    messages' contents, one after the other, and whatever it puts in front of a text (a BOS token).

    Raises:
        TokenizerError: The chat template refuses the messages, or nothing is left of them.
    """
    if getattr(tokenizer, "chat_template", None):
        from jinja2 import TemplateError  # transformers renders templates with it

        try:
            text = tokenizer.apply_chat_template(
                [dict(message) for message in messages], tokenize=False, add_generation_prompt=True
            )
        except TemplateError as error:
            roles = ", ".join(message["role"] for message in messages)
            raise TokenizerError(
                f"the tokenizer's chat template refuses these messages ({roles}): {error}. Take a template of "
                "r1gym.prompts without a system message, or set tokenizer.chat_template to None"
            ) from error
        # The template has written its own special tokens.
        return tuple(tokenizer(text, add_special_tokens=False)["input_ids"])
    text = "\n\n".join(message["content"] for message in messages)
    ids = list(tokenizer(text)["input_ids"])
    if ids and ids[-1] == tokenizer.eos_token_id:
        ids.pop()  # some tokenizers close every text; a prompt goes on
    if not ids:
        raise TokenizerError("the prompt is empty for this tokenizer: give a question with text in it")
    return tuple(ids)


def stop_ids(tokenizer: Any, generation_config: Any = None) -> tuple[int, ...]:
    """Every token that ends a completion: the tokenizer's EOS and those of the model's generation settings.

    Raises:
        TokenizerError: There is none; sampling would always run into its budget.
    """
    ids: set[int | None] = set()
    for owner in (tokenizer, generation_config):
        eos = getattr(owner, "eos_token_id", None)
        ids |= set(eos) if isinstance(eos, (list, tuple)) else {eos}
    known = {each for each in ids if each is not None}
    if not known:
        raise TokenizerError(
            "the tokenizer has no end-of-sequence token and the model's generation settings name none: set "
            "tokenizer.eos_token, so that a completion can end"
        )
    return tuple(sorted(known))


def decode(tokenizer: Any, token_ids: Sequence[int], stops: Sequence[int]) -> str:
    """The text that an environment sees: everything but the closing stop token, special tokens written out."""
    ids = list(token_ids)
    if ids and ids[-1] in stops:
        ids.pop()
    text: str = tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return text


def character_tokenizer(characters: str, tags: Sequence[str] = ()) -> Any:
    """A tokenizer for tiny models: one token a character, one a tag, plus padding and end of sequence.

    Args:
        characters: The alphabet; anything else becomes ``<unk>``.
        tags: Texts such as ``<think>`` that are one token each.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    pieces = [PAD, EOS, "<unk>", *tags, *dict.fromkeys(characters)]
    core = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex(r"<[a-z/]+>|[\s\S]"), "isolated")
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token=PAD, eos_token=EOS, unk_token="<unk>")
