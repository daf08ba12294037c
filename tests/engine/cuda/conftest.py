"""What the tests on a GPU share: they skip where there is none.

``R1GYM_DRY_RUN=1`` runs their bodies on the CPU, torch standing for the kernels and single steps for the graphs: that
shows mistakes of the tests, not of the engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch

from r1gym.engine import choice, decoding
from r1gym.engine.compact import CompactForward
from r1gym.engine.decoding import KernelForward
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.race import race
from r1gym.engine.request import Request, Sample
from r1gym.engine.slots import COUNT, SEED
from r1gym.engine.stepping import STEPS, Stepper
from r1gym.policy.hf import HFPolicy
from r1gym.policy.tokens import character_tokenizer

STOP = 3
TIE = 5e-5
"""Logits nearer than this may change places between two correct float32 forwards (they differ by some 1e-6)."""
DRY = os.environ.get("R1GYM_DRY_RUN") == "1" and not torch.cuda.is_available()
Build = Callable[[str], Any]


class Steps:
    """Stands for a captured graph in a dry run: the same steps, one by one."""

    def __init__(self, stepper: Stepper, count: int, sampling: Any) -> None:
        self.replay = lambda: [stepper._step(count, sampling) for _ in range(STEPS)]


def draw_in_torch(logits_SV: Any, slots: Any, stops: Any, sampling: Any, scores_SV: Any = None) -> None:
    state = slots.state[:, : len(logits_SV)]
    slots.advance(*race(logits_SV, state[SEED], state[COUNT], sampling, scores_SV), stops)


@pytest.fixture(scope="session", autouse=True)
def on_the_gpu() -> Iterator[None]:
    """Skip without a GPU; in a dry run put torch in the kernels' place."""
    if not torch.cuda.is_available() and not DRY:
        pytest.skip("needs a CUDA GPU (R1GYM_DRY_RUN=1 runs the bodies on the CPU, in torch)")
    with pytest.MonkeyPatch.context() as patch:
        if DRY:
            patch.setattr(choice, "no_kernels", lambda device: "")
            patch.setattr(choice, "kernel_attention", None)
            patch.setattr(decoding, "kernel_attention", None)
            patch.setattr(KernelForward, "decode", CompactForward.decode)
            patch.setattr("r1gym.engine.drawing.draw_and_advance", draw_in_torch)
            patch.setattr(
                Stepper, "_capture", lambda stepper, *given: stepper._graphs.update({given[0]: Steps(stepper, *given)})
            )
        yield


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device("cpu") if DRY else torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def full_precision() -> Iterator[None]:
    """No TF32 in float32 products: tokens are compared one by one."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture
def gpu_model(fresh_model: Build, device: torch.device) -> Callable[..., Any]:
    """``gpu_model(family, dtype)``: a fresh tiny model on the device."""
    return lambda family, dtype=torch.float32: fresh_model(family).to(device=device, dtype=dtype)


@pytest.fixture
def gpu_engine() -> Callable[..., Engine]:
    """``gpu_engine(way, model, slots, captured=True)``; uncaptured it is the same in torch operations."""

    def make(
        way: str, model: Any, slots: int = 3, captured: bool = True, stops: Sequence[int] = (STOP,), **more: Any
    ) -> Any:
        if way == "general":
            forward: Any = GeneralForward(model, decoding.kernel_attention if captured else None)
        else:
            forward = KernelForward(model) if captured else CompactForward(model)
        return Engine(forward, stops, slots, captured, **more)

    return make


@pytest.fixture
def gpu_policy(gpu_model: Callable[..., Any]) -> Callable[..., HFPolicy]:
    """``gpu_policy(family, dtype)``: a policy over a fresh tiny model with a character tokenizer."""

    def make(family: str = "llama-wide", dtype: torch.dtype = torch.float32, slots: int = 8) -> HFPolicy:
        return HFPolicy(gpu_model(family, dtype), character_tokenizer("0123456789+-*/=?abcdefghij"), slots)

    return make


def greedy_places(model: Any, prompt: Sequence[int], tokens: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [T, V] with which each of ``tokens`` was to be chosen, and how far each lies below the best one."""
    ids = torch.tensor([[*prompt, *tokens]], device=model.device)
    with torch.no_grad():
        logits_TV = model(input_ids=ids, use_cache=False).logits[0, len(prompt) - 1 : -1].float()
    chosen_T = logits_TV.gather(1, ids[0, len(prompt) :, None])[:, 0]
    return logits_TV, logits_TV.amax(dim=-1) - chosen_T


@pytest.fixture
def same_tokens() -> Callable[..., None]:
    """``same_tokens(label, model, prompt, got, expected)``: equal, or parted at two logits within ``TIE``."""

    def check(label: str, model: Any, prompt: Sequence[int], got: Sequence[int], expected: Sequence[int]) -> None:
        if tuple(got) == tuple(expected):
            return
        pairs = enumerate(zip(got, expected, strict=False))
        place = next((n for n, (a, b) in pairs if a != b), min(len(got), len(expected)))
        assert place < len(got) and place < len(expected), (
            f"{label}: prompt of {len(prompt)}: drew {len(got)} tokens, expected {len(expected)}: {got} / {expected}"
        )
        logits_TV, _ = greedy_places(model, prompt, [*expected[:place], expected[place]])
        gap = float(logits_TV[place, expected[place]] - logits_TV[place, got[place]])
        assert abs(gap) < TIE, (
            f"{label}: prompt of {len(prompt)}: token {place} is {got[place]}, expected {expected[place]}, with "
            f"a logit {gap:+.6f} above it; drew {tuple(got)}, expected {tuple(expected)}"
        )

    return check


@pytest.fixture
def check_greedy() -> Callable[..., None]:
    """``check_greedy(label, model, requests, samples)``: each token is the best one after those before it."""

    def check(label: str, model: Any, requests: Sequence[Request], samples: Sequence[Sample]) -> None:
        stops = {STOP, *([model.generation_config.eos_token_id] if hasattr(model, "generation_config") else [])}
        for number, (request, sample) in enumerate(zip(requests, samples, strict=True)):
            _, below_T = greedy_places(model, request.prompt, sample.token_ids)
            where = f"{label}, request {number} (prompt of {len(request.prompt)}, budget {request.budget})"
            assert float(below_T.max()) < TIE, (
                f"{where}: token {int(below_T.argmax())} of {sample.token_ids} lies {float(below_T.max()):.6f} below "
                "the best"
            )
            ended = sample.token_ids[-1] in stops
            assert sample.finish == ("stop" if ended else "length"), f"{where}: {sample}"
            assert ended or len(sample.token_ids) == request.budget, f"{where}: ended early: {sample}"

    return check


@pytest.fixture
def allocated(device: torch.device) -> Callable[[], int]:
    """Bytes that torch has handed out on the device."""
    return lambda: 0 if device.type == "cpu" else torch.cuda.memory_allocated(device)


def logprobs_of(policy: HFPolicy, prompt: Sequence[int], sample: Any) -> list[float]:
    """What the trainer computes for a drawn sequence."""
    ids = torch.tensor([[*prompt, *sample.token_ids]])
    mask = torch.arange(ids.shape[1])[None] >= len(prompt)
    with torch.no_grad():
        trained: list[float] = policy.logprobs(ids, mask).cpu()[mask].tolist()
    return trained


@pytest.fixture
def trained_logprobs() -> Callable[..., list[float]]:
    return logprobs_of
