"""One whole GRPO step of TRL on the same job: its default path, with completions forced to the same lengths."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from typing import Any

import torch
from job import make_model, make_requests

__all__ = ["run"]


class ForceEnd:
    """Bans the stop token until a row has its length, then allows nothing else."""

    def __init__(self, lengths: list[int], eos: int, width: int) -> None:
        self.ends = torch.tensor(lengths, device="cuda")
        self.eos, self.width = eos, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        now = self.ends <= input_ids.shape[1] - self.width + 1
        stop = scores[:, self.eos].clone()
        scores[now] = -torch.inf
        scores[:, self.eos] = torch.where(now, 0.0 * stop, -torch.inf)
        return scores


def _tokenizer(vocabulary: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<unk>": 1, "<eos>": 2} | {f"w{i}": i for i in range(3, vocabulary)}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


def run(shape: str, prompts: int, group: int, limit: int, steps: int, dtype: str, continuous: bool) -> dict[str, Any]:
    """Seconds of every optimizer step, the first included."""
    import transformers
    import trl
    from datasets import Dataset

    kind = getattr(torch, dtype)
    model = make_model(shape, kind, "cuda")
    tokenizer = _tokenizer(model.config.vocab_size)
    texts, lengths = make_requests(prompts, group, model.config.vocab_size, limit)
    rows = [{"prompt": " ".join(f"w{i}" for i in text)} for text in texts]
    seconds: list[float] = []
    rollouts: list[float] = []

    if not continuous:
        own_generate = model.generate

        def generate(*args: Any, **kwargs: Any) -> Any:
            ids = kwargs.get("input_ids", args[0] if args else None)
            torch.cuda.synchronize()
            began = time.perf_counter()
            kwargs["logits_processor"] = [ForceEnd(lengths, 2, ids.shape[1])]
            output = own_generate(*args, **kwargs)
            torch.cuda.synchronize()
            rollouts.append(time.perf_counter() - began)
            return output

        model.generate = generate

    class Clock(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_args: Any, **_kwargs: Any) -> None:
            torch.cuda.synchronize()
            self.began = time.perf_counter()

        def on_step_end(self, *_args: Any, **_kwargs: Any) -> None:
            torch.cuda.synchronize()
            seconds.append(time.perf_counter() - self.began)
            print("trl step", seconds[-1], rollouts[-1:], flush=True)

    total_rows = prompts * group
    config = trl.GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=min(16, total_rows),
        gradient_accumulation_steps=max(total_rows // 16, 1),
        num_generations=group,
        max_completion_length=limit,
        max_steps=steps,
        learning_rate=1e-6,
        temperature=1.0,
        beta=0.0,
        bf16=dtype == "float32",
        save_strategy="no",
        report_to=[],
        logging_steps=1000,
        shuffle_dataset=False,
        **({"use_transformers_continuous_batching": True} if continuous else {}),
    )
    rng = torch.Generator().manual_seed(1)
    trainer = trl.GRPOTrainer(
        model=model,
        processing_class=tokenizer,
        reward_funcs=[lambda completions, **_: torch.rand(len(completions), generator=rng).round().tolist()],
        args=config,
        train_dataset=Dataset.from_list(rows * (steps + 2)),
        callbacks=[Clock()],
    )
    trainer.train()
    free, total = torch.cuda.mem_get_info()
    kept = seconds[1:] or seconds
    return {
        "what": f"TRL {trl.__version__} {shape} {total_rows} x {limit} {dtype}" + (" continuous" if continuous else ""),
        "step_s": round(statistics.median(kept), 3),
        "step_range": [round(min(kept), 3), round(max(kept), 3)],
        "rollout_s": round(statistics.median(rollouts[1:] or rollouts), 3) if rollouts else None,
        "first_step_s": round(seconds[0], 2),
        "steps": len(kept),
        "alloc_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        "reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2),
        "device_gib": round((total - free) / 2**30, 2),
    }


if __name__ == "__main__":
    options = json.loads(sys.argv[1])
    print("RESULT " + json.dumps(run(**options)), flush=True)
