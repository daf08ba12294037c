# mypy: ignore-errors
"""Sampling in Triton: truncation by bisection, the exponential race, and moving the slots on.

`race.py` states the same in torch. Axes: S slots, V vocabulary, B blocks of the vocabulary.
"""

# Triton compiles these functions from their source; they are not typed Python, hence the first line.

import triton
import triton.language as tl

__all__ = ["advance", "block_race", "cut"]


@triton.jit
def _order(x):
    """Floats as integers of the same order."""
    bits = x.to(tl.int32, bitcast=True)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(tl.int64)


@triton.jit
def _mass(row_ptr, inverse_t, floor, least, top, V, COUNT: tl.constexpr, BV: tl.constexpr):
    """Of the entries not below both keys: how many there are, or the sum of exp(z - top)."""
    found = tl.zeros([BV], dtype=tl.float32)
    key = tl.maximum(floor, least)
    for start in range(0, V, BV):
        v = start + tl.arange(0, BV)
        z = tl.load(row_ptr + v, mask=v < V, other=float("-inf")).to(tl.float32) * inverse_t
        kept = (_order(z) >= key) & (v < V)
        if COUNT:
            found += kept.to(tl.float32)
        else:
            found += tl.where(kept, tl.exp(z - top), 0.0)
    return tl.sum(found, axis=0)


@triton.jit
def cut(
    logits_ptr, low_ptr, V, inverse_t, top_k, top_p, log_min_p,
    TOP_K: tl.constexpr, TOP_P: tl.constexpr, MIN_P: tl.constexpr, BV: tl.constexpr,
):  # fmt: skip
    """The key of the lowest scaled logit that stays: bisection over all float32 values, so it is exact."""
    slot = tl.program_id(0)
    row_ptr = logits_ptr + slot.to(tl.int64) * V
    best = tl.full([BV], float("-inf"), dtype=tl.float32)
    for start in range(0, V, BV):
        v = start + tl.arange(0, BV)
        z = tl.load(row_ptr + v, mask=v < V, other=float("-inf")).to(tl.float32) * inverse_t
        best = tl.maximum(best, z)
    top = tl.max(best, axis=0)
    highest = _order(top)
    # Nothing 88 nats below the best token has any mass in float32; 2 ** 31 keys at most lie between.
    lowest = tl.full([], -2147483647, dtype=tl.int64)
    floor = lowest
    if TOP_K:
        low, high = lowest, highest
        for _ in range(32):
            middle = (low + high + 1) >> 1
            enough = _mass(row_ptr, inverse_t, middle, lowest, top, V, True, BV) >= top_k
            low, high = tl.where(enough, middle, low), tl.where(enough, high, middle - 1)
        floor = low
    if TOP_P:
        wanted = _mass(row_ptr, inverse_t, floor, lowest, top, V, False, BV) * top_p
        low, high = floor, highest
        for _ in range(32):
            middle = (low + high + 1) >> 1
            enough = _mass(row_ptr, inverse_t, middle, floor, top, V, False, BV) >= wanted
            low, high = tl.where(enough, middle, low), tl.where(enough, high, middle - 1)
        floor = low
    if MIN_P:
        floor = tl.maximum(floor, _order(top + log_min_p))
    tl.store(low_ptr + slot, floor)


@triton.jit
def _exponential(word):
    """A positive number with density exp(-x) from 32 random bits; fine-grained where it is small."""
    # uint32 to float32 by way of int64: exact rounding to nearest, as torch does it.
    uniform = (word.to(tl.uint32).to(tl.int64).to(tl.float32) + 0.5) * 2.3283064365386963e-10
    series = uniform * (1.0 + uniform * (0.5 + uniform * 0.3333333333333333))
    return tl.where(uniform < 1e-3, series, -tl.log(tl.maximum(1.0 - uniform, 2.9802322387695312e-08)))


@triton.jit
def block_race(
    logits_ptr, judged_ptr, seeds_ptr, counts_ptr, low_ptr, floats_ptr, places_ptr, V, blocks, inverse_t,
    GREEDY: tl.constexpr, CUT: tl.constexpr, PENALISED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """One slot, one block of the vocabulary: its winner by the judged logits, its share of the log-sum-exp of all."""
    slot, block = tl.program_id(0), tl.program_id(1)
    QUARTER: tl.constexpr = BLOCK // 4
    i = tl.arange(0, QUARTER)
    row_ptr = logits_ptr + slot.to(tl.int64) * V
    if not GREEDY:
        seed, count = tl.load(seeds_ptr + slot), tl.load(counts_ptr + slot).to(tl.int32)
        zero = tl.zeros([QUARTER], dtype=tl.int32)
        words = tl.philox(seed, block * QUARTER + i, zero + count, zero, zero)
    top = float("-inf")
    best = float("-inf")
    place = 2147483647
    value = float("-inf")
    total = 0.0
    for j in tl.static_range(4):
        v = block * BLOCK + j * QUARTER + i
        z = tl.load(row_ptr + v, mask=v < V, other=float("-inf")).to(tl.float32) * inverse_t
        judged = z
        if PENALISED:
            judged_row_ptr = judged_ptr + slot.to(tl.int64) * V
            judged = tl.load(judged_row_ptr + v, mask=v < V, other=float("-inf")).to(tl.float32) * inverse_t
        score = judged
        if not GREEDY:
            score = judged - tl.log(_exponential(words[j]))
        if CUT:
            score = tl.where(_order(judged) >= tl.load(low_ptr + slot), score, float("-inf"))
        here = tl.max(score, axis=0)
        # Of equal scores the first entry wins.
        first = tl.min(tl.where(score == here, v, 2147483647), axis=0)
        chosen = tl.max(tl.where(v == first, z, float("-inf")), axis=0)
        better = here > best
        place, value = tl.where(better, first, place), tl.where(better, chosen, value)
        best = tl.maximum(best, here)
        highest = tl.maximum(top, tl.max(z, axis=0))
        # A block of padding alone has no mass; -inf - -inf would be NaN.
        shift = tl.where(highest > float("-inf"), highest, 0.0)
        total = total * tl.exp(top - shift) + tl.sum(tl.exp(z - shift), axis=0)
        top = highest
    out = slot * blocks + block
    tl.store(floats_ptr + out * 4, top)
    tl.store(floats_ptr + out * 4 + 1, total)
    tl.store(floats_ptr + out * 4 + 2, best)
    tl.store(floats_ptr + out * 4 + 3, value)
    tl.store(places_ptr + out, place)


@triton.jit
def advance(
    floats_ptr, places_ptr, state_ptr, tables_ptr, tokens_ptr, logprobs_ptr, stops_ptr, V, blocks, stride,
    table_width, stops, BB: tl.constexpr, BS: tl.constexpr,
):  # fmt: skip
    """Pick the winner of all blocks and move one slot on; fields as in `slots.py`."""
    slot = tl.program_id(0)
    b, s = tl.arange(0, BB), tl.arange(0, BS)
    inside = b < blocks
    parts = floats_ptr + (slot * blocks + b) * 4
    top = tl.load(parts, mask=inside, other=float("-inf"))
    total = tl.load(parts + 1, mask=inside, other=0.0)
    best = tl.load(parts + 2, mask=inside, other=float("-inf"))
    value = tl.load(parts + 3, mask=inside, other=float("-inf"))
    place = tl.load(places_ptr + slot * blocks + b, mask=inside, other=2147483647)
    highest = tl.max(top, axis=0)
    normaliser = highest + tl.log(tl.sum(total * tl.exp(top - highest), axis=0))
    first = tl.min(tl.where(best == tl.max(best, axis=0), place, 2147483647), axis=0)
    logprob = tl.max(tl.where(place == first, value, float("-inf")), axis=0) - normaliser
    token = tl.minimum(first, V - 1).to(tl.int64)

    field = state_ptr + slot
    done = tl.load(field + 6 * stride)
    if done == 0:
        count = tl.load(field + 5 * stride)
        out = tl.load(field + 4 * stride) + count
        tl.store(tokens_ptr + out, token)
        tl.store(logprobs_ptr + out, logprob)
        stopped = tl.max((tl.load(stops_ptr + s, mask=s < stops, other=-1) == token).to(tl.int32), axis=0)
        done = tl.where(count + 1 >= tl.load(field + 2 * stride), 1, 0).to(tl.int64)
        done = tl.where(stopped > 0, 2, done)
        done = tl.where((logprob > float("-inf")) & (logprob < float("inf")), done, 3)
        tl.store(field, token)
        tl.store(field + 5 * stride, count + 1)
        position = tl.load(field + stride) + 1
        tl.store(field + stride, tl.where(done == 0, position, 0))
        tl.store(field + 6 * stride, done)
        if done > 0:
            tl.store(tables_ptr + slot * table_width, 0)
