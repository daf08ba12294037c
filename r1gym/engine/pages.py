"""The paged cache: one pool of pages for keys and values, handed out on demand, shared where prompts are the same.

Axes: N pages, K layers, H key-value heads, D head width; the 2 is keys and values; a page holds PAGE positions.
"""

from __future__ import annotations

import torch

from r1gym.engine.cache import PAGE
from r1gym.engine.sending import send

__all__ = ["PagePool"]

TRASH = 0
"""Page that nobody owns: finished slots and padding write here."""


class PagePool:
    """Keys and values of all sequences, [N, K, 2, H, PAGE, D], and who owns which page.

    A page lies in one piece over all layers, so sharing a prompt means counting references and giving a sequence its
    own last page means copying one block. The tensor moves only in ``grow``; ``version`` counts these moves, because
    a captured graph holds its address.
    """

    def __init__(
        self, pages: int, layers: int, heads: int, width: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._shape = (layers, 2, heads, PAGE, width)
        # Zeros, not empty memory: masked positions are multiplied by weight 0, and 0 * NaN is NaN.
        self.data = torch.zeros(pages, *self._shape, dtype=dtype, device=device)
        self.version = 0
        self.peak = 0
        self._free = list(range(pages - 1, TRASH, -1))
        self._references = [0] * pages

    @property
    def pages(self) -> int:
        """Pages that the pool holds, the trash page included."""
        return int(self.data.shape[0])

    @property
    def used(self) -> int:
        """Pages that somebody owns."""
        return self.pages - 1 - len(self._free)

    @property
    def page_bytes(self) -> int:
        """Bytes of one page."""
        return self.data[0].numel() * self.data.element_size()

    def take(self, count: int) -> list[int]:
        """``count`` pages with one reference each; the pool grows where it has too few.

        Raises:
            torch.OutOfMemoryError: The device has no memory for more pages.
        """
        least = self.used + count + 1
        if least > self.pages:
            for more in (self.pages // 2, self.pages // 8, 0):
                try:
                    self.grow(max(least, self.pages + more))
                    break
                except torch.OutOfMemoryError:  # room for the future is not worth failing now
                    if more == 0:
                        raise
        pages = [self._free.pop() for _ in range(count)]
        for page in pages:
            self._references[page] = 1
        self.peak = max(self.peak, self.used)
        return pages

    def share(self, pages: list[int]) -> None:
        """Count one more owner of each page."""
        for page in pages:
            self._references[page] += 1

    def release(self, pages: list[int]) -> None:
        """Count one owner less; a page without owners is free."""
        for page in pages:
            self._references[page] -= 1
            if self._references[page] == 0:
                self._free.append(page)

    def copy(self, sources: list[int], targets: list[int]) -> None:
        """Copy whole pages."""
        if sources:
            sent = send([sources, targets], self.data.device)
            self.data[sent[1]] = self.data[sent[0]]

    def grow(self, pages: int) -> None:
        """Make room for ``pages`` pages, keeping what is there."""
        missing = pages - self.pages
        if missing <= 0:
            return
        data = torch.zeros(pages, *self._shape, dtype=self.data.dtype, device=self.data.device)
        data[: self.pages] = self.data
        self._free[:0] = range(pages - 1, self.pages - 1, -1)
        self._references += [0] * missing
        self.version += 1  # before the tensor: an interruption must not leave a graph that believes the old address
        self.data = data
