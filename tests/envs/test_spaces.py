"""The space of all texts, alone and inside Gymnasium's vector machinery."""

from __future__ import annotations

import pickle

import pytest
from gymnasium.error import CustomSpaceError
from gymnasium.spaces import Text, Tuple
from gymnasium.vector.utils import batch_differing_spaces, batch_space, create_shared_memory

from r1gym.envs.spaces import SAMPLE_LENGTH, AnyText


@pytest.mark.parametrize("text", ["", "What is 2+2?", "\\frac{1}{2}\n", "∑ é 你好 — ’", "\u2028\x00🧮"])
def test_any_text_is_inside(text: str) -> None:
    assert text in AnyText(100)


def test_other_things_and_longer_texts_are_outside() -> None:
    space = AnyText(3)
    assert "abc" in space and "abcd" not in space
    assert 3 not in space and None not in space and b"abc" not in space and ["a"] not in space


def test_samples_are_short_inside_and_follow_the_seed() -> None:
    space = AnyText(2**22, seed=4)
    samples = [space.sample() for _ in range(200)]
    assert all(sample in space and len(sample) <= SAMPLE_LENGTH for sample in samples)
    assert "" in samples and max(map(len, samples)) == SAMPLE_LENGTH
    assert samples == [AnyText(2**22, seed=4).sample(), *samples[1:]]
    assert all(len(AnyText(2, seed=seed).sample()) <= 2 for seed in range(20))
    with pytest.raises(CustomSpaceError, match="no character list to mask"):
        space.sample(mask=(3, None))


def test_equality_looks_at_the_bound_only() -> None:
    assert AnyText(5) == AnyText(5) != AnyText(6)
    assert AnyText(5) != Text(5) and len({AnyText(5), AnyText(5)}) == 1


def test_it_is_small_and_not_flattenable() -> None:
    space = AnyText(2**22)
    assert repr(space) == "AnyText(4194304)" and len(pickle.dumps(space)) < 2000
    assert not space.is_np_flattenable and isinstance(space, Text) and space.min_length == 0
    assert pickle.loads(pickle.dumps(space)) == space


def test_vectors_batch_it_as_a_tuple_and_never_share_memory() -> None:
    space = AnyText(10)
    assert batch_space(space, 2) == Tuple([space, space])
    assert batch_differing_spaces([AnyText(10), AnyText(20)]) == Tuple([AnyText(10), AnyText(20)])
    with pytest.raises(CustomSpaceError, match="shared_memory=False"):
        create_shared_memory(space, 2)
