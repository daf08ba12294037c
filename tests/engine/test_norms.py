"""Which modules are taken for RMSNorms, and what a model is like while they run as one kernel and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from r1gym.engine import parts
from r1gym.engine.adapters import unwrap
from r1gym.engine.engine import Engine
from r1gym.engine.general import GeneralForward
from r1gym.engine.norms import in_one_kernel, norms_of
from r1gym.engine.pages import PagePool
from r1gym.engine.request import Request
from r1gym.types import Sampling

STOP = 3
GREEDY = Sampling(temperature=0.0)
PROMPTS = ((5, 6, 7), (5,), tuple(range(10, 50)), tuple(range(20, 84)))
Build = Callable[[str], Any]


class Rms(nn.Module):
    """Transformers' norm, with one thing changed."""

    def __init__(self, change: str = "", weight: float = 1.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight, self.variance_epsilon, self.change = nn.Parameter(torch.full((48,), weight)), eps, change

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide, eps = x.float(), self.variance_epsilon
        if self.change == "mean taken off":
            wide = wide - wide.mean(-1, keepdim=True)
        square = wide.pow(2).mean(-1, keepdim=True)
        inverse = 1 / (square.sqrt() + eps) if self.change == "epsilon outside" else torch.rsqrt(square + eps)
        if self.change == "epsilon forgotten":
            inverse = torch.rsqrt(square)
        if self.change == "rounded late":
            return (self.weight.float() * wide * inverse).to(x.dtype)
        shift = 1 if self.change == "one more" else 0
        return (shift + self.weight) * (wide * inverse).to(x.dtype)


class Gated(Rms):
    def forward(self, x: torch.Tensor, gate: torch.Tensor | None = None) -> torch.Tensor:
        out = super().forward(x)
        return out if gate is None else out * gate


def patched(module: nn.Module) -> nn.Module:
    module.forward = module.forward  # type: ignore[method-assign]
    return module


def hooked(module: nn.Module) -> nn.Module:
    module.register_forward_hook(lambda *_: None)
    return module


def buffered(module: nn.Module) -> nn.Module:
    module.register_buffer("seen", torch.zeros(1))
    return module


def decode_once(forward: GeneralForward) -> torch.Tensor:
    """Logits of two slots, at the positions 0 and 70."""
    pool = PagePool(4, *forward.shape, torch.float32, torch.device("cpu"))
    pool.data.zero_()
    tables = torch.tensor([[1, 0], [2, 3]], dtype=torch.int32)
    with torch.no_grad():
        return forward.decode(torch.tensor([4, 5]), torch.tensor([0, 70]), tables, pool)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rows ``parts.norm`` was given, call by call."""
    seen: list[int] = []
    norm = parts.norm

    def counted(x_TC: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        assert x_TC.dim() == 2 and x_TC.is_contiguous() and not torch.is_grad_enabled()
        seen.append(len(x_TC))
        return norm(x_TC, weight, eps)

    monkeypatch.setattr(parts, "norm", counted)
    return seen


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("family", "count"),
    [("llama", 5), ("qwen2", 5), ("mistral", 5), ("phi3", 5), ("qwen3", 9), ("gemma", 0), ("gpt2", 0)],
)
def test_the_norms_of_a_family(family: str, count: int, dtype: torch.dtype, fresh_model: Build) -> None:
    """Two layers of two norms and the last; Qwen3's heads have two more a layer."""
    before = torch.random.get_rng_state()
    assert len(norms_of(fresh_model(family).to(dtype))) == count
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("change", "dtype", "taken"),
    [
        ("", torch.float32, True),
        ("", torch.bfloat16, True),
        ("mean taken off", torch.float32, False),
        ("epsilon outside", torch.float32, False),
        ("epsilon outside", torch.bfloat16, False),
        ("epsilon forgotten", torch.bfloat16, False),
        ("one more", torch.float32, False),
        ("one more", torch.bfloat16, False),
        ("rounded late", torch.float32, True),  # there is nothing to round
        ("rounded late", torch.bfloat16, False),
        ("rounded late", torch.float16, False),
    ],
)
def test_a_norm_is_known_by_what_it_does(change: str, dtype: torch.dtype, taken: bool) -> None:
    """Under weights of one all roundings look alike, and after a step they do not: the weights held decide nothing."""
    module = Rms(change).to(dtype)
    assert len(norms_of(nn.ModuleList([module]))) == int(taken)
    assert module.weight.eq(1).all() and not vars(module).get("forward")


@pytest.mark.parametrize(
    "module",
    [
        patched(Rms()),
        hooked(Rms()),
        buffered(Rms()),
        Gated(),
        Rms(eps=0.0),
        nn.LayerNorm(48, bias=False),
        nn.LayerNorm(48),
        nn.GroupNorm(4, 48),
        nn.RMSNorm(48),  # its epsilon depends on the input's type
        nn.utils.parametrizations.weight_norm(Rms(), "weight", dim=0),
        Rms().to("meta"),
        Rms().double(),
    ],
    ids=lambda module: type(module).__name__,
)
def test_whatever_is_more_than_a_norm_is_left_alone(module: nn.Module) -> None:
    assert norms_of(nn.ModuleList([module])) == []


def test_torchs_own_norm_is_taken_where_it_computes_the_same() -> None:
    """It rounds once, after the weight."""
    assert len(norms_of(nn.RMSNorm(48, 1e-5))) == 1
    assert norms_of(nn.RMSNorm(48, 1e-5).bfloat16()) == []


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "mistral", "phi3", "gemma", "qwen3-moe", "gpt2"])
def test_greedy_tokens_equal_generate(
    family: str, fresh_model: Build, by_generate: Callable[..., tuple[int, ...]], rows: list[int]
) -> None:
    model = fresh_model(family)
    forward = GeneralForward(model, fused_norms=True)
    rows.clear()
    samples = Engine(forward, [STOP], 3).run([Request(prompt, 1, 14) for prompt in PROMPTS], GREEDY)
    assert bool(rows) == bool(forward.norms) == (family not in ("gemma", "gpt2"))
    calls = len(rows)
    assert [s.token_ids for s in samples] == [by_generate(model, prompt, 14) for prompt in PROMPTS]
    assert len(rows) == calls, "generate is none of the sampler's"


def test_every_norm_of_a_step_is_one_call(fresh_model: Build, rows: list[int]) -> None:
    """Two slots: four heads of queries and two of keys in each of two layers."""
    model = fresh_model("qwen3")
    forward = GeneralForward(model, fused_norms=True)
    rows.clear()
    logits = decode_once(forward)
    assert sorted(rows) == sorted([2, 8, 4, 2] * 2 + [2])
    assert torch.allclose(logits, decode_once(GeneralForward(model, fused_norms=False)), atol=1e-6)


def test_nothing_is_left_on_the_modules(fresh_model: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after a forward that breaks off."""
    model = fresh_model("llama")
    before = [dict(vars(module)) for module in model.modules()]
    forward = GeneralForward(model, fused_norms=True)
    decode_once(forward)
    assert [dict(vars(module)) for module in model.modules()] == before

    def fail(*_: Any) -> None:
        assert all("forward" in vars(module) for module, _ in forward.norms)
        raise RuntimeError("in the middle")

    monkeypatch.setattr(parts, "norm", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        decode_once(forward)
    monkeypatch.undo()
    assert [dict(vars(module)) for module in model.modules()] == before


def test_a_forward_put_there_meanwhile_stays() -> None:
    module = Rms()
    norms = norms_of(module)
    own = vars(patched(module))["forward"]
    with in_one_kernel(norms):
        assert vars(module)["forward"] is own
    assert vars(module)["forward"] is own
    del module.forward
    with in_one_kernel(norms), in_one_kernel(norms):
        assert vars(module)["forward"] is norms[0][1]
    assert "forward" not in vars(module)


def test_gradients_never_meet_it(rows: list[int]) -> None:
    """A trainer's thread may pass through the model while the sampler's does."""
    module = Rms(weight=1.5)
    norms = norms_of(module)
    rows.clear()
    x = torch.randn(3, 48)
    with in_one_kernel(norms):
        module(x).sum().backward()
    # d/dw of Σ w u is Σ u over the rows.
    unit = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)
    assert module.weight.grad is not None and torch.allclose(module.weight.grad, unit.sum(0), atol=1e-5)
    assert not rows


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_any_shape_and_order_in_memory(dtype: torch.dtype, rows: list[int]) -> None:
    """Values and strides are those of the module's own forward."""
    module = Rms(weight=0.75).to(dtype)
    norms = norms_of(module)
    wide = torch.randn(2, 5, 3, 96, generator=torch.Generator().manual_seed(1)).to(dtype)
    inputs = {
        "one row": wide[0, 0, 0, :48].clone(),
        "heads": wide[..., :48].contiguous(),
        "transposed": wide[..., :48].contiguous().transpose(1, 2),
        "a part of a product": wide[..., 48:],
        "expanded": wide[:, :1, :, :48].expand(2, 5, 3, 48),
    }
    for name, x in inputs.items():
        expected = module(x)
        with in_one_kernel(norms):
            got, by_name = module(x), module(x=x)
        assert torch.equal(got, expected) and torch.equal(by_name, expected), name
        assert got.dtype == expected.dtype and got.shape == expected.shape and got.stride() == expected.stride(), name
    assert 1 in rows and 30 in rows
    rows.clear()
    with in_one_kernel(norms):
        other = module(wide[..., :48].double())
    assert other.dtype == torch.float64 and not rows, "another type goes the module's own way"


@torch.no_grad()
def test_rows_of_several_norms_go_the_modules_own_way(rows: list[int]) -> None:
    """Heads side by side in one row, which a module of transformers may take apart itself."""

    class OfHeads(Rms):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.unflatten(-1, (-1, 48))).flatten(-2)

    module = OfHeads(weight=0.75)
    norms = norms_of(module)
    rows.clear()
    x = torch.randn(5, 144, generator=torch.Generator().manual_seed(1))
    expected = module(x)
    with in_one_kernel(norms):
        assert torch.equal(module(x), expected) and not rows
        assert torch.equal(module(x[:, :48]), expected[:, :48]) and rows == [5]


def test_weights_that_move_make_the_forward_stale(fresh_model: Build, rows: list[int]) -> None:
    """A step in place is read at once; a weight in new memory asks for a new forward."""
    model = fresh_model("llama")
    forward = GeneralForward(model, fused_norms=True)
    norm = model.model.layers[1].post_attention_layernorm
    assert any(module is norm for module, _ in forward.norms)
    first = decode_once(forward)
    with torch.no_grad():
        norm.weight.mul_(3.0)
    assert not forward.stale
    second = decode_once(forward)
    assert not torch.allclose(first, second)
    assert torch.allclose(second, decode_once(GeneralForward(model, fused_norms=False)), atol=1e-6)
    norm.weight = nn.Parameter(norm.weight.detach() * 2)
    assert forward.stale


# peft reads a property of transformers that is about to go.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_norms_inside_adapters(
    fresh_model: Build, by_generate: Callable[..., tuple[int, ...]], rows: list[int]
) -> None:
    """LoRA leaves norms as they are; those trained whole are one more copy inside a wrapper."""
    peft = pytest.importorskip("peft", reason="adapters are tested with peft, which the dev extra brings")
    config = peft.LoraConfig(r=8, init_lora_weights=False, target_modules="all-linear", modules_to_save=["norm"])
    model = peft.get_peft_model(fresh_model("qwen3"), config).eval()
    with torch.no_grad():
        model.base_model.model.model.norm.modules_to_save["default"].weight.mul_(1.5)
    forward = GeneralForward(unwrap(model), fused_norms=True)
    assert len(forward.norms) == 18  # every name that ends in "norm", twice
    rows.clear()
    samples = Engine(forward, [STOP], 3).run([Request(prompt, 1, 14) for prompt in PROMPTS], GREEDY)
    assert rows and [s.token_ids for s in samples] == [by_generate(model, prompt, 14) for prompt in PROMPTS]


def test_a_cpu_leaves_norms_alone(fresh_model: Build) -> None:
    """The same operations in another file gain nothing."""
    assert GeneralForward(fresh_model("llama")).norms == []
