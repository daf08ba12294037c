"""A transformers causal language model as a policy: trainer and sampler share one module.

Axes: P prompts, G completions of one prompt, B rows, T tokens, V vocabulary.
"""

from __future__ import annotations

import copy
import logging
import operator
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from r1gym.engine.choice import choose
from r1gym.engine.packed import PackedTrainer
from r1gym.engine.request import Request, Sample
from r1gym.engine.stopping import StopStrings
from r1gym.errors import ConfigError, ModelError, PromptTooLongError
from r1gym.policy import tokens
from r1gym.policy.offsets import Offsets
from r1gym.policy.quiet import no_progress_bars
from r1gym.types import Completion, Message, Prompt, Sampling

__all__ = ["HFPolicy"]

log = logging.getLogger(__name__)


class HFPolicy:
    """A ``transformers`` causal LM with its tokenizer.

    The model is put into evaluation mode, for training too: dropout would make the distribution that learns another
    one than the distribution that was sampled.

    Args:
        model: Any ``AutoModelForCausalLM``, or peft's wrapper of one (LoRA: only the adapter learns and is stored).
        tokenizer: Its tokenizer, with or without a chat template.
        max_slots: Sequences sampled side by side.
    """

    def __init__(self, model: Any, tokenizer: Any, max_slots: int = 512) -> None:
        self.tokenizer = tokenizer
        self.stops = tokens.stop_ids(tokenizer, getattr(model, "generation_config", None))
        self.model = model.eval()
        self.version = 0
        self.recompute = False
        """Run every layer again on the way back: half the memory of training, a quarter more time."""
        self.graph = True
        """Capture the passes of training that come again as CUDA graphs, where the model packs its rows."""
        self.max_slots = max_slots
        self._trainer: PackedTrainer | None = None
        self._sampler = choose(model, self.stops, max_slots, self._decode)

    @classmethod
    def from_pretrained(
        cls, name: str, *, dtype: str = "float32", device: str | torch.device = "cpu", max_slots: int = 512
    ) -> HFPolicy:
        """Load a folder, a ``.gguf`` file (with the ``gguf`` package) or a hub id.

        Raises:
            ModelError: Nothing loadable is there, the dtype is unknown, or the device is not to be had.
        """
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if dtype not in ("float32", "bfloat16", "float16"):
            raise ModelError(f"dtype must be float32, bfloat16 or float16, got {dtype!r}")
        _try_device(device)
        where = _place(name)
        try:
            with no_progress_bars():
                tokenizer = AutoTokenizer.from_pretrained(**where)
                more = _unpacked() if "gguf_file" in where else {}
                model = AutoModelForCausalLM.from_pretrained(**where, **more, dtype=getattr(torch, dtype))
        except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"cannot load the model {name!r}: {_first_line(error)}. Give a folder with config.json and a "
                "tokenizer, a .gguf file (pip install gguf), or a hub id that can be reached"
            ) from error
        if "gguf_file" in where:
            # transformers has unpacked the weights; left in place, its marks would forbid to store what was learned,
            # and to change the type.
            model.hf_quantizer, model.is_quantized = None, False
            vars(model.config).pop("quantization_config", None)
        return cls(model.to(device), tokenizer, max_slots)

    @property
    def context(self) -> int:
        """Most positions that the model can hold."""
        return int(getattr(self.model.config.get_text_config(), "max_position_embeddings", 2**31))

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """Chat messages as token ids: through the chat template where there is one, else their plain contents."""
        return Prompt(tuple(messages), tokens.encode(self.tokenizer, messages))

    def sample(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[list[Completion]]:
        """Draw ``group_size`` completions of each prompt, [P][G].

        Raises:
            ConfigError: ``seeds`` is not [P][G].
            PromptTooLongError: A prompt leaves no room for a single token in the model's context.
            NumericalError: The model gave NaN.
        """
        requests = self._requests(prompts, group_size, sampling, seeds)
        completions = [self._completion(sample, sampling) for sample in self._sampler.run(requests, sampling)]
        return [completions[p * group_size : (p + 1) * group_size] for p in range(len(prompts))]

    def converse(
        self,
        prompts: Sequence[Prompt],
        group_size: int,
        sampling: Sampling,
        seeds: Sequence[Sequence[int]],
        answer: Callable[[int, int, Sequence[Completion]], Sequence[int] | None],
        workers: int = 16,
    ) -> list[list[list[Completion]]]:
        """Draw dialogues, [P][G][turns]: as ``sample``, with what the environment answers between the turns.

        Args:
            prompts: First prompts.
            group_size: Dialogues of each.
            sampling: ``max_new_tokens`` counts for each turn.
            seeds: [P][G]; a dialogue's random stream runs on over its turns.
            answer: ``answer(p, g, turns)`` gives the token ids that follow dialogue g of prompt p, or None to end it;
                called in threads.
            workers: Answers worked out at the same time.

        Raises:
            ConfigError: As for ``sample``, or ``answer`` gives something else than token ids of this model.
            ModelError: This model keeps no cache that a dialogue could go on in (it is sampled by ``generate``).
        """
        requests = self._requests(prompts, group_size, sampling, seeds)
        vocabulary = self.model.get_input_embeddings().num_embeddings

        def by_number(number: int, turns: Sequence[Sample]) -> Sequence[int] | None:
            p, g = divmod(number, group_size)
            answered = answer(p, g, [self._completion(turn, sampling) for turn in turns])
            return None if answered is None else _token_ids(answered, vocabulary)

        drawn = self._sampler.converse(requests, sampling, by_number, workers)
        dialogues = [[self._completion(turn, sampling) for turn in turns] for turns in drawn]
        return [dialogues[p * group_size : (p + 1) * group_size] for p in range(len(prompts))]

    def _requests(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[Request]:
        """One request a completion, after a look at whether the sampler still fits the model."""
        if [len(row) for row in seeds] != [group_size] * len(prompts):
            raise ConfigError(
                f"seeds must be {len(prompts)} rows (one a prompt) of {group_size} (one a completion), got rows of "
                f"{[len(row) for row in seeds]}"
            )
        if self._sampler.stale:
            log.warning("the model has changed under the sampler (its parameters have moved): starting it anew")
            self._sampler = choose(self.model, self.stops, self.max_slots, self._decode)
        return [
            Request(prompt.token_ids, seed, self._budget(prompt, sampling), sampling.stop)
            for prompt, row in zip(prompts, seeds, strict=True)
            for seed in row
        ]

    def _completion(self, sample: Sample, sampling: Sampling) -> Completion:
        text = tokens.decode(self.tokenizer, sample.token_ids, self.stops)
        if sampling.stop:
            text = StopStrings(sampling.stop, self._decode).cut(text, sampling.keep_stop)
        return Completion(sample.token_ids, sample.logprobs, text, sample.finish, self.version)

    def _decode(self, token_ids: Sequence[int]) -> str:
        return tokens.decode(self.tokenizer, token_ids, ())

    def _budget(self, prompt: Prompt, sampling: Sampling) -> int:
        room = self.context - len(prompt.token_ids)
        if room < 1:
            raise PromptTooLongError(
                f"a prompt has {len(prompt.token_ids)} tokens and the model's context holds {self.context}: leave "
                f"long tasks out, or take a model with a longer context. It begins {str(prompt.messages[0])[:100]}"
            )
        return min(sampling.max_new_tokens, room)

    def offsets(self, completion: Completion) -> list[tuple[int, int]]:
        """Start and end, in characters of the completion's text, of what each of its tokens wrote.

        Raises:
            TokenizerError: The tokenizer joins its pieces in a way that cannot be followed.
        """
        return self._offsets.of(completion.token_ids, completion.text)

    @cached_property
    def _offsets(self) -> Offsets:
        return Offsets(self.tokenizer)

    def logprobs(self, token_ids_BT: torch.Tensor, mask_BT: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
        """Log-probabilities with gradient, [B, T] in nats; 0 where ``mask_BT`` is False.

        Rows are padded on the right, so causal attention needs no padding mask. Logits are made only from the first
        wanted token on.
        """
        if int(mask_BT.int().argmax(dim=1).min()) > 1 and bool(mask_BT.any(dim=1).all()):
            trainer = self._packed_trainer()
            if trainer is not None:
                return trainer.logprobs(token_ids_BT, mask_BT, temperature, self.recompute, self.graph)
        device = self.model.device
        token_ids_BT, mask_BT = token_ids_BT.to(device), mask_BT.to(device)
        first = max(int(mask_BT.any(dim=0).nonzero()[0, 0]), 1) if bool(mask_BT.any()) else token_ids_BT.shape[1]
        kept = token_ids_BT.shape[1] - first + 1
        output = self.model(input_ids=token_ids_BT, use_cache=False, logits_to_keep=kept)
        # The logits at position t - 1 are those of token t.
        logits_BTV = output.logits[:, :-1].float() / (temperature or 1.0)
        targets_BT = token_ids_BT[:, first:]
        logprobs_BT = -torch.nn.functional.cross_entropy(
            logits_BTV.flatten(0, 1), targets_BT.flatten(), reduction="none"
        ).view_as(targets_BT)
        logprobs_BT = torch.where(mask_BT[:, first:], logprobs_BT, torch.zeros_like(logprobs_BT))
        return torch.nn.functional.pad(logprobs_BT, (first, 0))

    def _packed_trainer(self) -> PackedTrainer | None:
        """What trains on packed rows, made anew where the weights have moved; None where this model does not pack."""
        weights = self._sampler.packed_weights
        if weights is None or self._sampler.stale:
            self._trainer = None
        elif self._trainer is None or self._trainer.weights is not weights:
            self._trainer = PackedTrainer(self.model, weights)
        return self._trainer

    @property
    def packs(self) -> bool:
        """``logprobs`` reads the prompt of a group once: keep rows of one prompt together."""
        return self._sampler.packed_weights is not None and not self._sampler.stale

    def parameters(self) -> Iterable[torch.nn.Parameter]:
        """Parameters that learn."""
        return (parameter for parameter in self.model.parameters() if parameter.requires_grad)

    def sync(self) -> int:
        """Count a new version; the sampler reads the trainer's own weights, so nothing is copied."""
        self.version += 1
        return self.version

    def frozen(self) -> HFPolicy:
        """A copy with its own, fixed weights."""
        model = copy.deepcopy(self.model).requires_grad_(False)
        model.zero_grad()  # the copy's gradients would only fill memory
        return HFPolicy(model, self.tokenizer, self.max_slots)

    def save(self, path: Path) -> None:
        """Write model and tokenizer in transformers' own format (safetensors)."""
        with no_progress_bars():
            self.model.save_pretrained(path)
        self.tokenizer.save_pretrained(path)

    def load(self, path: Path) -> None:
        """Read the weights of ``path`` into the model in place, so that optimizer and sampler keep their tensors."""
        from safetensors import SafetensorError
        from transformers import AutoModelForCausalLM

        try:
            with no_progress_bars():
                if hasattr(self.model, "peft_config"):  # what save_pretrained of peft writes: the adapters alone
                    for name in self.model.peft_config:
                        _load_adapter(self.model, name, path if name == "default" else path / name)
                    return
                stored = AutoModelForCausalLM.from_pretrained(path, dtype=self.model.dtype)
            self.model.load_state_dict(stored.state_dict())
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelError(f"the checkpoint in {path} does not fit this model: {_first_line(error)}") from error


def _place(name: str) -> dict[str, Any]:
    """Where transformers finds the model ``name``, as arguments of ``from_pretrained``."""
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    if path.is_dir() and not (path / "config.json").is_file():
        raise ModelError(f"the folder {name!r} holds no config.json: give the folder of a transformers model")
    if path.is_file():
        raise ModelError(f"{name!r} is a file, but no .gguf file: give a folder with config.json, or a .gguf file")
    if not path.exists() and (name.startswith((".", "/", "~")) or name.count("/") > 1 or path.suffix == ".gguf"):
        raise ModelError(f"no model at {name!r}: give a folder with config.json, a .gguf file, or a hub id")
    return {"pretrained_model_name_or_path": str(path) if path.exists() else name}


def _unpacked() -> dict[str, Any]:
    """Ask for plain weights of a .gguf file: packed ones, which newer transformers prefer on a GPU, do not learn."""
    import transformers

    kind = getattr(transformers, "GgufConfig", None)  # older ones always unpack
    return {} if kind is None else {"quantization_config": kind(dequantize=True)}


def _load_adapter(model: Any, name: str, path: Path) -> None:
    """Read one adapter; ValueError where the file holds those of other modules, which peft leaves out in silence."""
    from peft import get_peft_model_state_dict, load_peft_weights, set_peft_model_state_dict

    stored = load_peft_weights(str(path), device="cpu")
    own = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
    lacking = sorted(own.keys() - stored.keys())
    unexpected = set_peft_model_state_dict(model, stored, adapter_name=name).unexpected_keys
    left = sorted(set(unexpected) - own.keys())  # learned prompts are loaded beside the modules, and named here as well
    if lacking or left:
        found = f"lacks {lacking[0]}" if lacking else f"holds {left[0]}, which the model has not"
        raise ValueError(f"its adapter {name!r} {found}")


def _first_line(error: Exception) -> str:
    """What an error says first: those of transformers go on for paragraphs."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__).rstrip(". ")


def _try_device(device: str | torch.device) -> None:
    """ModelError where nothing can be put on ``device``."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ModelError(
            f"cannot use the device {str(device)!r}: {_first_line(error)}. Give cpu, or cuda where PyTorch sees a GPU"
        ) from error


def _token_ids(answered: Sequence[int], vocabulary: int) -> list[int]:
    """What an environment answered in a dialogue. ConfigError where it is no list of token ids of the model."""
    try:
        ids = [operator.index(token) for token in answered]
    except TypeError:
        ids = [-1]
    if not all(0 <= token < vocabulary for token in ids):
        raise ConfigError(
            f"answer must give token ids from 0 to {vocabulary - 1}, or None to end the dialogue, got {answered!r:.80}"
        )
    return ids
