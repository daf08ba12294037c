"""Public names: every module says what others may import, in order, and nobody imports anything else."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import r1gym

ROOT = Path(__file__).parents[2]
FILES = sorted(path for path in (ROOT / "r1gym").rglob("*.py") if path.name != "__main__.py")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def public_names(path: Path) -> list[str] | None:
    """The literal ``__all__`` of a file; None where it has none."""
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return None


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest: the order that ruff keeps."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


PUBLIC = {module_name(path): public_names(path) for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_a_module_lists_its_public_names_in_order(path: Path) -> None:
    defines = any(isinstance(node, (ast.FunctionDef, ast.ClassDef)) for node in tree(path).body)
    names = PUBLIC[module_name(path)]
    if names is None:
        assert not defines, f"{module_name(path)} defines names and has no __all__"
        return
    assert names == sorted(set(names), key=order)


def test_nobody_imports_a_name_that_is_not_public() -> None:
    """Limits in capitals may be read from outside without being offered to users."""
    wrong = []
    for path in FILES:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.module in PUBLIC:
                public = PUBLIC[node.module] or []
                names = [alias.name for alias in node.names if f"{node.module}.{alias.name}" not in PUBLIC]
                hidden = [name for name in names if name not in public and not name.isupper()]
                wrong += [f"{module_name(path)}: {node.module}.{name}" for name in hidden]
    assert not wrong, "\n".join(wrong)


def test_the_front_door_names_what_it_has() -> None:
    for name in r1gym.__all__:
        assert getattr(r1gym, name) is not None
    assert set(r1gym.__all__) <= set(dir(r1gym))
    with pytest.raises(AttributeError, match="no attribute 'verfy'"):
        _ = r1gym.verfy


@pytest.mark.parametrize("module", [name for name in PUBLIC if name.split(".")[1:2] != ["integrations"]])
def test_every_public_name_exists(module: str) -> None:
    names = PUBLIC[module] or []
    if "kernels" in module:
        pytest.importorskip("triton", reason="Triton comes with PyTorch for GPUs only")
    loaded = importlib.import_module(module)
    missing = [name for name in names if not hasattr(loaded, name)]
    assert not missing
