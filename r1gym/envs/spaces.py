"""The space of all texts: any Unicode string up to a length, which Gymnasium's own Text space cannot hold."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from gymnasium.error import CustomSpaceError
from gymnasium.spaces import Space, Text, Tuple
from gymnasium.vector.utils import batch_differing_spaces, create_shared_memory

__all__ = ["AnyText"]

SAMPLE_LENGTH = 24
"""Most characters of a sampled text: check_env and random agents should meet short actions, not megabytes."""


class AnyText(Text):
    """Every ``str`` of 0 to ``max_length`` characters, whatever its script.

    A subclass of Text, because Gymnasium chooses its treatment of text by that type. Text itself lists its
    characters: all of Unicode would take seconds to build and megabytes to pickle.
    """

    def __init__(self, max_length: int, *, seed: int | np.random.Generator | None = None) -> None:
        """Bound the length to ``max_length`` characters, both ends included."""
        super().__init__(max_length, min_length=0, charset=string.ascii_letters + string.digits + " ", seed=seed)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a string of allowed length."""
        return isinstance(x, str) and len(x) <= self.max_length

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A short random text of letters, digits and spaces; masks do not apply to a space without a character list."""
        if mask is not None or probability is not None:
            raise CustomSpaceError("AnyText has no character list to mask: call sample() without mask or probability")
        length = int(self.np_random.integers(0, min(SAMPLE_LENGTH, self.max_length) + 1))
        places = self.np_random.integers(0, len(self.character_list), size=length)
        return "".join(self.character_list[place] for place in places)

    @property
    def is_np_flattenable(self) -> bool:
        """False: there is no fixed alphabet to count in."""
        return False

    def __eq__(self, other: object, /) -> bool:
        return isinstance(other, AnyText) and self.max_length == other.max_length

    def __hash__(self) -> int:
        return hash((AnyText, self.max_length))

    def __repr__(self) -> str:
        return f"AnyText({self.max_length})"


@create_shared_memory.register(AnyText)
def _no_shared_memory(space: AnyText, n: int = 1, ctx: Any = None) -> NoReturn:
    # For Text, AsyncVectorEnv decodes its buffer once and returns that constant for ever (Gymnasium 1.0 to 1.4).
    # Raising makes its constructor tell the user to pass shared_memory=False, which is right.
    raise CustomSpaceError(f"{space} cannot live in shared memory: pass shared_memory=False to AsyncVectorEnv")


# Gymnasium dispatches on the type of the first space of the sequence, which its annotation cannot say.
@batch_differing_spaces.register(AnyText)
def _batch_differing(spaces: Sequence[Space[Any]]) -> Space[tuple[Any, ...]]:  # type: ignore[misc]
    return Tuple(spaces)
