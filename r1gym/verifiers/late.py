"""Patterns compiled when they are first used: compiling all of them is half of the verifiers' import."""

from __future__ import annotations

import re
from typing import Any, cast

__all__ = ["late"]


class _Late:
    """Stands for a pattern; the first call of each of its methods puts the compiled one's in its place."""

    def __init__(self, source: str, flags: int) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        value = getattr(re.compile(self._source, self._flags), name)
        setattr(self, name, value)
        return value


def late(source: str, flags: int = 0) -> re.Pattern[str]:
    """What ``re.compile`` gives, compiled only when it is used."""
    return cast("re.Pattern[str]", _Late(source, flags))
