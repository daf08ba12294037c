"""Log-probabilities with gradient for Llama-like models: rows packed, prompts shared, logits in chunks.

On a GPU a pass is captured as two CUDA graphs, forward and backward, when its size comes for the second time.
Axes: B rows, T tokens of a padded row, X packed tokens, Y completion positions.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch

from r1gym.engine.attention import flash_fits
from r1gym.engine.fused import FusedModel
from r1gym.engine.memory import out_of_memory
from r1gym.engine.packing import Packed, lay_out
from r1gym.engine.sending import send
from r1gym.engine.training_graph import Replayed, TrainingGraphs
from r1gym.engine.training_pass import Kept, TrainingPass
from r1gym.errors import ModelError

__all__ = ["PackedTrainer"]


class PackedTrainer:
    """Forward and backward passes of one model whose weights are fused."""

    def __init__(self, model: Any, weights: FusedModel) -> None:
        self.weights = weights
        self.passes = TrainingPass(model, weights)
        self.graphs = TrainingGraphs(self.passes)
        self._parameters = list(model.parameters())
        self.captures = flash_fits(weights.layers[0].qkv.view(-1, weights.width))
        """Passes can be captured: then rows are filled up to sizes that come again."""

    @property
    def version(self) -> int:
        """Grows with every change of a parameter in place, as autograd counts them."""
        return sum(parameter._version for parameter in self._parameters)

    def logprobs(
        self,
        token_ids_BT: torch.Tensor,
        mask_BT: torch.Tensor,
        temperature: float,
        recompute: bool = False,
        graph: bool = True,
    ) -> torch.Tensor:
        """[B, T] in nats; 0 where ``mask_BT`` is False.

        ``backward`` adds to the ``grad`` of the model's parameters; ``torch.autograd.grad`` cannot be asked for them.

        Args:
            token_ids_BT: Prompt and completion, padded on the right.
            mask_BT: True at the tokens that are wanted.
            temperature: Divides the logits; 0 counts as 1.
            recompute: Keep one activation a layer and run each layer again on the way back.
            graph: Capture what comes again.
        """
        layout = lay_out(token_ids_BT.cpu(), mask_BT.cpu())
        device = self.weights.embed.device
        capacity = layout.capacity.roomier() if self.captures else layout.capacity
        packed, whole = Packed.empty(capacity, device)
        whole.copy_(send(layout.filled(capacity), device))
        learns = torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self._parameters)
        leaf = torch.zeros((), device=device, requires_grad=learns)
        apply: Any = _Logprobs.apply
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
            # Before the pass keeps the device busy.
            rows, places = send(layout.rows, device), send(layout.places, device)
            how = temperature or 1.0, recompute, graph and learns and self.captures and device.type == "cuda"
            flat_Y = apply(leaf, self, packed, whole, *how)
            chosen = flat_Y.index_select(0, rows)
            out = torch.zeros(token_ids_BT.numel(), device=device)
            return out.scatter(0, places, chosen).view(token_ids_BT.shape)


class _Logprobs(torch.autograd.Function):
    """Of every completion position, [Y]."""

    @staticmethod
    def forward(
        ctx: Any,
        _leaf: torch.Tensor,
        trainer: PackedTrainer,
        packed: Packed,
        whole: torch.Tensor,
        temperature: float,
        recompute: bool,
        graph: bool,
    ) -> torch.Tensor:
        """``_leaf`` only tells autograd that there is a way back."""
        learns = ctx.needs_input_grad[0]
        ctx.trainer, ctx.version = trainer, trainer.version if learns else 0
        result: tuple[torch.Tensor, Kept | Replayed] | None = None
        try:
            if graph:
                result = trainer.graphs.forward(packed.capacity, whole, temperature, recompute)
            if result is None:
                result = trainer.passes.forward(packed, temperature, recompute, learns)
        except torch.OutOfMemoryError:
            if not graph:
                raise
        if result is None:  # the graphs of other sizes hold memory that this pass can have
            trainer.graphs.drop()
            result = trainer.passes.forward(packed, temperature, recompute, learns)
        logprobs_Y, ctx.kept = result
        return logprobs_Y

    @staticmethod
    def backward(ctx: Any, grad_Y: torch.Tensor) -> tuple[Any, ...]:
        """No gradient for any argument: the parameters have got theirs."""
        kept: Kept | Replayed | None = ctx.kept
        if kept is None:
            raise ModelError(
                "backward was called twice on the same log-probabilities, whose activations are gone: "
                "call logprobs again"
            )
        ctx.kept = None
        trainer: PackedTrainer = ctx.trainer
        if ctx.version != trainer.version:
            raise ModelError(
                "the weights have changed since these log-probabilities were computed, and their gradient is that of "
                "the weights as they were: call backward before the optimizer's step, or logprobs again"
            )
        trainer.passes.gradients.attach()
        if isinstance(kept, Replayed):
            trainer.graphs.backward(kept, grad_Y)
        else:
            try:
                trainer.passes.backward(kept, grad_Y.contiguous())
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                raise _no_way_back(trainer, error) from error
        return (None,) * 7


def _no_way_back(trainer: PackedTrainer, error: BaseException) -> torch.OutOfMemoryError:
    """The error for a way back that found no memory; it leaves no half gradient, and nothing of the graphs.

    It cannot be run again here: activations are used up on the way, and the parts of a gradient that are added
    already cannot be told from those of passes before.
    """
    trainer.passes.gradients.forget()
    trainer.graphs.drop()
    return torch.OutOfMemoryError(
        f"no memory for the backward of a packed pass ({error}). Dropped are the gradients of all parameters, half "
        "added up (with those of the passes before), and the captured graphs, for their memory: begin the minibatch "
        "again, and with fewer tokens a pass if that fails too"
    )
