"""Command lines from frozen dataclasses: one field is one option, its docstring is the help."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from importlib.util import find_spec
from typing import Any, TypeVar

from r1gym.errors import R1GymError, missing_extra

__all__ = ["as_json", "parse", "require", "run_command"]

ConfigT = TypeVar("ConfigT")


def parse(
    config: type[ConfigT],
    argv: Sequence[str] | None = None,
    prog: str | None = None,
    default: ConfigT | None = None,
) -> ConfigT:
    """Build ``config`` from the command line; an unknown option exits with the near miss (by tyro).

    Args:
        config: A dataclass with defaults and a docstring under each field.
        argv: Arguments without the program's name; None takes ``sys.argv[1:]``.
        prog: Name shown in the usage line.
        default: Starting values of all options; None takes those of the dataclass.

    Raises:
        ConfigError: From the dataclass itself, for a value that cannot work.
    """
    import tyro

    # tyro would wrap an error of `__post_init__` into a box of broken lines: it builds a class without that check.
    unchecked: Any = type(config.__name__, (config,), {"__post_init__": _accept, "__doc__": config.__doc__})
    start = {} if default is None else {"default": unchecked(**_values(default))}
    return config(**_values(tyro.cli(unchecked, args=argv, prog=prog, **start)))


def _accept(self: Any) -> None:
    """Check nothing."""


def _values(config: Any) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in fields(config) if field.init}


def run_command(command: Callable[[], int | None]) -> None:
    """Run a command for a person: our own errors become one line on stderr and exit status 2, not a traceback.

    Ctrl-C where a command has no answer of its own ends it with status 130, a closed pipe with 141, as a shell says it.
    """
    try:
        status = command()
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read the output has seen enough, as `head` does: nothing went wrong, and the exit must not write again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except R1GymError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(status or 0)


def require(*packages: str, extra: str) -> None:
    """Check, without importing them, that the ``packages`` of the optional dependencies ``extra`` are installed.

    Called in a package's ``__init__``, before its modules import them. While ``python -m`` is still looking for the
    module it runs (``sys.argv[0]`` is "-m" until it has found it), a person is told in one line, exit status 2.

    Raises:
        MissingExtraError: The first package that is not there, and the pip command.
    """
    missing = next((package for package in packages if find_spec(package) is None), None)
    if missing is None:
        return

    def refuse() -> int:
        raise missing_extra(missing, extra)

    if sys.argv[:1] == ["-m"]:
        run_command(refuse)
    refuse()


def as_json(config: Any) -> dict[str, Any]:
    """The dataclass ``config`` as plain JSON values (paths become strings)."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item) for item in value]
        return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)

    fields: dict[str, Any] = plain(asdict(config))
    return fields
