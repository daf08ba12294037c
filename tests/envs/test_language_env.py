"""LanguageConsistency: what the environment asks and pays, and the wrapper that adds the term to any other."""

from __future__ import annotations

import os
import pickle
import re
import string
import warnings
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env

import r1gym
from r1gym.envs.wrappers import LanguageConsistency
from r1gym.errors import ConfigError, DataNotFoundError, UnknownNameError
from r1gym.tasks.language import LANGUAGE, LanguageConfig
from r1gym.tasks.phrases import INSTRUCTIONS, KINDS, PHRASES
from r1gym.types import Outcome

ID = "r1/LanguageConsistency-v0"
NEEDS_DATA = pytest.mark.skipif(not os.environ.get("R1GYM_DATA"), reason="needs real rows: set R1GYM_DATA")
FRENCH = "Nous ajoutons d'abord les deux quantités, puis nous vérifions soigneusement le résultat obtenu."
ENGLISH = "Now we add up both of the amounts, and then we carefully check the result that we have got."


def solve(env: gym.Env[str, str], thought: str, index: int = 3) -> tuple[float, dict[str, Any]]:
    env.reset(options={"index": index})
    gold = env.unwrapped.tasks[index].reference  # type: ignore[attr-defined]
    _, reward, _, _, info = env.step(f"<think>{thought}</think><answer>{gold}</answer>")
    return reward, info


def test_accuracy_and_language_are_paid_as_named_terms() -> None:
    env = gym.make(ID, languages=["fr"])
    reward, info = solve(env, FRENCH)
    assert info["reward_terms"] == {"accuracy": 1.0, "format": 1.0, "language": 1.0}
    assert reward == 1.0 * 1.0 + 0.5 * 1.0
    reward, info = solve(env, ENGLISH)
    assert (reward, info["reward_terms"]["language"], info["verdict"]) == (1.0, 0.0, "CORRECT")
    start = len("<think>")
    assert (start, start + len(ENGLISH), "language", 0.0) in info["spans"]
    env.reset(options={"index": 3})
    _, reward, _, _, info = env.step(f"<think>{FRENCH}</think><answer>-1</answer>")
    assert (reward, info["verdict"]) == (0.5, "WRONG")
    paid = gym.make(ID, languages=["fr"], rewards={"accuracy": 2.0, "language": 1.0})
    assert solve(paid, FRENCH)[0] == 3.0


def test_copying_the_question_is_no_thought() -> None:
    env = gym.make(ID)
    for index in range(40):
        question, _ = env.reset(options={"index": index})
        problem, instruction = question.split("\n\n")
        _, _, _, _, info = env.step(f"<think>{problem} {problem}</think><answer>1</answer>")
        assert info["reward_terms"]["language"] == 0.0, (question, info["reason"])
        assert "<think>" in instruction and "</answer>" in instruction


@pytest.mark.parametrize("language", PHRASES)
def test_every_phrase_is_in_its_language_and_has_its_numbers(language: str) -> None:
    text = " ".join(PHRASES[language][kind].format(a=23, b=7, c=12, t=161) for kind in KINDS)
    for passage in (text, INSTRUCTIONS[language]):
        verdict = r1gym.verify(re.sub("</?(think|answer)>", "", passage), domain="language", target=language)
        assert verdict.outcome is Outcome.CORRECT and verdict.score >= 0.99, verdict.reason
    for kind, places in zip(KINDS, ("abc", "abc", "tbc"), strict=True):
        assert sorted(set("abct") & set(_places(PHRASES[language][kind]))) == sorted(places)
    assert len(PHRASES) >= 12


def _places(phrase: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(phrase) if name]


def test_answers_are_right_and_splits_are_disjoint_whatever_the_language() -> None:
    seen: dict[str, set[tuple[str, ...]]] = {}
    for split in ("train", "test"):
        tasks = LANGUAGE.tasks(LanguageConfig(languages=["en"]), split)
        for index in range(300):
            task = tasks[index]
            first, second, third = (int(number) for number in re.findall(r"\d+", task.question))
            if "pencils" in task.question:
                assert int(task.reference) == first * second - third > 0
            elif "tank" in task.question:
                assert int(task.reference) == first + second + third
            else:
                assert int(task.reference) * second == first + third * second
            seen.setdefault(split, set()).add(tuple(re.findall(r"\d+", task.question)))
    assert not seen["train"] & seen["test"]
    every = LANGUAGE.tasks(LanguageConfig(), "train")
    assert {every[index].meta["language"] for index in range(500)} == set(PHRASES)


def test_items_stay_what_they_were() -> None:
    # Recorded when v0 was made: a change here moves every score and needs the next version.
    task = LANGUAGE.tasks(LanguageConfig(languages=["de"]), "test", 1)[77]
    assert task.question.startswith(
        "In jeder Schachtel liegen 66 Stifte, und es gibt 16 Schachteln. Dann werden 48 Stifte"
    )
    assert task.reference == str(66 * 16 - 48)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"languages": ["fr", "dee"]}, "Did you mean 'de'"),
        ({"languages": "fr"}, "must be a list of codes"),
        ({"language": ["fr"]}, "Did you mean 'languages'"),
        ({"questions": "mgms"}, "Did you mean 'mgsm'"),
        ({"max_number": 3}, "from 10 to 9999"),
        ({"rewards": {"langage": 1.0}}, "Did you mean 'language'"),
        ({"questions": "mgsm"}, "no split 'train': pass split='test'"),
        ({"questions": "mgsm", "split": "test", "languages": ["it"]}, "no questions in 'it'"),
    ],
)
def test_a_bad_option_is_refused_at_construction(kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        gym.make(ID, **kwargs)


@NEEDS_DATA
def test_mgsm_is_asked_in_the_languages_chosen() -> None:
    env = gym.make(ID, questions="mgsm", split="test", languages=["sw", "th"])
    tasks = env.unwrapped.tasks  # type: ignore[attr-defined]
    assert len(tasks) == 500 and {task.meta["language"] for task in tasks} == {"sw", "th"}
    _, info = env.reset(options={"task_id": "mgsm/007/th"})
    assert tasks[info["index"]].id == "mgsm/007/th"
    assert len(gym.make(ID, questions="mgsm", split="test").unwrapped.tasks) == 2750  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(ID, questions="mgsm", split="test").unwrapped)
    twin = pickle.loads(pickle.dumps(env))
    assert twin.reset(seed=4) == env.reset(seed=4)


def test_mgsm_that_is_not_at_hand_is_missed_at_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("R1GYM_DATA", raising=False)
    monkeypatch.setenv("R1GYM_CACHE", str(tmp_path))
    env = gym.make(ID, questions="mgsm", split="test")
    with pytest.raises(DataNotFoundError, match=r"mgsm\.jsonl"):
        env.reset()
    sample = gym.make(ID, questions="mgsm", split="sample", languages=["ja"])
    assert sample.reset(seed=0)[0].startswith("りんご36個を4人")


def test_the_wrapper_adds_the_term_to_any_environment() -> None:
    env = LanguageConsistency(gym.make("r1/Arithmetic-v0"), target="fr", weight=0.25)
    reward, info = solve(env, FRENCH)
    assert reward == 1.25 and info["reward_terms"] == {"accuracy": 1.0, "format": 1.0, "language": 1.0}
    reward, info = solve(env, f"{FRENCH} {ENGLISH}")
    share = info["reward_terms"]["language"]
    assert share == pytest.approx(len(FRENCH) / (len(FRENCH) + len(ENGLISH)), abs=0.01)
    assert reward == 1.0 + 0.25 * share and [span[2] for span in info["spans"]] == ["answer", "language"]


def test_the_wrapper_is_a_good_citizen() -> None:
    env = LanguageConsistency(gym.make("r1/Arithmetic-v0"), "fr", weight=0.25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        check_env(LanguageConsistency(gym.make("r1/Arithmetic-v0").unwrapped, "fr"), skip_render_check=True)
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert solve(again, FRENCH) == solve(env, FRENCH)
    env.reset(seed=1)
    twin = pickle.loads(pickle.dumps(env))
    assert twin.step(FRENCH) == env.step(FRENCH) and twin.reset() == env.reset()


def test_the_wrapper_refuses_what_cannot_work() -> None:
    arithmetic = gym.make("r1/Arithmetic-v0")
    with pytest.raises(UnknownNameError, match="Did you mean 'fr'"):
        LanguageConsistency(arithmetic, "french")
    with pytest.raises(ConfigError, match="finite number"):
        LanguageConsistency(arithmetic, "fr", weight=float("inf"))
    with pytest.raises(ConfigError, match="already"):
        LanguageConsistency(LanguageConsistency(arithmetic, "fr"), "de")
    with pytest.raises(ConfigError, match="already"):
        LanguageConsistency(gym.make(ID), "de")
    with pytest.raises(ConfigError, match="action is text"):
        LanguageConsistency(gym.make("CartPole-v1"), "fr")  # type: ignore[arg-type]
