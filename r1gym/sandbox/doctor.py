"""What each backend is here: which protections it gives by its own account, and what a probe program found out."""

from __future__ import annotations

import json
import time
from dataclasses import replace

from r1gym.errors import SandboxError
from r1gym.sandbox.chooser import BACKENDS, Sandbox, open_sandbox
from r1gym.sandbox.judging import judge
from r1gym.sandbox.records import Protection
from r1gym.types import Limits, StdioCase

__all__ = ["examine", "probe", "report"]

_LIMITS = Limits(cpu_seconds=2.0, wall_seconds=10.0, memory_mb=128, output_mb=1, processes=8)
_PROBE = r"""
import ctypes, json, os, socket
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
libc = ctypes.CDLL(None, use_errno=True)
seen = {}
def denied(name, attempt):
    try:
        attempt()
        seen[name] = False
    except OSError:
        seen[name] = True
def call(*arguments):
    if libc.syscall(*arguments) == -1:
        raise OSError(ctypes.get_errno(), "denied")
seen["not root"] = os.getuid() != 0
seen["no capability"] = int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
seen["no new privileges"] = status["NoNewPrivs"].strip() == "1"
seen["system call filter"] = status["Seccomp"].strip() == "2"
seen["empty environment"] = not any(k.startswith(("R1GYM", "DOCKER", "SSH", "AWS", "HF_")) for k in os.environ)
for name, family in (("inet", 2), ("unix", 1), ("vsock", 40), ("netlink", 16)):
    denied("no %s socket" % name, lambda: socket.socket(family, 3 if family == 16 else 1))
denied("read-only library", lambda: open(os.__file__, "a"))
denied("read-only root", lambda: open("/probe", "w"))
denied("no signal to process 1", lambda: os.kill(1, 0))
denied("no memory of process 1", lambda: open("/proc/1/mem", "rb"))
denied("no user namespace", lambda: call(272 if os.uname().machine == "x86_64" else 97, 0x10000000))
denied("no device nodes", lambda: os.mknod("disk", 0o60660, 0xFE00))
def fork_many():
    for _ in range(64):
        if os.fork() == 0:
            os.closerange(0, 3)
            import time
            time.sleep(5)
            os._exit(0)
denied("limited processes", fork_many)
def fill():
    with open("fill", "wb") as file:
        for _ in range(1024):
            file.write(bytes(1 << 20))
denied("limited files", fill)
print(json.dumps(seen))
"""


def probe(sandbox: Sandbox) -> dict[str, bool]:
    """What a probe program found denied, and whether limits held; all True in a sound sandbox."""
    found = judge(_PROBE, "python", [StdioCase("", "")], _LIMITS, sandbox=sandbox)
    try:
        seen = {str(name): bool(held) for name, held in json.loads(found.tests[0].stdout).items()}
    except (ValueError, IndexError, AttributeError):
        return {f"probe ran ({found.verdict}: {found.message[:100]})": False}
    endings = {
        "memory over the limit is MLE": ("block = bytearray(1 << 30)", "MLE"),
        "an endless loop is TLE": ("while True: pass", "TLE"),
        "endless sleep is TLE": ("import time; time.sleep(600)", "TLE"),
        "endless output is OLE": ("while True: print('y' * 1000)", "OLE"),
    }
    quick = replace(_LIMITS, cpu_seconds=0.5, wall_seconds=2.0, memory_mb=64)
    for name, (source, verdict) in endings.items():
        seen[name] = judge(source, "python", [StdioCase("", "")], quick, sandbox=sandbox).verdict == verdict
    started = time.perf_counter()
    honest = judge("print(6 * 7)", "python", [StdioCase("", "42")], _LIMITS, sandbox=sandbox)
    seen[f"an honest program is AC, in {1000 * (time.perf_counter() - started):.1f} ms"] = honest.verdict == "AC"
    return seen


def examine(backend: str, with_probe: bool) -> tuple[str, tuple[Protection, ...], dict[str, bool]]:
    """Why ``backend`` cannot run here ("" where it can), its protections, and what the probe found."""
    try:
        with open_sandbox(backend, slots=1, allow_unsafe=True) as sandbox:  # type: ignore[arg-type]
            protections = sandbox.backend.protections()
            return "", protections, probe(sandbox) if with_probe else {}
    except SandboxError as error:
        return str(error), (), {}


def report(with_probe: bool = True) -> int:
    """Print all of it; 0 where at least one backend runs untrusted code, else 1."""
    from rich.console import Console
    from rich.table import Table

    console, usable = Console(), False
    for backend in BACKENDS:
        problem, protections, seen = examine(backend, with_probe)
        if problem:
            console.print(f"[bold]{backend}[/bold]: not available: {problem}", markup=True, highlight=False)
            continue
        missing = [p.name for p in protections if p.required and not p.covered] + [
            n for n, held in seen.items() if not held
        ]
        usable = usable or not missing
        table = Table(
            "protection", "covered", "by", title=f"{backend}: {'sound' if not missing else 'REFUSES UNTRUSTED CODE'}"
        )
        for protection in protections:
            needed = "no" if protection.required else "no (optional)"
            table.add_row(protection.name, "yes" if protection.covered else needed, protection.means)
        for name, held in seen.items():
            table.add_row(name, "yes" if held else "NO", "probe")
        console.print(table)
    return 0 if usable else 1
