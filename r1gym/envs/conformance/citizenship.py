"""Rules about being a citizen of Gymnasium: its own check, text spaces, specs, pickles, wrappers, vectors."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import CustomSpaceError
from gymnasium.spaces import Text
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import create_shared_memory
from gymnasium.wrappers import OrderEnforcing, RecordEpisodeStatistics, TimeLimit

from r1gym.envs.conformance.bench import SEED, Bench, Fault, NotRunError, text_of

__all__ = [
    "closing_twice",
    "gymnasium_check",
    "no_shared_memory",
    "pickling",
    "spec_round_trip",
    "text_spaces",
    "vectors",
    "wrappers",
]

ANY = "\\boxed{7}"
SPELLINGS = ("", "What is 2+2?", "$\\frac{1}{2}$\n", "数学 é ∑ —", "a" * 100_000)


def gymnasium_check(bench: Bench) -> Iterator[Fault]:
    """``check_env`` of Gymnasium has nothing to say, warnings included."""
    # It renders in every mode, "human" too: what that prints is nobody's business here.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("error")
        try:
            twin = bench.copy().unwrapped
            check_env(twin, skip_render_check=twin.spec is None)  # without a spec it cannot make another
        except NotRunError:
            raise
        except BaseException as error:
            yield Fault(
                "gymnasium.utils.env_checker.check_env without error or warning",
                f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
                "run check_env(env.unwrapped) with warnings as errors and mend what it names",
            )


def text_spaces(bench: Bench) -> Iterator[Fault]:
    """Both spaces are text and hold any text: LaTeX, other scripts, new lines, nothing."""
    for name, space in (("action_space", bench.env.action_space), ("observation_space", bench.env.observation_space)):
        if not isinstance(space, Text):
            yield Fault(f"{name} to be a Text space", text_of(space), "use r1gym.envs.spaces.AnyText(max_length)")
            continue
        refused = [text for text in SPELLINGS if not space.contains(text)]
        if refused:
            yield Fault(
                f"{name} to hold any text",
                f"{space} refuses {', '.join(text_of(text, 30) for text in refused)}",
                "gymnasium's Text lists its characters: use r1gym.envs.spaces.AnyText(max_length)",
            )


def no_shared_memory(bench: Bench) -> Iterator[Fault]:
    """The spaces refuse shared memory, where AsyncVectorEnv would return one constant text for ever."""
    try:
        create_shared_memory(bench.env.observation_space, n=2)
    except CustomSpaceError:
        return
    yield Fault(
        "CustomSpaceError from create_shared_memory(observation_space)",
        "a buffer: AsyncVectorEnv decodes it once, and then shows the first question for ever",
        "use r1gym.envs.spaces.AnyText, or register create_shared_memory for your space to raise CustomSpaceError",
    )


PICKLED_RESETS = 24
"""Questions that a pickled twin is asked for: of ten tasks, 24 agree by chance once in 10^24."""


def pickling(bench: Bench) -> Iterator[Fault]:
    """A pickled environment goes on as the original does, in the middle of an episode."""
    bench.reset(seed=SEED)
    try:
        twin = bench.copy()
    except NotRunError as error:
        yield Fault("pickle.loads(pickle.dumps(env))", str(error), "open handles late; leave them out of __getstate__")
        return
    ours, theirs = bench.env.step(ANY), twin.step(ANY)
    if ours != theirs:
        yield Fault("the same step from a pickled twin", f"{text_of(theirs)}, not {text_of(ours)}", "keep the task")
        return
    # Several: in a small set one question may be the same by chance.
    if any(bench.reset() != twin.reset() for _ in range(PICKLED_RESETS)):
        yield Fault("the same next questions from a pickled twin", "others", "let np_random travel too")


def spec_round_trip(bench: Bench) -> Iterator[Fault]:
    """``env.spec.to_json()`` makes the same environment again."""
    spec = bench.env.spec
    if spec is None:
        raise NotRunError("no spec: the environment was not made by gymnasium.make, or its arguments cannot be copied")
    remedy = "register a string entry point, and take only JSON values as arguments: rewards and templates by name"
    try:
        twin: gym.Env[Any, Any] = gym.make(EnvSpec.from_json(spec.to_json()))
    except Exception as error:
        yield Fault(
            "gym.make(EnvSpec.from_json(env.spec.to_json()))", f"{type(error).__name__}: {error!s:.200}", remedy
        )
        return
    ours, theirs = bench.reset(seed=SEED), twin.reset(seed=SEED)
    if ours != theirs:
        yield Fault("the same first question from the rebuilt spec", f"{text_of(theirs)}, not {text_of(ours)}", remedy)
    twin.close()


def wrappers(bench: Bench) -> Iterator[Fault]:
    """Gymnasium's common wrappers run around it and change neither question nor reward."""
    plain = bench.reset(seed=SEED)
    end = bench.play(ANY)
    try:
        wrapped: gym.Env[Any, Any] = RecordEpisodeStatistics(TimeLimit(OrderEnforcing(bench.copy()), end.steps + 5))
        observation, _ = wrapped.reset(seed=SEED)
        reward: Any = 0.0
        for _ in range(end.steps):
            _, reward, _, _, info = wrapped.step(ANY)
        same = observation == plain[0] and reward == end.reward and "episode" in info
        came = f"question {text_of(observation, 60)}, reward {reward!r}, info keys {', '.join(map(str, info))}"
    except NotRunError:
        raise
    except Exception as error:
        same, came = False, f"{type(error).__name__}: {error!s:.200}"
    if not same:
        yield Fault(
            "the same episode inside RecordEpisodeStatistics(TimeLimit(OrderEnforcing(env)))", came,
            "keep the signatures reset(*, seed=None, options=None) and step(action), and info free of reserved keys",
        )  # fmt: skip


def vectors(bench: Bench) -> Iterator[Fault]:
    """Two copies step together in a SyncVectorEnv, whatever each was answered."""
    first, second = bench.copy(), bench.copy()
    try:
        envs = SyncVectorEnv([lambda: first, lambda: second], autoreset_mode=AutoresetMode.DISABLED)
        observations, _ = envs.reset(seed=[SEED, SEED])
        _, rewards, _, _, _ = envs.step(("", ANY))
        expected = bench.answered("").reward, bench.answered(ANY).reward
    except Exception as error:
        came = f"{type(error).__name__}: {error!s:.200}"
    else:
        if tuple(rewards) == expected and len(set(observations)) == 1:
            return
        came = f"rewards {tuple(rewards)}, alone {expected}"
    yield Fault(
        "two copies in a SyncVectorEnv to do what each does alone",
        came,
        "give the same keys and types in every info: floats everywhere, lists for ragged things",
    )


def closing_twice(bench: Bench) -> Iterator[Fault]:
    """``close`` may be called twice."""
    twin = bench.copy()
    twin.close()
    try:
        twin.close()
    except Exception as error:
        yield Fault("a second close() to do nothing", f"{type(error).__name__}: {error!s:.80}", "make it idempotent")
