"""Stop strings: detection over token borders and bytes, on every path, against ``generate(stop_strings=...)``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from r1gym.engine.compact import CompactForward
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.generate import generate
from r1gym.engine.request import Request, Sample
from r1gym.engine.sampler import Sampler
from r1gym.engine.stopping import StopStrings
from r1gym.errors import ConfigError
from r1gym.types import Sampling

STOP = 3
GREEDY = Sampling(temperature=0.0)
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 40)), (8, 9))
ByGenerate = Callable[..., tuple[int, ...]]
Run = Callable[[Sequence[Request], Sampling], list[Sample]]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """97 byte-level tokens of one to four letters, four of them special."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = ["<pad>", "<a>", "<b>", "<eos>", "!", "?", ",", ";", ":", "Ġ", ".", "</", "an", "swer", "er>", ">"]
    pieces += [*letters, *(a + b for a in letters for b in "ei"), "the", "Ġof", "ing"]
    core = Tokenizer(models.BPE({piece: number for number, piece in enumerate(pieces[:97])}, []))
    core.pre_tokenizer, core.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>")
    assert len(made) == 97
    return made


@pytest.fixture(scope="module")
def decode(tokenizer: Any) -> Callable[[Sequence[int]], str]:
    return lambda ids: tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False)


def ways(model: Any, decode: Any, slots: int = 3) -> dict[str, Run]:
    return {
        "compact": Engine(CompactForward(model), [STOP], slots, decode=decode).run,
        "general": Engine(GeneralForward(model), [STOP], slots, decode=decode).run,
        "sampler": Sampler(model, [STOP], slots, decode).run,
        "generate": lambda requests, sampling: generate(model, requests, sampling, [STOP], decode),
    }


def test_tokens_equal_those_of_generate(
    fresh_model: Callable[[str], Any], by_generate: ByGenerate, tokenizer: Any, decode: Any
) -> None:
    """Each prompt has two stop strings of its own, cut out of what it would write: over borders and inside tokens."""
    model = fresh_model("llama")
    requests, expected = [], []
    for number, prompt in enumerate(PROMPTS):
        ids = by_generate(model, prompt, 24)
        text = decode(ids)
        start = len(decode(ids[:9])) - 1
        strings = (text[start : start + 3 + number], "never written", text[-4:])
        requests.append(Request(prompt, 1, 24, strings))
        expected.append(by_generate(model, prompt, 24, stop_strings=list(strings), tokenizer=tokenizer))
        assert 1 < len(expected[-1]) < len(ids)
    plain = Request((8, 9), 1, 24)
    for name, run in ways(model, decode).items():
        samples = run([*requests, plain], GREEDY)
        assert [sample.token_ids for sample in samples[:-1]] == expected, name
        assert [len(sample.logprobs) for sample in samples[:-1]] == [len(ids) for ids in expected]
        assert {sample.finish for sample in samples[:-1]} == {"stop"}
        assert samples[-1].token_ids == by_generate(model, (8, 9), 24), name


def test_all_paths_stop_sampled_completions_alike(fresh_model: Callable[[str], Any], decode: Any) -> None:
    model = fresh_model("qwen2")
    requests = [Request(prompt, 10 * n + g, 40, ("e", "the")) for n, prompt in enumerate(PROMPTS) for g in range(3)]
    drawn = {name: run(requests, Sampling()) for name, run in ways(model, decode).items()}
    for one, two in (("compact", "general"), ("sampler", "generate")):  # the same random streams
        assert [(s.token_ids, s.finish) for s in drawn[one]] == [(s.token_ids, s.finish) for s in drawn[two]]
    for samples in drawn.values():
        for sample in samples:
            by_text = sample.finish == "stop" and sample.token_ids[-1] != STOP
            assert ("e" in decode([token for token in sample.token_ids if token != STOP])) == by_text
            assert "e" not in decode(sample.token_ids[:-1])


def test_several_tokens_between_looks_are_cut_at_the_right_one(
    fresh_model: Callable[[str], Any], by_generate: ByGenerate, decode: Any
) -> None:
    """Graphs draw eight tokens before the host looks: what stands behind the string is dropped, its slot freed."""
    model = fresh_model("llama")
    engine = Engine(CompactForward(model), [STOP], 2, decode=decode)
    one_step = engine.stepper.run
    engine.stepper.steps = 8
    engine.stepper.run = lambda *options: [one_step(*options) for _ in range(8)]  # type: ignore[method-assign]
    texts = {prompt: decode(by_generate(model, prompt, 24)) for prompt in PROMPTS}
    requests = [Request(prompt, 1, 24, (texts[prompt][6:9],)) for prompt in PROMPTS]
    alone = Sampler(model, [STOP], 4, decode).run(requests, GREEDY)
    assert [sample.token_ids for sample in engine.run(requests, GREEDY)] == [sample.token_ids for sample in alone]
    assert engine.pool.used == 0


def spelled(text: str, per_token: int = 1) -> list[bytes]:
    raw = text.encode()
    return [raw[i : i + per_token] for i in range(0, len(raw), per_token)]


def matcher(pieces: Sequence[bytes], *strings: str) -> StopStrings:
    return StopStrings(strings, lambda ids: b"".join(pieces[i] for i in ids).decode(errors="replace"))


@pytest.mark.parametrize("per_token", [1, 2, 3, 5])
@pytest.mark.parametrize("string", ["</answer>", "答案", "é", "🙂!"])
def test_bytes_and_borders(string: str, per_token: int) -> None:
    """With n bytes a token, the string is complete with the token that holds its last byte, and not before."""
    before, after = "x" * 300 + "é", "tail"
    pieces = spelled(before + string + after, per_token)
    last_byte = len((before + string).encode())
    expected = -(-last_byte // per_token)
    stops = matcher(pieces, string)
    if string == "é":  # it stands in the text before already
        expected = -(-len(before.encode()) // per_token)
    found = [stops.first(range(n), n - 1) for n in range(1, len(pieces) + 1)]
    assert next(n for n in found if n is not None) == expected
    assert all(n is None for n in found[: expected - 1])
    assert stops.first(range(len(pieces)), 0) == expected  # all at once


def test_text_is_cut_at_the_string_that_is_complete_first() -> None:
    stops = matcher([], "</answer>", "ans", "swer>!")
    assert stops.cut("the </answer>!", keep=True) == "the </ans"
    assert stops.cut("the </answer>!", keep=False) == "the </"
    assert stops.cut("nothing", keep=False) == "nothing"
    # Two end together: the longer one counts.
    assert matcher([], "b", "ab").cut("xxab", keep=False) == "xx"


def test_stop_strings_without_a_tokenizer_are_refused(fresh_model: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigError, match="need a tokenizer"):
        Sampler(fresh_model("llama"), [STOP]).run([Request((5,), 1, 4, ("a",))], GREEDY)


@pytest.mark.parametrize("stop", ["text", ("",), ("a", 3)])
def test_stop_strings_must_be_strings(stop: Any) -> None:
    with pytest.raises(ConfigError, match="tuple of strings"):
        Sampling(stop=stop)


@pytest.mark.parametrize("step", [1, 2, 8])
def test_bytes_that_later_ones_break_still_stop(step: int) -> None:
    """SentencePiece writes a run of byte tokens as a whole: with one bad byte behind it, "ab" is gone again."""
    from tokenizers import decoders

    fallback = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    pieces = ["x", "<0x61>", "<0x62>", "<0xC3>", "<0xA9>", "y"]
    stops = StopStrings(["ab", "\u00e9"], lambda ids: fallback.decode([pieces[i] for i in ids]))
    for before in (0, 3, 200):  # within the window, and beyond it
        for token_ids, end in (([1, 2, 3, 3, 5], 2), ([1, 3, 3, 5, 3, 4, 5], 6), ([1, 3, 2, 5], None)):
            ids = [0] * before + token_ids
            looks = (stops.first(ids[: at + step], at) for at in range(0, len(ids), step))
            found = next((look for look in looks if look is not None), None)
            assert found == (None if end is None else before + end)
