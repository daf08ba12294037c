"""The page pool: references, growth, and copies."""

from __future__ import annotations

import torch

from r1gym.engine.pages import TRASH, PagePool


def pool(pages: int = 4) -> PagePool:
    return PagePool(pages, layers=2, heads=1, width=4, dtype=torch.float32, device=torch.device("cpu"))


def test_a_page_is_free_when_its_last_owner_lets_go() -> None:
    pages = pool()
    first = pages.take(2)
    assert TRASH not in first and len(set(first)) == 2 and pages.used == 2
    pages.share(first)
    pages.release(first)
    assert pages.used == 2
    pages.release(first)
    assert pages.used == 0 and pages.peak == 2


def test_the_pool_grows_and_keeps_what_it_holds() -> None:
    pages = pool()
    held = pages.take(3)
    pages.data[held] = torch.arange(3.0)[:, None, None, None, None, None]
    more = pages.take(1)
    assert pages.version == 1 and pages.pages >= 5 and not set(more) & set(held)
    assert [float(pages.data[page].mean()) for page in held] == [0.0, 1.0, 2.0]


def test_copies_take_all_layers() -> None:
    pages = pool()
    a, b = pages.take(2)
    pages.data[a] = 7.0
    pages.copy([a], [b])
    assert float(pages.data[b].min()) == 7.0
