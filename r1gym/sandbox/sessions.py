"""A stateful Python interpreter in a slot of its own: run a cell, get its output, under limits and a total budget."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal

from r1gym.errors import SandboxError
from r1gym.sandbox import bounds
from r1gym.sandbox.chooser import Sandbox, resolve
from r1gym.sandbox.execution import Request
from r1gym.sandbox.slots import Slot
from r1gym.types import Limits

__all__ = ["CellResult", "Session"]

State = Literal["ok", "error", "ended"]


@dataclass(frozen=True, slots=True)
class CellResult:
    """What one cell did."""

    state: State
    """"ok", "error" (an exception; the session lives on), or "ended" (the interpreter is gone)."""
    stdout: str
    """What the cell printed, the value of its last expression and its traceback included."""
    stderr: str
    message: str
    """Why the session ended; "" where it did not."""
    cpu_seconds: float
    wall_seconds: float


class Session:
    r"""``with Session() as session: session.run("x = 1"); session.run("x + 1").stdout == "2\n"``.

    ``limits`` hold for each cell; ``total_seconds`` of wall time is the budget of all cells together. A session keeps
    its own slot beside the pool's, so that it never holds up the judge. Not thread-safe.
    """

    def __init__(
        self,
        sandbox: str | Sandbox = "auto",
        limits: Limits = Limits(cpu_seconds=10.0, wall_seconds=20.0, output_mb=1),  # noqa: B008 (frozen)
        total_seconds: float = 120.0,
    ) -> None:
        self.limits = limits = bounds.apply(limits)
        self.left_seconds = total_seconds
        self._why = ""
        link = resolve(sandbox).backend.start(limits.memory_mb)
        self._slot = Slot(link, limits.memory_mb)
        try:
            self._slot.greet()
        except BaseException:
            self._slot.close()
            raise

    def run(self, cell: str) -> CellResult:
        """Run one cell. After the end of the session every cell answers "ended" at once; raises nothing."""
        if self._why:
            return CellResult("ended", "", "", self._why, 0.0, 0.0)
        if self.left_seconds <= 0:
            self._end("the session's budget is used up")
            return CellResult("ended", "", "", self._why, 0.0, 0.0)
        wall = min(self.limits.wall_seconds, self.left_seconds)
        request = Request("python", b"", replace(self.limits, wall_seconds=wall)).head()
        nonce = secrets.token_hex(16)
        try:
            self._slot.send({**request, "op": "cell", "nonce": nonce}, [cell.encode("utf-8", "surrogatepass")])
            head, blobs = self._slot.receive(wall + 10.0)
        except SandboxError as error:
            self._end(f"the slot is gone: {error}")
            return CellResult("ended", "", "", self._why, 0.0, wall)
        used = float(head["wall"])
        self.left_seconds -= used
        state: State = "ended" if head["ended"] else "ok" if head["state"] == "ok" else "error"
        if state == "ended":
            self._end(self._cause(head))
        out, err = (blob.decode("utf-8", errors="replace") for blob in blobs[:2])
        return CellResult(state, out, err, self._why, float(head["cpu"]), used)

    def _cause(self, head: dict[str, object]) -> str:
        if head["cause"] in ("cpu", "wall"):
            return f"the cell took more than its {head['cause']} time"
        if head["cause"] == "output":
            return f"the cell printed more than {self.limits.output_mb} MB"
        if head["cause"] == "memory" or head["oom_kills"]:
            return f"the session used more than {self.limits.memory_mb} MB"
        return "the interpreter ended"

    def _end(self, why: str) -> None:
        self._why = why
        self._slot.close()

    def close(self) -> None:
        """End the session and its slot. More than once is fine."""
        if not self._why:
            self._end("the session was closed")

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
