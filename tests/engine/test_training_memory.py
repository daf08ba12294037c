"""What a training pass holds, drops and refuses: gradients, graphs without memory, weights that moved on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from r1gym.engine import training_graph
from r1gym.engine.capturing import capture
from r1gym.engine.fused import fuse
from r1gym.engine.packed import PackedTrainer, _Logprobs
from r1gym.engine.packing import Packed, lay_out
from r1gym.errors import ModelError

TOKENS_BT = torch.tensor([[5, 6, 7, 8, 9, 10], [5, 6, 7, 11, 12, 0]])
MASK_BT = torch.tensor([[False] * 3 + [True] * 3, [False] * 3 + [True] * 2 + [False]])


@pytest.fixture
def trainer(fresh_model: Callable[[str], Any]) -> PackedTrainer:
    model = fresh_model("llama")
    return PackedTrainer(model, fuse(model))


def logprobs(trainer: PackedTrainer) -> torch.Tensor:
    return trainer.logprobs(TOKENS_BT, MASK_BT, 1.0)


def test_a_model_that_is_only_read_has_no_memory_for_gradients(trainer: PackedTrainer) -> None:
    """Read in inference mode first: a buffer made there could not be added to later."""
    with torch.inference_mode():
        read_BT = logprobs(trainer)
    assert "gradients" not in vars(trainer.passes)
    again_BT = logprobs(trainer)
    assert torch.equal(again_BT.detach(), read_BT)
    again_BT.sum().backward()
    assert all(parameter.grad is not None for parameter in trainer._parameters)


def test_one_activation_lives_at_a_time_without_a_way_back(
    trainer: PackedTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    forward = trainer.passes.forward

    def spied(*arguments: Any) -> Any:
        result = forward(*arguments)
        seen.append((len(result[1].inputs), sum(inside is not None for inside in result[1].insides)))
        return result

    monkeypatch.setattr(trainer.passes, "forward", spied)
    logprobs(trainer)
    with torch.no_grad():
        logprobs(trainer)
    assert seen == [(3, 2), (1, 0)]


def test_gradients_are_zeroed_once(trainer: PackedTrainer) -> None:
    class Zeroed(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += func is torch.ops.aten.zero_.default
            return func(*args, **(kwargs or {}))

    gradients = trainer.passes.gradients
    gradients.flat.fill_(7)
    with Zeroed() as zeroed:
        gradients.attach()
    assert zeroed.count == 1
    assert all(not parameter.grad.any() for parameter in trainer._parameters if parameter.grad is not None)


def test_backward_after_the_weights_changed_is_refused(trainer: PackedTrainer) -> None:
    """As autograd does it: layers and logits are computed again on the way back, now with other weights."""
    loss = logprobs(trainer).sum()
    with torch.no_grad():
        trainer._parameters[-1].mul_(1.5)
    with pytest.raises(ModelError, match="weights have changed"):
        loss.backward()


def test_a_pass_without_memory_gets_that_of_the_graphs(trainer: PackedTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A capture that finds no memory leaves the pass to be run; where nothing is captured the error stays."""
    expected_BT = logprobs(trainer).detach()
    dropped = []

    def full(*_arguments: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "graphs", SimpleNamespace(forward=full, drop=lambda: dropped.append(True)))
    assert torch.equal(logprobs(trainer).detach(), expected_BT) and not dropped
    # On this device nothing is captured: asked for as on a GPU.

    layout = lay_out(TOKENS_BT, MASK_BT)
    packed, whole = Packed.empty(layout.capacity, torch.device("cpu"))
    whole.copy_(layout.filled(layout.capacity))
    leaf, apply = torch.zeros((), requires_grad=True), _Logprobs.apply
    flat_Y = apply(leaf, trainer, packed, whole, 1.0, False, True)  # type: ignore[no-untyped-call]
    assert dropped
    assert torch.equal(flat_Y[layout.rows].detach(), expected_BT.flatten()[layout.places])
    monkeypatch.setattr(trainer.passes, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        logprobs(trainer)


def test_a_way_back_without_memory_leaves_no_half_gradient(
    trainer: PackedTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails in the first layer, behind the head and the last layer, whose gradients are added by then."""
    logprobs(trainer).sum().backward()
    expected = [parameter.grad.clone() for parameter in trainer._parameters if parameter.grad is not None]
    layers, backward, dropped = [], trainer.passes._mlp_backward, []

    def full(*arguments: Any) -> None:
        layers.append(arguments[0])
        if len(layers) == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        backward(*arguments)

    monkeypatch.setattr(trainer.passes, "_mlp_backward", full)
    monkeypatch.setattr(trainer.graphs, "drop", lambda: dropped.append(True))
    before = trainer.passes.gradients.flat.clone()
    out_BT = logprobs(trainer)
    with pytest.raises(torch.OutOfMemoryError, match=r"20\.00 GiB.*Dropped.*begin the minibatch again"):
        out_BT.sum().backward()
    assert not torch.equal(trainer.passes.gradients.flat, before)
    assert dropped and all(parameter.grad is None for parameter in trainer._parameters)
    logprobs(trainer).sum().backward()
    again = [parameter.grad for parameter in trainer._parameters]
    assert len(again) == len(expected)
    assert all(own is not None and torch.equal(own, other) for own, other in zip(again, expected, strict=True))


def test_a_way_back_that_fails_otherwise_says_so(trainer: PackedTrainer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: Any) -> None:
        raise RuntimeError("no such kernel")

    out_BT = logprobs(trainer)
    monkeypatch.setattr(trainer.passes, "_mlp_backward", broken)
    with pytest.raises(RuntimeError, match="no such kernel"):
        out_BT.sum().backward()


def test_a_capture_that_fails_leaves_no_dead_memory_pool(
    trainer: PackedTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch asserts where a capture asks for a pool whose graphs are all gone; gradients are not made in a pool."""
    asked: list[Any] = []
    fails = [False, True, False, False]

    @contextmanager
    def recorded(graph: Any, memory: Any, stream: Any) -> Iterator[None]:
        asked.append(memory)
        assert "gradients" in vars(trainer.passes)
        yield
        if fails.pop(0):
            raise torch.OutOfMemoryError("CUDA out of memory")

    pools = iter(range(1, 9))

    class Graph:
        def __init__(self) -> None:
            self.number = next(pools)

        def pool(self) -> int:
            return self.number

    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(training_graph, "capture", recorded)
    monkeypatch.setattr(training_graph, "side_stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)

    layout = lay_out(TOKENS_BT, MASK_BT)
    arguments = (layout.filled(layout.capacity), layout.capacity, 1.0, True)
    with pytest.raises(torch.OutOfMemoryError):
        trainer.graphs._capture(*arguments)
    trainer.graphs._capture(*arguments)
    assert asked == [None, 1, None, 3]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("no memory"), KeyboardInterrupt()], ids=["memory", "interrupt"]
)
def test_what_fails_in_a_capture_is_what_is_raised(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch ends the capture first; where that fails too it hides the cause, and the stream stays the capture's."""

    @contextmanager
    def graph(*_arguments: Any, **_options: Any) -> Iterator[None]:
        try:
            yield
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    streams: list[str] = []
    monkeypatch.setattr(torch.cuda, "graph", graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "before")
    monkeypatch.setattr(torch.cuda, "set_stream", streams.append)
    side: Any = SimpleNamespace(device="cuda")
    nothing: Any = None
    with pytest.raises(type(error)) as raised, capture(nothing, None, side):
        raise error
    assert raised.value is error and streams == ["before"]
    with pytest.raises(RuntimeError, match="previous error"), capture(nothing, None, side):
        pass


def test_a_policy_whose_weights_have_moved_asks_for_padded_micro_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its ``logprobs`` takes padded rows until the next rollout, which a budget without padding would make too many."""
    from r1gym.agents.demo import build_policy

    policy = build_policy(0)
    monkeypatch.setattr(policy, "_sampler", SimpleNamespace(packed_weights=object(), stale=False))
    assert policy.packs
    monkeypatch.setattr(policy, "_sampler", SimpleNamespace(packed_weights=object(), stale=True))
    assert not policy.packs
