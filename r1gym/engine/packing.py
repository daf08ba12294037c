"""Rows that share a prompt, laid out one behind the other with the prompt once.

Axes: B rows, T tokens of a padded row, X tokens of the packed row, Y of them completion positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["Capacity", "Layout", "Packed", "lay_out", "packed_size"]

STEP = 1024
"""Packed rows are filled up to a multiple of this, long ones of more, so that few graphs serve many of them."""
COMMON = 512
"""Lengths up to this are one size."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The sizes of a packed row; two rows of the same capacity are the same computation on other numbers."""

    tokens: int
    predicting: int
    """Leading positions whose next token may be wanted."""
    segments: int
    groups: int
    longest_segment: int
    longest_group: int
    longest_prompt: int

    def roomier(self) -> Capacity:
        """Rounded up: a coarser size that many layouts share.

        What costs next to nothing is rounded most: attention's programs beyond a segment's end do nothing.
        """
        step = max(_power(self.tokens + 1) // 16, STEP)
        tokens = _up(self.tokens, step)
        longest = max(_power(self.longest_segment), COMMON)
        filling = -(-(tokens - self.tokens) // longest)
        return Capacity(
            tokens=tokens,
            predicting=tokens if 4 * self.predicting > 3 * tokens else _up(self.predicting, tokens // 4),
            segments=_up(self.segments + filling, 128),
            groups=max(_power(self.groups), 16),
            longest_segment=longest,
            longest_group=tokens,
            longest_prompt=max(_power(self.longest_prompt), COMMON),
        )


@dataclass(frozen=True, slots=True)
class Packed:
    """First the completions, each headed by its prompt's last token, group by group; then the prompts without it.

    So every completion position predicts one token, and a prompt of a group is read once. Bounds are cumulative
    lengths, as flash attention takes them. All tensors are int32 and, in this order, parts of one.
    """

    capacity: Capacity
    token_ids_X: torch.Tensor
    positions_X: torch.Tensor
    targets_Y: torch.Tensor
    """The token that each completion position predicts; 0 where none is wanted."""
    segments: torch.Tensor
    """Bounds of all segments: attention is causal inside each."""
    groups: torch.Tensor
    """Bounds of the groups: their rows also look at the group's whole prompt. The last one ends the completions."""
    prompts: torch.Tensor
    """Bounds of the prompts, from the end of the completions on; the last one ends the prompts."""

    @property
    def prompt_ends(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the prompts begin (the completions end) and where they end, a tensor of one number each."""
        return self.prompts[:1], self.prompts[-1:]

    @classmethod
    def empty(cls, capacity: Capacity, device: torch.device) -> tuple[Packed, torch.Tensor]:
        """A row to be filled, and the one tensor that its parts are views of."""
        sizes = _sizes(capacity)
        # Every part begins at a multiple of 16 bytes, which is what kernels like best.
        starts = np.cumsum([0, *(_up(size, 4) for size in sizes)])
        whole = torch.zeros(int(starts[-1]), dtype=torch.int32, device=device)
        parts = [whole[start : start + size] for start, size in zip(starts[:-1], sizes, strict=True)]
        return cls(capacity, *parts), whole


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of a micro-batch goes, on the CPU and without padding."""

    capacity: Capacity
    """What it takes, exactly."""
    parts: tuple[np.ndarray, ...]
    """As the tensors of `Packed`."""
    rows: torch.Tensor
    """Completion positions whose next token is wanted."""
    places: torch.Tensor
    """Where their log-probabilities stand in the flattened [B, T]."""

    def filled(self, capacity: Capacity) -> torch.Tensor:
        """The numbers of a packed row of this capacity, int32 on the CPU.

        Padding is text of its own (token 0, in segments no longer than others): it is computed, and nobody looks.
        """
        packed, whole = Packed.empty(capacity, torch.device("cpu"))
        names = (packed.token_ids_X, packed.positions_X, packed.targets_Y)
        for target, part in zip(names, self.parts[:3], strict=True):
            target[: len(part)] = torch.from_numpy(part)
        segments, groups, prompts = (part.tolist() for part in self.parts[3:])
        while segments[-1] < capacity.tokens:
            segments.append(min(segments[-1] + capacity.longest_segment, capacity.tokens))
        for bounds, known in ((packed.segments, segments), (packed.groups, groups), (packed.prompts, prompts)):
            bounds[: len(known)] = torch.tensor(known, dtype=torch.int32)
            bounds[len(known) :] = known[-1]  # empty segments
        return whole


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


def lay_out(token_ids_BT: torch.Tensor, mask_BT: torch.Tensor) -> Layout:
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
    rows = [row for group in members.values() for row in group]
    bounds = np.cumsum([0, *(ends_B[row] - starts_B[row] for row in rows)])
    total = int(bounds[-1])
    prompts = total + np.cumsum([0, *(starts_B[row] - 1 for row in leads)])
    groups = bounds[np.cumsum([0, *(len(group) for group in members.values())])]
    # Position t - 1 predicts token t.
    spans = [(row, starts_B[row] - 1, ends_B[row] - 1) for row in rows] + [(row, 0, starts_B[row] - 1) for row in leads]
    targets = np.zeros(total, dtype=np.int32)
    wanted, places = [], []
    for row, first in zip(rows, bounds[:-1], strict=True):
        start, end = starts_B[row], ends_B[row]
        chosen = np.flatnonzero(mask[row, start:end])
        targets[first + chosen] = table[row, start + chosen]
        wanted.append(chosen + first)
        places.append(chosen + row * table.shape[1] + start)
    segments = np.concatenate([bounds, prompts[1:]])
    return Layout(
        capacity=Capacity(
            tokens=int(segments[-1]),
            predicting=total,
            segments=len(segments) - 1,
            groups=len(leads),
            longest_segment=int(np.diff(segments).max()),
            longest_group=int(np.diff(groups).max()),
            longest_prompt=int(np.diff(prompts).max()),
        ),
        parts=(
            np.concatenate([table[row, start:end] for row, start, end in spans]).astype(np.int32),
            np.concatenate([np.arange(start, end, dtype=np.int32) for _, start, end in spans]),
            targets,
            segments.astype(np.int32),
            groups.astype(np.int32),
            prompts.astype(np.int32),
        ),
        rows=torch.from_numpy(np.concatenate(wanted)),
        places=torch.from_numpy(np.concatenate(places)),
    )


def _sizes(c: Capacity) -> tuple[int, ...]:
    return c.tokens, c.tokens, c.predicting, c.segments + 1, c.groups + 1, c.groups + 1


def _up(number: int, step: int) -> int:
    return -(-number // step) * step


def _power(number: int) -> int:
    return 1 << (number - 1).bit_length()


def _bounds(mask_BT: torch.Tensor) -> tuple[list[int], list[int]]:
    """Each row's first wanted place, and its last one + 1."""
    mask = mask_BT.numpy()
    ends_B: np.ndarray = mask.shape[1] - mask[:, ::-1].argmax(axis=1)
    return mask.argmax(axis=1).tolist(), ends_B.tolist()
