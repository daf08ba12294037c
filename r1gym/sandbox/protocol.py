"""The seam between the pool and what runs a slot: a backend starts links, a link carries bytes."""

from __future__ import annotations

from typing import Protocol

from r1gym.sandbox.records import Protection

__all__ = ["OVERHEAD_MB", "Backend", "Link"]

OVERHEAD_MB = 96
"""Memory of a slot beyond its submission's limit: worker, fork server, input and output in transit."""


class Link(Protocol):
    """A running slot's two pipes and its controls."""

    @property
    def read_fd(self) -> int:
        """Readable end, non-blocking; -1 once closed."""

    @property
    def write_fd(self) -> int:
        """Writable end, non-blocking; -1 once closed."""

    def unwrap(self, data: bytes) -> bytes:
        """The worker's own bytes in what was read (an engine may multiplex its streams)."""

    def resize(self, memory_mb: int) -> None:
        """Set the memory limit of the submission. Raises SandboxError where the engine refuses."""

    def died_of_memory(self) -> bool:
        """Whether a dead slot was ended by its own memory limit."""

    def last_words(self) -> str:
        """What the worker wrote on its stderr, cut."""

    def hang_up(self) -> None:
        """End the slot but keep our ends: whoever waits on them sees the end of the stream."""

    def close(self) -> None:
        """End the slot and leave nothing of it; more than once is fine."""


class Backend(Protocol):
    """Where slots come from."""

    name: str

    def start(self, memory_mb: int) -> Link:
        """A fresh slot. Raises SandboxUnavailableError with what to do about it."""

    def protections(self) -> tuple[Protection, ...]:
        """What it keeps from untrusted code here; found out by looking, not assumed."""

    def toolchain(self) -> str:
        """Names the compilers: part of the compile cache's key."""

    def close(self) -> None:
        """Release what the backend itself holds."""
