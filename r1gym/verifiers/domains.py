"""The table of domains, and the four public calls that dispatch on it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from r1gym.errors import ConfigError, ReferenceRefusedError, unknown_name
from r1gym.types import Task, Verdict
from r1gym.verifiers.extract import MODES
from r1gym.verifiers.fences import CODE_MODES
from r1gym.verifiers.reasons import WorkerUnavailableError

__all__ = ["DOMAINS", "Grader", "modes_of", "prepare", "side_by_side", "verify", "verify_batch"]

DOMAINS: dict[str, str] = {
    "choice": "r1gym.verifiers.choice:prepare",
    "code": "r1gym.verifiers.code:prepare",
    "countdown": "r1gym.verifiers.countdown:prepare",
    "format": "r1gym.verifiers.format:prepare",
    "language": "r1gym.verifiers.language.grader:prepare",
    "math": "r1gym.verifiers.math:prepare",
}
"""Domain name → "module:function". The function takes (task, extraction, **options) and returns a Grader; its module is
imported when the domain is first used."""

CONCURRENT = frozenset({"code"})
"""Domains whose graders wait for other processes: several completions are judged at a time, in threads."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Grader(Protocol):
    """A gold answer made ready once, to judge many completions: pure, picklable, thread-safe."""

    def grade(self, completion: str) -> Verdict:
        """The verdict on one completion; never raises, whatever the text (SandboxError where no code can run here)."""
        ...


def modes_of(domain: str) -> tuple[str, ...]:
    """The extraction modes that ``domain`` knows."""
    return CODE_MODES if domain == "code" else MODES


def side_by_side(domain: str, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``function`` of each item in order; at once for a domain of ``CONCURRENT``. The first error is raised."""
    if domain not in CONCURRENT or len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(len(items), 2 * (os.cpu_count() or 1)), "r1gym-grade") as pool:
        return list(pool.map(function, items))


@lru_cache(maxsize=64)
def _factory(domain: str) -> Callable[..., Grader]:
    if domain not in DOMAINS:
        raise unknown_name("domain", domain, DOMAINS)
    module, _, function = DOMAINS[domain].partition(":")
    factory: Callable[..., Grader] = getattr(importlib.import_module(module), function)
    return factory


_factory("math")  # the default domain is imported here, so that the first verdict need not wait for it


def prepare(task: Task, *, extraction: str = "lenient", **options: Any) -> Grader:
    """Make the grader of ``task``; its gold must earn CORRECT from it.

    Args:
        task: What is asked and its gold; ``task.domain`` picks the verifier.
        extraction: How the final answer is found: "lenient", "strict:boxed", "strict:answer" or "strict:####"; of
            programs "lenient", "strict:answer" or "strict:code".
        **options: The domain's own options ("math": ``type``; "code": ``sandbox``, ``score``, ``time_factor``).

    Raises:
        ReferenceRefusedError: The gold does not parse, or its own verifier refuses it.
        UnknownNameError: No such domain, extraction mode or option.
    """
    factory = _factory(task.domain)
    modes = modes_of(task.domain)
    if extraction not in modes:
        raise unknown_name(f"extraction of domain {task.domain!r}", extraction, modes)
    return factory(task, extraction, **options)


def _prepare_pair(domain: str, reference: Any, extraction: str, options: tuple[tuple[str, Any], ...]) -> Grader:
    task = Task(id="", domain=domain, question="", reference=reference)
    return prepare(task, extraction=extraction, **dict(options))


_prepare_cached = lru_cache(maxsize=4096)(_prepare_pair)


def _grader(domain: str, reference: Any, extraction: str, options: dict[str, Any]) -> Grader:
    key = tuple(sorted(options.items()))
    try:
        hash((reference, key))
    except TypeError:
        return _prepare_pair(domain, reference, extraction, key)
    return _prepare_cached(domain, reference, extraction, key)


def verify(
    completion: str, reference: Any = None, domain: str = "math", *, extraction: str = "lenient", **options: Any
) -> Verdict:
    """Judge one completion against a gold answer.

    Returns:
        The verdict; UNGRADABLE where the reference itself is refused.

    Raises:
        UnknownNameError: No such domain, extraction mode or option.
        SandboxUnavailableError: Domain "code", and no sandbox can run here.
    """
    try:
        grader = _grader(domain, reference, extraction, options)
    except ReferenceRefusedError as error:
        return Verdict.ungradable(f"reference_refused: {error}")
    except WorkerUnavailableError as error:
        return Verdict.ungradable(f"worker_unavailable: {error}")
    return grader.grade(completion)


def _listed(name: str, given: Any) -> list[Any]:
    """Any iterable but a text, which would be taken apart into its characters."""
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ConfigError(f"{name} must be a list, one for each verdict, got {type(given).__name__} {given!r:.60}")
    return list(given)


def verify_batch(
    completions: Sequence[str],
    references: Sequence[Any],
    domain: str = "math",
    *,
    workers: int = 0,
    extraction: str = "lenient",
    **options: Any,
) -> list[Verdict]:
    """Judge ``completions[i]`` against ``references[i]``, in order.

    Args:
        completions: One text each.
        references: One gold each; equal golds are read once.
        domain: The verifier for all of them.
        workers: Processes to share the work; 0 judges in this one (programs: as many at a time as the sandbox has
            slots).
        extraction: As for ``prepare``.
        **options: As for ``prepare``.

    Raises:
        ConfigError: No lists of equal length, or ``workers`` is no count.
        UnknownNameError: As for ``verify``.
    """
    completions, references = _listed("completions", completions), _listed("references", references)
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
        raise ConfigError(f"workers must be 0 (judge in this process) or a number of processes, got {workers!r}")
    if len(completions) != len(references):
        raise ConfigError(
            f"expected as many references as completions, got {len(references)} and {len(completions)}: pass one each"
        )
    if not workers or len(completions) < 2:

        def judge(pair: tuple[str, Any]) -> Verdict:
            return verify(*pair, domain, extraction=extraction, **options)

        return side_by_side(domain, judge, list(zip(completions, references, strict=True)))
    from r1gym.verifiers.fleet import verify_in_processes

    return verify_in_processes(completions, references, domain, workers, {"extraction": extraction, **options})
