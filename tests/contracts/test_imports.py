"""The house's walls: imports point down, no circles, and the light rooms stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "r1gym").rglob("*.py"))
ROOMS = {
    "types": 0, "errors": 0, "config": 0,
    "tasks": 1, "prompts": 1, "sandbox": 1,
    "verifiers": 2,
    "rewards": 3,
    "envs": 4,
    "engine": 5,
    "policy": 6,
    "rollout": 7, "logbook": 7, "screen": 7,
    "evals": 8,
    "agents": 9,
    "recipes": 10, "integrations": 10, "cli": 10,
}  # fmt: skip
HEAVY = {"torch", "transformers", "accelerate", "docker"}
LIGHT_ROOMS = 4


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(module: str) -> str:
    return [*module.split("."), ""][1]


def imports(path: Path, *, run_at_import: bool = False) -> Iterator[str]:
    """Dotted names that a file imports when it runs; with ``run_at_import`` only those outside functions.

    Imports for the type checker alone are left out: they load nothing.
    """
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if run_at_import and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            nodes.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                inner = ROOT / Path(*str(node.module).split("."), alias.name)
                is_module = inner.is_dir() or inner.with_suffix(".py").is_file()
                yield f"{node.module}.{alias.name}" if is_module else str(node.module)
        nodes.extend(ast.iter_child_nodes(node))


def test_every_file_stands_in_a_room_of_the_house() -> None:
    strangers = {room_of(module_name(path)) for path in FILES} - set(ROOMS) - {""}
    assert not strangers, f"rooms that the design does not know: {strangers}"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_down(path: Path) -> None:
    here = room_of(module_name(path))
    if not here:
        return  # the package's front door registers ids by strings and names its public functions lazily
    for name in imports(path):
        there = room_of(name) if name.split(".")[0] == "r1gym" else here
        if there not in (here, ""):
            # Room 0 holds single files; its command-line helper may use the errors beside it.
            assert ROOMS[there] < ROOMS[here] or ROOMS[here] == 0 == ROOMS[there], (
                f"{module_name(path)} (room {ROOMS[here]}) imports {name}"
            )


def test_no_module_imports_itself_by_a_detour() -> None:
    names = {module_name(path): path for path in FILES}
    graph = {
        name: {other for other in imports(path, run_at_import=True) if other in names and other != name}
        for name, path in names.items()
    }
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    "path", [p for p in FILES if ROOMS.get(room_of(module_name(p)), 0) <= LIGHT_ROOMS], ids=module_name
)
def test_light_rooms_name_no_heavy_package(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path, run_at_import=True)} & HEAVY


def loaded_after(statements: str, watched: set[str]) -> set[str]:
    """Which of ``watched`` a fresh interpreter has loaded after ``statements``."""
    program = f"{statements}\nimport sys\nprint(*sorted({watched!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


def test_importing_r1gym_is_light() -> None:
    assert loaded_after("import r1gym", {*HEAVY, "sympy", "latex2sympy2_extended", "tyro", "rich"}) == set()


def test_importing_every_light_room_loads_nothing_heavy() -> None:
    names = [module_name(path) for path in FILES if ROOMS.get(room_of(module_name(path)), 99) <= LIGHT_ROOMS]
    modules = [name for name in names if not name.endswith("__main__")]
    assert len(modules) > 20
    assert loaded_after("\n".join(f"import {name}" for name in modules), HEAVY) == set()


def test_making_an_env_loads_nothing_heavy() -> None:
    statements = "import gymnasium, r1gym\nenv = gymnasium.make('r1/Arithmetic-v0')\nenv.reset()\nenv.step('7')"
    assert loaded_after(statements, HEAVY) == set()
