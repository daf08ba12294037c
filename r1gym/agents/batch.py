"""Judged episodes as tensors: what the loss is computed on.

Axes: P tasks, G completions of one task, B rows (one completion each), T tokens (prompt, then completion).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from r1gym.engine.packing import packed_size
from r1gym.errors import ModelError
from r1gym.types import Episode, Outcome

__all__ = ["Batch", "rewards"]


def rewards(groups_PG: Sequence[Sequence[Episode]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Total rewards [P, G], and which of them count [P, G] (all but UNGRADABLE)."""
    totals = [[episode.reward.total for episode in group] for group in groups_PG]
    valid = [[episode.verdict.outcome is not Outcome.UNGRADABLE for episode in group] for group in groups_PG]
    return torch.tensor(totals, dtype=torch.float32), torch.tensor(valid, dtype=torch.bool)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows padded on the right with token 0; a row's tokens are those that the policy read and drew, unchanged."""

    token_ids_BT: torch.Tensor
    mask_BT: torch.Tensor
    """True at completion tokens."""
    logprobs_BT: torch.Tensor
    """log π(token) as captured when the token was drawn, 0 outside the mask; the π_old of the ratio."""
    advantages_B: torch.Tensor
    credit_BT: torch.Tensor | None = None
    """What passages add to the advantage of their tokens; None where none are looked at."""

    @classmethod
    def build(
        cls,
        groups_PG: Sequence[Sequence[Episode]],
        advantages_PG: torch.Tensor,
        keep_PG: torch.Tensor,
        credit_PGT: Sequence[Sequence[Sequence[float]]] | None = None,
    ) -> Batch:
        """The rows of ``groups_PG`` where ``keep_PG`` is True (and where anything was drawn), in order."""
        episodes, advantages, credits = [], [], []
        for p, group in enumerate(groups_PG):
            for g, episode in enumerate(group):
                if bool(keep_PG[p, g]) and episode.turns[-1].completion.token_ids:
                    episodes.append(episode)
                    advantages.append(float(advantages_PG[p, g]))
                    credits.append(None if credit_PGT is None else credit_PGT[p][g])
        rows = [_tokens(episode) for episode in episodes]
        width = max(map(len, rows), default=0)
        shape = len(episodes), width
        ids, mask, logprobs = np.zeros(shape, np.int64), np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
        credit = None if credit_PGT is None else np.zeros(shape, np.float32)
        for row, (tokens, episode) in enumerate(zip(rows, episodes, strict=True)):
            completion, end = episode.turns[-1].completion, len(tokens)
            if len(completion.logprobs) != len(completion.token_ids):
                raise ModelError(
                    f"a policy must give the log-probability of every token it draws: got {len(completion.logprobs)} "
                    f"for {len(completion.token_ids)} tokens"
                )
            start = end - len(completion.token_ids)
            ids[row, :end] = tokens
            mask[row, start:end] = True
            logprobs[row, start:end] = completion.logprobs
            if credit is not None:
                credit[row, start:end] = credits[row]
        token_ids_BT, mask_BT, logprobs_BT = map(torch.from_numpy, (ids, mask, logprobs))
        credit_BT = None if credit is None else torch.from_numpy(credit)
        return cls(token_ids_BT, mask_BT, logprobs_BT, torch.tensor(advantages), credit_BT)

    @property
    def rows(self) -> int:
        """Completions."""
        return self.token_ids_BT.shape[0]

    @property
    def tokens(self) -> int:
        """Completion tokens."""
        return int(np.count_nonzero(self.mask_BT.numpy()))

    def take(self, rows: torch.Tensor) -> Batch:
        """These rows, without the columns that only pad them."""
        # In numpy: these tables are small, and waking torch's threads for them takes longer than the work.
        chosen = rows.numpy()
        ids, mask = self.token_ids_BT.numpy()[chosen], self.mask_BT.numpy()[chosen]
        width = int(np.flatnonzero(((ids != 0) | mask).any(axis=0))[-1]) + 1 if chosen.size else 0

        def cut(table: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(table[:, :width]))

        return Batch(
            cut(ids),
            cut(mask),
            cut(self.logprobs_BT.numpy()[chosen]),
            self.advantages_B[rows],
            None if self.credit_BT is None else cut(self.credit_BT.numpy()[chosen]),
        )

    def minibatches(self, count: int, seed: int) -> Iterator[Batch]:
        """The rows in a seeded order, dealt into ``count`` parts of nearly equal size (empty ones where rows lack)."""
        generator = torch.Generator().manual_seed(seed)
        for rows in torch.randperm(self.rows, generator=generator).tensor_split(count):
            yield self.take(rows)

    def micro_batches(self, token_budget: int, shared: bool = False) -> Iterator[Batch]:
        """Parts of at most ``token_budget`` tokens, padding included (but always a whole row), by length.

        With ``shared`` the policy packs rows and reads a prompt once: rows of one prompt stay together, and prompts
        and completions count without padding.
        """
        if self.rows == 0:  # a process whose groups all were silent
            return
        if shared:
            yield from self._packed_batches(token_budget)
            return
        lengths_B = self.mask_BT.shape[1] - self.mask_BT.flip(1).int().argmax(dim=1)
        order = lengths_B.argsort(descending=True, stable=True)
        start = 0
        while start < self.rows:
            size = max(token_budget // int(lengths_B[order[start]]), 1)
            yield self.take(order[start : start + size])
            start += size

    def _packed_batches(self, token_budget: int) -> Iterator[Batch]:
        sizes = packed_size(self.token_ids_BT, self.mask_BT)
        prompts = {name: length for name, length, _ in sizes}
        left = sum(size for _, _, size in sizes) + sum(prompts.values())
        parts = -(-left // token_budget)
        part: list[int] = []
        used = 0
        for row in sorted(range(self.rows), key=lambda row: sizes[row][0]):
            name, length, size = sizes[row]
            cost = size if part and sizes[part[-1]][0] == name else size + length
            # Parts of like size need the least memory, and few captured graphs.
            full = parts > 1 and used + cost / 2 > left / parts
            if part and (full or used + cost > token_budget):
                yield self.take(torch.tensor(part))
                left, parts = left - used, parts - 1
                part, used, cost = [], 0, size + length
            part.append(row)
            used += cost
        if part:
            yield self.take(torch.tensor(part))


def _tokens(episode: Episode) -> tuple[int, ...]:
    turn = episode.turns[-1]
    return turn.prompt.token_ids + turn.completion.token_ids
