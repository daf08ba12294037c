"""Command lines for people: what is missing is said in one line."""

from __future__ import annotations

import pickle
import sys

import pytest

from r1gym.config import require, run_command
from r1gym.errors import ConfigError, MissingExtraError


def test_an_extra_that_is_there_is_nothing_to_say() -> None:
    require("json", "pathlib", extra="train")


def test_an_importer_gets_an_error_that_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program"])
    with pytest.raises(MissingExtraError, match=r"torch_lacking .* pip install 'r1gym\[train\]'") as raised:
        require("json", "torch_lacking", extra="train")
    assert isinstance(raised.value, ImportError)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_a_person_who_runs_a_module_gets_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["-m"])
    with pytest.raises(SystemExit) as stopped:
        require("torch_lacking", extra="train")
    assert stopped.value.code == 2
    assert capsys.readouterr().err == "error: torch_lacking is not installed: run pip install 'r1gym[train]'\n"


def test_our_errors_are_one_line_and_others_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def ours() -> int:
        raise ConfigError("--k must be at least 1, got 0")

    def others() -> int:
        raise KeyError("a mistake of ours")

    with pytest.raises(SystemExit) as stopped:
        run_command(ours)
    assert stopped.value.code == 2 and capsys.readouterr().err == "error: --k must be at least 1, got 0\n"
    with pytest.raises(KeyError, match="a mistake of ours"):
        run_command(others)
