"""What every slot stands at, as one tensor on the device, and the step that moves all slots on by one token.

Axes: F fields, S slots, M pages a slot may have, X places of the output buffers.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from r1gym.engine.pages import TRASH
from r1gym.engine.sending import send

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
        self.seen_SV: torch.Tensor | None = None
        """What each slot has read and drawn (`repetition.py`), only where penalties ask for it."""
        self.version = 0

    def reserve(self, places: int, pages: int, vocabulary: int = 0) -> None:
        """Make the output buffers and the tables large enough; nothing may be in flight.

        Args:
            places: Tokens that all requests together may draw.
            pages: Pages that one slot may have.
            vocabulary: Its size where tokens seen are counted, else 0.
        """
        # The version moves first: an interruption in between must not leave a graph that believes the old addresses.
        if vocabulary != (0 if self.seen_SV is None else self.seen_SV.shape[1]):
            shape = self.size, vocabulary
            self.version += 1
            self.seen_SV = torch.zeros(shape, dtype=torch.int32, device=self.device) if vocabulary else None
        if places + 1 > len(self.tokens_X):
            self.version += 1
            self.logprobs_X = torch.zeros(places + 1, device=self.device)
            self.tokens_X = torch.zeros(places + 1, dtype=torch.long, device=self.device)
        if pages > self.tables.shape[1]:
            self.version += 1
            self.tables = torch.zeros(self.size, pages, dtype=torch.int32, device=self.device)

    def clear(self) -> None:
        """Nobody uses any slot."""
        self.state.zero_()
        self.state[DONE] = LENGTH
        self.tables.zero_()

    def put(self, slots: Sequence[int], rows: Sequence[Sequence[int]]) -> None:
        """Start sequences in some slots: token, position, budget, seed, output offset and tokens drawn each."""
        sent = send([[*row, LIVE, slot] for row, slot in zip(rows, slots, strict=True)], self.device)
        self.state[:, sent[:, FIELDS]] = sent[:, :FIELDS].T

    def set_pages(self, triples: Sequence[tuple[int, int, int]]) -> None:
        """Enter pages into the tables: (slot, column, page) each."""
        if triples:
            width = self.tables.shape[1]
            sent = send(
                [[slot * width + column for slot, column, _ in triples], [page for *_, page in triples]], self.device
            )
            self.tables.view(-1).index_copy_(0, sent[0], sent[1].int())

    def park(self, slots: Sequence[int]) -> None:
        """End what runs in these slots: the host has seen that their text is complete."""
        if slots:
            chosen = send(slots, self.device)
            self.state[DONE, chosen] = STOP
            self.state[POSITION, chosen] = 0
            self.tables[chosen, 0] = TRASH

    def permute(self, order: Sequence[int]) -> None:
        """Slot ``i`` becomes what slot ``order[i]`` was; slots beyond ``order`` become free."""
        chosen = send(order, self.device)
        if self.seen_SV is not None:
            self.seen_SV[: len(order)] = self.seen_SV[chosen]
        state, tables = self.state[:, chosen], self.tables[chosen]
        self.clear()
        self.state[:, : len(order)] = state
        self.tables[: len(order)] = tables

    def progress(self, count: int) -> tuple[list[int], list[int]]:
        """Tokens drawn and DONE of the first ``count`` slots; waits for the device."""
        drawn, done = self.state[COUNT : DONE + 1, :count].tolist()
        return drawn, done

    def read(self, places: Sequence[int]) -> tuple[list[int], list[float]]:
        """Tokens and log-probabilities at these places of the output buffers."""
        chosen = send(places, self.device)
        return self.tokens_X[chosen].tolist(), self.logprobs_X[chosen].tolist()

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
