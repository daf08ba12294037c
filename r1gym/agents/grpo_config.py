"""The options of a GRPO run, and the presets that set them together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from r1gym.agents.advantages import ADVANTAGES
from r1gym.agents.losses import LOSSES
from r1gym.agents.optim import SCHEDULES
from r1gym.errors import ConfigError, unknown_name

__all__ = ["PRESETS", "TINY", "GRPOConfig", "preset_of"]

DTYPES = ("float32", "bfloat16", "float16")
TINY = "tiny"
"""``--model tiny``: the embedded default, a small language model made in code and cold-started on worked examples."""


@dataclass(frozen=True)
class GRPOConfig:
    """Group relative policy optimisation (arXiv 2402.03300) of a language model on a text environment."""

    preset: Literal["demo", "demo-short", "model"] = "model"
    """Starting values of all options: demo (the embedded default, minutes on a CPU), demo-short (the same under a
    minute), model (a real one; taken where --model is given)."""
    model: str = TINY
    """Folder with config.json, .gguf file or hub id of a transformers causal LM; "tiny" is the embedded default."""
    env: str = "r1/GSM8K-v0"
    """Id of a registered text environment; `python -m r1gym.envs` lists ours."""
    env_options: str = "{}"
    """Arguments of gym.make as JSON, for example '{"template": "boxed", "rewards": {"accuracy": 1, "format": 0.1}}'."""
    split: str = "train"
    """Split to learn from."""
    allow_test_split: bool = False
    """Learn from a test split all the same."""
    steps: int = 200
    """Rollouts, each followed by its updates."""
    prompts_per_step: int = 8
    """P: tasks a step."""
    group_size: int = 8
    """G: completions of one task."""
    minibatches: int = 1
    """Optimizer steps a rollout."""
    max_new_tokens: int = 512
    """Token budget of a completion."""
    temperature: float = 1.0
    """Sampling temperature; the log-probabilities of the loss are taken at the same one."""
    lr: float = 1e-6
    """Peak learning rate of AdamW (betas 0.9 and 0.99, no weight decay)."""
    warmup: int = 5
    """Steps of linear rise of the learning rate."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """Course of the learning rate after the warm-up."""
    max_grad_norm: float = 1.0
    """Gradients are scaled down to this norm."""
    clip_low: float = 0.2
    """The ratio's lower clip is 1 - clip_low."""
    clip_high: float = 0.2
    """The ratio's upper clip is 1 + clip_high (DAPO: 0.28; DeepSeek-R1: 10)."""
    beta: float = 0.0
    """Weight of the k3 estimate of KL to the starting policy; 0 keeps no reference."""
    loss: str = "grpo"
    """Objective: grpo, dr_grpo or dapo."""
    advantage: str = "group"
    """Advantage: group (mean and standard deviation), centred (mean) or rloo."""
    span_credit: float = 0.0
    """Weight of what a verdict's spans (the answer, foreign passages) add to the advantage of their own tokens,
    beside that of the whole completion; 0 adds nothing."""
    eval_every: int = 10
    """Steps between held-out evaluations; 0 evaluates at the beginning and the end only."""
    eval_tasks: int = 200
    """Held-out tasks of an evaluation (of the environment's test split); 0 never evaluates."""
    save_every: int = 50
    """Steps between checkpoints."""
    micro_batch_tokens: int = 8192
    """Tokens of one forward and backward pass; lower it where memory runs out."""
    dtype: str = "float32"
    """Type of a loaded model's weights: float32, bfloat16 or float16. The optimizer keeps float32 masters of 16-bit
    weights, so that small steps are not lost."""
    seed: int = 0
    """Everything random in the run derives from it."""
    out: str | None = None
    """Run folder; by default runs/<env>-seed<seed>, with a number behind it where that is taken."""
    control: bool = False
    """Embedded default only: also spend GRPO's compute on more supervised steps, for comparison."""

    def __post_init__(self) -> None:
        for name in ("steps", "prompts_per_step", "minibatches", "max_new_tokens", "save_every", "micro_batch_tokens"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{_option(name)} must be at least 1, got {getattr(self, name)}")
        for name in ("warmup", "eval_every", "eval_tasks", "beta", "span_credit"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{_option(name)} must be 0 or above, got {getattr(self, name)}")
        for name in ("lr", "max_grad_norm", "clip_low", "clip_high", "temperature"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{_option(name)} must be above 0, got {getattr(self, name)}")
        for name, table in (("loss", LOSSES), ("advantage", ADVANTAGES), ("schedule", SCHEDULES)):
            if getattr(self, name) not in table:
                raise unknown_name(name, getattr(self, name), table)
        if self.dtype not in DTYPES:
            raise ConfigError(f"--dtype must be float32, bfloat16 or float16, got {self.dtype!r}")
        if self.group_size < 2:
            raise ConfigError(
                f"--group-size must be at least 2, got {self.group_size}: the advantage {self.advantage!r} compares "
                "the completions of one task with each other, so a group of one teaches nothing"
            )
        if "test" in self.split and not self.allow_test_split:
            raise ConfigError(
                f"--split {self.split} holds out tasks for evaluation; learning from them makes every later score "
                "worthless. Take --split train, or say --allow-test-split"
            )
        if self.control and self.model != TINY:
            raise ConfigError("--control compares with more cold-start steps, which only --model tiny has")
        if "split" in self.make_options():
            raise ConfigError("--env-options must not name a split: give it as --split")

    def make_options(self) -> dict[str, Any]:
        """``env_options`` as a dictionary."""
        try:
            options = json.loads(self.env_options)
        except json.JSONDecodeError as error:
            raise ConfigError(f"--env-options must be a JSON object, got {self.env_options!r} ({error})") from error
        if not isinstance(options, dict):
            raise ConfigError(f"--env-options must be a JSON object, got {self.env_options!r}")
        return options

    def run_name(self) -> str:
        """Name of the run folder where none is given."""
        return f"{self.env.replace('/', '-').replace(':', '-')}-seed{self.seed}"


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


_DEMO = GRPOConfig(
    preset="demo",
    env="r1/Arithmetic-v0",
    env_options='{"digits": 4, "style": "bare", "template": "none", "extraction": "strict:answer"}',
    steps=200,
    prompts_per_step=32,
    group_size=8,
    minibatches=2,
    max_new_tokens=64,
    lr=5e-4,
    schedule="linear",
    micro_batch_tokens=16384,
)

PRESETS: dict[str, GRPOConfig] = {
    "demo": _DEMO,
    "demo-short": replace(
        _DEMO,
        preset="demo-short",
        env_options=_DEMO.env_options.replace('"digits": 4', '"digits": 2'),
        steps=40,
        max_new_tokens=40,
    ),
    "model": GRPOConfig(),
}


def preset_of(argv: Sequence[str]) -> GRPOConfig:
    """The starting values that a command line asks for: by --preset, else "model" where --model names one."""
    name, model = None, None
    for place, word in enumerate(argv):
        option, _, value = word.partition("=")
        value = value or (argv[place + 1] if place + 1 < len(argv) else "")
        if option == "--preset":
            name = value
        elif option == "--model":
            model = value
    if name is None:
        name = "demo" if model in (None, TINY) else "model"
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]
