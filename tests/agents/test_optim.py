"""Learning-rate schedules by hand."""

from __future__ import annotations

import math
import weakref
from typing import Any

import pytest
import torch

from r1gym.agents import optim
from r1gym.agents.optim import SCHEDULES, MasterAdamW, learning_rate, make_optimizer


def test_the_rise_is_linear_and_starts_above_zero() -> None:
    for schedule in SCHEDULES:
        rates = [learning_rate(1.0, step, 100, 4, schedule) for step in range(5)]
        assert rates == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0], rel=1e-6)


def test_schedules_at_a_quarter_and_half_of_the_way() -> None:
    # 4 steps of rise, then 8: step 6 has done 2/8, step 8 has done 4/8.
    assert [learning_rate(2.0, step, 12, 4, "constant") for step in (6, 8)] == [2.0, 2.0]
    assert [learning_rate(2.0, step, 12, 4, "linear") for step in (6, 8, 11)] == pytest.approx([1.5, 1.0, 0.25])
    quarter = 2.0 * 0.5 * (1 + math.cos(math.pi / 4))
    assert [learning_rate(2.0, step, 12, 4, "cosine") for step in (6, 8)] == pytest.approx([quarter, 1.0])


def test_no_rise_and_a_rise_longer_than_the_run() -> None:
    assert learning_rate(1.0, 0, 10, 0, "linear") == 1.0
    assert learning_rate(1.0, 2, 3, 10, "linear") == pytest.approx(0.3)


def test_masters_move_where_bfloat16_alone_would_stand_still() -> None:
    start = torch.linspace(0.5, 2.0, 64).bfloat16()
    shadow, alone = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone())
    wide = torch.nn.Parameter(start.float())
    optimizer = make_optimizer([shadow], 1e-4)
    assert isinstance(optimizer, MasterAdamW)
    others = [torch.optim.AdamW([alone], 1e-4, (0.9, 0.99), weight_decay=0.0), make_optimizer([wide], 1e-4)]
    for _ in range(40):
        for parameter in (shadow, alone, wide):
            parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        for other in others:
            other.step()
    # 40 steps of 1e-4 are 0.004, a bfloat16 number near 1 has neighbours 0.0039 to 0.0078 away.
    assert torch.equal(optimizer.masters[0].detach(), wide.detach())
    assert torch.equal(shadow.detach(), wide.detach().bfloat16())
    assert torch.equal(alone.detach(), start) and not torch.equal(shadow.detach(), start)


def test_one_part_has_float32_gradients_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five tensors of 40 numbers, in parts of 80."""
    monkeypatch.setattr(optim, "PART", 80)
    shadows = [torch.nn.Parameter(torch.ones(40).bfloat16()) for _ in range(5)]
    optimizer = make_optimizer(shadows, 1e-4)
    made: list[weakref.ref[torch.Tensor]] = []
    alive: list[int] = []
    empty_like = torch.empty_like

    def counted(*given: Any, **options: Any) -> torch.Tensor:
        out = empty_like(*given, **options)
        made.append(weakref.ref(out))
        alive.append(sum(tensor() is not None for tensor in made))
        return out

    monkeypatch.setattr(torch, "empty_like", counted)
    for shadow in shadows:
        shadow.grad = torch.ones_like(shadow)
    optimizer.step()
    assert alive == [1, 2, 1, 2, 1]
    assert all(tensor() is None for tensor in made)
    assert isinstance(optimizer, MasterAdamW)
    assert all((master < 1).all() and master.grad is None for master in optimizer.masters)


def test_masters_survive_a_checkpoint() -> None:
    shadow = torch.nn.Parameter(torch.ones(8).bfloat16())
    optimizer = make_optimizer([shadow], 1e-4)
    shadow.grad = torch.ones_like(shadow)
    optimizer.step()
    other = make_optimizer([torch.nn.Parameter(torch.zeros(8).bfloat16())], 1e-4)
    other.load_state_dict(optimizer.state_dict())
    assert isinstance(optimizer, MasterAdamW) and isinstance(other, MasterAdamW)
    assert torch.equal(other.masters[0], optimizer.masters[0])
    assert torch.equal(other.shadows[0], shadow)
