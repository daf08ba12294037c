"""The verbs ``r1gym sandbox {build,doctor,survive}``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from r1gym.config import parse, run_command
from r1gym.errors import unknown_name

__all__ = ["VERBS", "main"]


@dataclass(frozen=True)
class Build:
    """Build the Docker image of the sandbox."""

    route: Literal["auto", "registry", "debian"] = "auto"
    """Pull a base image, or make one from Debian packages (needs root and apt); auto tries both in that order."""
    base: str = ""
    """Base image of the registry route; empty takes the Dockerfile's."""
    tag: str = ""
    """Name of the image; empty takes the one that r1gym looks for."""
    force: bool = False
    """Build although the image is there."""


@dataclass(frozen=True)
class Doctor:
    """Say what each backend is and which protections it gives here; exit status 1 where none can run."""

    probe: bool = True
    """Run a probe program in each backend and report what it could see and do."""


@dataclass(frozen=True)
class Survive:
    """Run hostile programs and grader exploits against the sandbox and against three naive graders."""

    backends: tuple[str, ...] = ("docker", "local")
    """Which backends."""
    only: str = ""
    """Run only programs whose name holds this text."""


def _build(options: Build) -> int:
    from r1gym.sandbox.image import build

    tag, seconds = build(options.route, options.base, options.tag, options.force, say=print)
    print(f"{tag}: ready after {seconds:.1f} s")
    return 0


def _doctor(options: Doctor) -> int:
    from r1gym.sandbox.doctor import report

    return report(options.probe)


def _survive(options: Survive) -> int:
    from r1gym.sandbox.survive import report

    return report(options.backends, options.only)


VERBS = ("build", "doctor", "survive")
_USAGE = f"usage: r1gym sandbox {{{','.join(VERBS)}}} [options]   (--help after a verb for its options)"


def main(argv: Sequence[str] | None = None) -> None:
    """Run one verb; our own errors are one line and exit status 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    verb, rest = (arguments[0], arguments[1:]) if arguments else ("--help", [])
    if verb in ("-h", "--help"):
        print(_USAGE)
        return

    def run() -> int:
        if verb == "build":
            return _build(parse(Build, rest, "r1gym sandbox build"))
        if verb == "doctor":
            return _doctor(parse(Doctor, rest, "r1gym sandbox doctor"))
        if verb == "survive":
            return _survive(parse(Survive, rest, "r1gym sandbox survive"))
        raise unknown_name("verb", verb, VERBS)

    run_command(run)
