"""One whole GRPO step of TRL on the same job, with completions forced to the same lengths.

Three ways: its default path with a bf16 module, the same with a float32 module under bf16 autocast (float32 weights
and AdamW, as our masters), and ``use_transformers_continuous_batching``. How lengths are forced: in ``generate`` by a
logits processor that bans the stop token up to a row's last place and allows nothing else there; in continuous
batching, whose requests have budgets of their own, by giving request i its length as budget and no stop token. Every
step checks the lengths that reach the reward function. All else is TRL's default (gradient checkpointing is on).
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from gpu import DEVICE, Peaks, synchronize
from job import make_model, make_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["run"]

ROWS = 16
"""Completions of a micro-batch."""


class ForceEnd:
    """Bans the stop token until a row has its length, then allows nothing else."""

    def __init__(self, lengths: list[int], eos: int, width: int) -> None:
        self.ends = torch.tensor(lengths, device=DEVICE)
        self.eos, self.width = eos, width

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        now = self.ends <= input_ids.shape[1] - self.width + 1
        stop = scores[:, self.eos].clone()
        scores[now] = -torch.inf
        scores[:, self.eos] = torch.where(now, 0.0 * stop, -torch.inf)
        return scores


class Clock:
    """Seconds of steps and of the rollouts in them, peaks of memory, and lengths as TRL's reward function sees them."""

    def __init__(self, lengths: list[int], budget: float) -> None:
        self.lengths, self.budget = lengths, budget
        self.peaks = Peaks()
        self.steps: list[float] = []
        self.rollouts: list[float] = []
        self.started = time.perf_counter()
        self.drawn = 0
        self._rng = torch.Generator().manual_seed(1)

    def begin(self) -> None:
        """A step begins."""
        synchronize()
        self.peaks.begin("train")
        self.began = time.perf_counter()

    def end(self) -> bool:
        """A step has ended; False when no time is left for another."""
        synchronize()
        self.steps.append(time.perf_counter() - self.began)
        self.peaks.begin("between")
        print("trl step", self.steps[-1], self.rollouts[-1:], flush=True)
        return time.perf_counter() - self.started < self.budget

    @contextmanager
    def rollout(self) -> Iterator[None]:
        """The time of a rollout."""
        synchronize()
        self.peaks.begin("rollout")
        began = time.perf_counter()
        yield
        synchronize()
        self.rollouts.append(time.perf_counter() - began)
        self.peaks.begin("train")

    def reward(self, completion_ids: list[Any], **_: Any) -> list[float]:
        """Random rewards of 0 and 1; AssertionError where a length is not the one that was forced."""
        found = [len(ids) for ids in completion_ids]
        assert found == self.lengths, f"lengths were not forced: {found[:8]} for {self.lengths[:8]}"
        self.drawn = sum(found)
        return [float(value) for value in torch.rand(len(found), generator=self._rng).round()]


def _tokenizer(vocabulary: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<unk>": 1, "<eos>": 2} | {f"w{i}": i for i in range(3, vocabulary)}
    core = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


def _force_generate(model: Any, clock: Clock) -> None:
    own = model.generate

    def generate(*args: Any, **kwargs: Any) -> Any:
        ids = kwargs.get("input_ids", args[0] if args else None)
        with clock.rollout():
            return own(*args, **kwargs, logits_processor=[ForceEnd(clock.lengths, 2, ids.shape[1])])

    model.generate = generate


def _force_continuous(model: Any, clock: Clock) -> None:
    """Requests are called req_0, req_1, … in the order of the rows, anew in every call."""
    from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingManager as Manager

    own_batch, own_add = model.generate_batch, Manager.add_request

    def add_request(self: Any, input_ids: Any, request_id: Any = None, **options: Any) -> Any:
        options |= {"max_new_tokens": clock.lengths[int(request_id.removeprefix("req_"))], "eos_token_id": -1}
        return own_add(self, input_ids, request_id, **options)

    def generate_batch(*args: Any, **kwargs: Any) -> Any:
        with clock.rollout():
            return own_batch(*args, **kwargs)

    Manager.add_request = add_request
    model.generate_batch = generate_batch


def _trainer(model: Any, clock: Clock, rows: list[dict[str, str]], job: dict[str, Any]) -> Any:
    import transformers
    import trl
    from datasets import Dataset

    class Steps(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_args: Any, **_kwargs: Any) -> None:
            clock.begin()

        def on_step_end(self, _args: Any, _state: Any, control: Any, **_kwargs: Any) -> None:
            control.should_training_stop |= not clock.end()
            print("RESULT " + json.dumps(_figures(clock, job)), flush=True)

    total, steps = len(clock.lengths), job["steps"] + 1
    config = trl.GRPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=min(ROWS, total),
        gradient_accumulation_steps=max(total // ROWS, 1),
        num_generations=job["group"],
        max_completion_length=job["limit"],
        max_steps=steps,
        learning_rate=1e-6,
        temperature=1.0,
        beta=0.0,
        bf16=job["dtype"] == "float32",
        use_cpu=DEVICE == "cpu",
        save_strategy="no",
        report_to=[],
        logging_steps=1000,
        shuffle_dataset=False,
        use_transformers_continuous_batching=job.get("continuous", False),
    )
    return trl.GRPOTrainer(
        model=model,
        processing_class=_tokenizer(model.config.vocab_size),
        reward_funcs=[clock.reward],
        args=config,
        train_dataset=Dataset.from_list(rows * (steps + 2)),
        callbacks=[Steps()],
    )


def _figures(clock: Clock, job: dict[str, Any]) -> dict[str, Any]:
    """What there is so far; the first step is told apart, and not counted once there is another."""
    import trl

    kept, rollouts = clock.steps[1:] or clock.steps, clock.rollouts[1:] or clock.rollouts
    rollout = statistics.median(rollouts)
    return {
        "name": f"TRL {job['name']}",
        "what": f"TRL {trl.__version__} {job['shape']} {len(clock.lengths)} x {job['limit']}",
        "job": job,
        "steps": len(clock.steps) - 1,
        "step_s": round(statistics.median(kept), 3),
        "step_range": [round(min(kept), 3), round(max(kept), 3)],
        "rollout_s": round(rollout, 3),
        "first_step_s": round(clock.steps[0], 2),
        "tokens": clock.drawn,
        "tokens_per_s": round(clock.drawn / rollout),
        **clock.peaks.figures(),
    }


def run(**job: Any) -> dict[str, Any]:
    """Medians over ``steps`` steps after one, or over those begun before ``budget`` seconds were over."""
    budget = job.pop("budget", 1e9)
    model = make_model(job["shape"], getattr(torch, job["dtype"]), DEVICE)
    texts, lengths = make_requests(job["prompts"], job["group"], model.config.vocab_size, job["limit"])
    clock = Clock(lengths, budget)
    if job.get("continuous"):
        _force_continuous(model, clock)
    else:
        _force_generate(model, clock)
    rows = [{"prompt": " ".join(f"w{i}" for i in text)} for text in texts]
    _trainer(model, clock, rows, job).train()
    return _figures(clock, job)


if __name__ == "__main__":
    print("RESULT " + json.dumps(run(**json.loads(sys.argv[1]))), flush=True)
