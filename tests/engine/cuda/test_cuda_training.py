"""Training on a GPU at the level of ``HFPolicy.logprobs``: gradients against transformers' own forward.

Every test holds for whatever runs behind it (packed rows, recomputation, captured graphs): shapes change between steps,
forwards overlap, gradients add up, weights move. Axes: B rows, T tokens.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from r1gym.agents.batch import Batch
from r1gym.agents.optim import make_optimizer
from r1gym.engine.choice import Drawer
from r1gym.policy.hf import HFPolicy
from r1gym.types import Sampling

FAMILIES = ("llama-wide", "qwen2-wide", "qwen3-wide")
Grads = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Rows:
    """Groups that share a prompt, padded on the right, with a weight for every token in the loss."""

    ids_BT: torch.Tensor
    mask_BT: torch.Tensor
    weights_BT: torch.Tensor

    @classmethod
    def make(cls, seed: int, prompts: Sequence[int] = (9, 5, 70), each: int = 4, longest: int = 30) -> Rows:
        rng = random.Random(seed)
        texts = []
        for length in prompts:
            prompt = [rng.randrange(4, 97) for _ in range(length)]
            texts += [
                (length, prompt + [rng.randrange(4, 97) for _ in range(rng.randint(2, longest))]) for _ in range(each)
            ]
        width = max(len(text) for _, text in texts)
        ids_BT = torch.tensor([text + [0] * (width - len(text)) for _, text in texts])
        mask_BT = torch.zeros_like(ids_BT, dtype=torch.bool)
        for row, (start, text) in enumerate(texts):
            mask_BT[row, start : len(text)] = True
        return cls(ids_BT, mask_BT, torch.randn(mask_BT.shape, generator=torch.Generator().manual_seed(seed)))

    def take(self, rows: slice) -> Rows:
        return Rows(self.ids_BT[rows], self.mask_BT[rows], self.weights_BT[rows])


SHAPES = (
    {"prompts": (9, 5, 70), "each": 4, "longest": 30},
    {"prompts": (2,), "each": 1, "longest": 3},
    {"prompts": (40, 41, 42, 43), "each": 2, "longest": 60},
    {"prompts": (9, 5, 70), "each": 4, "longest": 30},
)


def loss_of(policy: HFPolicy, rows: Rows, temperature: float = 0.7) -> torch.Tensor:
    logprobs_BT = policy.logprobs(rows.ids_BT, rows.mask_BT, temperature)
    return (logprobs_BT * rows.weights_BT.to(logprobs_BT.device)).sum()


def plain_logprobs(model: Any, rows: Rows, temperature: float = 0.7) -> torch.Tensor:
    """transformers' own forward over padded rows; [B, T]."""
    ids_BT = rows.ids_BT.to(model.device)
    logits_BTV = model(input_ids=ids_BT, use_cache=False).logits[:, :-1].float() / temperature
    chosen_BT = torch.log_softmax(logits_BTV, -1).gather(2, ids_BT[:, 1:, None])[:, :, 0]
    return torch.nn.functional.pad(chosen_BT, (1, 0)) * rows.mask_BT.to(model.device)


def taken(model: Any) -> Grads:
    """The gradients, which are cleared."""
    grads = {name: p.grad.detach().double().cpu() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return grads


def plain_gradients(model: Any, rows: Rows) -> Grads:
    (plain_logprobs(model, rows) * rows.weights_BT.to(model.device)).sum().backward()
    return taken(model)


def own_gradients(policy: HFPolicy, *parts: Rows) -> Grads:
    for rows in parts:
        loss_of(policy, rows).backward()
    return taken(policy.model)


def apart(one: Grads, two: Grads) -> float:
    """|one - two| / |two| over all parameters together."""
    assert one.keys() == two.keys(), f"gradients lack or are too many: {sorted(one.keys() ^ two.keys())}"
    difference = sum(float((one[name] - two[name]).square().sum()) for name in two)
    return float((difference / sum(float(grad.square().sum()) for grad in two.values())) ** 0.5)


def worst(one: Grads, two: Grads) -> str:
    """The parameter whose gradients are farthest apart, for messages."""
    each = {name: float((one[name] - two[name]).norm() / two[name].norm().clamp(min=1e-12)) for name in two}
    name = max(each, key=lambda key: each[key])
    return f"worst {name} ({each[name]:.2e})"


@pytest.fixture
def learner(gpu_policy: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., HFPolicy]:
    """A policy that packs rows, in float32 too, where it would not by itself."""

    def make(family: str = "llama-wide", dtype: torch.dtype = torch.bfloat16) -> HFPolicy:
        if dtype == torch.float32:
            monkeypatch.setattr(Drawer, "packed_weights", property(lambda drawer: drawer._engine.forward.weights))
        policy: HFPolicy = gpu_policy(family, dtype)
        assert policy.packs, f"{family} in {dtype} does not pack: {policy._sampler.name}, {policy._sampler.reason}"
        return policy

    return make


# ---- Against transformers' own forward


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("family", FAMILIES)
def test_float32_gradients_equal_the_plain_ones(family: str, recompute: bool, learner: Any) -> None:
    policy, rows = learner(family, torch.float32), Rows.make(1)
    policy.recompute = recompute
    with torch.no_grad():
        gap = (policy.logprobs(rows.ids_BT, rows.mask_BT, 0.7) - plain_logprobs(policy.model, rows)).abs().max()
    assert float(gap) < 5e-5, f"{family}: log-probabilities are up to {float(gap):.2e} apart"
    expected, got = plain_gradients(policy.model, rows), own_gradients(policy, rows)
    assert apart(got, expected) < 1e-4, f"{family}: {apart(got, expected):.2e} apart, {worst(got, expected)}"


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "recomputed"])
@pytest.mark.parametrize("family", FAMILIES)
def test_bf16_is_as_near_to_float32_as_transformers_is(family: str, recompute: bool, learner: Any) -> None:
    policy, rows = learner(family), Rows.make(2, (9, 5, 70, 33), 8, 40)
    policy.recompute = recompute
    exact = deepcopy(policy.model).float()
    with torch.no_grad():
        true_BT = plain_logprobs(exact, rows)
        wanted_BT = rows.mask_BT.to(true_BT.device)
        ours = float((policy.logprobs(rows.ids_BT, rows.mask_BT, 0.7) - true_BT)[wanted_BT].abs().mean())
        theirs = float((plain_logprobs(policy.model, rows) - true_BT)[wanted_BT].abs().mean())
    print(f"{family}: log-probabilities from float32: packed {ours:.5f}, transformers {theirs:.5f} nats in the mean")
    assert ours <= 1.2 * theirs + 1e-3, f"{family}: packed {ours:.5f} nats from float32, transformers {theirs:.5f}"
    true = plain_gradients(exact, rows)
    own, plain = own_gradients(policy, rows), plain_gradients(policy.model, rows)
    print(f"{family}: gradients from float32: packed {apart(own, true):.4f}, transformers {apart(plain, true):.4f}")
    assert apart(own, true) <= 1.2 * apart(plain, true) + 2e-3, (
        f"{family}: packed {apart(own, true):.4f} from float32, transformers {apart(plain, true):.4f}, "
        f"{worst(own, true)}"
    )


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)], ids=["fp32", "bf16"])
def test_recomputation_and_micro_batches_change_nothing(dtype: torch.dtype, within: float, learner: Any) -> None:
    policy, rows = learner(dtype=dtype), Rows.make(3)
    whole = own_gradients(policy, rows)
    policy.recompute = True
    assert apart(own_gradients(policy, rows), whole) < within, "recomputed layers give other gradients"
    policy.recompute = False
    parts = own_gradients(policy, rows.take(slice(0, 3)), rows.take(slice(3, 8)), rows.take(slice(8, 12)))
    assert apart(parts, whole) < within, f"three micro-batches: {apart(parts, whole):.2e}, {worst(parts, whole)}"
    assert apart(own_gradients(policy, rows), whole) < within, "the same rows once more give other gradients"


# ---- Step after step


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)], ids=["fp32", "bf16"])
def test_steps_of_changing_shapes_follow_the_weights(dtype: torch.dtype, within: float, learner: Any) -> None:
    """Twelve steps over four shapes, twice each shape with other numbers; weights, gradients and shapes all move."""
    policy = learner(dtype=dtype)
    optimizer = make_optimizer(policy.parameters(), 3e-3)
    for step in range(12):
        rows = Rows.make(100 + step, **SHAPES[step % len(SHAPES)])
        exact = deepcopy(policy.model).float()
        own, true = own_gradients(policy, rows), plain_gradients(exact, rows)
        # In bf16 the yardstick is how far transformers' own gradient lies from float32.
        bound = within if dtype == torch.float32 else within + 1.5 * apart(plain_gradients(policy.model, rows), true)
        assert apart(own, true) < bound, (
            f"step {step}, shape {step % len(SHAPES)}: {apart(own, true):.2e} apart, bound {bound:.2e}, "
            f"{worst(own, true)}"
        )
        optimizer.zero_grad()
        loss_of(policy, rows).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=step % 2 == 0)
        policy.sync()


@pytest.mark.parametrize("same_shape", [True, False])
@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)], ids=["fp32", "bf16"])
def test_forwards_may_overlap(dtype: torch.dtype, within: float, same_shape: bool, learner: Any) -> None:
    """Two forwards before a backward, in either order and as one loss, with a look without gradient in between."""
    policy = learner(dtype=dtype)
    a, b = Rows.make(5), Rows.make(6)
    if same_shape:  # other tokens at the same places
        b = Rows((a.ids_BT + 7) % 90 + 4, a.mask_BT, b.weights_BT[:, :1] * a.weights_BT.flip(0))
    expected = own_gradients(policy, a, b)
    for label in ("in order", "turned round", "one loss"):
        first, second = loss_of(policy, a), loss_of(policy, b)
        with torch.no_grad():
            loss_of(policy, b)
        if label == "one loss":
            (first + second).backward()
        else:
            for loss in (first, second) if label == "in order" else (second, first):
                loss.backward()
        got = taken(policy.model)
        assert apart(got, expected) < within, f"{label}: {apart(got, expected):.2e} apart, {worst(got, expected)}"
    values = loss_of(policy, a).item(), loss_of(policy, b).item()  # graphs that nobody goes back through
    assert own_gradients(policy, a, b).keys() == expected.keys() and values[0] != values[1]


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-4), (torch.bfloat16, 2e-2)], ids=["fp32", "bf16"])
def test_gradients_add_up_and_scale(dtype: torch.dtype, within: float, learner: Any) -> None:
    policy, rows = learner(dtype=dtype), Rows.make(7)
    once = own_gradients(policy, rows)
    twice = own_gradients(policy, rows, rows)
    assert apart(twice, {name: 2 * grad for name, grad in once.items()}) < within, "a second backward does not add"
    (loss_of(policy, rows) * -0.25).backward()
    scaled = taken(policy.model)
    assert apart(scaled, {name: -0.25 * grad for name, grad in once.items()}) < within, "a factor of the loss is lost"
    loss_of(policy, rows).backward()
    policy.model.zero_grad(set_to_none=False)  # zeros stay where the gradients were
    loss_of(policy, rows).backward()
    assert apart(taken(policy.model), once) < within, "zeroed gradients are not zero"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_what_lies_outside_the_mask_has_no_say(dtype: torch.dtype, learner: Any) -> None:
    """Zeros outside the mask; observations between turns are read, padding is not."""
    policy, rows = learner(dtype=dtype), Rows.make(8)
    mask_BT = rows.mask_BT.clone()
    mask_BT[0, 10] = mask_BT[5, 7:9] = False  # inside completions
    with torch.no_grad():
        got_BT = policy.logprobs(rows.ids_BT, mask_BT, 0.7).cpu()
        padded_BT = torch.where(rows.ids_BT == 0, 11, rows.ids_BT)
        other_BT = policy.logprobs(padded_BT, mask_BT, 0.7).cpu()
        full_BT = policy.logprobs(rows.ids_BT, rows.mask_BT, 0.7).cpu()
    assert not got_BT[~mask_BT].any()
    within = 5e-5 if dtype == torch.float32 else 0.05
    assert torch.allclose(got_BT, other_BT, atol=within), "padding changes log-probabilities"
    assert torch.allclose(got_BT[mask_BT], full_BT[mask_BT], atol=within), "unwanted tokens change those of others"


# ---- Learning and drawing by turns


@pytest.mark.parametrize(("dtype", "within"), [(torch.float32, 1e-5), (torch.bfloat16, 0.08)], ids=["fp32", "bf16"])
def test_sampler_and_trainer_agree_after_every_step(
    dtype: torch.dtype, within: float, learner: Any, trained_logprobs: Any
) -> None:
    """Both sides read the same weights, each through its own graphs; parity in the mean after each of four steps."""
    policy = learner(dtype=dtype)
    optimizer = make_optimizer(policy.parameters(), 1e-3)
    prompts = [policy.prompt([{"role": "user", "content": text}]) for text in ("12+3=", "a" * 66)]
    drawn = set()
    for step in range(4):
        groups = policy.sample(prompts, 6, Sampling(max_new_tokens=40), [list(range(6)), list(range(6, 12))])
        gaps = [
            abs(a - b)
            for prompt, row in zip(prompts, groups, strict=True)
            for one in row
            for a, b in zip(trained_logprobs(policy, prompt.token_ids, one), one.logprobs, strict=True)
        ]
        mean = sum(gaps) / len(gaps)
        print(f"parity {dtype}, after {step} steps: mean {mean:.2e}, largest {max(gaps):.2e}, {len(gaps)} tokens")
        assert mean <= within, f"after {step} steps sampler and trainer are {mean:.2e} apart in the mean"
        drawn.add(tuple(one.token_ids for row in groups for one in row))
        loss_of(policy, Rows.make(200 + step, **SHAPES[step])).backward()
        optimizer.step()
        optimizer.zero_grad()
        policy.sync()
    assert len(drawn) == 4, "steps of the optimizer do not change what is drawn"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_learn_takes_the_same_step_in_few_and_many_micro_batches(
    dtype: torch.dtype, learner: Any, device: torch.device
) -> None:
    """``agents.grpo.learn``: gradient norm, loss and weights, beside a float32 step of the plain path."""
    from accelerate import Accelerator

    from r1gym.agents.grpo import learn
    from r1gym.agents.grpo_config import GRPOConfig
    from r1gym.agents.reporting import Figures

    accelerator, rows = Accelerator(cpu=device.type == "cpu"), Rows.make(9)
    advantages_B = torch.randn(len(rows.ids_BT), generator=torch.Generator().manual_seed(4))
    results = []
    for budget in (10**6, 100):
        policy = learner("llama-wide", dtype)
        with torch.no_grad():
            old_BT = policy.logprobs(rows.ids_BT, rows.mask_BT, 0.7).cpu()
        true = plain_logprobs(deepcopy(policy.model).float(), rows).detach().cpu()
        assert float((old_BT - true).abs().mean()) < (1e-5 if dtype == torch.float32 else 0.05)
        config = GRPOConfig(model="none", micro_batch_tokens=budget, temperature=0.7, max_grad_norm=1e9, lr=1e-2)
        optimizer = make_optimizer(policy.parameters(), config.lr)
        figures = Figures()
        batch = Batch(rows.ids_BT, rows.mask_BT, old_BT, advantages_B)
        learn(config, policy, None, optimizer, accelerator, batch, figures, 0)
        assert figures.gap_max < (1e-4 if dtype == torch.float32 else 0.1), f"parity is off by {figures.gap_max}"
        results.append((figures.norms[0], figures.loss, taken(policy.model)))
    (norm, loss, grads), (norm2, loss2, grads2) = results
    within = 1e-4 if dtype == torch.float32 else 0.03
    assert norm2 == pytest.approx(norm, rel=within) and loss2 == pytest.approx(loss, abs=within)
    assert apart(grads2, grads) < within, f"micro-batches: {apart(grads2, grads):.2e}, {worst(grads2, grads)}"


def test_training_keeps_memory_flat(learner: Any, allocated: Callable[[], int]) -> None:
    """Rows of four shapes by turns: what was captured or kept for a shape is kept once."""
    policy = learner()

    def step(number: int) -> None:
        own_gradients(policy, Rows.make(300 + number % 4, **SHAPES[number % 4]))

    for number in range(8):
        step(number)
    gc.collect()
    held = allocated()
    for number in range(20):
        step(number)
    gc.collect()
    assert allocated() <= held, f"{allocated() - held} bytes more after twenty steps"
