"""How long a completion is, and how much of it was said before."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

__all__ = ["UNITS", "length_counter", "overlong", "repeated_share"]

UNITS = ("characters", "tokens", "words")

MAX_CHARACTERS = 2**20
"""Characters at the end of a completion that repetition is looked for in."""

# Scripts that put no spaces between words (kana, ideographs, Thai, Lao, Burmese, Khmer): each character is a word.
_SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SPACELESS}]|[^\W{_SPACELESS}]+|[^\w\s]")


def overlong(length: int, max_length: int, buffer: int) -> float:
    """−R_length of DAPO (arXiv 2503.14476, equation 13), in [0, 1].

    0                                      where |y| ≤ L_max − L_cache
    (|y| − (L_max − L_cache)) / L_cache    where L_max − L_cache < |y| ≤ L_max
    1                                      where L_max < |y|
    """
    return min(max((length - (max_length - buffer)) / buffer, 0.0), 1.0)


def repeated_share(text: str, n: int) -> float:
    """Share of the word n-grams of ``text`` that occurred before: 1 − distinct / all, 0 where there are under two."""
    words = [match.casefold() for match in _WORD.findall(text[-MAX_CHARACTERS:])]
    grams = [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]
    return 1.0 - len(set(grams)) / len(grams) if len(grams) > 1 else 0.0


@lru_cache(maxsize=8)
def length_counter(unit: str, tokenizer: str | None) -> Callable[[str], int]:
    """The function that measures a completion in ``unit``; a tokenizer is loaded once a process.

    Raises:
        MissingExtraError: Tokens are asked for and transformers is not installed.
        TokenizerError: There is no such tokenizer.
    """
    if unit == "characters":
        return len
    if unit == "words":
        return lambda text: len(text.split())
    return _token_counter(str(tokenizer))


def _token_counter(place: str) -> Callable[[str], int]:
    from r1gym.errors import TokenizerError, missing_extra

    try:
        from transformers import AutoTokenizer
    except ImportError as error:
        raise missing_extra("transformers", "train") from error
    try:
        tokenizer = AutoTokenizer.from_pretrained(place)
    except (OSError, ValueError) as error:
        raise TokenizerError(f"no tokenizer at {place!r}: {error}") from error
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
