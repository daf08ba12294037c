"""Models with adapters: which module's own forward computes what the wrapped model computes."""

from __future__ import annotations

from typing import Any

__all__ = ["unwrap"]


def unwrap(model: Any) -> Any:
    """The transformers model inside a peft wrapper whose adapters sit in its layers, as LoRA's do; else ``model``.

    Adapters that put tokens in front of the prompt, or mix others by what they read, work in the wrapper's forward:
    such a model stays whole, and is sampled by ``generate``.
    """
    configs = getattr(model, "peft_config", None)
    if not configs or not hasattr(model, "get_base_model"):
        return model
    if any(config.is_prompt_learning or "XLORA" in str(config.peft_type) for config in configs.values()):
        return model
    return model.get_base_model()
