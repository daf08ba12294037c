"""What the contract tests say to an environment of each kind: a wrong answer that its verifier reads."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pytest

from r1gym.envs.catalog import CATALOG, Entry
from r1gym.errors import SandboxError


@dataclass(frozen=True)
class Probe:
    """A wrong completion, what must be extracted of it, and what ``gym.make`` needs."""

    wrong: str = "\\boxed{-123457}"
    extracted: str = "-123457"
    keys: tuple[str, ...] = ()
    """Further keys of a step's info."""
    options: dict[str, Any] = field(default_factory=dict)


NUMBER = Probe()
PROGRAM = Probe("So:\n```python\nprint(-123457)\n```", "print(-123457)\n", ("tests",), {"sandbox": "local"})
PROBES = {"math": NUMBER, "choice": NUMBER, "countdown": NUMBER, "code": PROGRAM}
"""By the verifier of an entry."""

GROUP = pytest.mark.xdist_group("sandbox")  # with the sandbox's own tests, which count processes


def each(entries: tuple[Entry, ...]) -> pytest.MarkDecorator:
    """One test an entry."""
    marked = [pytest.param(entry, marks=[GROUP] if entry.verifier == "code" else []) for entry in entries]
    return pytest.mark.parametrize("entry", marked, ids=[entry.id for entry in entries])


EVERY_ID = each(CATALOG)


@lru_cache(maxsize=1)
def sandbox_problem() -> str:
    """Why the local sandbox cannot run here, "" where it can."""
    from r1gym.sandbox import open_sandbox

    try:
        open_sandbox("local").close()
    except SandboxError as error:
        return str(error)
    return ""


def probe_of(entry: Entry) -> Probe:
    """The probe of an entry; skips a test that would run programs where nothing can run them, and fails it in CI."""
    if entry.verifier == "code" and sandbox_problem():
        if os.environ.get("CI") == "true":
            pytest.fail(sandbox_problem())
        pytest.skip(f"no program can run here: {sandbox_problem()}")
    return PROBES[entry.verifier]
