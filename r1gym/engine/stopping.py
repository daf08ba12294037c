"""Stop strings: with which token a completion has written one, and where its text ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from r1gym.errors import ConfigError

__all__ = ["Decode", "StopStrings", "matchers"]

Decode = Callable[[Sequence[int]], str]
"""Token ids to text."""

BROKEN = "\ufffd"
"""What tokenizers write for bytes that are no UTF-8."""


class StopStrings:
    """Looks for strings in the text of token ids, whatever tokens or bytes they are spread over.

    A completion ends with the first token after which its decoded text holds one of the strings. Only the completion
    is looked at: a string that begins in the prompt does not count.
    """

    def __init__(self, strings: Sequence[str], decode: Decode | None) -> None:
        if decode is None:
            raise ConfigError("stop strings need a tokenizer: give the sampler decode=")
        self.strings, self._decode = tuple(strings), decode
        # A character is at most four tokens of one byte each; the rest is for tokens that write nothing.
        self._window = 8 * max(len(string) for string in self.strings) + 32

    def first(self, token_ids: Sequence[int], begin: int) -> int | None:
        """How many tokens there are up to and with the one that completes a string; None where none does.

        Args:
            token_ids: The completion so far.
            begin: That many of them were looked at before.
        """
        # Decoding the end of a long completion is enough to see that there is nothing.
        start = max(begin - self._window, 0)
        text = self._decode(token_ids[start:])
        # Later bytes can break what earlier ones wrote (a run of byte tokens that is no UTF-8): then every end counts.
        seen = text.lstrip(BROKEN) if start else text  # where the look begins it may cut a character
        ends = range(begin + 1, len(token_ids)) if BROKEN in seen else ()
        if not self._holds(text) and not any(self._in(token_ids[start:end]) for end in ends):
            return None
        return next((n for n in range(begin + 1, len(token_ids) + 1) if self._in(token_ids[:n])), None)

    def cut(self, text: str, keep: bool) -> str:
        """``text`` up to the string that is complete first, with it or without; all of it where there is none."""
        found = [(place + len(string), place) for string in self.strings if (place := text.find(string)) >= 0]
        if not found:
            return text
        end, start = min(found)
        return text[: end if keep else start]

    def _in(self, token_ids: Sequence[int]) -> bool:
        return self._holds(self._decode(token_ids))

    def _holds(self, text: str) -> bool:
        return any(string in text for string in self.strings)


def matchers(stops: Sequence[tuple[str, ...]], decode: Decode | None) -> list[StopStrings | None]:
    """One for each request's stop strings; None where it has none.

    Raises:
        ConfigError: There are stop strings, but no way from tokens to text.
    """
    made = {strings: StopStrings(strings, decode) for strings in set(stops) if strings}
    return [made.get(strings) for strings in stops]
