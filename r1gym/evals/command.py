"""``python -m r1gym.evals``: measure a model on an environment, or grade stored completions again."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from r1gym import __version__
from r1gym.config import as_json, parse, run_command
from r1gym.errors import ConfigError, DataError, RunFolderError

if TYPE_CHECKING:
    import gymnasium as gym

    from r1gym.evals.evaluate import EvalReport
    from r1gym.evals.store import Store
    from r1gym.types import Sampling

__all__ = ["EvalConfig", "main"]

Taken = TypeVar("Taken")


@dataclass(frozen=True)
class EvalConfig:
    """Measure a model on an environment: pass@k, cons@k, rates and lengths, with intervals.

    Sampling defaults are those of DeepSeek-R1's evaluation (arXiv 2501.12948, section 3: temperature 0.6, top-p 0.95;
    there with 32,768 new tokens and 4 to 64 samples a question). Every completion is stored; the same command goes on
    where it was interrupted.
    """

    model: str | None = None
    """What to measure: a folder, a .gguf file or a hub id of a transformers causal LM. Needed unless --regrade."""
    env: str = "r1/MATH500-v0"
    """Environment id; python -m r1gym.envs lists them."""
    split: str | None = None
    """Which tasks; without it "test" where the environment has one, else its default."""
    data: str | None = None
    """A JSON-lines file to read the tasks from, instead of the set that the environment finds."""
    k: int = 4
    """Completions of each task."""
    limit: int | None = None
    """The first this many tasks, in file order; without it all."""
    temperature: float = 0.6
    """Divides the logits; 0 is greedy, and then k above 1 repeats itself."""
    top_p: float = 0.95
    """Keep the smallest set of most probable tokens whose mass reaches this; 1 keeps all."""
    max_new_tokens: int = 2048
    """Token budget of a completion. Reasoning models need R1's 32768; what the budget cuts is shown as truncated."""
    paraphrases: int = 1
    """Ask the same tasks in this many wordings of the environment's template (2 to 9), its own the first, and report
    how pass@1 moves with them; 1 asks in its own alone."""
    seed: int = 0
    """Base of every seed."""
    batch_tasks: int = 16
    """Tasks sampled and stored together: an interruption loses at most these."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights."""
    device: str | None = None
    """For example cuda:1; without it the GPU where there is one, else the CPU."""
    out: str | None = None
    """Folder for config.json, completions.jsonl and report.json; without it runs/eval-NAME, numbered where taken."""
    regrade: str | None = None
    """Grade this completions.jsonl again, without sampling, in the environment that it names; flips are listed and
    the new lines are written beside it as regraded.jsonl."""


def main(argv: Sequence[str] | None = None) -> None:
    """The command; exits with 0, 2 (an error that says what to do) or 130 (interrupted; the work is kept)."""
    config = parse(EvalConfig, argv, prog="python -m r1gym.evals")
    run_command(lambda: _regrade(config.regrade) if config.regrade else _evaluate(config))


def _evaluate(config: EvalConfig) -> int:
    from r1gym.evals.screen import figures_table

    sampling = _sampling(config)
    if config.paraphrases > 1:
        return _evaluate_wordings(config, sampling)
    env = _ready(config, _options(config))
    identity = _identity(config, sampling, env)
    store = _store(config.out, identity, config.k, f"eval-{_short(env)}")
    console = _console()
    report = _measure(config, sampling, _policy(config), env, store, console)
    if report is None:
        return 130
    where = store.write_report(_report_json(config, report))
    console.print(figures_table(report, f"{report.env} · {report.tasks} tasks × {report.k} · {config.model}"))
    if report.ungradable:
        console.print(f"could not be graded: {', '.join(report.ungradable[:10])}", markup=False, soft_wrap=True)
    console.print(f"{where} and completions.jsonl beside it", markup=False, soft_wrap=True)
    return 0


def _evaluate_wordings(config: EvalConfig, sampling: Sampling) -> int:
    """The same tasks in each wording, one folder each inside one; then what the wording does to pass@1."""
    from r1gym.evals.screen import wordings_table
    from r1gym.evals.sensitivity import sensitivity
    from r1gym.evals.store import write_json

    options = _options(config)
    own = _ready(config, options)
    names = _wordings(own, config.paraphrases)
    envs = {name: _ready(config, {**options, "template": name}) for name in names}
    identities = {name: _identity(config, sampling, env) for name, env in envs.items()}
    stores = _stores(config.out, identities, config.k, f"eval-{_short(own)}-wordings")
    console = _console()
    policy = _policy(config)
    groups = {}
    for name, env in envs.items():
        report = _measure(config, sampling, policy, env, stores[name], console)
        if report is None:
            return 130
        stores[name].write_report(_report_json(config, report))
        groups[name] = {index: group for index, group in stores[name].groups.items() if index < report.tasks}
    found = sensitivity(groups)
    parent = stores[names[0]].folder.parent
    told = {"r1gym": __version__, "config": as_json(config), "paraphrases": asdict(found)}
    where = write_json(parent / "report.json", told)
    console.print(wordings_table(found, f"{_short(own)} · {found.tasks} tasks × {config.k} · {config.model}"))
    console.print(f"{where} and a folder for each wording beside it", markup=False, soft_wrap=True)
    return 0


def _sampling(config: EvalConfig) -> Sampling:
    """The options that need no environment, checked."""
    from r1gym.prompts import PARAPHRASES
    from r1gym.types import Sampling

    if config.model is None:
        raise ConfigError("say what to measure with --model: a folder, a .gguf file or a hub id")
    for option, value in (("--k", config.k), ("--limit", config.limit), ("--batch-tasks", config.batch_tasks)):
        if value is not None and value < 1:
            raise ConfigError(f"{option} must be at least 1, got {value}")
    most = 1 + min(map(len, PARAPHRASES.values()))
    if not 1 <= config.paraphrases <= most:
        raise ConfigError(f"--paraphrases must be from 1 (the template alone) to {most}, got {config.paraphrases}")
    return Sampling(config.temperature, config.top_p, max_new_tokens=config.max_new_tokens)


def _ready(config: EvalConfig, options: Mapping[str, Any]) -> gym.Env[str, str]:
    env = _make(config.env, options)
    env.reset(seed=0)  # data that are not at hand show here, before minutes go into a model
    return env


def _short(env: gym.Env[str, str]) -> str:
    from r1gym.evals.evaluate import identify

    return identify(env)[0].rpartition("/")[2]


def _wordings(env: gym.Env[str, str], count: int) -> list[str]:
    """Names of the first ``count`` wordings of the environment's template."""
    from r1gym.prompts import TEMPLATES, wordings

    name = getattr(getattr(env.unwrapped, "template", None), "name", "")
    if name not in TEMPLATES:
        raise ConfigError(
            f"--paraphrases needs an environment with one of r1gym's templates, and {_short(env)} has none"
        )
    return [each.name for each in wordings(name)[:count]]


def _identity(config: EvalConfig, sampling: Sampling, env: gym.Env[str, str]) -> dict[str, Any]:
    """What shapes the samples."""
    from r1gym.evals.evaluate import identify

    env_id, env_options = identify(env)
    path = Path(str(config.model)).expanduser()
    model = str(path.resolve()) if path.exists() else config.model
    return {
        "model": model, "dtype": config.dtype, "env": env_id, "env_options": env_options, "k": config.k,
        **asdict(sampling), "seed": config.seed,
    }  # fmt: skip


def _measure(
    config: EvalConfig, sampling: Sampling, policy: Any, env: gym.Env[str, str], store: Store, console: Any
) -> EvalReport | None:
    """The figures of one evaluation; None where it was interrupted, which is said."""
    from r1gym.evals.evaluate import evaluate, identify
    from r1gym.evals.screen import EvalScreen

    if store.dropped:
        console.print(f"{store.dropped} stored completions of unfinished tasks are sampled again")
    name = identify(env)[0]
    if config.paraphrases > 1:
        name += f" ({env.unwrapped.template.name})"  # type: ignore[attr-defined]
    try:
        with _termination_as_interrupt(), EvalScreen(console, name) as screen:
            return evaluate(
                policy,
                env,
                k=config.k,
                sampling=sampling,
                seed=config.seed,
                limit=config.limit,
                batch_tasks=config.batch_tasks,
                on_progress=screen,
                store=store,
            )
    except KeyboardInterrupt:
        kept = f"{len(store.groups)} finished tasks are kept in {store.folder}; the same command goes on from there"
        print(f"interrupted: {kept if store.groups else 'no task was finished yet, nothing is kept'}", file=sys.stderr)
        return None


def _regrade(file: str) -> int:
    from r1gym.evals.regrade import flips, regrade
    from r1gym.evals.samples import dump, load
    from r1gym.evals.screen import flips_table

    path = Path(file).expanduser()
    samples = load(path)
    if not samples:
        raise DataError(f"{path} holds no completion: nothing to grade again")
    graded = regrade(samples, _make(samples[0].env, samples[0].env_options))
    console = _console()
    console.print(flips_table(flips(samples, graded), len(samples)))
    beside = path.with_name("regraded.jsonl")
    beside.write_text(dump(graded), encoding="utf-8")
    console.print(f"written to {beside}", markup=False, soft_wrap=True)
    return 0


def _options(config: EvalConfig) -> dict[str, Any]:
    """Arguments of ``gym.make``: those given, and the held-out split where there is one."""
    from r1gym.envs.registering import splits_of

    options: dict[str, Any] = {}
    if config.split is not None:
        options["split"] = config.split
    elif "test" in splits_of(config.env):
        options["split"] = "test"
    if config.data is not None:
        options["data"] = config.data
    return options


def _make(env_id: str, options: Mapping[str, Any]) -> gym.Env[str, str]:
    import gymnasium as gym

    from r1gym.envs.registering import explained

    if isinstance(options.get("source"), Mapping):  # stored by an environment of register_task_env: all is in there
        return gym.make(
            gym.envs.registration.EnvSpec(env_id, "r1gym.envs.reasoning:ReasoningEnv", kwargs=dict(options))
        )
    with explained(env_id):
        return gym.make(env_id, disable_env_checker=True, **options)


def _store(out: str | None, identity: Mapping[str, Any], k: int, name: str) -> Store:
    from r1gym.evals.store import Store

    return _free(out, name, lambda folder: Store(folder, identity, k))


def _stores(out: str | None, identities: Mapping[str, Mapping[str, Any]], k: int, name: str) -> dict[str, Store]:
    """A folder for each wording, inside one."""
    from r1gym.evals.store import Store

    def inside(folder: Path) -> dict[str, Store]:
        taken = next((file for file in ("config.json", "completions.jsonl") if (folder / file).exists()), None)
        if taken:
            raise RunFolderError(f"{folder} holds {taken} of something else: choose another folder with --out")
        return {each: Store(folder / each.replace("/", "-"), identities[each], k) for each in identities}

    return _free(out, name, inside)


def _free(out: str | None, name: str, take: Callable[[Path], Taken]) -> Taken:
    """What ``take`` makes of the folder ``out``, else of the first of runs/NAME, runs/NAME-2, … that it accepts."""
    if out is not None:
        return take(Path(out).expanduser())
    number = 1
    while True:
        try:
            return take(Path("runs") / (name if number == 1 else f"{name}-{number}"))
        except RunFolderError:
            number += 1


def _policy(config: EvalConfig) -> Any:
    import torch
    from transformers.utils import logging

    from r1gym.policy.hf import HFPolicy

    if not sys.stderr.isatty():
        logging.disable_progress_bar()  # of loading: its carriage returns fill a log file
    device = config.device or ("cuda" if torch.cuda.is_available() else "cpu")
    return HFPolicy.from_pretrained(str(config.model), dtype=config.dtype, device=device)


def _report_json(config: EvalConfig, report: EvalReport) -> dict[str, Any]:
    return {
        "r1gym": __version__,
        "config": as_json(config),
        "tokens_per_second": report.tokens_per_second,
        **asdict(report),
    }


def _console() -> Any:
    from rich.console import Console

    return Console(highlight=False)


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """SIGTERM raises KeyboardInterrupt as Ctrl-C does: the display is closed and what is kept is said."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
