"""The embedded default: right worked examples, a fair control, and a table that says what the gain is."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from r1gym.agents.demo import (
    COLD_STARTS,
    ColdStart,
    Reading,
    _gain,
    _steps_for,
    build_policy,
    steps_of,
    worked_examples,
)
from r1gym.agents.grpo_config import PRESETS
from r1gym.agents.held_out import HeldOut
from r1gym.agents.setup import make_env
from r1gym.errors import ConfigError
from r1gym.logbook import RunFolder
from r1gym.types import Completion, Episode, Prompt, Reward, Task, Turn, Verdict

SMALL = ColdStart(stepwise=30, terse=10, terse_copies=5)


@pytest.mark.parametrize(
    ("a", "b", "steps"),
    [
        (5887, 1597, "7+7=14,8+9+1=18,8+5+1=14,5+1+1=07"),  # 5887 + 1597 = 7484: carries 1, 1, 1
        (1000, 2345, "0+5=05,0+4=04,0+3=03,1+2=03"),
        (99, 1, "9+1=10,9+0+1=10"),  # the last carry stands in the last sum: 10, 0 written, 1 carried: 100
    ],
)
def test_the_steps_are_addition_on_paper(a: int, b: int, steps: str) -> None:
    assert steps_of(a, b) == steps


def test_every_worked_example_is_right_by_the_environment_and_from_the_training_split() -> None:
    env = make_env(PRESETS["demo"])
    policy = build_policy(0)
    stepwise, mixture = worked_examples(SMALL, env, policy, seed=3)
    assert len(stepwise) == 30 and len(mixture) == 30 + 5 * 10
    assert len({prompt for prompt, _ in mixture}) == 40
    for prompt, completion in mixture:
        question = policy.tokenizer.decode(prompt)
        text = policy.tokenizer.decode(completion[:-1])
        left, right = re.fullmatch(r"(\d{4})\+(\d{4})=", question).groups()  # type: ignore[union-attr]
        assert completion[-1] == policy.tokenizer.eos_token_id
        assert text.endswith(f"</think><answer>{int(left) + int(right)}</answer>")
        assert (text.startswith("<think></think>")) == ((prompt, completion) not in stepwise)


def test_worked_examples_are_for_sums_only() -> None:
    config = replace(PRESETS["demo"], env_options='{"operations": ["*"], "template": "none"}')
    with pytest.raises(ConfigError, match="sums of two numbers only"):
        worked_examples(SMALL, make_env(config), build_policy(0), seed=0)


def episode(text: str, verdict: Verdict, tokens: int) -> Episode:
    prompt = Prompt(({"role": "user", "content": "1+1="},), (1,))
    turn = Turn(prompt, Completion((5,) * tokens, (0.0,) * tokens, text, "stop"), "", verdict.score)
    return Episode(Task("t", "math", "1+1=", "2"), 0, 0, (turn,), verdict, Reward(verdict.score, {}), False)


def test_a_reading_tells_stepwise_from_terse() -> None:
    right, wrong = Verdict.correct("2", "integer: same"), Verdict.wrong("3", "integer: other")
    seen = HeldOut(
        (
            episode("<think>1+1=02</think><answer>2</answer>", right, 40),
            episode("<think>1+1=03</think><answer>3</answer>", wrong, 44),
            episode("<think>1+1=02</think><answer>2</answer>", right, 36),
            episode("<think></think><answer>3</answer>", wrong, 20),
        ),
        right=2,
        total=4,
    )
    reading = Reading.of(seen)
    assert (reading.pass_at_1, reading.stepwise, reading.right_terse) == (0.5, 0.75, 0.0)
    assert reading.right_stepwise == pytest.approx(2 / 3) and reading.length == 35.0


def test_the_gain_is_split_into_choice_and_skill() -> None:
    before = Reading(0.4, 0.0, 1.0, stepwise=0.4, right_stepwise=0.9, right_terse=0.1, length=20.0)
    after = Reading(0.95, 0.0, 1.0, stepwise=1.0, right_stepwise=0.95, right_terse=0.0, length=40.0)
    # choice: (1.0 - 0.4) x (0.9 - 0.1) = 0.48; the rest of 0.55 is 0.07
    assert re.match(r"gain \+0.550: \+0.480 by .*\+0.070 by being right", _gain(before, after))


def test_the_control_costs_what_grpo_cost(tmp_path: Path) -> None:
    folder = RunFolder.open(str(tmp_path / "run"), {}, "x")
    for step in (1, 2):
        folder.metrics("grpo", step, {"tokens/sampled": 300.0, "tokens/trained": 500.0})
    folder.metrics("cold-start-steps", 1, {"tokens/sampled": 9e9})
    examples: list[Any] = [((1,) * 4, (2,) * 6)]
    # 2 x (300 + 3 x 500) = 3600 units; a step of 20 rows of 10 tokens costs 3 x 200 = 600
    assert _steps_for(folder, "grpo", 20, examples) == 6


def test_every_preset_of_the_demo_has_its_cold_start() -> None:
    assert set(COLD_STARTS) == {name for name in PRESETS if name.startswith("demo")}
