"""Rules about the course of an episode: seeds, pins, repetition, its end, and actions that are not text."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from r1gym.envs.conformance.bench import MAX_STEPS, SEED, Bench, Fault, NotRunError, text_of

__all__ = [
    "determinism",
    "episode_end",
    "global_randomness",
    "non_text_action",
    "pin_index",
    "pin_refusal",
    "pin_task_id",
    "seed_repeats",
    "seed_spreads",
    "step_after_end",
    "step_before_reset",
]

ANY = "an answer to no question"


def step_before_reset(bench: Bench) -> Iterator[Fault]:
    """``step`` before ``reset`` raises."""
    if bench.used:
        raise NotRunError("the environment has been reset already: pass one that was just made")
    try:
        came = bench.env.unwrapped.step(ANY)
    except Exception as error:
        # A crash by accident (an attribute that reset would have made) tells the user nothing.
        if isinstance(error, (AttributeError, KeyError, IndexError, NameError)) and not str(error).count("reset"):
            yield Fault(
                "an error that says to call reset() first",
                f"{type(error).__name__}: {error!s:.80}",
                "raise gymnasium.error.ResetNeeded in step() while there is no question",
            )
        return
    yield Fault(
        "an error that says to call reset() first",
        f"step() returned {text_of(came)}",
        "raise gymnasium.error.ResetNeeded in step() while there is no question",
    )


def seed_repeats(bench: Bench) -> Iterator[Fault]:
    """``reset(seed=)`` restarts everything: it and the resets after it repeat."""
    first = [bench.reset(seed=SEED), bench.reset(), bench.reset()]
    second = [bench.reset(seed=SEED), bench.reset(), bench.reset()]
    for count, (one, two) in enumerate(zip(first, second, strict=True)):
        if one != two:
            yield Fault(
                f"the same observation and info from reset number {count + 1} after reset(seed={SEED})",
                f"{text_of(one)} and then {text_of(two)}",
                "call super().reset(seed=seed) first, draw only from self.np_random, keep no cursor and no clock",
            )
            return


def seed_spreads(bench: Bench) -> Iterator[Fault]:
    """Different seeds ask different questions."""
    tasks: Any = getattr(bench.env.unwrapped, "tasks", ())
    if hasattr(tasks, "__len__") and len(tasks) == 1:
        raise NotRunError("the set has one task")
    asked = {str(bench.reset(seed=seed)[0]) for seed in range(40)}
    if len(asked) < 2:
        yield Fault(
            "different questions from 40 seeds",
            f"always {text_of(asked.pop())}",
            "choose the task with self.np_random.integers(number_of_tasks)",
        )


def global_randomness(bench: Bench) -> Iterator[Fault]:
    """The process-wide random state is neither used nor moved."""
    before = random.getstate(), str(np.random.get_state())
    bench.answered(ANY)
    if before != (random.getstate(), str(np.random.get_state())):
        yield Fault(
            "an episode that leaves `random` and `numpy.random` as they were",
            "one of their states moved",
            "draw from self.np_random only",
        )


def determinism(bench: Bench) -> Iterator[Fault]:
    """The same seed and the same action end alike."""
    for text in (ANY, "\\boxed{7}", "<think>a</think>\n<answer>7</answer>"):
        one, two = bench.answered(text), bench.answered(text)
        if one != two:
            yield Fault(
                f"equal steps for equal (seed, action) {text!r}",
                f"{text_of(one, 200)} and then {text_of(two, 200)}",
                "keep clocks, temporary paths, counters and unseeded randomness out of what step() returns",
            )
            return


def _pin(bench: Bench, key: str) -> Iterator[Fault]:
    observation, info = bench.reset(seed=SEED)
    value = info.get(key)
    for seed in (1, 2, 3):
        again, told = bench.reset(seed=seed, options={key: value})
        if again != observation or told.get(key) != value:
            yield Fault(
                f"the same task from reset(options={{{key!r}: {value!r}}}), whatever the seed",
                f"task {text_of(told.get(key))}: {text_of(again)}",
                f"look up options[{key!r}] in reset() before drawing: a group of completions must share its task",
            )
            return


def pin_index(bench: Bench) -> Iterator[Fault]:
    """``options={"index": i}`` pins a task."""
    yield from _pin(bench, "index")


def pin_task_id(bench: Bench) -> Iterator[Fault]:
    """``options={"task_id": …}`` pins a task."""
    yield from _pin(bench, "task_id")


def pin_refusal(bench: Bench) -> Iterator[Fault]:
    """A pin that names no task, and an option that does not exist, raise."""
    for options in ({"index": 10**15}, {"index": -1}, {"task_id": "no such task"}, {"indx": 0}):
        try:
            told: Any = bench.reset(seed=SEED, options=options)
        except Exception:
            continue
        yield Fault(
            f"an error for reset(options={options})",
            f"task {text_of(dict(told[1]).get('task_id'))} was asked",
            "refuse what pins no task: a silent default trains on another question",
        )


def step_after_end(bench: Bench) -> Iterator[Fault]:
    """``step`` after the end raises."""
    bench.answered(ANY)
    try:
        came = bench.env.step(ANY)
    except Exception:
        return
    yield Fault(
        "an error for a step after the end of the episode",
        f"step() returned {text_of(came)}",
        "raise gymnasium.error.ResetNeeded: a second answer to one question must not be paid",
    )


def non_text_action(bench: Bench) -> Iterator[Fault]:
    """An action that is not text is a TypeError."""
    for action in (7, None, b"7", ["7"]):
        bench.reset(seed=SEED)
        try:
            came: Any = bench.env.unwrapped.step(action)
        except TypeError:
            continue
        except Exception as error:
            came = error
        yield Fault(
            f"a TypeError for the action {action!r}",
            text_of(came),
            "check isinstance(action, str) at the head of step() (r1gym.errors.ActionError is a TypeError)",
        )


def episode_end(bench: Bench) -> Iterator[Fault]:
    """Every episode ends, and its first step is not a truncation."""
    bench.reset(seed=SEED)
    for count in range(1, MAX_STEPS + 1):
        _, _, terminated, truncated, _ = bench.env.step(ANY)
        if truncated and count == 1:
            yield Fault(
                "terminated=True, truncated=False after the only step",
                f"terminated={terminated!r}, truncated={truncated!r}",
                "truncated means an environment's own turn limit; a completion cut off by its budget is not the env's",
            )
        if terminated or truncated:
            return
    yield Fault(
        f"an episode of at most {MAX_STEPS} steps",
        "no end",
        "end the episode with the answer, or with truncated=True at a turn limit",
    )
