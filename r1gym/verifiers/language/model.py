"""Log-probabilities of words and sentences under each language: the table of py3langid, loaded once, on first use."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Model", "model"]

Array = NDArray[np.float32]

MAX_CACHED = 20_000
"""Words whose scores are kept: 11 MB."""


class Model:
    """Naive Bayes over byte n-grams; scores are natural logarithms, comparable within one text only.

    Thread-safe. Nothing of the shared py3langid object is changed: a target takes columns of the whole table.
    """

    def __init__(self) -> None:
        """Load the table (4.6 MB packed, about a second)."""
        from py3langid.langid import MODEL_FILE, LanguageIdentifier

        self._identifier: Any = LanguageIdentifier.from_model_file(MODEL_FILE)
        self.labels: list[str] = list(self._identifier.nb_classes)
        self._prior: Array = np.asarray(self._identifier.nb_pc, dtype=np.float32)
        self._table: Array = np.zeros((256, len(self.labels)), dtype=np.float32)
        self._places: dict[str, int] = {}
        self._lock = threading.Lock()

    def columns(self, codes: Sequence[str]) -> list[list[int]]:
        """The columns of each code; a language written in two scripts has two."""
        return [[place for place, label in enumerate(self.labels) if label == code] for code in codes]

    def score(self, text: str) -> Array:
        """Log-likelihood of ``text`` under every column, prior left out: shape [columns], zeros without evidence."""
        raw: Array = self._identifier._raw_score(self._identifier._encode(text))
        if raw[0] < -1e30:
            return np.zeros_like(raw)
        return raw - self._prior

    def words(self, words: Sequence[str]) -> Array:
        """Log-likelihood of each word between spaces, shape [words, columns]; seen words come from the cache."""
        with self._lock:
            if len(self._places) + len(words) > MAX_CACHED:
                self._places.clear()
            places = self._places
            rows = []
            for word in words:
                place = places.get(word)
                if place is None:
                    place = len(places)
                    if place >= len(self._table):
                        self._table = np.concatenate([self._table, np.zeros_like(self._table)])
                    self._table[place] = self.score(f" {word} ")
                    places[word] = place
                rows.append(place)
            return self._table[rows]


@lru_cache(maxsize=1)
def model() -> Model:
    """The one model of this process."""
    return Model()
