"""The parity meter by hand, and in a run whose sampler gives wrong log-probabilities."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from r1gym.agents.grpo import train
from r1gym.agents.losses import LossInputs
from r1gym.agents.reporting import Figures
from r1gym.policy.toy import TabularPolicy


def test_figures_by_hand() -> None:
    # Differences trainer - sampler: +0.2, -0.5 in the first row, +0.1 in the second; the mask drops the 9s.
    old = torch.tensor([[-1.0, -2.0, 0.0], [-3.0, 0.0, 0.0]])
    new = torch.tensor([[-0.8, -2.5, 9.0], [-2.9, 9.0, 9.0]])
    mask = torch.tensor([[True, True, False], [True, False, False]])
    inputs = LossInputs(new, old, torch.ones(2), mask, rows=2, tokens=3, max_new_tokens=4)
    figures = Figures()
    for row in (slice(0, 1), slice(1, 2)):
        part = replace(inputs, logprobs_BT=new[row], old_logprobs_BT=old[row], mask_BT=mask[row])
        figures.add(part, 0.0, 0.0, 0.0, 3)
    figures.norms.append(1.0)
    figures.add(replace(inputs, logprobs_BT=new + 5), 0.0, 0.0, 0.0, 6)  # after an update the weights differ anyway
    got = figures.metrics(Accelerator(cpu=True))
    assert got["parity/mean"] == pytest.approx((0.2 + 0.5 + 0.1) / 3, abs=1e-6)
    assert got["parity/max"] == pytest.approx(0.5, abs=1e-6)
    assert got["parity/ratio"] == pytest.approx(math.exp(0.2), abs=1e-6)


class Boastful(TabularPolicy):
    """Says of every draw that it was 0.3 nats more probable than it was: ratios are exp(-0.3)."""

    def sample(self, *arguments: Any) -> Any:
        return [[replace(one, logprobs=(one.logprobs[0] + 0.3,)) for one in row] for row in super().sample(*arguments)]


def test_a_sampler_that_disagrees_shows(word_env: Any, options: Any, interrupting: Any, lines: Any) -> None:
    config = options(steps=2, prompts_per_step=1, group_size=16)
    result = train(config, Boastful("abc"), word_env("b"), screen=interrupting())
    for line in lines(result.folder, "metrics.jsonl"):
        assert line["parity/mean"] == pytest.approx(0.3, abs=1e-5)
        assert line["parity/max"] == pytest.approx(0.3, abs=1e-5)
        assert line["parity/ratio"] == pytest.approx(math.exp(-0.3), abs=1e-5)
