"""How far log-probabilities of sampler, trainer and transformers are apart on the same tokens, beside float32.

python benchmarks/parity.py --weights smollm2-135m,qwen2-0.5b --out results     (shapes of job.py, random weights)
python benchmarks/parity.py --weights FOLDER_OR_GGUF --out results              (real ones, real questions)

The engine draws in bfloat16. Then the same tokens are read by the packed trainer, by the packed trainer one row at a
time (no prompt shared), by transformers' own bfloat16 forward over padded rows, and by transformers in float32. Two
correct bfloat16 forwards, transformers' and the packed one, differ by rounding: what is asked of the sampler is that
it differs from the trainer by at most 1.2 times as much. In float32, sampler and trainer: at most 1e-5 in the mean.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from gpu import DEVICE, machine
from job import SHAPES, make_model, make_requests
from step_ours import unending

from r1gym.engine.packed import PackedTrainer
from r1gym.engine.request import Request, Sample
from r1gym.policy.hf import HFPolicy
from r1gym.types import Sampling

__all__ = ["compare", "padded"]

QUESTIONS = (
    "A baker sells 14 loaves in the morning and twice as many in the afternoon. How many loaves does he sell?",
    "What is 12 times 17? Think step by step.",
    "A train goes 60 km in 45 minutes. How fast is it in km/h?",
    "Lena has 3 boxes with 8 pencils each and gives 5 pencils away. How many has she left?",
    "Which is larger, 5/8 or 0.6? Explain.",
    "A rectangle is 7 m by 12 m. What are its area and its perimeter?",
    "Name three prime numbers above 50 and say why they are prime.",
    "Tom is twice as old as Ann. In 6 years they are 36 together. How old is Ann?",
)


def load(weights: str, dtype: str) -> HFPolicy:
    """A policy of a shape with random weights, or of a folder or .gguf with real ones."""
    if weights in SHAPES:
        return HFPolicy(make_model(weights, getattr(torch, dtype), DEVICE), SimpleNamespace(eos_token_id=2), 512)
    return HFPolicy.from_pretrained(weights, dtype=dtype, device=DEVICE)


def draw(policy: HFPolicy, weights: str, prompts: int, group: int, limit: int) -> tuple[list[Request], list[Sample]]:
    """Completions of forced lengths from random weights, of their own from real ones."""
    if weights in SHAPES:
        unending(policy, 512)
        texts, lengths = make_requests(prompts, group, policy.model.config.vocab_size, limit)
        requests = [Request(tuple(texts[i // group]), i, length) for i, length in enumerate(lengths)]
    else:
        asked = [policy.prompt([{"role": "user", "content": question}]) for question in QUESTIONS[:prompts]]
        requests = [
            Request(prompt.token_ids, 1000 * p + g, limit) for p, prompt in enumerate(asked) for g in range(group)
        ]
    return requests, policy._sampler.run(requests, Sampling(temperature=1.0, max_new_tokens=limit))


def tensors(requests: list[Request], samples: list[Sample]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Token ids, mask of what was drawn and the sampler's log-probabilities, all [B, T] on the CPU."""
    width = max(len(r.prompt) + len(s.token_ids) for r, s in zip(requests, samples, strict=True))
    ids_BT = torch.zeros(len(samples), width, dtype=torch.long)
    mask_BT = torch.zeros(len(samples), width, dtype=torch.bool)
    logprobs_BT = torch.zeros(len(samples), width)
    for row, (request, sample) in enumerate(zip(requests, samples, strict=True)):
        start, end = len(request.prompt), len(request.prompt) + len(sample.token_ids)
        ids_BT[row, :end] = torch.tensor([*request.prompt, *sample.token_ids])
        mask_BT[row, start:end] = True
        logprobs_BT[row, start:end] = torch.tensor(sample.logprobs)
    return ids_BT, mask_BT, logprobs_BT


@torch.no_grad()
def padded(model: Any, ids_BT: torch.Tensor, rows: int = 4) -> torch.Tensor:
    """Log-probability of every token by the model's own forward, [B, T] on the CPU; the first column is 0."""
    parts = []
    for ids in ids_BT.split(rows):
        ids = ids.to(model.device)
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
        chosen = torch.log_softmax(logits, dim=-1).gather(2, ids[:, 1:, None])[:, :, 0]
        parts.append(torch.nn.functional.pad(chosen, (1, 0)).cpu())
    return torch.cat(parts)


@torch.no_grad()
def packed(policy: HFPolicy, ids_BT: torch.Tensor, mask_BT: torch.Tensor, rows: int) -> torch.Tensor:
    """The packed trainer's log-probabilities, ``rows`` rows in one pass, [B, T] on the CPU."""
    weights = policy._sampler.packed_weights
    assert weights is not None, "the packed trainer runs on 16-bit weights that are sampled on the compact path"
    parts = zip(ids_BT.split(rows), mask_BT.split(rows), strict=True)
    trainer = PackedTrainer(policy.model, weights)
    with torch.no_grad():
        return torch.cat([trainer.logprobs(ids, mask, 1.0).cpu() for ids, mask in parts])


def compare(weights: str, prompts: int, group: int, limit: int) -> dict[str, Any]:
    """Means and maxima of the differences, in nats a token."""
    policy = load(weights, "bfloat16")
    ids_BT, mask_BT, sampler_BT = tensors(*draw(policy, weights, prompts, group, limit))
    if weights not in SHAPES:
        unending(policy, 512)  # on a CPU the packed weights are those of the paged engine
    trainer_BT = packed(policy, ids_BT, mask_BT, 32)
    alone_BT = packed(policy, ids_BT, mask_BT, 1)
    theirs_BT = padded(policy.model, ids_BT)
    exact_BT = padded(copy.deepcopy(policy.model).float(), ids_BT)

    def gap(a_BT: torch.Tensor, b_BT: torch.Tensor) -> dict[str, float]:
        apart = (a_BT - b_BT)[mask_BT].abs()
        return {"mean": float(apart.mean()), "max": float(apart.max())}

    gaps = {
        "sampler - trainer": gap(sampler_BT, trainer_BT),
        "sampler - trainer, no prompt shared": gap(sampler_BT, alone_BT),
        "transformers bf16 - trainer": gap(theirs_BT, trainer_BT),
        "transformers bf16 - trainer, no prompt shared": gap(theirs_BT, alone_BT),
        "trainer - trainer, no prompt shared": gap(trainer_BT, alone_BT),
        "sampler - transformers bf16": gap(sampler_BT, theirs_BT),
        "sampler - transformers float32": gap(sampler_BT, exact_BT),
        "trainer - transformers float32": gap(trainer_BT, exact_BT),
        "transformers bf16 - transformers float32": gap(theirs_BT, exact_BT),
    }
    surprise = -float(exact_BT[mask_BT].mean())
    way = policy._sampler.name
    del policy
    return {
        "name": f"parity {weights if weights in SHAPES else Path(weights).name}",
        "tokens": int(mask_BT.sum()),
        "way": way,
        "entropy": round(surprise, 3),
        "gaps": gaps,
        "share_of_two_forwards": gaps["sampler - trainer"]["mean"] / gaps["transformers bf16 - trainer"]["mean"],
        "largest_ratio": float((trainer_BT - sampler_BT)[mask_BT].max().exp()),
        "float32": in_float32(weights, prompts, group, limit),
    }


def in_float32(weights: str, prompts: int, group: int, limit: int) -> dict[str, float]:
    """Sampler and trainer (transformers' own forward there), both float32."""
    policy = load(weights, "float32")
    ids_BT, mask_BT, sampler_BT = tensors(*draw(policy, weights, prompts, group, limit))
    trainer_BT = padded(policy.model, ids_BT)
    apart = (sampler_BT - trainer_BT)[mask_BT].abs()
    ratio = (trainer_BT - sampler_BT)[mask_BT].max().exp()
    return {"mean": float(apart.mean()), "max": float(apart.max()), "largest_ratio": float(ratio)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="smollm2-135m,qwen2-0.5b", help="shapes, folders or .gguf, by comma")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--group", type=int, default=8)
    parser.add_argument("--limit", type=int, default=512)
    parser.add_argument("--out", type=Path, help="folder for parity.json")
    parser.add_argument("--commit", default="")
    parser.add_argument("--rehearse", action="store_true")
    options = parser.parse_args()
    if options.rehearse:
        options.weights, options.prompts, options.group, options.limit = "tiny", 2, 3, 64
    asked = [weights for weights in options.weights.split(",") if weights]
    rows = []
    for weights in asked:
        rows.append(compare(weights, options.prompts, options.group, options.limit))
        print(json.dumps(rows[-1]), flush=True)
    written = {"machine": machine(options.commit, " ".join(["python", *sys.argv])), "results": rows}
    print("RESULT " + json.dumps({"name": "parity", "rows": rows}), flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "parity.json").write_text(json.dumps(written, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
