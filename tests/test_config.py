"""Command lines from dataclasses: errors a person can act on, and JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from r1gym.config import as_json, parse, run_command
from r1gym.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class Options:
    """Two options."""

    max_tokens: int = 5
    """Tokens."""
    out: Path | None = None
    """Folder."""

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ConfigError(f"--max-tokens must be at least 1, got {self.max_tokens}")


def test_options_are_parsed_over_the_defaults() -> None:
    assert parse(Options, []) == Options()
    assert parse(Options, ["--max-tokens", "7"], default=Options(9, Path("x"))) == Options(7, Path("x"))


def test_a_value_that_cannot_work_is_the_dataclasss_own_error() -> None:
    with pytest.raises(ConfigError, match=r"^--max-tokens must be at least 1, got 0$"):
        parse(Options, ["--max-tokens", "0"])


def test_help_shows_every_option_with_its_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Options, ["--help"], prog="prog")
    shown = capsys.readouterr().out
    for piece in ("Two options.", "--max-tokens", "Tokens.", "--out", "Folder."):
        assert piece in shown


def test_an_unknown_option_names_the_near_miss(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(Options, ["--max-token", "7"], prog="prog")
    assert caught.value.code == 2
    shown = capsys.readouterr().err
    assert "--max-tokens" in shown and "Traceback" not in shown


def test_our_errors_are_one_line_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise unknown_name("loss", "gpro", ("grpo", "dapo"))

    with pytest.raises(SystemExit) as caught:
        run_command(command)
    assert caught.value.code == 2
    captured = capsys.readouterr()
    assert captured.err == "error: unknown loss 'gpro'. Did you mean 'grpo'? Known: dapo, grpo\n"
    assert captured.out == ""


def test_other_errors_keep_their_traceback() -> None:
    def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_command(command)


def test_ctrl_c_ends_with_status_130(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> int:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as caught:
        run_command(command)
    assert caught.value.code == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize(("status", "code"), [(None, 0), (0, 0), (3, 3)])
def test_a_commands_status_is_the_programs(status: int | None, code: int) -> None:
    with pytest.raises(SystemExit) as caught:
        run_command(lambda: status)
    assert caught.value.code == code


def test_json_holds_plain_values() -> None:
    assert as_json(Options(3, Path("a") / "b")) == {"max_tokens": 3, "out": str(Path("a") / "b")}
