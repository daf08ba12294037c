"""The guest's modules as one source text, and how a bare interpreter turns it back into modules.

A slot gets its worker's source when it starts, so that an image holds compilers and an interpreter only, and can
never be out of step with the package.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["BOOTSTRAP", "build"]

_ORDER = ("frames", "seccomp", "values", "meter", "programs", "nesting", "forkserver", "running", "worker")

_LOADER = """
import sys, types
for _package in ("r1gym", "r1gym.sandbox", "r1gym.sandbox.guest"):
    _module = sys.modules[_package] = types.ModuleType(_package)
    _module.__path__ = []
for _name, _text in SOURCES:
    _full = "r1gym.sandbox.guest." + _name
    _module = sys.modules[_full] = types.ModuleType(_full)
    setattr(sys.modules["r1gym.sandbox.guest"], _name, _module)
    exec(compile(_text, _name + ".py", "exec"), _module.__dict__)
"""

_ROLE = """
if sys.argv[1] == "forkserver":
    import socket
    sys.modules["r1gym.sandbox.guest.forkserver"].serve(socket.socket(fileno=int(sys.argv[2])))
else:
    sys.modules["r1gym.sandbox.guest.worker"].main(BUNDLE)
"""

BOOTSTRAP = (
    "import sys,os\n"
    "def read(n):\n"
    "    data=b''\n"
    "    while len(data)<n:\n"
    "        part=os.read(0,n-len(data))\n"
    "        if not part: sys.exit(0)\n"
    "        data+=part\n"
    "    return data\n"
    "BUNDLE=read(int.from_bytes(read(4),'big'))\n"
    "exec(compile(BUNDLE,'bundle','exec'))\n"
)
"""``python -c`` text of a worker: read four bytes of length and that much source from stdin, and become it."""


def build() -> bytes:
    """The source text of all guest modules."""
    here = Path(__file__).parent
    sources = [(name, (here / f"{name}.py").read_text(encoding="utf-8")) for name in _ORDER]
    return f"SOURCES = {sources!r}\n{_LOADER}\n{_ROLE}".encode()
