"""Wrappers: what each pays, that they rebuild from a spec, and the orders that cannot work."""

from __future__ import annotations

import json
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.error import ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import SyncVectorEnv
from gymnasium.wrappers import TransformReward

import r1gym  # noqa: F401 - registers the ids
from r1gym.envs.catalog import CATALOG
from r1gym.envs.lengths import length_counter, overlong, repeated_share
from r1gym.envs.spaces import AnyText
from r1gym.envs.wrappers import (
    FormatReward,
    LanguageConsistency,
    OverlongPenalty,
    PromptTemplate,
    RepetitionPenalty,
    RewardWeights,
)
from r1gym.errors import ActionError, ConfigError, UnknownNameError
from r1gym.rewards import SideTermWarning
from r1gym.types import Verdict

Env = gym.Env[str, str]
NEEDS_DATA = pytest.mark.skipif(not os.environ.get("R1GYM_DATA"), reason="needs real rows: set R1GYM_DATA")
FORM = "<think>.</think><answer>{}</answer>"
ALL: dict[str, Callable[[Env], Env]] = {
    "weights": lambda env: RewardWeights(env, {"accuracy": 1.0, "format": 0.25}),
    "format": lambda env: FormatReward(env, weight=0.25),
    "language": lambda env: LanguageConsistency(env, "fr", weight=0.25),
    "overlong": lambda env: OverlongPenalty(env, 40, 20),
    "repetition": lambda env: RepetitionPenalty(env, n=2),
    "template": lambda env: PromptTemplate(env, "r1-zero"),
}


def arithmetic(**options: Any) -> Env:
    return gym.make("r1/Arithmetic-v0", **options)


def solve(env: Env, completion: str, index: int = 3, off: int = 0) -> tuple[float, dict[str, Any]]:
    """Reward and info of ``completion``, in which {} stands for the gold answer plus ``off``."""
    env.reset(options={"index": index})
    gold = int(env.unwrapped.tasks[index].reference) + off  # type: ignore[attr-defined]
    _, reward, terminated, truncated, info = env.step(completion.replace("{}", str(gold)))
    assert type(reward) is float and terminated is True and truncated is False
    return reward, info


def stack(env: Env) -> Env:
    env = OverlongPenalty(FormatReward(PromptTemplate(env, "think-answer"), weight=0.1), 100, 50, weight=-0.1)
    return RewardWeights(RepetitionPenalty(env, n=2), {"accuracy": 2.0, "format": 0.5, "overlong": -1.0})


class Plain(gym.Env[str, str]):
    """A text environment that knows nothing of r1gym: pays 1 for "yes"."""

    def __init__(self) -> None:
        self.observation_space = self.action_space = AnyText(1000)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        return "Say yes.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        return "", float("yes" in action), True, False, {}


def test_format_pays_beside_the_answer() -> None:
    env = FormatReward(arithmetic(), weight=0.25)
    assert solve(env, FORM)[0] == 1.0 + 0.25 * 1.0
    assert solve(env, FORM, off=1)[0] == 0.25
    reward, info = solve(env, r"\boxed{{}}")
    assert (reward, info["reward_terms"]) == (1.0, {"accuracy": 1.0, "format": 0.0})
    boxed = FormatReward(arithmetic(), form="strict:boxed", weight=0.25)
    assert solve(boxed, r"\boxed{{}}")[0] == 1.25 and solve(boxed, FORM)[0] == 1.0
    assert FormatReward(gym.make("r1/MATH500-v0", split="sample")).form == "strict:boxed"  # its template's


@pytest.mark.parametrize(
    ("length", "value"),
    # L_max = 100, L_cache = 40: nothing up to 60, then (|y| − 60)/40, from 100 the whole.
    [(0, 0.0), (60, 0.0), (61, 0.025), (80, 0.5), (99, 0.975), (100, 1.0), (101, 1.0), (10_000, 1.0)],
)
def test_overlong_is_equation_13_of_dapo(length: int, value: float) -> None:
    assert overlong(length, 100, 40) == pytest.approx(value)


def test_overlong_takes_off_in_its_unit() -> None:
    env = OverlongPenalty(arithmetic(), max_length=100, buffer=40)
    answer = r"\boxed{{}}"
    gold = len(str(arithmetic().unwrapped.tasks[3].reference))  # type: ignore[attr-defined]
    filler = "x" * (80 - len(r"\boxed{}") - gold)
    reward, info = solve(env, filler + answer)
    assert reward == pytest.approx(1.0 - 0.5 * 0.5) and info["reward_terms"]["overlong"] == pytest.approx(0.5)
    assert solve(env, answer)[0] == 1.0
    assert solve(env, "x" * 200 + answer)[0] == 0.5 and solve(env, "x" * 200)[0] == -0.5
    words = OverlongPenalty(arithmetic(), max_length=10, buffer=5, weight=-0.2, unit="words")
    assert solve(words, "one two three four five six " + answer)[0] == pytest.approx(1.0 - 0.2 * 2 / 5)


@NEEDS_DATA
def test_overlong_counts_tokens_of_a_tokenizer() -> None:
    place = str(Path(os.environ["R1GYM_DATA"]) / "stories260k")
    assert length_counter("tokens", place)("Once upon a time") == 4
    env = OverlongPenalty(arithmetic(), 8, 4, unit="tokens", tokenizer=place)
    assert solve(env, "Once upon a time")[1]["reward_terms"]["overlong"] == 0.0
    assert solve(env, "Once upon a time " * 8)[1]["reward_terms"]["overlong"] == 1.0


def test_repetition_is_the_share_of_ngrams_said_before() -> None:
    assert repeated_share("a b c d", 2) == 0.0
    assert repeated_share("a b a b", 2) == pytest.approx(1 - 2 / 3)  # ab ba ab
    assert repeated_share("A B, a b,", 2) == pytest.approx(1 - 3 / 5)  # ab b, ,a ab b,
    assert repeated_share("我们算我们算", 2) == pytest.approx(1 - 3 / 5)  # each character a word
    assert repeated_share("word " * 5, 10) == repeated_share("", 1) == 0.0
    assert repeated_share("!" * 1000, 10) > 0.99 and repeated_share("Wait, let me check. " * 50, 10) > 0.9
    env = RepetitionPenalty(arithmetic(), n=2, weight=-0.5)
    assert solve(env, r"\boxed{{}}")[0] == 1.0 and solve(env, "so so so so so so so so so so so so")[0] < -0.4


@NEEDS_DATA
def test_people_repeat_little() -> None:
    file = Path(os.environ["R1GYM_DATA"]) / "math_with_solutions_1000.jsonl"
    texts = [json.loads(line)["solution"] for line in file.read_text(encoding="utf-8").split("\n") if line]
    shares = sorted(repeated_share(text, 10) for text in texts)
    assert sum(shares) / len(shares) == pytest.approx(0.032, abs=0.002) and shares[500] == 0.0


def test_weights_replace_what_was_paid() -> None:
    env = RewardWeights(arithmetic(), {"accuracy": 2.0, "format": 0.5})
    assert solve(env, FORM)[0] == 2.5 and solve(env, r"\boxed{{}}")[0] == 2.0 and solve(env, FORM, off=1)[0] == 0.5
    env = RewardWeights(FormatReward(arithmetic(), weight=0.25), {"accuracy": 1.0})
    reward, info = solve(env, FORM)
    assert reward == 1.0 and info["reward_terms"]["format"] == 1.0  # shown, not paid


def test_a_template_asks_in_other_words_and_looks_for_its_form() -> None:
    env = PromptTemplate(gym.make("r1/GSM8K-v0", split="sample"), "r1-zero")
    question, info = env.reset(options={"index": 0})
    problem = env.unwrapped.tasks[0].question  # type: ignore[attr-defined]
    assert question.startswith("A conversation between") and f"User: {problem}. Assistant:" in question
    assert "Please reason step by step" not in question
    assert info["template"] == "r1-zero" and info["messages"] == [{"role": "user", "content": question}]
    assert env.step("<think>.</think><answer>84</answer>")[4]["reward_terms"] == {"accuracy": 1.0, "format": 1.0}
    env.reset(options={"index": 0})
    assert env.step(r"\boxed{84}")[4]["reward_terms"] == {"accuracy": 1.0, "format": 0.0}
    own = PromptTemplate(Plain(), "Please: {question}")
    assert own.reset()[0] == "Please: Say yes." and own.step("yes")[1] == 1.0


def test_a_stack_pays_the_sum_of_its_terms() -> None:
    env = stack(arithmetic())
    reward, info = solve(env, FORM)
    # 2 · 1 + 0.5 · 1 − 1 · 0, and the repetition (shown by the wrapper, given no weight outside) unpaid
    assert reward == 2.5 and list(info["reward_terms"]) == ["accuracy", "format", "overlong", "repetition"]
    assert all(type(value) is float and 0.0 <= value <= 1.0 for value in info["reward_terms"].values())
    reward, info = solve(env, "<think>" + "x" * 200 + "</think><answer>{}</answer>")
    assert reward == 1.5 and info["reward_terms"]["overlong"] == 1.0


@pytest.mark.parametrize("name", ALL)
def test_each_wrapper_is_a_good_citizen(name: str) -> None:
    wrap = ALL[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*is different from the unwrapped version")
        check_env(wrap(arithmetic().unwrapped), skip_render_check=True)
    env = wrap(arithmetic())
    assert env.spec is not None
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert solve(again, FORM) == solve(env, FORM) and again.reset(seed=4) == env.reset(seed=4)
    twin = pickle.loads(pickle.dumps(env))
    assert twin.step(FORM) == env.step(FORM) and twin.reset() == env.reset()
    envs = SyncVectorEnv([lambda: wrap(arithmetic())] * 2)
    envs.reset(seed=0)
    assert envs.step((FORM, "no answer at all"))[1].shape == (2,)


@pytest.mark.parametrize("entry", CATALOG, ids=lambda entry: entry.id)
def test_a_stack_stands_on_every_id_and_rebuilds_from_its_spec(entry: Any) -> None:
    env = stack(gym.make(entry.id, split="sample"))
    assert env.spec is not None and [each.name for each in env.spec.additional_wrappers] == [
        "PromptTemplate", "FormatReward", "OverlongPenalty", "RepetitionPenalty", "RewardWeights",
    ]  # fmt: skip
    again = gym.make(EnvSpec.from_json(env.spec.to_json()))
    assert again.reset(seed=2) == env.reset(seed=2)
    assert again.step(FORM) == env.step(FORM)
    with pytest.raises(ResetNeeded):
        gym.make(env.spec).step("7")
    again.reset()
    with pytest.raises(ActionError):
        again.step(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ALL)
def test_ungradable_stays_masked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Verdict.ungradable("grader_crashed: ours")
    env = ALL[name](arithmetic())
    env.reset(seed=0)
    monkeypatch.setattr("r1gym.envs.reasoning._grade", lambda grader, completion, task_id: broken)
    _, reward, _, _, info = env.step("<think>" + "so " * 60 + "</think><answer>1</answer>")
    assert (reward, info["verdict"]) == (0.0, "UNGRADABLE")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RewardWeights(arithmetic(), {"acuracy": 1.0}), "Did you mean 'accuracy'"),
        (lambda: RewardWeights(arithmetic(), "r2"), "Did you mean 'r1'"),
        (lambda: FormatReward(arithmetic(), form="strict:box"), "Did you mean 'strict:boxed'"),
        (lambda: OverlongPenalty(arithmetic(), 10, 5, unit="word"), "Did you mean 'words'"),
        (lambda: PromptTemplate(arithmetic(), "r1-zer"), "Did you mean 'r1-zero'"),
        (lambda: LanguageConsistency(arithmetic(), "fre"), "Did you mean 'fr'"),
    ],
)
def test_a_near_miss_is_named_at_construction(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: RewardWeights(arithmetic(), {"accuracy": 1.0, "overlong": -0.1}),
            "OverlongPenalty comes first, then RewardWeights",
        ),
        (
            lambda: RewardWeights(TransformReward(arithmetic(), lambda reward: 2 * float(reward)), {"accuracy": 1.0}),
            "RewardWeights comes first, then TransformReward",
        ),
        (
            lambda: PromptTemplate(FormatReward(arithmetic()), "boxed"),
            "PromptTemplate comes first, then FormatReward",
        ),
        (
            lambda: PromptTemplate(LanguageConsistency(arithmetic(), "fr"), "boxed"),
            "PromptTemplate comes first, then LanguageConsistency",
        ),
        (lambda: PromptTemplate(PromptTemplate(arithmetic(), "boxed"), "boxed"), "use one"),
        (
            lambda: PromptTemplate(gym.make("r1/GSM8K-v0", split="sample", extraction="template"), "r1-zero"),
            "accepts only 'strict:boxed', the template 'r1-zero' asks for 'strict:answer'",
        ),
        (
            lambda: PromptTemplate(arithmetic(rewards={"accuracy": 1.0, "format": 0.1}), "boxed"),
            "leave 'format' out of its rewards and put FormatReward around PromptTemplate",
        ),
        (lambda: FormatReward(FormatReward(arithmetic())), "there already"),
        (lambda: FormatReward(arithmetic(rewards={"accuracy": 1.0, "format": 0.1})), "there already"),
        (lambda: RepetitionPenalty(RepetitionPenalty(arithmetic())), "there already"),
        (lambda: OverlongPenalty(arithmetic(), 10, 11), "longer than max_length"),
        (lambda: OverlongPenalty(arithmetic(), 0, 1), "max_length must be an int from 1"),
        (lambda: OverlongPenalty(arithmetic(), 10, 5, unit="tokens"), "goes with tokenizer"),
        (lambda: OverlongPenalty(arithmetic(), 10, 5, unit="tokens", tokenizer=5), "tokenizer must be a folder"),  # type: ignore[arg-type]
        (lambda: OverlongPenalty(arithmetic(), 10, 5, weight=float("nan")), "finite number"),
        (lambda: RepetitionPenalty(arithmetic(), n=0), "n must be an int from 1"),
        (lambda: RewardWeights(arithmetic(), {"accuracy": "1"}), "finite number"),  # type: ignore[dict-item]
        (lambda: FormatReward(gym.make("CartPole-v1")), "action is text"),  # type: ignore[arg-type]
        (lambda: PromptTemplate(gym.make("CartPole-v1"), "boxed"), "speaks text"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_work_says_what_comes_first(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: arithmetic(rewards={"accuracy": 1.0, "format": 1.0}),
        lambda: arithmetic(rewards={"format": 0.5}),
        lambda: FormatReward(arithmetic(), weight=1.0),
        lambda: OverlongPenalty(arithmetic(), 10, 5, weight=-1.0),
        lambda: LanguageConsistency(OverlongPenalty(arithmetic(), 10, 5), "fr"),
        lambda: RewardWeights(arithmetic(), {"accuracy": 1.0, "format": -1.0}),
        lambda: FormatReward(RewardWeights(arithmetic(), {"accuracy": 0.1})),
        lambda: FormatReward(Plain(), weight=2.0),
    ],
)
def test_side_terms_that_can_outweigh_being_right_warn(make: Callable[[], object]) -> None:
    with pytest.warns(SideTermWarning, match="side terms can outweigh being right"):
        make()


def test_r1s_own_weights_are_allowed_by_name() -> None:
    # Warnings are errors here.
    assert solve(arithmetic(rewards="r1"), FORM)[0] == 2.0
    assert solve(RewardWeights(arithmetic(), "r1"), FORM, off=1)[0] == 1.0
    env = gym.make(EnvSpec.from_json(RewardWeights(arithmetic(), "r1").spec.to_json()))  # type: ignore[union-attr]
    assert solve(env, FORM)[0] == 2.0


def test_they_stand_on_environments_that_know_nothing_of_r1gym() -> None:
    env = RepetitionPenalty(OverlongPenalty(FormatReward(Plain()), 10, 5, weight=-0.25), n=1)
    env.reset()
    _, reward, _, _, info = env.step("yes yes")  # 1 − 0.25 · (7 − 5)/5 − 0.25 · (1 − 1/2)
    assert reward == pytest.approx(1 - 0.1 - 0.125)
    assert info["reward_terms"] == pytest.approx({"format": 0.0, "overlong": 0.4, "repetition": 0.5})
    weighed = RewardWeights(Plain(), {"accuracy": 1.0})
    weighed.reset()
    with pytest.raises(ConfigError, match="pays for 'accuracy', which the environment does not show"):
        weighed.step("yes")
