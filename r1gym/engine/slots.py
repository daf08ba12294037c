"""What every slot stands at, as one tensor on the device, and the step that moves all slots on by one token.

Axes: F fields, S slots, M pages a slot may have, X places of the output buffers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from r1gym.engine.pages import TRASH

__all__ = ["Slots"]

TOKEN, POSITION, BUDGET, SEED, OFFSET, COUNT, DONE = range(7)
FIELDS = 7
LIVE, LENGTH, STOP, BROKEN = range(4)
"""Values of the field DONE; a slot that nobody uses is LENGTH."""


class Slots:
    """State [F, S], page tables [S, M] and the flat output buffers that slots write what they draw into.

    A finished slot goes on running with the others; it stands at position 0 of the trash page and writes into place
    0 of the outputs, which nobody reads. The tensors keep their addresses while ``version`` stays the same.
    """

    def __init__(self, slots: int, device: torch.device) -> None:
        self.device = device
        self.size = slots
        self.state = torch.zeros(FIELDS, slots, dtype=torch.long, device=device)
        self.state[DONE] = LENGTH
        self.tables = torch.zeros(slots, 0, dtype=torch.int32, device=device)
        self.tokens_X = torch.zeros(1, dtype=torch.long, device=device)
        self.logprobs_X = torch.zeros(1, device=device)
        self.version = 0

    def reserve(self, places: int, pages: int) -> None:
        """Make the output buffers and the tables large enough; nothing may be in flight."""
        if places + 1 > len(self.tokens_X):
            self.tokens_X = torch.zeros(places + 1, dtype=torch.long, device=self.device)
            self.logprobs_X = torch.zeros(places + 1, device=self.device)
            self.version += 1
        if pages > self.tables.shape[1]:
            self.tables = torch.zeros(self.size, pages, dtype=torch.int32, device=self.device)
            self.version += 1

    def clear(self) -> None:
        """Nobody uses any slot."""
        self.state.zero_()
        self.state[DONE] = LENGTH
        self.tables.zero_()

    def put(self, slots: Sequence[int], rows: Sequence[Sequence[int]]) -> None:
        """Start sequences in some slots: token, position, budget, seed and output offset each."""
        values = torch.tensor([[*row, 0, LIVE] for row in rows], dtype=torch.long).T.contiguous()
        self.state[:, torch.tensor(slots, device=self.device)] = values.to(self.device)

    def set_pages(self, triples: Sequence[tuple[int, int, int]]) -> None:
        """Enter pages into the tables: (slot, column, page) each."""
        if triples:
            slots, columns, pages = torch.tensor(triples, dtype=torch.int32).T.contiguous().to(self.device)
            self.tables[slots.long(), columns.long()] = pages

    def permute(self, order: Sequence[int]) -> None:
        """Slot ``i`` becomes what slot ``order[i]`` was; slots beyond ``order`` become free."""
        chosen = torch.tensor(order, dtype=torch.long, device=self.device)
        state, tables = self.state[:, chosen], self.tables[chosen]
        self.clear()
        self.state[:, : len(order)] = state
        self.tables[: len(order)] = tables

    def progress(self, count: int) -> tuple[list[int], list[int]]:
        """Tokens drawn and DONE of the first ``count`` slots; waits for the device."""
        drawn, done = self.state[COUNT : DONE + 1, :count].tolist()
        return drawn, done

    def advance(self, tokens_S: torch.Tensor, logprobs_S: torch.Tensor, stops: torch.Tensor) -> None:
        """Take in one drawn token of each of the first slots."""
        count = len(tokens_S)
        state = self.state[:, :count]
        live = state[DONE] == LIVE
        places = torch.where(live, state[OFFSET] + state[COUNT], 0)
        self.tokens_X[places] = tokens_S
        self.logprobs_X[places] = logprobs_S.float()
        state[TOKEN] = torch.where(live, tokens_S, state[TOKEN])
        state[COUNT] += live
        state[POSITION] += live
        done = torch.where(state[COUNT] >= state[BUDGET], LENGTH, LIVE)
        done = torch.where(torch.isin(tokens_S, stops), STOP, done)
        done = torch.where(torch.isfinite(logprobs_S), done, BROKEN)
        state[DONE] = torch.where(live, done, state[DONE])
        state[POSITION] *= state[DONE] == LIVE
        self.tables[:count, 0] = torch.where(state[DONE] == LIVE, self.tables[:count, 0], TRASH)
