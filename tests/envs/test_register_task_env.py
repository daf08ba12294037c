"""register_task_env: a stranger's five rows as an environment, in every way that the catalog's ids are used."""

from __future__ import annotations

import json
import pickle
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv, AutoresetMode

import r1gym
from r1gym.envs.registering import splits_of
from r1gym.errors import ConfigError, DataNotFoundError, ReferenceRefusedError, RowError, UnknownNameError

PHYSICS = """
from pathlib import Path

import r1gym

r1gym.register_task_env(
    "stranger/Physics-v0",
    tasks="rows.jsonl",
    verifier="math",
    prompt="Solve this.\\n\\n{question}\\n\\nGive the number in \\\\boxed{}.",
    fields={"question": "problem", "reference": "value"},
)
"""
ROWS = [
    {"problem": "A car goes 90 km in 1.5 h. What is its speed in km/h?", "value": 60},
    {"problem": "A force of 12 N acts on 3 kg. What is the acceleration in m/s²?", "value": "4"},
    {"problem": "A stone falls 2 s with g = 10 m/s². How many metres?", "value": 20.0},
    {"problem": "Resistors of 3 Ω and 6 Ω in parallel: how many ohms?", "value": "2"},
    {"problem": "How many joules lift 2 kg by 3 m with g = 10 m/s²?", "value": 60, "id": "lift"},
]


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stranger's folder: a module that registers, and five rows beside it."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "stranger_physics.py").write_text(PHYSICS, encoding="utf-8")
    write(folder / "rows.jsonl", ROWS)
    sys.path.insert(0, str(folder))
    yield folder
    sys.path.remove(str(folder))
    sys.modules.pop("stranger_physics", None)


@pytest.fixture(autouse=True)
def _registry_as_it_was() -> Iterator[None]:
    before = dict(gym.registry)
    yield
    gym.registry.clear()
    gym.registry.update(before)
    sys.modules.pop("stranger_physics", None)


ID = "stranger_physics:stranger/Physics-v0"


def test_five_rows_are_an_environment(package: Path) -> None:
    env = gym.make(ID)
    question, info = env.reset(options={"index": 0})
    assert question == f"Solve this.\n\n{ROWS[0]['problem']}\n\nGive the number in \\boxed{{}}."
    assert info["task_id"] == "stranger/Physics-v0/train/0" and info["template"] == "own"
    _, reward, terminated, _, info = env.step(r"90/1.5, so \boxed{60}")
    assert (reward, terminated, info["verdict"]) == (1.0, True, "CORRECT")
    assert info["reward_terms"] == {"accuracy": 1.0, "format": 1.0}
    assert env.reset(options={"task_id": "lift"})[1]["index"] == 4
    assert env.step(r"\boxed{61}")[1] == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gym.make(ID).unwrapped)


def test_the_ten_lines_of_the_docs_are_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")
    (block,) = [each for each in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL) if "register_task" in each]
    assert len(block.strip().split("\n")) <= 10
    (tmp_path / "physics.py").write_text(block, encoding="utf-8")
    write(tmp_path / "rows.jsonl", ROWS)
    monkeypatch.syspath_prepend(tmp_path)
    env = gym.make("physics:my/Physics-v0")
    env.reset(options={"task_id": "lift"})
    assert env.step(r"\boxed{60}")[1] == 1.0
    sys.modules.pop("physics")


def test_groups_specs_pickles_and_worker_processes(package: Path) -> None:
    envs = gym.make_vec(ID, num_envs=6, group_size=3)
    assert envs.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    questions, info = envs.reset(seed=0)
    assert len(set(questions[:3])) == 1 and list(info["group_id"]) == [0, 0, 0, 1, 1, 1]
    env = gym.make(ID)
    assert env.spec is not None
    spec = EnvSpec.from_json(env.spec.to_json())
    assert gym.make(spec).reset(seed=3) == env.reset(seed=3)
    twin = pickle.loads(pickle.dumps(env))
    assert twin.step(r"\boxed{4}") == env.step(r"\boxed{4}") and twin.reset() == env.reset()
    both = AsyncVectorEnv([lambda: gym.make(ID)] * 2, shared_memory=False, context="forkserver")
    try:
        told, _ = both.reset(seed=2)
        assert tuple(told) == tuple(gym.make(ID).reset(seed=seed)[0] for seed in (2, 3))
    finally:
        both.close()


def test_another_process_needs_the_spec_alone(package: Path, tmp_path: Path) -> None:
    env = gym.make(ID)
    assert env.spec is not None
    (tmp_path / "spec.json").write_text(env.spec.to_json())
    program = (
        "import gymnasium as gym, pathlib, sys; from gymnasium.envs.registration import EnvSpec\n"
        "env = gym.make(EnvSpec.from_json(pathlib.Path('spec.json').read_text())); print(env.reset(seed=3)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == env.reset(seed=3)[0], done.stderr


def test_the_trainer_and_the_evaluation_find_it(package: Path, tmp_path: Path) -> None:
    from r1gym.agents.grpo_config import GRPOConfig
    from r1gym.agents.setup import make_env, make_held_out
    from r1gym.envs.vector import GroupedVectorEnv
    from r1gym.evals.command import EvalConfig, _make, _options
    from r1gym.evals.evaluate import identify

    config = GRPOConfig(env=ID, prompts_per_step=2, group_size=4)
    envs = make_env(config)
    assert isinstance(envs, GroupedVectorEnv) and envs.num_envs == 8
    assert make_held_out(config, envs) is None
    evaluated = _make(ID, _options(EvalConfig(env=ID)))
    env_id, options = identify(evaluated)
    gym.registry.pop("stranger/Physics-v0")
    assert _make(env_id, json.loads(json.dumps(options))).reset(seed=1) == evaluated.reset(seed=1)
    places = {
        name: write(tmp_path / f"{name}.jsonl", [row]) for name, row in zip(("train", "test"), ROWS, strict=False)
    }
    fields = {"question": "problem", "reference": "value"}
    r1gym.register_task_env("stranger/Split-v0", tasks=places, fields=fields)
    assert splits_of("stranger/Split-v0") == ("train", "test") and splits_of("CartPole-v1") == ()
    assert _options(EvalConfig(env="stranger/Split-v0")) == {"split": "test"}
    held_out = make_held_out(GRPOConfig(env="stranger/Split-v0"), make_env(GRPOConfig(env="stranger/Split-v0")))
    assert held_out is not None
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        gym.make("stranger/Split-v0", split="trian")


def rows_of_a_function() -> list[dict[str, Any]]:
    return [{"q": "Which?", "a": "B", "o": ["x", "y"]}, {"q": "Which?", "a": "z", "o": ["y", "z", "w"]},
            {"q": "Which?", "a": 2, "o": ["y", "z", "w"]}]  # fmt: skip


def no_rows() -> list[dict[str, Any]]:
    return []


def numbers() -> list[int]:
    return [7]


def tasks_of_another_domain() -> list[r1gym.types.Task]:  # type: ignore[name-defined]
    from r1gym.types import Task

    return [Task("t", "math", "1+1", "2")]


def test_a_function_and_multiple_choice() -> None:
    fields = {"question": "q", "reference": "a", "options": "o"}
    r1gym.register_task_env("my/Choice-v0", f"{__name__}:rows_of_a_function", "choice", fields=fields)
    env = gym.make("my/Choice-v0", option_seed=5)
    for index, text in enumerate(("y", "z", "w")):
        question, _ = env.reset(options={"index": index})
        assert "A) " in question
        assert env.step(f"<answer>{text}</answer>")[1] == 1.0
    r1gym.register_task_env("my/Tasks-v0", f"{__name__}:tasks_of_another_domain")
    gym.make("my/Tasks-v0").reset()


def test_weights_and_prompts_go_along(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", [{"question": "1+1", "reference": 2}])
    weights = {"accuracy": 1.0, "format": 0.5}
    r1gym.register_task_env("my/Sum-v0", path, prompt="think-answer", rewards=weights, extraction="template")
    env = gym.make("my/Sum-v0")
    env.reset(seed=0)
    assert env.step("<think>.</think><answer>2</answer>")[1] == 1.5
    env.reset()
    assert env.step(r"\boxed{2}")[4]["verdict"] == "NO_ANSWER"
    r1gym.register_task_env("my/Sum-v0", path)  # again: the new one counts
    assert gym.make("my/Sum-v0").unwrapped.weights == {"accuracy": 1.0}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ([{"problem": "?", "value": 1}, {"value": 1}], "line 2, field 'problem': is missing; the row has value"),
        ([{"problem": "?", "value": [1]}], "line 1, field 'value': expected a string, got list"),
        ([{"problem": "?", "value": True}], "line 1, field 'value': expected a string, got bool"),
        ([{"problem": "?", "value": None}], "line 1, field 'value': expected the gold answer, got null"),
        ([{"problem": "?", "value": float("nan")}], "line 1, field 'value': expected the gold answer, got nan"),
        ([{"problem": 3, "value": 1}], "line 1, field 'problem': expected a string, got int"),
        ([{"problem": " ", "value": 1}], "line 1, field 'problem': is blank"),
        ([{"problem": "?", "value": 1, "id": 1.5}], "line 1, field 'id': expected a string, got float"),
        ([{"problem": "?"}], "line 1, field 'value': is missing"),
    ],
)
def test_a_bad_row_shows_before_the_first_reset(rows: list[dict[str, Any]], where: str, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", rows)
    r1gym.register_task_env("my/Bad-v0", path, fields={"question": "problem", "reference": "value"})
    for make in (gym.make, gym.make_vec):
        with pytest.raises(RowError) as caught:
            make("my/Bad-v0")
        assert str(caught.value).startswith(f"{path}, {where}")
    with pytest.raises(RowError, match="line 1"):  # the known sets, given a file
        gym.make("r1/GSM8K-v0", data=write(tmp_path / "gsm8k.jsonl", [{"question": "?"}]))


def test_a_reference_that_its_verifier_refuses_names_file_and_line(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", [{"question": "?", "reference": "7"}, {"question": "?", "reference": "$"}])
    r1gym.register_task_env("my/Refused-v0", path)
    with pytest.raises(ReferenceRefusedError, match=r"r\.jsonl, line 2: "):
        gym.make("my/Refused-v0")
    path = write(tmp_path / "l.jsonl", [{"question": "?", "reference": "frr"}])
    r1gym.register_task_env("my/Language-v0", path, "language")
    with pytest.raises(ReferenceRefusedError, match=r"l\.jsonl, line 1: .*'frr'"):
        gym.make("my/Language-v0")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"verifier": "maths"}, UnknownNameError, "Did you mean 'math'"),
        ({"prompt": "boxd"}, UnknownNameError, "Did you mean 'boxed'"),
        ({"prompt": "Solve this problem."}, ConfigError, "needs the place {question}"),
        ({"rewards": {"acuracy": 1.0}}, UnknownNameError, "Did you mean 'accuracy'"),
        ({"fields": {"qestion": "q"}}, UnknownNameError, "Did you mean 'question'"),
        ({"fields": "problem"}, ConfigError, "fields must be a dict such as"),
        ({"fields": {"question": 3}}, ConfigError, "must be the name of a row's field"),
        ({"fields": {"options": "o"}}, ConfigError, "is for verifier 'choice'"),
        ({"tasks": "no_such.jsonl"}, DataNotFoundError, "there is no such file; looked for"),
        ({"tasks": {}}, ConfigError, "tasks must be a file"),
        ({"tasks": 7}, ConfigError, "got int 7"),
        ({"tasks": {"sample": "m:f"}}, ConfigError, "r1gym's own problems"),
        ({"id": "r1/Mine-v0"}, ConfigError, "the namespace 'r1' holds"),
        ({"id": "my/Mine"}, ConfigError, "needs a version"),
        ({"id": "my/a/b-v0"}, ConfigError, "namespace/Name-v0"),
    ],
)
def test_a_bad_registration_is_refused_at_once(change: dict[str, Any], error: type[Exception], message: str) -> None:
    before = set(gym.registry)
    with pytest.raises(error, match=message):
        r1gym.register_task_env(**{"id": "my/X-v0", "tasks": f"{__name__}:rows_of_a_function", **change})
    assert set(gym.registry) == before


@pytest.mark.parametrize(
    ("function", "verifier", "message"),
    [
        ("no_rows", "math", "gave no row"),
        ("numbers", "math", "line 1: expected a dict or a Task, got int"),
        ("tasks_of_another_domain", "choice", "line 1: the Task is of domain 'math', the verifier is 'choice'"),
        ("no_such", "math", "no_such"),
    ],
)
def test_a_function_that_gives_no_rows_is_named(function: str, verifier: str, message: str) -> None:
    r1gym.register_task_env("my/Function-v0", f"{__name__}:{function}", verifier)
    with pytest.raises(ValueError, match=message) as caught:
        gym.make("my/Function-v0")
    assert f"{__name__}:{function}" in str(caught.value)


def test_a_program_is_asked_for_as_one(tmp_path: Path) -> None:
    reference = {"tests": [{"input": "7", "output": "49"}]}
    r1gym.register_task_env(
        "my/Program-v0", write(tmp_path / "p.jsonl", [{"question": "?", "reference": reference}]), "code"
    )
    assert gym.make("my/Program-v0").reset(seed=0)[1]["template"] == "program"


def test_changed_fields_are_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "r.jsonl", [{"question": "1+1", "one": 2, "two": 3}])
    for field, gold in (("one", "2"), ("two", "3")):
        r1gym.register_task_env("my/Again-v0", path, fields={"reference": field})
        env = gym.make("my/Again-v0")
        env.reset()
        assert env.step(rf"\boxed{{{gold}}}")[1] == 1.0
