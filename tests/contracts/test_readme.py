"""README.md is true: its blocks run, its table is the catalog, its tree the package, its recipe an environment."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from r1gym.envs.listing import HEADINGS, rows

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)
FIRST, TASK_FILE, REGISTRY_LINE, CATALOG_ROW = [code for language, code in BLOCKS if language == "python"]
OUTPUT, _, TREE = [code for language, code in BLOCKS if language == "text"]
COLUMNS = ("id", "family", "tasks (default split first)", "verifier", "what")


def test_every_block_is_of_a_kind_that_a_test_reads() -> None:
    """Python blocks are run below; console blocks by test_commands.py."""
    assert {language for language, _ in BLOCKS} == {"python", "console", "text"}


def test_the_first_block_prints_what_the_readme_shows() -> None:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(FIRST, {})
    assert said.getvalue() == OUTPUT


def environment_table() -> str:
    """The catalog as a Markdown table."""
    picked = [HEADINGS.index(column) for column in COLUMNS]
    lines = [[row[place] for place in picked] for row in rows()]
    cells = [list(COLUMNS), ["---"] * len(COLUMNS), *([f"`{name}`", *rest] for name, *rest in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def test_the_table_of_environments_is_the_catalog() -> None:
    between = TEXT.partition("<!-- environments -->\n")[2].partition("\n<!-- /environments -->")[0]
    assert between == environment_table(), f"put this between the marks:\n{environment_table()}"


def test_the_tree_names_every_module_and_folder() -> None:
    named = re.findall(r"^( *)(\S+) {2,}\S", TREE, flags=re.MULTILINE)
    inside = {name for indent, name in named if indent}
    there = {path.name + "/" * path.is_dir() for path in (ROOT / "r1gym").iterdir() if not path.name.startswith("_")}
    assert inside == there - {"py.typed"}
    folders = {name for indent, name in named if not indent} | {"r1gym/"}
    command = ["git", "-c", "safe.directory=*", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert folders == {f"{path.partition('/')[0]}/" for path in listed.split("\n") if "/" in path}


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT)
    assert links and all((ROOT / link).exists() for link in links)


CHECK = """
import warnings, gymnasium as gym, r1gym
from gymnasium.utils.env_checker import check_env
warnings.simplefilter("error")
assert r1gym.__file__.startswith({scratch!r})
for split in ("train", "test", "sample"):
    env = gym.make("r1/Remainder-v0", split=split).unwrapped
    check_env(env)
    _, info = env.reset(seed=1)
    assert env.step("\\\\boxed{{" + env.tasks[info["index"]].reference + "}}")[1] == 1.0
gym.make_vec("r1/Remainder-v0", num_envs=4, group_size=2, digits=2).reset(seed=0)
"""


def test_the_recipe_makes_an_environment(tmp_path: Path) -> None:
    """One file, one name in the registry, one row of the catalog, in a scratch copy of the package."""
    package = tmp_path / "r1gym"
    shutil.copytree(ROOT / "r1gym", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "tasks" / "remainder.py").write_text(TASK_FILE, encoding="utf-8")
    registry, catalog = package / "tasks" / "registry.py", package / "envs" / "catalog.py"
    table = "for source in ("
    text = registry.read_text(encoding="utf-8")
    assert text.count(table) == 1
    after = "from r1gym.tasks.source import Source\n"
    text = text.replace(after, REGISTRY_LINE + after)
    registry.write_text(text.replace(table, f"{table}REMAINDER, "), encoding="utf-8")
    head = "CATALOG: tuple[Entry, ...] = (\n"
    text = catalog.read_text(encoding="utf-8")
    assert text.count(head) == 1
    catalog.write_text(text.replace(head, f"{head}{CATALOG_ROW.rstrip()},\n"), encoding="utf-8")
    program = CHECK.format(scratch=str(tmp_path))
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("mark", ["environments", "results"])
def test_generated_parts_stand_between_marks(mark: str) -> None:
    assert TEXT.count(f"<!-- {mark} -->\n") == 1 == TEXT.count(f"<!-- /{mark} -->\n")
