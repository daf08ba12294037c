"""The general path: any transformers decoder through its own forward, its attention calls sent to our pages.

An attention function is registered with transformers and named in the model's config while the engine runs. It
writes keys and values itself, so the model needs no cache object, builds no mask, and captures in a CUDA graph.
Axes: B prompts, T tokens, S slots, H query heads, G key-value heads, D head width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch

from r1gym.engine import parts
from r1gym.engine.adapters import standing
from r1gym.engine.attention import paged_attention, write_pages
from r1gym.engine.cache import PAGE
from r1gym.engine.norms import in_one_kernel, norms_of
from r1gym.engine.pages import TRASH, PagePool
from r1gym.errors import ModelError

__all__ = ["GeneralForward"]

NAME = "r1gym_pages"
_CALL: ContextVar[Callable[..., torch.Tensor]] = ContextVar("_CALL")
"""What the registered attention does now: set for the time of one forward pass, and only in the thread that runs it."""

Attend = Callable[[torch.Tensor, torch.Tensor, int, torch.Tensor, torch.Tensor, float, Any], torch.Tensor]


def _attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, _mask: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    unknown = [name for name in ("softcap", "s_aux", "position_bias") if options.get(name) is not None]
    if unknown:
        raise ModelError(f"attention with {unknown[0]} is not supported by the paged cache")
    scale = options.get("scaling") or query.shape[-1] ** -0.5
    return _CALL.get()(module.layer_idx, query, key, value, scale), None


class GeneralForward:
    """Prefill and decoding with the model's own forward.

    Args:
        model: A transformers decoder.
        decode_attention: ``kernel_attention`` on a GPU; None attends in torch.
        fused_norms: Run RMSNorms as one kernel each; None does where there are kernels, else nothing is gained.
    """

    def __init__(
        self,
        model: Any,
        decode_attention: Callable[..., torch.Tensor] | None = None,
        fused_norms: bool | None = None,
    ) -> None:
        from transformers import AttentionInterface

        AttentionInterface.register(NAME, _attention)
        self.model = model
        # peft's wrapper passes calls on; the config that attention reads is the inner model's.
        self._config = model.config.get_text_config()
        self._attend = decode_attention
        self._where = self._fingerprint()
        if fused_norms is None:
            fused_norms = parts.on_gpu(next(model.parameters()))
        self.norms = norms_of(model) if fused_norms else []
        """The modules that run as one kernel."""
        self.shape = self._probe()

    @property
    def stale(self) -> bool:
        """The model has changed under the engine."""
        return self._where != self._fingerprint()

    def _fingerprint(self) -> tuple[object, ...]:
        tensors = tuple((parameter.data_ptr(), parameter.dtype) for parameter in self.model.parameters())
        return tensors, standing(self.model)

    def _probe(self) -> tuple[int, int, int]:
        """One forward pass of two tokens, to see which layers call our attention with which shapes."""
        seen: dict[int, tuple[int, int, int]] = {}

        def look(layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
            seen[layer] = (key.shape[1], key.shape[3], value.shape[3])
            return query.transpose(1, 2)

        ids = torch.zeros(1, 2, dtype=torch.long, device=self.model.device)
        with self._through(look):
            self.model(input_ids=ids, position_ids=torch.arange(2, device=ids.device)[None], use_cache=False)
        shapes = set(seen.values())
        if len(shapes) != 1 or len(seen) != self._config.num_hidden_layers:
            raise ModelError(f"its layers do not share one kind of attention: {len(seen)} of them call ours")
        heads, width, value_width = shapes.pop()
        if width != value_width:
            raise ModelError(f"its keys ({width}) and values ({value_width}) differ in width")
        return len(seen), heads, width

    @contextmanager
    def _through(self, call: Callable[..., torch.Tensor]) -> Iterator[None]:
        before = self._config._attn_implementation
        self._config._attn_implementation = NAME
        token = _CALL.set(call)
        try:
            with in_one_kernel(self.norms):
                yield
        finally:
            _CALL.reset(token)
            self._config._attn_implementation = before

    def prefill(self, prompts: list[tuple[int, ...]], pages: list[list[int]], pool: PagePool) -> None:
        """Write the keys and values of each prompt into its pages."""
        device = pool.data.device
        width = max(len(prompt) for prompt in prompts)
        # Padding stands on the right, where causal attention never looks; its keys go to the trash page.
        ids_BT = torch.tensor([list(prompt) + [0] * (width - len(prompt)) for prompt in prompts], device=device)
        owners = [
            [own[t // PAGE] if t < len(prompt) else TRASH for t in range(width)]
            for prompt, own in zip(prompts, pages, strict=True)
        ]
        pages_X = torch.tensor(owners, device=device).flatten()
        positions_BT = torch.arange(width, device=device)[None].expand_as(ids_BT)
        offsets_X = positions_BT.flatten() % PAGE

        def call(layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
            pool.data[pages_X, layer, 0, :, offsets_X] = key.transpose(1, 2).flatten(0, 1)
            pool.data[pages_X, layer, 1, :, offsets_X] = value.transpose(1, 2).flatten(0, 1)
            output = torch.nn.functional.scaled_dot_product_attention(
                query, key, value, is_causal=True, scale=scale, enable_gqa=query.shape[1] != key.shape[1]
            )
            return output.transpose(1, 2)

        with self._through(call):
            self.model(input_ids=ids_BT, position_ids=positions_BT, use_cache=False, logits_to_keep=1)

    def decode(
        self, tokens_S: torch.Tensor, positions_S: torch.Tensor, tables_SM: torch.Tensor, pool: PagePool
    ) -> torch.Tensor:
        """Logits [S, V] after each slot's token, whose keys and values are stored on the way."""
        if self._attend is None:  # torch gathers by wide numbers only
            positions_S, tables_SM = positions_S.long(), tables_SM.long()

        def call(layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float) -> torch.Tensor:
            if self._attend is not None:
                return self._attend(query, key, value, pool.data, layer, positions_S, tables_SM, scale)
            write_pages(pool.data, layer, key[:, :, 0], value[:, :, 0], positions_S, tables_SM)
            q_SHD = query[:, :, 0].contiguous()
            return paged_attention(q_SHD, pool.data, layer, positions_S, tables_SM, scale)[:, None]

        with self._through(call):
            output = self.model(
                input_ids=tokens_S[:, None].long(), position_ids=positions_S[:, None].long(), use_cache=False
            )
        logits_SV: torch.Tensor = output.logits[:, -1]
        return logits_SV
