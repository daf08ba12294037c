"""One sandbox a backend for all tests; a backend that is missing fails where CI=true and is skipped elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from r1gym.errors import SandboxError
from r1gym.sandbox.chooser import Sandbox, open_sandbox

BACKENDS = ["local", pytest.param("docker", marks=pytest.mark.docker)]


def open_or_skip(backend: str, **options: int) -> Sandbox:
    try:
        return open_sandbox(backend, **options)  # type: ignore[arg-type]
    except SandboxError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"the {backend} sandbox cannot run here: {error}")


@pytest.fixture(scope="session", params=BACKENDS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Two slots."""
    with open_or_skip(request.param, slots=2) as opened:
        yield opened


@pytest.fixture(scope="session", params=BACKENDS)
def one_slot(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """One slot, so that what a program leaves meets the next one."""
    with open_or_skip(request.param, slots=1) as opened:
        yield opened


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """The name of each backend."""
    return str(request.param)


@pytest.fixture(scope="session")
def open_backend() -> Callable[..., Sandbox]:
    """Opens a sandbox of the test's own."""
    return open_or_skip
