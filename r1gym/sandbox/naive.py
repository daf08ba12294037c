"""Three graders as they are often written, kept as examples of what not to do; they run inside a sandbox themselves."""

from __future__ import annotations

from dataclasses import dataclass

from r1gym.sandbox.chooser import Sandbox
from r1gym.sandbox.judging import judge
from r1gym.types import Limits, StdioCase

__all__ = ["EXPLOITS", "GRADERS", "Exploit", "fooled"]

_LIMITS = Limits(cpu_seconds=3.0, wall_seconds=6.0, memory_mb=256, output_mb=1, processes=16)

_EXEC_AND_EQUAL = """
space = {}
try:
    exec(SUBMISSION, space)
    result = space["square"](7)
    print("PAID" if result == 49 else "no")
except Exception:
    print("no")
"""
_APPENDED_ASSERTS = """
import subprocess, sys
program = SUBMISSION + "\\nassert square(7) == 49\\nassert square(-3) == 9\\n"
done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=4)
print("PAID" if done.returncode == 0 else "no")
"""
_EXPECTED_INSIDE = """
import json, subprocess, sys
with open("tests.json", "w") as file:
    json.dump([[7, 49], [-3, 9]], file)
program = SUBMISSION + '''
import json
passed = all(square(n) == expected for n, expected in json.load(open("tests.json")))
print("PASSED" if passed else "FAILED")
'''
done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=4)
print("PAID" if "PASSED" in done.stdout else "no")
"""
GRADERS = {
    "exec and ==": _EXEC_AND_EQUAL,
    "asserts + exit status": _APPENDED_ASSERTS,
    "answers in the process": _EXPECTED_INSIDE,
}


@dataclass(frozen=True, slots=True)
class Exploit:
    """A wrong ``square`` that some grader pays."""

    name: str
    source: str


EXPLOITS = (
    Exploit("__eq__ always true", "class E:\n    def __eq__(s, o): return True\ndef square(n):\n    return E()"),
    Exploit("int subclass", "class E(int):\n    def __eq__(s, o): return True\ndef square(n):\n    return E(0)"),
    Exploit("os._exit(0)", "import os\ndef square(n):\n    os._exit(0)"),
    Exploit("raise SystemExit", "def square(n):\n    raise SystemExit"),
    Exploit("exit at import", "import sys\nsys.exit(0)"),
    Exploit("reads tests.json", "import json\ndef square(n):\n    return dict(json.load(open('tests.json')))[n]"),
    Exploit("overwrites tests.json", "open('tests.json', 'w').write('[]')\ndef square(n):\n    return 0"),
    Exploit("patches all()", "import builtins\nbuiltins.all = lambda x: True\ndef square(n):\n    return 0"),
    Exploit("prints PASSED", "print('PASSED')\ndef square(n):\n    return 0"),
    Exploit(
        "reads the caller's frame",
        "import sys\ndef square(n):\n    f = sys._getframe(1)\n    return f.f_locals.get('expected', 0)",
    ),
)


def fooled(sandbox: Sandbox, grader: str, exploit: Exploit) -> bool:
    """Whether the naive ``grader`` pays ``exploit``; both run in the sandbox, as one program."""
    program = f"SUBMISSION = {exploit.source!r}\n{GRADERS[grader]}"
    found = judge(program, "python", [StdioCase("", "")], _LIMITS, sandbox=sandbox)
    return "PAID" in found.tests[0].stdout if found.tests else False
