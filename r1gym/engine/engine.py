"""The paged engine: draws completions and dialogues over pages that equal prompts share.

A sample depends on its prompt and seed only: not on its slot, its neighbours or the number of slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, Protocol

import torch

from r1gym.engine import memory
from r1gym.engine.cache import PAGE
from r1gym.engine.pages import PagePool
from r1gym.engine.request import Request, Sample, check_requests, context_of
from r1gym.engine.scheduling import Run
from r1gym.engine.slots import Slots
from r1gym.engine.stepping import Stepper
from r1gym.engine.stopping import Decode
from r1gym.engine.turns import Answer, Answers
from r1gym.errors import ModelError, NumericalError
from r1gym.types import Sampling

__all__ = ["Engine", "Forward"]


class Forward(Protocol):
    """What the engine asks of a path."""

    model: Any

    @property
    def shape(self) -> tuple[int, int, int]:
        """Layers, key-value heads and head width."""
        ...

    @property
    def stale(self) -> bool:
        """The model has changed under the engine."""
        ...

    def prefill(self, prompts: list[tuple[int, ...]], pages: list[list[int]], pool: PagePool) -> None:
        """Write the keys and values of each prompt into its pages."""
        ...

    def decode(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, tables_SM: torch.Tensor, pool: PagePool
    ) -> torch.Tensor:
        """Logits [S, V] after each slot's token."""
        ...


class Engine:
    """Draws completions over pages; one for the life of a model.

    Args:
        forward: The compact or the general path.
        stop_ids: Tokens that end a completion.
        max_slots: Sequences side by side.
        captured: Run the steps as CUDA graphs with the GPU kernels.
        decode: Token ids to text; only stop strings need it.
    """

    def __init__(
        self,
        forward: Forward,
        stop_ids: Sequence[int],
        max_slots: int = 512,
        captured: bool = False,
        decode: Decode | None = None,
    ) -> None:
        self.forward, self.decode = forward, decode
        parameter = next(iter(forward.model.parameters()))
        layers, heads, width = forward.shape
        self.pool = PagePool(64, layers, heads, width, parameter.dtype, parameter.device)
        self.slots = Slots(max_slots, parameter.device)
        self.stepper = Stepper(forward, self.slots, self.pool, stop_ids, captured)

    def run(self, requests: Sequence[Request], sampling: Sampling) -> list[Sample]:
        """Draw every request; the results stand in the order of ``requests``.

        Raises:
            ConfigError: Stop strings without ``decode``.
            PromptTooLongError: A request is longer than the model's context.
            NumericalError: The model gave NaN; the message names the request, the token and the slot.
            ModelError: The device has no memory for the pages that are needed, or the model has changed.
        """
        return [turns[0] for turns in self._run(requests, sampling, None)]

    def converse(
        self, requests: Sequence[Request], sampling: Sampling, answer: Answer, workers: int = 16
    ) -> list[tuple[Sample, ...]]:
        """Draw dialogues: what is drawn, what the environment answers, what is drawn then, in one growing context.

        While an answer is awaited the sequence keeps its pages and gives up its slot, so others go on decoding. The
        answer's tokens are appended behind the last token drawn, unchanged: a turn's context is the concatenation of
        all that came before it.

        Args:
            requests: First prompts; ``budget`` counts for each turn (less where the context ends), the seed's random
                stream runs on over the turns.
            sampling: As for ``run``.
            answer: ``answer(number, turns)`` gives the tokens that follow the turns of request ``number`` so far, or
                None to end its dialogue. It is called in threads.
            workers: Answers worked out at the same time.

        Returns:
            The turns of each request. A dialogue whose context has no room for another token after an answer ends
            with a turn without tokens, ``finish`` "abort".

        Raises:
            Exception: What ``run`` raises, and whatever ``answer`` raises.
        """
        with Answers(answer, workers) as answers:
            return self._run(requests, sampling, answers)

    @torch.no_grad()
    def _run(
        self, requests: Sequence[Request], sampling: Sampling, answers: Answers | None
    ) -> list[tuple[Sample, ...]]:
        model = self.forward.model
        if not requests:
            return []
        if self.forward.stale:
            raise ModelError(
                "the model's parameters have moved since the engine was made (other dtype, device, embeddings or "
                "adapters): make a new engine"
            )
        check_requests(model, requests)
        was_training, device = model.training, self.pool.data.device
        model.eval()
        try:
            # Triton launches, and graphs are captured, on the current device, whatever device the tensors are on.
            with torch.cuda.device(device) if device.type == "cuda" else nullcontext():
                return Run(self, requests, sampling, answers, context_of(model)).finish()
        except NumericalError:
            # Masked positions count with weight 0, and 0 * NaN is NaN: what lies there would spoil good weights, too.
            self.pool.data.zero_()
            raise
        except (RuntimeError, MemoryError) as error:
            if not memory.out_of_memory(error) or (answers is not None and error is answers.failure):
                raise
            self.stepper.drop()
            free = memory.free_bytes(device)
            # A pool that grows stands beside its smaller self for a moment: less than half of the room counts.
            raise memory.advise(
                None if free is None else int(0.45 * (free + self.pool.pages * self.pool.page_bytes)),
                self.pool.page_bytes // PAGE,
                min(self.slots.size, len(requests)),
                max(len(request.prompt) for request in requests),
                max(request.budget for request in requests),
            ) from error
        finally:
            model.train(was_training)
