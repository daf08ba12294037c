"""Every id of the catalog is a good Gymnasium citizen: no warning anywhere, in all the ways Gymnasium runs an env."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import socket
import warnings
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from probes import EVERY_ID, PROBES, probe_of

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.catalog import CATALOG, Entry
from r1gym.prompts import TEMPLATES
from r1gym.rewards import TERMS
from r1gym.tasks import loading
from r1gym.tasks.procedural import SIZES, ProceduralSource
from r1gym.tasks.registry import source_named
from r1gym.verifiers.domains import DOMAINS

NOT_AT_HAND = {"gpqa", "mmlu"}
"""Sets of which the folder of real rows holds no copy."""
NEEDS_DATA = pytest.mark.skipif(not os.environ.get("R1GYM_DATA"), reason="needs real rows: set R1GYM_DATA")


def make(entry: Entry, **kwargs: Any) -> gym.Env[str, str]:
    return gym.make(entry.id, **{"split": "sample", **PROBES[entry.verifier].options, **kwargs})


@EVERY_ID
def test_check_env_has_nothing_to_say(entry: Entry) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(make(entry).unwrapped)


@NEEDS_DATA
@EVERY_ID
def test_check_env_has_nothing_to_say_on_real_rows(entry: Entry) -> None:
    splits = [split for split in entry.splits if split != "sample" and entry.source not in NOT_AT_HAND]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for split in splits:
            check_env(gym.make(entry.id, split=split).unwrapped)


@EVERY_ID
def test_the_constructor_is_offline_and_reads_nothing(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the constructor reached for data")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(loading, "load", refuse)
    gym.make(entry.id)
    gym.make_vec(entry.id, num_envs=4, group_size=2)


@EVERY_ID
def test_an_episode_gives_what_the_surface_promises(entry: Entry) -> None:
    env, probe = make(entry), probe_of(entry)
    observation, info = env.reset(seed=5)
    assert sorted(info) == ["group_id", "index", "messages", "task_id", "template"]
    assert info["template"] == entry.template and type(info["index"]) is int and type(info["group_id"]) is int
    assert info["messages"] == [{"role": "user", "content": observation}]
    again, same = env.reset(options={"index": info["index"]})
    assert (again, same) == (observation, info) and same["messages"] is not info["messages"]
    assert env.reset(options={"task_id": info["task_id"]}) == (observation, info)
    final, reward, terminated, truncated, info = env.step(probe.wrong)
    assert (final, reward, terminated, truncated) == ("", 0.0, True, False) and type(reward) is float
    keys = ["extracted", "reason", "reward_terms", "score", "spans", "task_id", "verdict", *probe.keys]
    assert sorted(info) == sorted(keys) and info["verdict"] == "WRONG" and info["extracted"] == probe.extracted
    assert list(info["reward_terms"]) == [name for name, _ in entry.weights] and set(info["reward_terms"]) <= set(TERMS)
    assert all(type(v) is float for v in info["reward_terms"].values())
    assert json.loads(json.dumps(info))["spans"] == [list(span) for span in info["spans"]]


@EVERY_ID
def test_a_spec_survives_json(entry: Entry) -> None:
    env = make(entry, rewards={"accuracy": 1.0, "format": 0.2}, extraction="template")
    assert env.spec is not None
    twin = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert twin.reset(seed=3) == env.reset(seed=3)
    assert twin.unwrapped.weights == {"accuracy": 1.0, "format": 0.2}  # type: ignore[attr-defined]


@EVERY_ID
def test_an_env_pickles_in_the_middle_of_an_episode(entry: Entry) -> None:
    env, probe = make(entry), probe_of(entry)
    env.reset(seed=1)
    twin = pickle.loads(pickle.dumps(env))
    assert twin.step(probe.wrong) == env.step(probe.wrong), "info is equal on a repeat"
    assert twin.reset() == env.reset(), "the random state travels too"


@EVERY_ID
def test_close_may_be_called_twice(entry: Entry) -> None:
    env = make(entry)
    env.close()
    env.close()


def prefixed(entry: Entry) -> gym.Env[str, str]:
    return gym.make(f"r1gym:{entry.id}", split="sample", **PROBES[entry.verifier].options)


def run_vector(envs: Any, entry: Entry) -> None:
    try:
        observations, info = envs.reset(seed=2)
        expected = [make(entry).reset(seed=seed) for seed in (2, 3)]
        assert tuple(observations) == tuple(text for text, _ in expected)
        assert list(info["task_id"]) == [told["task_id"] for _, told in expected]
        _, rewards, terminated, truncated, info = envs.step((probe_of(entry).wrong, "no answer at all"))
        assert rewards.shape == (2,) and terminated.all() and not truncated.any()
        assert info["verdict"][1] == "NO_ANSWER" and info["reward_terms"]["format"].dtype == np.float64
    finally:
        envs.close()


@EVERY_ID
def test_sync_vector(entry: Entry) -> None:
    run_vector(SyncVectorEnv([lambda: prefixed(entry)] * 2), entry)


@pytest.fixture(scope="module", autouse=True)
def _warm_forkserver() -> None:
    """What every worker of an asynchronous vector env would import for itself: half a second each."""
    preload = ["gymnasium.vector", "r1gym.envs.reasoning", "r1gym.verifiers.math", "r1gym.verifiers.countdown"]
    preload += ["r1gym.verifiers.code"]
    multiprocessing.get_context("forkserver").set_forkserver_preload(preload)


@EVERY_ID
def test_async_vector(entry: Entry) -> None:
    run_vector(AsyncVectorEnv([lambda: prefixed(entry)] * 2, shared_memory=False, context="forkserver"), entry)


def test_async_vector_with_shared_memory_is_refused_at_once() -> None:
    # Silently wrong for Text in Gymnasium 1.0 to 1.4: the space refuses instead.
    with pytest.raises(ValueError, match="shared_memory=False"):
        AsyncVectorEnv([lambda: prefixed(CATALOG[0])] * 2, context="forkserver")


@EVERY_ID
def test_make_vec_gives_the_grouped_env(entry: Entry) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        envs = gym.make_vec(entry.id, num_envs=6, group_size=3, split="sample")
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    observations, info = envs.reset(seed=0)
    assert observations in envs.observation_space and list(info["group_id"]) == [0, 0, 0, 1, 1, 1]
    assert len(set(observations[:3])) == 1 and len(set(observations[3:])) == 1
    envs.close()


@EVERY_ID
def test_the_table_tells_the_truth(entry: Entry) -> None:
    source = source_named(entry.source)
    assert entry.split in entry.splits and entry.template in TEMPLATES
    assert entry.verifier == source.domain and entry.verifier in DOMAINS
    if isinstance(source, ProceduralSource):
        assert dict(entry.sizes) == SIZES
    else:
        published = {name: split.files[0].fingerprint for name, split in source.splits.items()}
        sizes = {name: size for name, size in entry.sizes if name != "sample"}
        assert sizes == {name: known and known.rows for name, known in published.items()}
        assert dict(entry.sizes).get("sample", 10) == len(loading.load(source, "sample"))


def test_default_splits_are_those_of_the_public_surface() -> None:
    tested = {"r1/MATH500-v0", "r1/AIME2024-v0", "r1/AIME2025-v0", "r1/AIME2026-v0"}
    tested |= {"r1/GPQADiamond-v0", "r1/MMLU-v0", "r1/HumanEval-v0"}
    assert {entry.id for entry in CATALOG if entry.split == "test"} == tested
    assert {entry.split for entry in CATALOG} == {"test", "train"}


def test_a_near_miss_of_an_id_is_named_by_gymnasium() -> None:
    with pytest.raises(gym.error.NameNotFound, match="MATH500"):
        gym.make("r1/MATH50-v0")
