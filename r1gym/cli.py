"""The console script `r1gym`: a table of verbs, each beside what it runs."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from r1gym.config import run_command
from r1gym.errors import unknown_name

__all__ = ["VERBS", "main"]

VERBS: dict[str, tuple[str, str]] = {
    "audit": ("r1gym.envs.audit.command:main", "attack an environment: what it pays wrongly, what it refuses wrongly"),
    "sandbox": ("r1gym.sandbox.commands:main", "build the sandbox's image, examine the backends, attack them"),
    "verify": ("r1gym.verifiers.show:main", "judge one completion against a gold answer and say why"),
}
"""Verb → ("module:function", what it does). The function takes the arguments after the verb and returns the status."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run one verb; the module behind it is imported only then."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    run_command(lambda: _run(arguments))


def _run(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: r1gym VERB [--help]\n")
        for verb, (_, purpose) in sorted(VERBS.items()):
            print(f"  {verb:12} {purpose}")
        return 0
    verb, *rest = arguments
    if verb not in VERBS:
        raise unknown_name("verb", verb, VERBS)
    module, _, function = VERBS[verb][0].partition(":")
    status: int = getattr(importlib.import_module(module), function)(rest)
    return status
