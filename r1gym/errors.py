"""Every error r1gym raises on purpose; each says what was expected, what came, and what to do.

R1GymError
├── ConfigError (ValueError)              an option whose value cannot work
│   └── UnknownNameError (LookupError)    a name that is not in its table; the near miss is named
├── DataError (ValueError)                a task set or one of its rows is not usable
│   ├── RowError                          file, line and field of a bad row
│   ├── ReferenceRefusedError             a gold answer that its own verifier does not accept
│   └── DataNotFoundError (FileNotFoundError)  a task set is in none of the places looked at
├── ActionError (TypeError)               an action that is not text
├── ConformanceError (AssertionError)     an environment that breaks rules; all of them are named
├── PromptTooLongError (ValueError)       a prompt that leaves no room in the model's context
├── TokenizerError (ValueError)           a tokenizer without what sampling needs
├── ModelError (ValueError)               a model that cannot be loaded or used
├── NumericalError (ArithmeticError)      NaN or infinity where a number was needed
├── SandboxError (RuntimeError)           code cannot be run or judged here, through no fault of the code
│   ├── SandboxUnavailableError           no engine, no image, no permission; the message says how to get it
│   └── UnsafeSandboxError                a protection is missing and allow_unsafe was not given
├── RunFolderError (FileExistsError)      a run folder that holds another run
└── MissingExtraError (ImportError)       an optional package; the message names the pip command

All carry one message string, so they can be pickled.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ActionError",
    "ConfigError",
    "ConformanceError",
    "DataError",
    "DataNotFoundError",
    "MissingExtraError",
    "ModelError",
    "NumericalError",
    "PromptTooLongError",
    "R1GymError",
    "ReferenceRefusedError",
    "RowError",
    "RunFolderError",
    "SandboxError",
    "SandboxUnavailableError",
    "TokenizerError",
    "UnknownNameError",
    "UnsafeSandboxError",
    "missing_extra",
    "unknown_name",
]


class R1GymError(Exception):
    """Base of all errors that r1gym raises on purpose."""


class ConfigError(R1GymError, ValueError):
    """An option whose value cannot work."""


class UnknownNameError(ConfigError, LookupError):
    """A name that is not in its table."""


class DataError(R1GymError, ValueError):
    """A task set, or one of its rows, is not usable."""


class RowError(DataError):
    """A row with a missing or mistyped field; the message names file, line and field."""


class ReferenceRefusedError(DataError):
    """A gold answer that its own verifier does not accept; the message names file, line and text."""


class DataNotFoundError(DataError, FileNotFoundError):
    """A task set that is in none of the places looked at; the message names the command that fetches it."""


class ActionError(R1GymError, TypeError):
    """An action that is not text."""


class ConformanceError(R1GymError, AssertionError):
    """An environment that breaks rules of reasoning environments; the message names all of them."""


class PromptTooLongError(R1GymError, ValueError):
    """A prompt that leaves no room for a completion in the model's context."""


class TokenizerError(R1GymError, ValueError):
    """A tokenizer without what sampling needs: an end of sequence, a template that takes the messages."""


class ModelError(R1GymError, ValueError):
    """A model that cannot be loaded or used."""


class NumericalError(R1GymError, ArithmeticError):
    """NaN or infinity where a number was needed."""


class SandboxError(R1GymError, RuntimeError):
    """Code cannot be run or judged here, through no fault of the code."""


class SandboxUnavailableError(SandboxError):
    """No engine, no image or no permission; the message says how to get it."""


class UnsafeSandboxError(SandboxError):
    """A protection is missing, and ``allow_unsafe=True`` was not given; the message names it."""


class RunFolderError(R1GymError, FileExistsError):
    """A run folder that already holds another run."""


class MissingExtraError(R1GymError, ImportError):
    """An optional package that is not installed."""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> UnknownNameError:
    """The error for a ``name`` that is not among ``known``, with the near miss and the whole list."""
    names = sorted(known)
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return UnknownNameError(f"unknown {kind} {name!r}.{hint} Known: {', '.join(names)}")


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """The error for a ``package`` that comes with the optional dependencies ``extra``."""
    return MissingExtraError(f"{package} is not installed: run pip install 'r1gym[{extra}]'")
