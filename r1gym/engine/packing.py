"""Rows that share a prompt, laid out one behind the other with the prompt once.

Axes: B rows, T tokens of a padded row, X tokens of the packed row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

__all__ = ["Packed", "pack", "packed_size"]


@dataclass(frozen=True, slots=True)
class Packed:
    """First all prompts, each without its last token; then the completions, each headed by that last token.

    So every completion position predicts one token, and a prompt of a group is read once. Bounds are cumulative
    lengths, int32, as flash attention takes them.
    """

    token_ids_X: torch.Tensor
    positions_X: torch.Tensor
    prompt_tokens: int
    """Positions that belong to prompts; completions follow."""
    segments: torch.Tensor
    """Bounds of all segments: attention is causal inside each."""
    groups: torch.Tensor
    """Bounds of the groups, counted from the first completion: their rows also look at the group's whole prompt."""
    prompts: torch.Tensor
    """Bounds of the prompts."""
    longest_segment: int
    longest_group: int
    longest_prompt: int
    rows: torch.Tensor
    """Packed positions whose next token is wanted."""
    targets: torch.Tensor
    """Those tokens."""
    places: torch.Tensor
    """Where their log-probabilities stand in the flattened [B, T]."""


def packed_size(token_ids_BT: torch.Tensor, mask_BT: torch.Tensor) -> list[tuple[bytes, int, int]]:
    """For each row a name of its prompt, the prompt's length, and how many packed positions the completion takes.

    The prompt is what stands before the first wanted token.
    """
    starts_B, ends_B = _bounds(mask_BT)
    ids = token_ids_BT.numpy()
    return [
        (ids[row, :start].tobytes(), start, end - start)
        for row, (start, end) in enumerate(zip(starts_B, ends_B, strict=True))
    ]


def pack(token_ids_BT: torch.Tensor, mask_BT: torch.Tensor, device: torch.device) -> Packed:
    """Pack rows padded on the right, both tensors on the CPU; every row has a prompt of at least two tokens.

    What lies between the first and the last wanted token is read with the completion, wanted or not (the
    observations of a dialogue).
    """
    starts_B, ends_B = _bounds(mask_BT)
    table, mask = token_ids_BT.numpy(), mask_BT.numpy()
    members: dict[bytes, list[int]] = {}
    for row, start in enumerate(starts_B):
        members.setdefault(table[row, :start].tobytes(), []).append(row)
    leads = [group[0] for group in members.values()]
    ids = [table[row, : starts_B[row] - 1] for row in leads]
    positions = [np.arange(starts_B[row] - 1) for row in leads]
    prompt_bounds = np.cumsum([0, *(starts_B[row] - 1 for row in leads)])
    prompt_tokens = int(prompt_bounds[-1])
    rows = [row for group in members.values() for row in group]
    sizes = [ends_B[row] - starts_B[row] for row in rows]
    bounds = np.cumsum([prompt_tokens, *sizes])
    wanted, places = [], []
    for row, first in zip(rows, bounds[:-1], strict=True):
        start, end = starts_B[row], ends_B[row]
        # Position t - 1 predicts token t.
        ids.append(table[row, start - 1 : end - 1])
        positions.append(np.arange(start - 1, end - 1))
        chosen = np.flatnonzero(mask[row, start:end])
        wanted.append(chosen + first)
        places.append(chosen + row * table.shape[1] + start)
    group_ends = np.cumsum([0, *(len(group) for group in members.values())])
    segments = np.concatenate([prompt_bounds, bounds[1:]])
    groups = bounds[group_ends] - prompt_tokens
    index = np.concatenate(places)

    def put(values: Any, dtype: torch.dtype = torch.long) -> torch.Tensor:
        return torch.as_tensor(values, dtype=dtype).to(device)

    return Packed(
        token_ids_X=put(np.concatenate(ids)),
        positions_X=put(np.concatenate(positions)),
        prompt_tokens=prompt_tokens,
        segments=put(segments, torch.int32),
        groups=put(groups, torch.int32),
        prompts=put(prompt_bounds, torch.int32),
        longest_segment=int(np.diff(segments).max()),
        longest_group=int(np.diff(groups).max()),
        longest_prompt=int(np.diff(prompt_bounds).max()),
        rows=put(np.concatenate(wanted)),
        targets=put(table.reshape(-1)[index]),
        places=put(index),
    )


def _bounds(mask_BT: torch.Tensor) -> tuple[list[int], list[int]]:
    """Each row's first wanted place, and its last one + 1."""
    wide_BT = mask_BT.to(torch.uint8)
    ends_B = mask_BT.shape[1] - wide_BT.flip(1).argmax(dim=1)
    return wide_BT.argmax(dim=1).tolist(), ends_B.tolist()
