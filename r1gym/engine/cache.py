"""Keys and values of a batch of sequences that each stand at their own position.

A duck-typed transformers cache: decoder layers call ``update`` and get back what to attend to.
Axes: S slots (sequences being sampled), H key-value heads, L positions, D head width, Q new tokens a slot.
"""

from __future__ import annotations

from typing import Any

import torch

__all__ = ["SlotCache"]

PAGE = 64
"""Positions are added this many at a time."""


class SlotCache:
    """Per layer one [S, H, L, D] tensor of keys and one of values; L grows by pages as sequences grow."""

    def __init__(self) -> None:
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self._rows_S: torch.Tensor | None = None
        self._positions_S: torch.Tensor | None = None
        self._visible = 0

    @property
    def slots(self) -> int:
        """Sequences held."""
        return self.keys[0].shape[0] if self.keys else 0

    def begin_step(self, positions_S: torch.Tensor, visible: int) -> None:
        """Before a decoding step: each slot's next position, and how many positions attention may look at."""
        self._rows_S = torch.arange(positions_S.shape[0], device=positions_S.device)
        self._positions_S = positions_S
        self._visible = visible
        if visible > self.keys[0].shape[2]:
            self._grow(-(-visible // PAGE) * PAGE)

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values, [S, H, Q, D]; returns those that the new tokens attend to.

        The first call for a layer is the prefill (positions 0 to Q - 1); later ones add one token a slot (Q = 1).
        """
        if layer_idx == len(self.keys):
            self.keys.append(keys)
            self.values.append(values)
            return keys, values
        if self._positions_S is None or keys.shape[2] != 1:
            raise RuntimeError("SlotCache takes a prefill, then one token a slot after begin_step")
        self.keys[layer_idx][self._rows_S, :, self._positions_S] = keys[:, :, 0]
        self.values[layer_idx][self._rows_S, :, self._positions_S] = values[:, :, 0]
        return self.keys[layer_idx][:, :, : self._visible], self.values[layer_idx][:, :, : self._visible]

    def select(self, rows: torch.Tensor) -> None:
        """Keep these slots in this order; a row may stand several times (a prompt shared by its group)."""
        self.keys = [layer.index_select(0, rows) for layer in self.keys]
        self.values = [layer.index_select(0, rows) for layer in self.values]

    def append(self, other: SlotCache) -> None:
        """Take over the slots of ``other`` behind the own ones."""
        if not self.keys:
            self.keys, self.values = other.keys, other.values
            return
        length = max(self.keys[0].shape[2], other.keys[0].shape[2])
        self._grow(length)
        other._grow(length)
        self.keys = [torch.cat(pair) for pair in zip(self.keys, other.keys, strict=True)]
        self.values = [torch.cat(pair) for pair in zip(self.values, other.values, strict=True)]

    def _grow(self, length: int) -> None:
        missing = length - self.keys[0].shape[2]
        if missing > 0:
            pad = (0, 0, 0, missing)
            self.keys = [torch.nn.functional.pad(layer, pad) for layer in self.keys]
            self.values = [torch.nn.functional.pad(layer, pad) for layer in self.values]

    # What transformers asks of a cache besides `update`. Masks and positions are always passed in ready, so the
    # answers only have to be consistent.
    is_compileable = False

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Positions held before the current step."""
        return self._visible if len(self.keys) > layer_idx else 0

    def get_query_offset(self, layer_idx: int = 0) -> int:
        """Position of the first new token."""
        return self.get_seq_length(layer_idx)

    def get_mask_sizes(self, query_length: int, layer_idx: int = 0) -> tuple[int, int]:
        """Length and offset of the keys that a mask would cover."""
        return self.get_seq_length(layer_idx) + query_length, 0
