"""Models with adapters: which module's forward computes what the wrapped model does, and how the adapters stand."""

from __future__ import annotations

from typing import Any

__all__ = ["standing", "unwrap"]


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


def standing(model: Any) -> tuple[object, ...]:
    """What of the adapters decides the way through a forward pass: those merged, active, switched off, their scales.

    A captured graph holds the way that was taken when it was captured; the tensors alone do not tell.
    """
    # peft's layers have it as a property; transformers' models have a method of that name.
    layers = [each for each in model.modules() if isinstance(getattr(type(each), "disable_adapters", None), property)]
    return tuple(
        (
            tuple(getattr(layer, "merged_adapters", ())),
            tuple(getattr(layer, "active_adapters", ())),
            bool(layer.disable_adapters),
            tuple(sorted(dict(getattr(layer, "scaling", {})).items())),
        )
        for layer in layers
    )
