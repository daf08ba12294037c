"""``check_reasoning_env``: silent on sound environments, and each rule names the stranger that breaks it."""

from __future__ import annotations

import pickle

import gymnasium as gym
import pytest
from strangers import BROKEN, QUESTIONS, ArgumentNotJson, Stranger, WrongGold

import r1gym
from r1gym.envs.catalog import CATALOG, Entry
from r1gym.envs.checker import RULES, check_reasoning_env
from r1gym.errors import ConfigError, ConformanceError


def right(env: gym.Env[str, str], info: dict[str, object]) -> str:
    return f"\\boxed{{{QUESTIONS[info['index']][1]}}}"  # type: ignore[index]


def made(kind: type[Stranger]) -> gym.Env[str, str]:
    """As a user makes it; the one with a function for an argument through gym.make."""
    if kind is not ArgumentNotJson:
        return kind()
    if "stranger/Hook-v0" not in gym.registry:
        gym.register("stranger/Hook-v0", entry_point=ArgumentNotJson)
    return gym.make("stranger/Hook-v0", judge=right)


def test_a_sound_stranger_passes() -> None:
    report = check_reasoning_env(Stranger(), right=right)
    left = {result.rule: result.why for result in report.results if result.status != "pass"}
    assert set(left) == {"spec"} and "gymnasium.make" in left["spec"]


SHORT = {"sandbox": "local", "time_factor": 0.25}
"""Of programs: endless ones are among what the rules try."""
EACH = [
    pytest.param(entry, marks=[pytest.mark.xdist_group("sandbox")] if entry.verifier == "code" else [])
    for entry in CATALOG
]


@pytest.mark.parametrize("entry", EACH, ids=[entry.id for entry in CATALOG])
def test_every_id_keeps_every_rule(entry: Entry) -> None:
    options = SHORT if entry.verifier == "code" else {}
    report = r1gym.check_reasoning_env(gym.make(entry.id, split="sample", **options))
    assert {result.status for result in report.results} == {"pass"}, str(report)


@pytest.mark.filterwarnings("ignore")  # Gymnasium warns of what these do; the checker must say it by itself
@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_stranger_is_named(kind: type[Stranger]) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_reasoning_env(made(kind), right=right)
    said = str(caught.value)
    block = said.partition(f"fail     {BROKEN[kind]}: ")[2].partition("\n  fail ")[0]
    assert block, said
    for heading in ("expected", "came", "do"):
        assert f"           {heading:9} " in block
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), AssertionError)


def test_each_rule_has_a_stranger_that_breaks_it() -> None:
    assert set(BROKEN.values()) == set(RULES)
    assert all(rule.__doc__ for rule in RULES.values())


def test_all_broken_rules_stand_in_one_error() -> None:
    class Sloppy(WrongGold):
        def told(self, question):
            return {**super().told(question), "template": None}

    with pytest.raises(ConformanceError) as caught:
        check_reasoning_env(Sloppy(), right=right)
    said = str(caught.value)
    assert "fail     gold: " in said and "fail     reset info: " in said and "fail     plain info: " in said
    assert said.startswith(f"Sloppy: {said.count('  fail ')} of {len(RULES)} rules broken")


def test_the_report_is_returned_where_asked() -> None:
    report = check_reasoning_env(WrongGold(), right=right, raises=False)
    assert [result.rule for result in report.failed] == ["gold"]
    assert "WRONG" in report.failed[0].faults[0].came


def test_without_references_the_gold_is_not_run_and_says_why() -> None:
    report = check_reasoning_env(Stranger())
    assert {r.rule: r.status for r in report.results}["gold"] == "not run" and "right=" in str(report)


def test_what_is_no_environment_is_named() -> None:
    with pytest.raises(ConfigError, match=r"expected an environment, as gym.make returns it, got str 'my/Word-v0'"):
        check_reasoning_env("my/Word-v0")  # type: ignore[arg-type]
