"""The options of ``python -m r1gym.agents.grpo``: their names, and every value that cannot work."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from r1gym.agents import grpo_config
from r1gym.agents.grpo import main
from r1gym.agents.grpo_config import PRESETS, TINY, GRPOConfig, preset_of
from r1gym.errors import ConfigError, UnknownNameError

# The command line as users know it: a name that goes or changes breaks their scripts.
GOLDEN = [
    "--preset",
    "--model",
    "--env",
    "--env-options",
    "--split",
    "--allow-test-split",
    "--steps",
    "--prompts-per-step",
    "--group-size",
    "--minibatches",
    "--max-new-tokens",
    "--temperature",
    "--lr",
    "--warmup",
    "--schedule",
    "--max-grad-norm",
    "--clip-low",
    "--clip-high",
    "--beta",
    "--loss",
    "--advantage",
    "--span-credit",
    "--eval-every",
    "--eval-tasks",
    "--save-every",
    "--micro-batch-tokens",
    "--dtype",
    "--seed",
    "--out",
    "--control",
]


def test_the_command_line_is_the_golden_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert ["--" + field.name.replace("_", "-") for field in fields(GRPOConfig)] == GOLDEN
    assert len(GOLDEN) <= 30
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert [option for option in GOLDEN if option not in shown] == []


def test_every_option_says_what_it_is() -> None:
    (tree,) = [
        node
        for node in ast.parse(inspect.getsource(grpo_config)).body
        if isinstance(node, ast.ClassDef) and node.name == "GRPOConfig"
    ]
    for field, text in zip(tree.body[1:], tree.body[2:], strict=False):
        if isinstance(field, ast.AnnAssign):
            assert isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant), ast.unparse(field)


def test_presets_are_taken_by_name_or_by_the_model() -> None:
    assert preset_of([]).preset == "demo"
    assert preset_of(["--steps", "3"]).preset == preset_of(["--model", TINY]).preset == "demo"
    assert preset_of(["--model", "org/name"]).preset == preset_of(["--model=org/name"]).preset == "model"
    assert preset_of(["--preset", "demo-short"]).preset == preset_of(["--preset=demo-short"]).preset == "demo-short"
    assert preset_of(["--preset", "demo", "--model", "org/name"]).preset == "demo"
    assert {name: config.preset for name, config in PRESETS.items()} == {name: name for name in PRESETS}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"group_size": 1}, "--group-size must be at least 2, got 1: the advantage 'group' compares"),
        ({"steps": 0}, "--steps must be at least 1, got 0"),
        ({"micro_batch_tokens": 0}, "--micro-batch-tokens must be at least 1"),
        ({"eval_every": -1}, "--eval-every must be 0 or above"),
        ({"beta": -0.1}, "--beta must be 0 or above"),
        ({"lr": 0.0}, "--lr must be above 0"),
        ({"lr": float("nan")}, "--lr must be above 0"),
        ({"temperature": 0.0}, "--temperature must be above 0"),
        ({"split": "test"}, "or say --allow-test-split"),
        ({"env_options": "digits=4"}, "--env-options must be a JSON object, got 'digits=4'"),
        ({"env_options": "[1]"}, "--env-options must be a JSON object"),
        ({"env_options": '{"split": "test"}'}, "give it as --split"),
        ({"control": True, "model": "org/name"}, "which only --model tiny has"),
    ],
)
def test_values_that_cannot_work(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        GRPOConfig(**changes)
    assert message in str(caught.value)


def test_a_test_split_may_be_asked_for() -> None:
    assert GRPOConfig(split="test", allow_test_split=True).split == "test"


@pytest.mark.parametrize(("changes", "near"), [({"loss": "drgrpo"}, "dr_grpo"), ({"advantage": "centered"}, "centred")])
def test_unknown_names_have_a_near_miss(changes: dict[str, str], near: str) -> None:
    with pytest.raises(UnknownNameError, match=f"Did you mean '{near}'"):
        GRPOConfig(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--loss", "gpro"], "unknown loss 'gpro'. Did you mean 'grpo'?"),
        (["--advantage", "groups"], "Did you mean 'group'?"),
        (["--preset", "demo-shrot"], "Did you mean 'demo-short'?"),
        (["--group-size", "1"], "--group-size must be at least 2"),
        (["--split", "test"], "--allow-test-split"),
        (["--env-options", "{"], "--env-options must be a JSON object"),
        (["--env", "r1/GSM8KK-v0"], "unknown environment 'r1/GSM8KK-v0'"),
        (["--env", "nowhere_to_be_found:X-v0"], "cannot make the environment"),
        (["--env", "r1/GSM8K-v0", "--env-options", '{"tempalte": "boxed"}'], "Did you mean 'template'?"),
        (["--model", "./no/such/folder"], "no model at './no/such/folder'"),
        (["--model", "./no/such/folder", "--dtype", "int8"], "--dtype must be float32"),
        (["--preset", "demo-short", "--dtype", "fp8"], "--dtype must be float32"),
    ],
)
def test_mistakes_are_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as caught:
        main(words)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1 and captured.err.startswith("error: ")
    assert list(tmp_path.iterdir()) == []  # no run folder for a run that cannot begin


@pytest.mark.parametrize(("word", "near"), [("--group-sise", "--group-size"), ("--max-new-token", "--max-new-tokens")])
def test_an_unknown_option_names_the_near_miss(word: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([word, "8"])
    assert caught.value.code == 2
    shown = capsys.readouterr().err
    assert near in shown and "Traceback" not in shown


def test_a_value_of_the_wrong_type_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--steps", "many"])
    assert caught.value.code == 2
    shown = capsys.readouterr().err
    assert "--steps" in shown and "Traceback" not in shown


def test_a_prompt_longer_than_the_context_is_found_before_the_run(
    options: Callable[..., GRPOConfig], tmp_path: Path
) -> None:
    from r1gym.agents.grpo import train
    from r1gym.agents.setup import make_env
    from r1gym.errors import PromptTooLongError
    from r1gym.policy.toy import TabularPolicy

    class Narrow(TabularPolicy):
        context = 1

    config = options(env="r1/GSM8K-v0", split="sample")
    with pytest.raises(PromptTooLongError, match="prompts have 1 tokens or more"):
        train(config, Narrow("ab"), make_env(config))
    assert not (tmp_path / "run").exists()


def test_the_embedded_default_runs_in_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from r1gym.agents.demo import run

    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="without accelerate launch"):
        run(PRESETS["demo"])
