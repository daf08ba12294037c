"""Every command that a document or a message names exists, with the options that it is shown with."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from r1gym import cli
from r1gym.agents.grpo_config import GRPOConfig, preset_of
from r1gym.config import parse
from r1gym.evals.command import EvalConfig

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted([*DOCUMENTS, *(ROOT / "r1gym").rglob("*.py"), ROOT / ".ci" / "run", ROOT / "Makefile"])
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
RUN = {"r1gym.envs", "r1gym.tasks"}
"""Modules whose documented commands are cheap: they are run as written."""


def commands(path: Path) -> list[str]:
    """Lines of a document's code blocks that are commands: after a ``$``, or beginning with ``python -m``."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    lines = [line for language, block in blocks if language in ("", "console") for line in block.split("\n")]
    return [line.removeprefix("$ ") for line in lines if line.startswith(("$ ", "python -m "))]


CASES = [(path, line) for path in DOCUMENTS for line in commands(path)]


def check_module(module: str, options: list[str]) -> None:
    if module == "r1gym.agents.grpo":
        assert isinstance(parse(GRPOConfig, options, default=preset_of(options)), GRPOConfig)
    elif module == "r1gym.evals":
        assert isinstance(parse(EvalConfig, options), EvalConfig)
    elif module in RUN and options[:1] not in (["fetch"], ["import"]):
        subprocess.run([sys.executable, "-m", module, *options], cwd=ROOT, check=True, capture_output=True)
    else:  # reaches a network, an engine or a file of the reader's own: its help must know the words before the options
        verbs = options[:1] if options and not options[0].startswith("-") else []
        subprocess.run([sys.executable, "-m", module, *verbs, "--help"], cwd=ROOT, check=True, capture_output=True)


@pytest.mark.parametrize(("path", "line"), CASES, ids=[f"{path.name}: {line.split('  ')[0]}" for path, line in CASES])
def test_a_documented_command_exists(path: Path, line: str) -> None:
    words = shlex.split(line, comments=True)
    while "=" in words[0]:  # settings of the environment
        words.pop(0)
    match words:
        case ["make", target, *_]:
            assert target in TARGETS
        case ["pip", "install", *rest]:
            extras = re.findall(r"\[([\w,]+)\]", " ".join(rest))
            assert extras and set(",".join(extras).split(",")) <= set(PROJECT["optional-dependencies"])
        case ["python", "-m", module, *options] if module.startswith("r1gym."):
            check_module(module, options)
        case ["r1gym", verb, *rest]:
            assert verb in cli.VERBS
        case ["python", file, *_] | [file]:
            assert (ROOT / file).is_file()
        case ["git", *_]:
            pass  # not ours
        case _:
            pytest.fail(f"no rule of this test knows how to check {line!r}")


def test_commands_were_found() -> None:
    assert len(CASES) > 10 and {path.name for path, _ in CASES} >= {"README.md", "CONTRIBUTING.md", "environments.md"}


def test_every_module_that_a_text_says_to_run_can_be_run() -> None:
    named = {
        name for path in SOURCES for name in re.findall(r"python -m (r1gym[\w.]*\w)", path.read_text(encoding="utf-8"))
    }
    assert len(named) >= 4
    for name in named:
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None, f"python -m {name}: no such module"
        if spec.submodule_search_locations:
            assert importlib.util.find_spec(f"{name}.__main__") is not None, f"python -m {name}: no __main__"
        else:
            assert 'if __name__ == "__main__"' in Path(spec.origin).read_text(encoding="utf-8"), name


def test_the_supervised_stage_says_what_runs_it() -> None:
    command = [sys.executable, "-m", "r1gym.agents.sft", "--steps", "10"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: ") and "python -m r1gym.agents.grpo" in done.stderr


def test_every_verb_that_a_text_names_exists() -> None:
    designed = "verify|audit|sandbox|doctor|view|report|serve"
    named = {
        verb for path in SOURCES for verb in re.findall(rf"\br1gym ({designed})\b", path.read_text(encoding="utf-8"))
    }
    assert "verify" in named and named <= set(cli.VERBS)
    assert PROJECT["scripts"] == {"r1gym": "r1gym.cli:main"}


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_has_help(verb: str) -> None:
    program = "from r1gym.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", program, verb, "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "usage: r1gym" in done.stdout


def test_every_extra_that_a_text_names_exists() -> None:
    pattern = r"""r1gym\[(\w+)\]|\bextra="(\w+)"|missing_extra\([^()]*"(\w+)"\)"""
    found = [groups for path in SOURCES for groups in re.findall(pattern, path.read_text(encoding="utf-8"))]
    extras = {name for groups in found for name in groups if name}
    assert {"train", "data"} <= extras <= set(PROJECT["optional-dependencies"])


def test_make_help_names_every_target_for_people() -> None:
    said = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    told = set(re.findall(r"^make (\w+)", said, flags=re.MULTILINE))
    assert {"demo", "test", "check"} <= told <= TARGETS


def test_an_old_python_is_refused_in_one_sentence(tmp_path: Path) -> None:
    old = tmp_path / "python3.8"
    pretend = "import sys; sys.version_info = (3, 8, 10); exec(sys.argv[2])"
    old.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -c {shlex.quote(pretend)} "$@"\n', encoding="utf-8")
    old.chmod(0o755)
    command = ["make", "setup", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = f"r1gym needs Python 3.11 or newer, and {old} is 3.8: run make PYTHON=/path/to/python3.11\n"
    assert done.returncode == 2 and said in done.stderr and not (tmp_path / "venv").exists()
