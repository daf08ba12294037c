"""Random streams and draws, against published numbers and by frequency."""

from __future__ import annotations

import math

import pytest
import torch

from r1gym.engine.race import truncate
from r1gym.engine.sampling import draw, uniform
from r1gym.types import Sampling

# Outputs of SplitMix64 started at 1234567, as listed with the reference implementation (Vigna; also Rosetta Code).
REFERENCE = (6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821)


def test_uniform_is_the_upper_53_bits_of_splitmix64() -> None:
    counters = torch.arange(len(REFERENCE))
    got = uniform(torch.full_like(counters, 1234567), counters)
    assert got.tolist() == [(word >> 11) * 2.0**-53 for word in REFERENCE]


def test_uniform_is_flat_over_counters_and_over_seeds() -> None:
    n, bins = 20_000, 20
    zeros, many = torch.zeros(n, dtype=torch.long), torch.arange(n)
    for seeds, counters in ((zeros, many), (many, zeros)):
        values = uniform(seeds, counters)
        assert float(values.min()) >= 0 and float(values.max()) < 1
        counts = torch.histc(values, bins, 0, 1)
        expected = n / bins
        # χ² with 19 degrees of freedom: 43.8 is its 99.9 % point; the streams are fixed, so this cannot flicker.
        assert float(((counts - expected) ** 2 / expected).sum()) < 43.8


def frequencies(logits: torch.Tensor, temperature: float = 1.0, top_p: float = 1.0, top_k: int = 0) -> torch.Tensor:
    n = 20_000
    noise = uniform(torch.full((n,), 5), torch.arange(n))
    tokens, _ = draw(logits.expand(n, -1), noise, temperature, top_p, top_k)
    return torch.bincount(tokens, minlength=logits.shape[-1]).double() / n


def test_tokens_come_as_often_as_the_softmax_says() -> None:
    # probabilities 0.1, 0.2, 0.3, 0.4; three standard errors of 20,000 draws are at most 3·√(0.24/20000) = 0.0104
    probs = torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert torch.allclose(frequencies(probs.log()), probs.double(), atol=0.0104)


def test_temperature_divides_the_logits() -> None:
    # At temperature 2 the weights are √1, √4, √9, √16 = 1, 2, 3, 4 (of 1, 4, 9, 16): 0.1, 0.2, 0.3, 0.4.
    logits = torch.tensor([1.0, 4.0, 9.0, 16.0]).log()
    assert torch.allclose(frequencies(logits, 2.0), torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), atol=0.0104)


def test_top_k_keeps_the_k_most_probable() -> None:
    # Of 0.1, 0.2, 0.3, 0.4 the two best remain: 3/7 and 4/7.
    got = frequencies(torch.tensor([0.1, 0.2, 0.3, 0.4]).log(), top_k=2)
    assert got[:2].tolist() == [0.0, 0.0]
    assert float(got[3]) == pytest.approx(4 / 7, abs=0.0105)


def test_top_k_above_the_vocabulary_keeps_all() -> None:
    probs = torch.tensor([0.1, 0.2, 0.3, 0.4])
    assert torch.equal(frequencies(probs.log(), top_k=99), frequencies(probs.log()))


@pytest.mark.parametrize(
    ("top_p", "kept"),
    [
        (0.05, [False, True, False, False]),  # the best token always stays
        (0.45, [False, True, False, True]),  # 0.4 does not reach 0.45, 0.4 + 0.3 does
        (0.75, [False, True, True, True]),  # 0.7 does not reach 0.75, 0.9 does
        (1.0, [True, True, True, True]),
    ],
)
def test_top_p_keeps_the_token_that_crosses_it(top_p: float, kept: list[bool]) -> None:
    got = frequencies(torch.tensor([0.1, 0.4, 0.2, 0.3]).log(), top_p=top_p)
    assert (got > 0).tolist() == kept


def test_top_p_after_top_k_is_of_the_mass_that_top_k_left() -> None:
    # top-k 2 leaves 0.4 and 0.3, 4/7 and 3/7 of the mass: 0.5 is reached by the first alone.
    got = frequencies(torch.tensor([0.1, 0.4, 0.2, 0.3]).log(), top_p=0.5, top_k=2)
    assert got.tolist() == [0.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("noise", [0.0, 2.0**-53, 0.5, 1 - 2.0**-53])
@pytest.mark.parametrize("probs", [[0.0, 1.0, 0.0], [0.0, 0.5, 0.0, 0.5, 0.0], [1e-30, 0.0, 1.0, 0.0]])
def test_a_token_of_probability_zero_is_never_drawn(noise: float, probs: list[float]) -> None:
    logits = torch.tensor([probs]).log()  # log 0 = -inf
    tokens, logprobs = draw(logits, torch.tensor([noise], dtype=torch.float64), 1.0, 1.0, 0)
    assert probs[int(tokens)] > 0
    assert math.isfinite(float(logprobs))


def test_the_ends_of_the_unit_interval_give_the_first_and_the_last_token() -> None:
    logits = torch.tensor([[0.25, 0.5, 0.25]]).log().expand(4, 3)
    noise = torch.tensor([0.0, 0.2499, 0.2501, 1 - 2.0**-53], dtype=torch.float64)
    assert draw(logits, noise, 1.0, 1.0, 0)[0].tolist() == [0, 0, 1, 2]


def test_logprobs_are_those_before_top_p_and_top_k() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log()
    tokens, logprobs = draw(logits, torch.tensor([0.0], dtype=torch.float64), 1.0, 1.0, 1)
    assert int(tokens) == 3
    assert float(logprobs) == pytest.approx(math.log(0.4), abs=1e-6)  # not log 1
    # At temperature 2 the weights are √0.1, √0.2, √0.3, √0.4.
    _, tempered = draw(logits, torch.tensor([0.0], dtype=torch.float64), 2.0, 1.0, 1)
    assert float(tempered) == pytest.approx(math.log(0.4**0.5 / sum(p**0.5 for p in (0.1, 0.2, 0.3, 0.4))), abs=1e-6)


def test_greedy_takes_the_best_with_its_logprob_at_temperature_1() -> None:
    tokens, logprobs = draw(torch.tensor([[0.1, 0.6, 0.3]]).log(), torch.tensor([0.9]).double(), 0.0, 1.0, 0)
    assert int(tokens) == 1
    assert float(logprobs) == pytest.approx(math.log(0.6), abs=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("temperature", "top_p", "top_k"), [(1.0, 1.0, 0), (0.0, 1.0, 0), (1.0, 0.9, 0), (1.0, 1.0, 2)]
)
def test_logits_that_are_no_numbers_show_as_nan(bad: float, temperature: float, top_p: float, top_k: int) -> None:
    logits = torch.tensor([[0.0, bad, 1.0], [0.0, 0.0, 0.0]])
    tokens, logprobs = draw(logits, torch.tensor([0.5, 0.5]).double(), temperature, top_p, top_k)
    assert math.isnan(float(logprobs[0])) and math.isfinite(float(logprobs[1]))
    assert int(tokens.min()) >= 0 and int(tokens.max()) <= 2


def test_min_p_drops_what_is_far_below_the_most_probable() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    # 0.4 x 0.5 = 0.2: the last two go, and 0.99 of the rest's mass of 0.8 falls on the second token
    tokens, logprobs = draw(logits, torch.tensor([0.99]).double(), 1.0, 1.0, 0, 0.4)
    assert tokens.tolist() == [1] and logprobs.item() == pytest.approx(math.log(0.3), abs=1e-6)
    assert draw(logits, torch.tensor([0.99]).double(), 1.0, 1.0, 0, 0.0)[0].tolist() == [3]


@pytest.mark.parametrize("share", [1.0, 0.5, 0.002])
def test_a_large_vocabulary_is_inverted_by_blocks_to_the_same_token(share: float) -> None:
    """Against one cumulative sum, with most tokens cut off in two of the cases; the ends of the unit interval too."""
    generator = torch.Generator().manual_seed(4)
    rows, vocabulary = 400, 49_152
    probs = torch.softmax(torch.randn(rows, vocabulary, generator=generator) * 3, dim=-1)
    probs = probs.masked_fill(torch.rand(rows, vocabulary, generator=generator) > share, 0.0)
    noise = torch.rand(rows, dtype=torch.float64, generator=generator)
    noise[:2] = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    tokens, _ = draw(probs.log(), noise, 1.0, 1.0, 0)
    kept = probs / probs.sum(-1, keepdim=True)
    cumulative = kept.double().cumsum(-1)
    target = noise * cumulative[:, -1]
    above, below = cumulative.gather(1, tokens[:, None])[:, 0], (cumulative - kept).gather(1, tokens[:, None])[:, 0]
    assert bool((kept.gather(1, tokens[:, None]) > 0).all())
    assert bool(((below <= target + 1e-6) & (target <= above + 1e-6)).all())


def test_not_a_number_in_a_large_vocabulary_shows() -> None:
    logits = torch.zeros(2, 10_000)
    logits[0, 9_999] = math.nan
    tokens, logprobs = draw(logits, torch.tensor([0.5, 0.5]).double(), 1.0, 1.0, 0)
    assert math.isnan(float(logprobs[0])) and int(tokens.max()) < 10_000
    assert float(logprobs[1]) == pytest.approx(-math.log(10_000), abs=1e-6)


@pytest.mark.parametrize("top_k", [0, 3, 40])
@pytest.mark.parametrize("top_p", [1.0, 0.9, 0.5])
@pytest.mark.parametrize("min_p", [0.0, 0.05, 0.4])
def test_both_ways_of_drawing_and_transformers_keep_the_same_tokens(top_k: int, top_p: float, min_p: float) -> None:
    """By the share that each token gets: every number of a fine grid is inverted, and the race's limit looked at."""
    from transformers import LogitsProcessorList, MinPLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(9)) * 1.5
    grid = (torch.arange(20_000).double() + 0.5) / 20_000
    drawn = set(draw(logits.expand(20_000, -1), grid, 1.0, top_p, top_k, min_p)[0].tolist())
    raced = truncate(logits, Sampling(top_p=top_p, top_k=top_k, min_p=min_p))
    assert drawn <= set((logits[0] >= raced).nonzero()[:, 0].tolist())
    warpers = LogitsProcessorList()
    if top_k:
        warpers.append(TopKLogitsWarper(top_k))
    if top_p < 1:
        warpers.append(TopPLogitsWarper(top_p))
    if min_p:
        warpers.append(MinPLogitsWarper(min_p))
    kept = warpers(torch.zeros(1, 0, dtype=torch.long), logits.clone()).softmax(-1)[0]
    assert (logits[0] >= raced).tolist() == (kept > 0).tolist()
    assert set((kept > 1e-4).nonzero()[:, 0].tolist()) <= drawn
