"""From tokens to characters: multi-byte characters, broken bytes, SentencePiece, and what cannot be mapped."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from r1gym.errors import TokenizerError
from r1gym.policy.offsets import _ALPHABET, Offsets
from r1gym.policy.tokens import character_tokenizer, decode, encode

STOP = "<｜end▁of▁text｜>"


def byte_level(*merges: str) -> Any:
    """One token a byte, one for each of ``merges`` (byte by byte), and a stop token outside of the alphabet."""
    spelled = {byte: character for character, byte in _ALPHABET.items()}
    pieces = [*(spelled[byte] for byte in range(256)), *("".join(spelled[b] for b in text.encode()) for text in merges)]
    core = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="!"))
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core)
    tokenizer.add_special_tokens({"eos_token": STOP})
    return tokenizer


def test_a_character_of_several_tokens_belongs_to_each() -> None:
    tokenizer = byte_level(" né", "é∑")
    # "a" | E2 | 88 91 as two tokens | " né" | 0xC3 | 0xA9 | stop
    ids = [97, 0xE2, 0x88, 0x91, 256, 0xC3, 0xA9, tokenizer.eos_token_id]
    text = decode(tokenizer, ids, [tokenizer.eos_token_id])
    assert text == "a∑ néé"
    assert Offsets(tokenizer).of(ids, text) == [(0, 1), (1, 2), (1, 2), (1, 2), (2, 5), (5, 6), (5, 6), (6, 6)]
    # The same text with the stop token written out: it spells its own characters.
    whole = text + STOP
    assert Offsets(tokenizer).of(ids, whole)[-1] == (6, len(whole))


def test_a_token_may_hold_the_end_of_one_character_and_the_beginning_of_the_next() -> None:
    tokenizer = byte_level()
    vocabulary = dict(tokenizer.get_vocab())
    spelled = {byte: character for character, byte in _ALPHABET.items()}
    middle = spelled[0xA9] + spelled[0xF0] + spelled[0x9F]  # … end of é, half of 😀
    core = Tokenizer(models.WordLevel({**vocabulary, middle: len(vocabulary)}, unk_token="!"))
    core.decoder = decoders.ByteLevel()
    ids = [0xC3, len(vocabulary), 0x98, 0x80]
    assert Offsets(PreTrainedTokenizerFast(tokenizer_object=core)).of(ids, "é😀") == [(0, 1), (0, 2), (1, 2), (1, 2)]


def test_broken_bytes_are_marked_where_they_stand() -> None:
    tokenizer = byte_level()
    #  E2 88 | 'A' | FF | C3 | E2 at the end: each unfinished run is one U+FFFD
    ids = [0xE2, 0x88, 65, 0xFF, 0xC3, 0xE2]
    text = decode(tokenizer, ids, [])
    assert text == "\ufffdA\ufffd\ufffd\ufffd"
    assert Offsets(tokenizer).of(ids, text) == [(0, 1), (0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]


def test_any_sequence_of_bytes_is_covered_exactly() -> None:
    """Against an oracle for valid text, and for noise: in order, without a gap, spelled like the tokenizer's own."""
    draw = random.Random(0)
    texts = ["né∑😀 日本 ok", "\u0301e\u200d👩‍🔬", "١٢٣ हिन्दी"]
    tokenizer = byte_level("né", "∑", " ok", "日", "本", "👩", "ह")
    table = {byte: byte for byte in range(256)}
    offsets = Offsets(tokenizer)
    for _ in range(300):
        raw = bytes(draw.randrange(256) for _ in range(draw.randrange(12)))
        if draw.random() < 0.5:
            raw = draw.choice(texts).encode()
        ids = [table[byte] for byte in raw]
        text = decode(tokenizer, ids, [])
        found = offsets.of(ids, text)
        covered = {place for start, end in found for place in range(start, end)}
        assert covered == set(range(len(text)))
        assert all(one[0] <= two[0] and one[1] <= two[1] for one, two in itertools.pairwise(found))
        if text.encode() == raw:
            for place, (start, end) in enumerate(found):
                before = len(raw[:place].decode(errors="ignore"))  # characters complete before this byte
                assert (start, end) == (before, before + 1)


def test_sentence_pieces_and_their_bytes() -> None:
    pieces = ["<unk>", "▁Hello", "▁w", "ör", *(f"<0x{byte:02X}>" for byte in (0xE2, 0x88, 0x91)), "</s>"]
    core = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="<unk>"))
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")
    ids = [1, 2, 3, 4, 5, 6, 4, 7]
    text = decode(tokenizer, ids, [7])
    # One run of four bytes that is no UTF-8 as a whole: the decoder writes one U+FFFD a byte.
    assert text == "Hello wör" + "\ufffd" * 4
    expected = [(0, 5), (5, 7), (7, 9), (9, 10), (10, 11), (11, 12), (12, 13), (13, 13)]
    assert Offsets(tokenizer).of(ids, text) == expected
    text = decode(tokenizer, [2, 4, 5, 6, 3, 7], [7])
    assert text == "w∑ör" and Offsets(tokenizer).of([2, 4, 5, 6, 3, 7], text) == [
        (0, 1), (1, 2), (1, 2), (1, 2), (2, 4), (4, 4),
    ]  # fmt: skip


def test_the_tiny_models_tokenizer() -> None:
    tokenizer = character_tokenizer("0123456789+=,", ("<think>", "</think>"))
    ids = [*encode(tokenizer, [{"role": "user", "content": "<think>1+</think>2"}]), tokenizer.eos_token_id]
    text = decode(tokenizer, ids, [tokenizer.eos_token_id])
    assert Offsets(tokenizer).of(ids, text) == [(0, 7), (7, 8), (8, 9), (9, 17), (17, 18), (18, 18)]


def test_what_cannot_be_mapped_is_refused() -> None:
    core = Tokenizer(models.WordLevel({"a": 0, "##b": 1}, unk_token="a"))
    core.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    core.decoder = decoders.WordPiece()
    with pytest.raises(TokenizerError, match="decoder: WordPiece"):
        Offsets(PreTrainedTokenizerFast(tokenizer_object=core))
    with pytest.raises(TokenizerError, match="none that can be read"):
        Offsets(object())
    with pytest.raises(TokenizerError, match="the tokens spell 'ab' and the completion's text is 'ac'"):
        Offsets(byte_level()).of([97, 98], "ac")
