"""Counter-based noise against published values, frequencies, and truncation by hand."""

from __future__ import annotations

import pytest
import torch

from r1gym.engine.race import noise, philox, race, truncate
from r1gym.types import Sampling


def test_philox_gives_the_published_words() -> None:
    # Random123's kat_vectors, philox4x32 10: all zeros.
    words = philox(torch.zeros(1, 1, dtype=torch.long), torch.zeros(1, dtype=torch.long), torch.zeros(1, 1).long())
    assert [hex(int(word)) for word in words] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def test_noise_depends_on_seed_step_and_entry_only() -> None:
    seeds, counts = torch.tensor([5, 5, 6]), torch.tensor([0, 1, 0])
    rows = noise(seeds, counts, 3000)
    assert torch.equal(noise(seeds[[2, 0]], counts[[2, 0]], 3000), rows[[2, 0]])
    assert torch.equal(noise(seeds, counts, 100), rows[:, :100])
    assert len(rows.unique()) > 8900  # 32 random bits each: nearly no two are equal


def test_frequencies_are_the_probabilities() -> None:
    logits = torch.tensor([2.0, 0.0, -3.0, 1.0, -9.0]).log_softmax(-1)
    rows = 60_000
    tokens, logprobs = race(logits.expand(rows, 5), torch.arange(rows) * 977, torch.zeros(rows).long(), Sampling())
    shares = torch.bincount(tokens, minlength=5) / rows
    deviation = (logits.exp() * (1 - logits.exp()) / rows).sqrt()
    assert bool(((shares - logits.exp()).abs() < 4.5 * deviation).all())
    assert torch.allclose(logprobs, logits[tokens], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "kept"),
    # Probabilities .4 .3 .2 .1: top-p .65 needs two tokens (.4 + .3), .75 three; of the top three, .4 / .9 = .44 and
    # .3 / .9 = .33 reach .7 together; min-p .6 keeps what has .24 or more.
    [
        ({"top_k": 1}, 1),
        ({"top_k": 3}, 3),
        ({"top_p": 0.65}, 2),
        ({"top_p": 0.75}, 3),
        ({"top_k": 3, "top_p": 0.7}, 2),
        ({"min_p": 0.6}, 2),
        ({}, 4),
    ],
)
def test_truncation_by_hand(options: dict[str, float], kept: int) -> None:
    scaled = torch.tensor([[0.1, 0.4, 0.2, 0.3]]).log()
    low = truncate(scaled, Sampling(**options))  # type: ignore[arg-type]
    assert int((scaled >= low[:, None]).sum()) == kept


def test_greedy_takes_the_first_of_equals() -> None:
    logits = torch.tensor([[1.0, 3.0, 3.0], [0.0, -1.0, -2.0]])
    tokens, _ = race(logits, torch.tensor([1, 2]), torch.tensor([0, 0]), Sampling(temperature=0.0))
    assert tokens.tolist() == [1, 0]
