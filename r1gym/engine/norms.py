"""RMSNorms of a transformers model as one kernel each, while the sampler runs its forward.

Transformers writes the norm as eight elementwise operations, which on a GPU are eight kernels: at few slots half the
kernels of a layer, each of them pure latency. Axes: T rows, C the norm's width.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch

from r1gym.engine import parts

__all__ = ["in_one_kernel", "norms_of"]

Norm = tuple[torch.nn.Module, Callable[..., torch.Tensor]]
"""A module and the forward that stands for its own."""

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
SCALES = (0.1, 0.5, 1.0, 3.0, 10.0)
"""Of the probed rows, in units of √ε: where a misplaced epsilon shows."""
NEAR = 2e-6
"""The relative distance of two float32 norms that sum in different orders."""
EQUAL = 0.99
"""The least share of equal 16-bit numbers. Another order of the sum moves fewer than one in a thousand over the edge of
a rounding; a norm that does not round before the weight differs in every fourth."""


def norms_of(model: torch.nn.Module) -> list[Norm]:
    """The modules that compute ``parts.norm``, by what they hold and by what they do to random input."""
    held = [(module, eps) for module in model.modules() if (eps := _epsilon(module))]
    if not held:
        return []
    agree = [_agrees(module, eps) for module, eps in held]
    told = torch.stack(agree).tolist()  # the host waits once
    return [(module, _standing_for(module, eps)) for (module, eps), same in zip(held, told, strict=True) if same]


@contextmanager
def in_one_kernel(norms: Sequence[Norm]) -> Iterator[None]:
    """Inside, ``norms`` run as one kernel each; outside, nothing is left on the modules."""
    changed: list[dict[str, Any]] = []
    try:
        for module, forward in norms:
            own = vars(module)
            if "forward" not in own:  # else somebody has put theirs there since
                own["forward"] = forward
                changed.append(own)
        yield
    finally:
        for own in changed:
            del own["forward"]


def _epsilon(module: torch.nn.Module) -> float:
    """The epsilon of a module that may be an RMSNorm by what it holds; 0 for any other."""
    weight, own = getattr(module, "weight", None), vars(module)
    eps: Any = own.get("variance_epsilon", own.get("eps"))
    plain = (
        isinstance(weight, torch.nn.Parameter)
        and weight.dim() == 1
        and weight.dtype in DTYPES
        and weight.device.type != "meta"
        and isinstance(eps, float)
        and eps > 0
        and [name for name, _ in module.named_parameters()] == ["weight"]
        and not any(True for _ in module.buffers())
        and not any(True for _ in module.children())
    )
    if not plain or "forward" in own or own.get("_compiled_call_impl") is not None:
        return 0.0
    if any(own[name] for name in HOOKS):
        return 0.0
    # A second argument, be it optional (a gate), is more than a norm.
    return float(eps) if len(inspect.signature(module.forward).parameters) == 1 else 0.0


@torch.no_grad()
def _agrees(module: torch.nn.Module, eps: float) -> torch.Tensor:
    """A truth value on the device: the module's output under a random weight is that of ``parts.norm``.

    Under its own weight a norm may agree by chance (all ones, before training), and no longer after a step.
    """
    weight: Any = module.weight
    random = torch.Generator().manual_seed(0)
    scales_T1 = torch.tensor([*(scale * eps**0.5 for scale in SCALES), 1.0, 30.0]).repeat(4)[:, None]
    x_TC = scales_T1 * torch.randn(len(scales_T1), len(weight), generator=random)
    trial = 0.5 + 1.5 * torch.rand(len(weight), generator=random)
    x_TC, trial = x_TC.to(weight), trial.to(weight)
    differs = torch.zeros((), dtype=torch.bool, device=weight.device)
    here = torch.cuda.device(weight.device) if weight.is_cuda else nullcontext()
    try:
        own_TC = torch.func.functional_call(module, {"weight": trial}, (x_TC,))
    except Exception:  # whatever it is, it is no norm of rows
        return differs
    if not isinstance(own_TC, torch.Tensor) or (own_TC.shape, own_TC.dtype) != (x_TC.shape, x_TC.dtype):
        return differs
    with here:
        ours_TC = parts.norm(x_TC, trial, eps)
    wide_TC = own_TC.float()
    # One place in a rounded number is up to two places after the weight.
    far = NEAR if weight.dtype == torch.float32 else 2 * torch.finfo(weight.dtype).eps
    near = ((wide_TC - ours_TC.float()).abs() <= far * wide_TC.abs()).all()
    return near if weight.dtype == torch.float32 else near & ((own_TC == ours_TC).float().mean() >= EQUAL)


def _standing_for(module: torch.nn.Module, eps: float) -> Callable[..., torch.Tensor]:
    def forward(*given: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        (x,) = (*given, *named.values())
        weight: Any = module.weight
        # No gradient, one type in and out, and the width that was tried: wider rows may be norms side by side.
        if torch.is_grad_enabled() or x.dtype != weight.dtype or x.shape[-1:] != weight.shape:
            original: torch.Tensor = type(module).forward(module, x)
            return original
        out = parts.norm(x.contiguous().view(-1, x.shape[-1]), weight, eps).view(x.shape)
        # Elementwise operations keep the order of a transposed tensor in memory, on which a later view relies.
        return out if x.is_contiguous() else torch.empty_like(x).copy_(out)

    return forward
