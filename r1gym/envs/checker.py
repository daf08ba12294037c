"""``check_reasoning_env``: every rule of a reasoning environment, tried on anybody's, all faults in one error."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium as gym

from r1gym.envs.conformance import citizenship, episodes, information, verdicts
from r1gym.envs.conformance.bench import Bench, Fault, NotRunError
from r1gym.errors import ConfigError, ConformanceError

__all__ = ["RULES", "ConformanceReport", "RuleResult", "check_reasoning_env"]

RULES: dict[str, Callable[[Bench], Iterator[Fault]]] = {
    "step before reset": episodes.step_before_reset,
    "gymnasium": citizenship.gymnasium_check,
    "text spaces": citizenship.text_spaces,
    "no shared memory": citizenship.no_shared_memory,
    "seed repeats": episodes.seed_repeats,
    "seed spreads": episodes.seed_spreads,
    "global randomness": episodes.global_randomness,
    "determinism": episodes.determinism,
    "pin index": episodes.pin_index,
    "pin task_id": episodes.pin_task_id,
    "pin refusal": episodes.pin_refusal,
    "reset info": information.reset_info,
    "messages": information.messages,
    "step info": information.step_info,
    "step types": information.step_types,
    "plain info": information.plain_info,
    "fresh info": information.fresh_info,
    "steady types": information.steady_types,
    "reward is the sum": information.reward_is_the_sum,
    "episode end": episodes.episode_end,
    "step after end": episodes.step_after_end,
    "non-text action": episodes.non_text_action,
    "gold": verdicts.gold,
    "garbage": verdicts.garbage,
    "never ungradable": verdicts.never_ungradable,
    "pickling": citizenship.pickling,
    "spec": citizenship.spec_round_trip,
    "wrappers": citizenship.wrappers,
    "vectors": citizenship.vectors,
    "close": citizenship.closing_twice,
}
"""Rule name → function; the first line of its docstring says the rule."""


@dataclass(frozen=True, slots=True)
class RuleResult:
    """What became of one rule."""

    rule: str
    says: str
    status: str
    """"pass", "fail" or "not run"."""
    faults: tuple[Fault, ...] = ()
    why: str = ""
    """Why it was not run."""


@dataclass(frozen=True, slots=True)
class ConformanceReport:
    """Every rule and what became of it; ``str()`` is the whole table."""

    env: str
    results: tuple[RuleResult, ...]

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """The rules that the environment breaks."""
        return tuple(result for result in self.results if result.status == "fail")

    def __str__(self) -> str:
        lines = [f"{self.env}: {len(self.failed)} of {len(self.results)} rules broken"]
        for result in self.results:
            lines.append(f"  {result.status:8} {result.rule}: {result.why or result.says}")
            for fault in result.faults:
                lines += [
                    f"           expected  {fault.expected}",
                    f"           came      {fault.came}",
                    f"           do        {fault.remedy}",
                ]
        return "\n".join(lines)


def check_reasoning_env(
    env: gym.Env[Any, Any],
    *,
    right: Callable[[gym.Env[Any, Any], Mapping[str, Any]], str] | None = None,
    raises: bool = True,
) -> ConformanceReport:
    """Try every rule of a reasoning environment.

    In a test: ``check_reasoning_env(gym.make("my/Physics-v0"))``.

    Args:
        env: An environment that was just made: never reset, wrapped or not. It is used up and left open.
        right: (env, info of reset) → a completion that must earn CORRECT. Needed only where ``env.unwrapped.tasks``
            has no references, or none that is a text.
        raises: Raise where a rule is broken; False returns the report in any case.

    Returns:
        The report; ``report.failed`` is empty, or ``raises`` is False.

    Raises:
        ConfigError: ``env`` is no environment.
        ConformanceError: Broken rules, all of them, each with what was expected, what came, and what to do.
    """
    if not isinstance(env, gym.Env):
        raise ConfigError(f"expected an environment, as gym.make returns it, got {type(env).__name__} {env!r:.60}")
    bench = Bench(env, right)
    results = tuple(_tried(name, rule, bench) for name, rule in RULES.items())
    report = ConformanceReport(_name(env), results)
    if raises and report.failed:
        broken = ConformanceReport(report.env, report.failed)
        raise ConformanceError(str(broken).replace(f"of {len(report.failed)} rules", f"of {len(results)} rules", 1))
    return report


def _tried(name: str, rule: Callable[[Bench], Iterator[Fault]], bench: Bench) -> RuleResult:
    says = (rule.__doc__ or "").split("\n")[0]
    try:
        faults = tuple(rule(bench))
    except NotRunError as error:
        return RuleResult(name, says, "not run", why=str(error))
    except Exception as error:
        came = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        faults = (Fault(says, came, "mend reset() or step(): the rule could not be tried to its end"),)
    return RuleResult(name, says, "fail" if faults else "pass", faults)


def _name(env: gym.Env[Any, Any]) -> str:
    return env.spec.id if env.spec is not None else type(env.unwrapped).__name__
