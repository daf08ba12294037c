"""Which characters of a completion each of its tokens wrote, read from the tokens' own bytes.

Nothing is tokenised again: other tokens than those that were drawn could spell the same text.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from r1gym.errors import TokenizerError

__all__ = ["Offsets"]

Range = tuple[int, int]
_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")


class Offsets:
    """The map from tokens to characters of one tokenizer: byte-level, byte-fallback, or plain pieces.

    Raises:
        TokenizerError: The tokenizer joins its pieces in a way that this map does not know.
    """

    def __init__(self, tokenizer: Any) -> None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        decoder = getattr(backend, "decoder", None)
        steps = [] if decoder is None else _steps(json.loads(decoder.__getstate__()))
        kinds = [step["type"] for step in steps]
        if not kinds or not set(kinds) <= {"ByteLevel", "Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}:
            raise TokenizerError(
                f"cannot tell which characters a token of {type(tokenizer).__name__} writes (its decoder: "
                f"{' + '.join(kinds) or 'none that can be read'}): span credit needs a byte-level or a SentencePiece "
                "tokenizer of the tokenizers library"
            )
        self._tokenizer = tokenizer
        self._steps = steps
        self._byte_level = "ByteLevel" in kinds
        self._fallback = "ByteFallback" in kinds

    def of(self, token_ids: Sequence[int], text: str) -> list[Range]:
        """Start and end in ``text`` of each token, in order.

        A character whose bytes several tokens hold belongs to each of them; tokens that wrote nothing (the closing
        stop token, which ``text`` leaves out) get an empty range.

        Args:
            token_ids: As they were drawn.
            text: What they decode to, with or without a closing stop token.

        Raises:
            TokenizerError: ``text`` is not what these tokens spell.
        """
        pieces = [str(piece or "") for piece in self._tokenizer.convert_ids_to_tokens(list(token_ids))]
        owned = list(self._byte_characters(pieces) if self._byte_level else self._plain_characters(pieces))
        spelled = "".join(character for character, _, _ in owned)
        skipped = 0 if spelled.startswith(text) else self._leading_space(spelled)
        if spelled[skipped : skipped + len(text)] != text:
            raise TokenizerError(f"the tokens spell {spelled[:80]!r} and the completion's text is {text[:80]!r}")
        ranges: list[Range] = [(len(text), len(text))] * len(pieces)
        seen: set[int] = set()
        for place, (_, first, last) in enumerate(owned[skipped : skipped + len(text)]):
            for token in range(first, last + 1):
                ranges[token] = (ranges[token][0] if token in seen else place, place + 1)
                seen.add(token)
        return ranges

    def _leading_space(self, spelled: str) -> int:
        """Characters in front that the decoder drops: the space that SentencePiece puts before a text."""
        drops = any(step["type"] in ("Strip", "Metaspace") for step in self._steps)
        return int(drops and spelled.startswith(" "))

    def _byte_characters(self, pieces: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        """(character, first token, last token) of byte-level pieces; bytes that are no UTF-8 become U+FFFD."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        first = previous = 0  # the tokens of the first and of the last byte that wait for their character
        for token, piece in enumerate(pieces):
            for byte in _bytes(piece):
                waiting = bool(decoder.getstate()[0])
                written = decoder.decode(bytes((byte,)))
                left = bool(decoder.getstate()[0])
                # A byte completes what waits, or shows it to be broken and then stands for itself.
                if waiting and written and (left or len(written) == 2):
                    yield written[0], first, previous
                    written, waiting = written[1:], False
                if written:
                    yield written, first if waiting else token, token
                if left and not waiting:
                    first = token
                previous = token
        for character in decoder.decode(b"", final=True):
            yield character, first, previous

    def _plain_characters(self, pieces: Sequence[str]) -> Iterator[tuple[str, int, int]]:
        """(character, first token, last token) of pieces that spell themselves, or one byte as ``<0x41>``."""
        token = 0
        while token < len(pieces):
            end = token
            while self._fallback and end < len(pieces) and _BYTE.fullmatch(pieces[end]):
                end += 1
            if end == token:
                yield from ((character, token, token) for character in self._replaced(pieces[token]))
                token += 1
                continue
            raw = [int(pieces[place][3:5], 16) for place in range(token, end)]
            try:
                written = bytes(raw).decode()
            except UnicodeDecodeError:
                yield from (("\ufffd", place, place) for place in range(token, end))  # the decoder's rule for the run
            else:
                for character in written:
                    size = len(character.encode())
                    yield character, token, token + size - 1
                    token += size
            token = end

    def _replaced(self, piece: str) -> str:
        for step in self._steps:
            if step["type"] == "Replace" and "String" in step["pattern"]:
                piece = piece.replace(step["pattern"]["String"], step["content"])
            elif step["type"] == "Metaspace":
                piece = piece.replace(step["replacement"], " ")
        return piece


def _steps(state: dict[str, Any]) -> list[dict[str, Any]]:
    """The decoders in order; a sequence is opened."""
    if state["type"] != "Sequence":
        return [state]
    return [step for inner in state["decoders"] for step in _steps(inner)]


def _alphabet() -> dict[str, int]:
    """The byte that each character of a byte-level vocabulary stands for.

    Printable Latin-1 stands for itself; the other bytes are numbered from U+0100 on (GPT-2's convention).
    """
    table: dict[str, int] = {}
    moved = 0
    for byte in range(256):
        if 0x21 <= byte <= 0x7E or 0xA1 <= byte <= 0xAC or byte >= 0xAE:
            table[chr(byte)] = byte
        else:
            table[chr(256 + moved)] = byte
            moved += 1
    return table


_ALPHABET = _alphabet()


def _bytes(piece: str) -> bytes:
    """The bytes of a byte-level piece; one with a character of no byte (a special token) is plain text."""
    try:
        return bytes(_ALPHABET[character] for character in piece)
    except KeyError:
        return piece.encode()
