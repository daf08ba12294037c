"""Open a sandbox: Docker, local, or what ``auto`` finds, said aloud; never a silent fallback."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from types import TracebackType
from typing import Literal

from r1gym.errors import ConfigError, SandboxError, SandboxUnavailableError, UnsafeSandboxError, unknown_name
from r1gym.sandbox.compiling import CompileCache
from r1gym.sandbox.pool import Pool
from r1gym.sandbox.protocol import Backend

__all__ = ["BACKENDS", "Sandbox", "close", "open_sandbox", "resolve"]

BACKENDS = ("docker", "local")
_LOGGER = logging.getLogger("r1gym.sandbox")
_DEFAULTS: dict[tuple[int, str], Sandbox] = {}
_LOCK = threading.Lock()


class Sandbox:
    """Slots of one backend: ``pool`` runs submissions, ``checking`` compiles and runs what the judge trusts more.

    Expected outputs and checkers only ever enter slots of ``checking``, in which no submission runs.
    """

    def __init__(
        self, backend: Backend, slots: int | None = None, recycle_after: int = 1000, allow_unsafe: bool = False
    ) -> None:
        missing = [p for p in backend.protections() if p.required and not p.covered]
        if missing and not allow_unsafe:
            names = "; ".join(f"{p.name} ({p.means})" for p in missing)
            backend.close()
            raise UnsafeSandboxError(
                f"the {backend.name} sandbox does not cover here: {names}. Untrusted code is refused; "
                "allow_unsafe=True runs it all the same"
            )
        size = slots or len(os.sched_getaffinity(0))
        self._owner = os.getpid()
        self.backend = backend
        self.pool = Pool(backend, size, recycle_after)
        self.checking = Pool(backend, max(1, size // 2), recycle_after)
        self.cache = CompileCache()

    @property
    def name(self) -> str:
        """Which backend it is."""
        return self.backend.name

    def close(self) -> None:
        """End every slot. More than once is fine."""
        if self._owner != os.getpid():  # of a forked child: the slots are its parent's
            return
        for pool in (self.pool, self.checking):
            pool.close()
        self.backend.close()

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _backend(name: str, image: str, runtime: str) -> Backend:
    if name == "docker":
        from r1gym.sandbox.docker import DockerBackend

        return DockerBackend(image=image, runtime=runtime)
    from r1gym.sandbox.local import LocalBackend

    backend = LocalBackend()
    problem = backend.problem()
    if problem:
        backend.close()
        raise SandboxUnavailableError(f"the local sandbox cannot run here: {problem}")
    return backend


def open_sandbox(
    backend: Literal["auto", "docker", "local"] = "auto",
    *,
    slots: int | None = None,
    recycle_after: int = 1000,
    image: str = "",
    runtime: str = "",
    allow_unsafe: bool = False,
) -> Sandbox:
    """Open a sandbox of one's own; close it, or use it in a ``with``.

    Args:
        backend: "docker", "local", or "auto", which prefers Docker and says on the log what it took and why.
        slots: Programs that run at the same time; None takes the number of cores.
        recycle_after: Leases after which a slot is replaced.
        image: Docker image; "" takes the one that ``r1gym sandbox build`` made.
        runtime: OCI runtime, for example "runsc"; "" takes the engine's default.
        allow_unsafe: Run untrusted code although a protection is missing.

    Raises SandboxUnavailableError with what to do, UnsafeSandboxError, UnknownNameError for the backend, or ConfigError
    for a number of slots that is none.
    """
    if slots is not None and (isinstance(slots, bool) or not isinstance(slots, int) or slots < 1):
        raise ConfigError(f"slots must be a whole number from 1, or None for the number of cores, got {slots!r}")
    if backend != "auto":
        if backend not in BACKENDS:
            raise unknown_name("sandbox", backend, [*BACKENDS, "auto"])
        return Sandbox(_backend(backend, image, runtime), slots, recycle_after, allow_unsafe)
    reasons = []
    for name in BACKENDS:
        try:
            opened = Sandbox(_backend(name, image, runtime), slots, recycle_after, allow_unsafe)
        except SandboxError as error:
            reasons.append(f"{name}: {error}")
            continue
        because = f" ({'; '.join(reasons)})" if reasons else ""
        _LOGGER.warning("sandbox auto: %s%s", name, because) if reasons else _LOGGER.info("sandbox auto: %s", name)
        return opened
    raise SandboxUnavailableError("no sandbox can run here. " + " | ".join(reasons))


def _renew_lock() -> None:
    """In a forked child: another thread of the parent may have held it."""
    global _LOCK
    _LOCK = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


def resolve(sandbox: str | Sandbox) -> Sandbox:
    """The sandbox itself, or this process's shared one of that name, opened when first asked for."""
    if isinstance(sandbox, Sandbox):
        sandbox.pool.check_owner()
        return sandbox
    key = (os.getpid(), sandbox)  # a fork must not share its parent's slots
    with _LOCK:
        if key not in _DEFAULTS:
            _DEFAULTS[key] = open_sandbox(sandbox)  # type: ignore[arg-type]
        return _DEFAULTS[key]


@atexit.register
def close() -> None:
    """Close the shared sandboxes of this process; the next ``judge`` opens a fresh one."""
    with _LOCK:
        for key in [key for key in _DEFAULTS if key[0] == os.getpid()]:
            with contextlib.suppress(SandboxError):
                _DEFAULTS.pop(key).close()
