"""The shape of files: short, with an owner sentence, and no junk drawers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = sorted((ROOT / "r1gym").rglob("*.py"))
ALL = sorted(path for top in ("r1gym", "tests", "examples", "benchmarks") for path in (ROOT / top).rglob("*.py"))
MAX_LINES = 400
MAX_MEDIAN = 150
MAX_FUNCTION = 60
JUNK = {"utils", "util", "helpers", "helper", "common", "misc", "core", "base", "stuff"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").split("\n"))


@pytest.mark.parametrize("path", ALL, ids=name)
def test_a_file_is_short_and_has_an_owner_sentence(path: Path) -> None:
    assert lines(path) <= MAX_LINES
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert docstring.split("\n")[0].strip(), "the module docstring's first line says what the file is for"


def test_the_median_file_is_short() -> None:
    lengths = sorted(lines(path) for path in PACKAGE)
    assert lengths[len(lengths) // 2] <= MAX_MEDIAN


@pytest.mark.parametrize("path", PACKAGE, ids=name)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if ast.get_docstring(node) is not None:  # a long docstring is no long function
                length -= (node.body[0].end_lineno or 0) - node.body[0].lineno + 1
            assert length <= MAX_FUNCTION, f"{node.name} has {length} lines"


def test_no_file_or_folder_is_a_junk_drawer() -> None:
    names = {part.removesuffix(".py") for path in ALL for part in path.relative_to(ROOT).parts}
    assert not names & JUNK


def test_each_test_file_has_a_name_of_its_own() -> None:
    """Pytest imports them by name alone: of two equal ones the second is not collected."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("path", [path for path in PACKAGE if path.name == "__init__.py"], ids=name)
def test_package_files_import_nothing_of_ours_eagerly(path: Path) -> None:
    # The front door registers the catalog; the trainers say at once, and in one line, which extra they need.
    allowed = {"r1gym": {"r1gym.envs"}, "agents": {"r1gym.config"}}.get(path.parent.name, set())
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("r1gym"):
            assert node.module in allowed, f"{name(path)} imports {node.module}"
        assert not isinstance(node, ast.Import) or not any(alias.name.startswith("r1gym") for alias in node.names)
