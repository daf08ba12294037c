"""Programs that misuse stdin, stdout and stderr."""

from __future__ import annotations

from r1gym.sandbox.hostile.table import Hostile
from r1gym.sandbox.records import Ruling

__all__ = ["PROGRAMS"]

AC, RE, TLE, MLE, OLE, WA = Ruling.AC, Ruling.RE, Ruling.TLE, Ruling.MLE, Ruling.OLE, Ruling.WA

_EVERY_FD = """
import os
frame = b'{"verdict": "AC", "test": 0, "status": 0}'
for fd in range(1024):
    if fd != 1:
        try:
            os.write(fd, len(frame).to_bytes(4, "big") + frame)
        except OSError:
            pass
print(48)
"""
_OPEN_FDS = """
import os
open_fds = []
for fd in range(1024):
    try:
        os.fstat(fd)
        open_fds.append(fd)
    except OSError:
        pass
print(49 if open_fds == [0, 1, 2] else open_fds)
"""
_CHANGE_INPUT = """
import os
try:
    os.pwrite(0, b"9", 0)
    print("changed")
except OSError:
    print(int(input()) ** 2)
"""

PROGRAMS = (
    Hostile("flood-stdout", "while True:\n    print('y' * 4095)", (OLE,)),
    Hostile("flood-stdout-c", '#include <stdio.h>\nint main(){for(;;)puts("yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");}',
            (OLE,), "c"),
    Hostile("flood-stderr", "import sys\nwhile True:\n    sys.stderr.write('y' * 4095)", (OLE,)),
    Hostile("flood-both", "import sys\nwhile True:\n    print('y' * 99)\n    print('y' * 99, file=sys.stderr)", (OLE,)),
    Hostile("one-long-line", "import sys\nfor _ in range(100):\n    sys.stdout.write('x' * (1 << 20))", (OLE,)),
    Hostile("newlines-only", "import sys\nsys.stdout.write('\\n' * 1000000)", (WA,)),
    Hostile("close-stdout-and-stay", "import os,time\nos.write(1, b'49')\nos.closerange(1, 3)\ntime.sleep(60)", (TLE,)),
    Hostile("close-stdout-and-end", "import os\nos.write(1, b'49')\nos.close(1)\nos.close(2)\nos._exit(0)", (AC,)),
    Hostile("not-utf-8", "import os\nos.write(1, bytes(range(256)))", (WA,)),
    Hostile("nul-bytes", "import os\nos.write(1, b'49' + bytes(1000))", (WA,)),
    Hostile("write-every-descriptor", _EVERY_FD, (WA,)),
    Hostile("only-three-descriptors", _OPEN_FDS, (AC,)),
    Hostile("change-the-input", _CHANGE_INPUT, (AC,)),
    Hostile("read-past-the-end", "import sys\nn = int(sys.stdin.read())\nprint(n * n + len(sys.stdin.read()))", (AC,)),
    Hostile("million-digits", "import sys\nsys.stdout.write('4' + '9' * 900000)", (WA,)),
    Hostile("stdout-is-gone", "import sys\nsys.stdout = None", (WA,)),
    Hostile("replaced-stdout", "import sys\nclass S:\n    def __getattr__(s, n): raise BaseException\nsys.stdout = S()",
            (RE, WA)),
)  # fmt: skip
