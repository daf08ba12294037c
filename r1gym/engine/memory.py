"""What keys and values take, and what to say when there is no room: the option, and the value that would fit."""

from __future__ import annotations

from typing import Any

import torch

from r1gym.engine.cache import PAGE
from r1gym.errors import ModelError

__all__ = ["advise", "budget_that_fits", "free_bytes", "out_of_memory", "position_bytes", "slots_that_fit"]


def position_bytes(model: Any) -> int:
    """Bytes of one position's keys and values over all layers."""
    config = model.config.get_text_config()
    heads = config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // heads
    kept = getattr(config, "num_key_value_heads", None) or heads
    return int(2 * config.num_hidden_layers * kept * width * torch.empty(0, dtype=model.dtype).element_size())


def slots_that_fit(room: int, bytes_each: int, longest: int) -> int:
    """Sequences of ``longest`` tokens whose whole pages fit into ``room`` bytes; nothing shared, so an upper bound."""
    return max(room // (-(-longest // PAGE) * PAGE * bytes_each), 0)


def budget_that_fits(room: int, bytes_each: int, slots: int, prompt: int) -> int:
    """New tokens of each of ``slots`` sequences that fit into ``room`` bytes behind ``prompt`` tokens; 0 for none."""
    return max(room // (slots * PAGE * bytes_each) * PAGE - prompt, 0)


def free_bytes(device: torch.device) -> int | None:
    """Memory that could still be had on a GPU, what torch keeps in reserve included; None elsewhere."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    reserved = torch.cuda.memory_reserved(device)
    allowed = int(torch.cuda.get_per_process_memory_fraction(device) * total)
    return int(max(min(free, allowed - reserved), 0) + reserved - torch.cuda.memory_allocated(device))


def out_of_memory(error: BaseException) -> bool:
    """The error says that memory ran out, on a GPU or for the processor."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        words in str(error) for words in ("can't allocate memory", "not enough memory")
    )


def advise(room: int | None, bytes_each: int, slots: int, prompt: int, budget: int) -> ModelError:
    """The error for a rollout that found no memory.

    Args:
        room: Bytes that keys and values could have; None where nobody knows.
        bytes_each: Of one position.
        slots: Sequences side by side.
        prompt: Tokens of the longest prompt.
        budget: Most new tokens of a sequence.
    """
    need = slots * (prompt + budget) * bytes_each
    text = (
        f"no memory to sample {slots} sequences side by side, each with up to {prompt} + {budget} tokens (their keys "
        f"and values can take {need / 2**30:.2f} GiB"
    )
    if room is None:
        fewer = max(slots // 2, 1)
        return ModelError(f"{text}): sample {fewer} side by side (max_slots={fewer}), or lower --max-new-tokens")
    fitting, shorter = (
        slots_that_fit(room, bytes_each, prompt + budget),
        budget_that_fits(room, bytes_each, slots, prompt),
    )
    advice = [f"sample {fitting} side by side (max_slots={fitting})"] if fitting else []
    advice += [f"give --max-new-tokens {min(shorter, budget)}"] if shorter else []
    advice = advice or ["take a smaller model or a device with more memory: not even one such sequence fits"]
    return ModelError(f"{text}, {room / 2**30:.2f} GiB can be had): {', or '.join(advice)}")
