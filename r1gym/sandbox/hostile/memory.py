"""Programs that take memory, in every way there is."""

from __future__ import annotations

from r1gym.sandbox.hostile.table import Hostile
from r1gym.sandbox.records import Ruling

__all__ = ["PROGRAMS"]

AC, RE, TLE, MLE, WA = Ruling.AC, Ruling.RE, Ruling.TLE, Ruling.MLE, Ruling.WA

_SPREAD = """
import os, time
for _ in range(9):
    if os.fork() == 0:
        block = bytearray(24 << 20)
        time.sleep(60)
time.sleep(60)
"""
_CHILD_ONLY = """
import os
if os.fork() == 0:
    block = bytearray(400 << 20)
    os._exit(0)
os.wait()
print(49)
"""
_NOT_FIRST = """
import os
for value in ("0", "-1000", "-17"):
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(value)
    except OSError:
        pass
block = [bytearray(1 << 20) for _ in range(400)]
print(49)
"""
_UNTOUCHED = """
import mmap
area = mmap.mmap(-1, 8 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
print(49)
"""
_SHARED = """
import mmap
area = mmap.mmap(-1, 400 << 20)
for offset in range(0, 400 << 20, 4096):
    area[offset] = 1
print(49)
"""
_MEMFD = """
import os
fd = os.memfd_create("x")
for _ in range(400):
    os.write(fd, b"x" * (1 << 20))
print(49)
"""
_STACK_C = """
#include <stdio.h>
#include <string.h>
int f(int n){volatile char a[4096]; memset((void*)a, n, sizeof a); return f(n+1)+a[17];}
int main(){printf("%d", f(0));}
"""
_CALLOC_C = """
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
int main(){for(;;){char*p=malloc(1<<20);if(!p)break;memset(p,1,1<<20);}printf("49");return 0;}
"""
_PIPES = """
import os
ends = [os.pipe() for _ in range(25)]
for _, writer in ends:
    os.set_blocking(writer, False)
    try:
        while os.write(writer, b"x" * 65536):
            pass
    except BlockingIOError:
        pass
print(49)
"""

PROGRAMS = (
    Hostile("memory-at-once", "block = bytearray(1 << 30)\nprint(49)", (MLE,)),
    Hostile("memory-by-and-by", "block = []\nwhile True:\n    block.append(bytearray(1 << 16))", (MLE,)),
    Hostile("memory-over-but-below-the-slot", "block = bytearray(100 << 20)\nprint(49)", (MLE,)),
    Hostile("memory-c", _CALLOC_C, (MLE,), "c"),
    Hostile("memory-over-processes", _SPREAD, (MLE,)),
    Hostile("memory-in-a-child", _CHILD_ONLY, (MLE,)),
    Hostile("memory-shared", _SHARED, (MLE,)),
    Hostile("memory-memfd", _MEMFD, (MLE, RE)),
    Hostile("memory-lower-oom-score", _NOT_FIRST, (MLE,)),
    Hostile("memory-untouched-is-fine", _UNTOUCHED, (AC,)),
    Hostile("stack-recursion-c", _STACK_C, (MLE, RE), "c"),
    Hostile("python-recursion", "def f(n):\n    return f(n + 1) + 1\nf(0)", (RE,)),
    Hostile("deep-python-recursion", "import sys\nsys.setrecursionlimit(10**9)\ndef f(n): return f(n + 1) + 1\nf(0)",
            (MLE, RE)),
    Hostile("huge-integer", "print(49 if 10 ** (10 ** 9) else 0)", (MLE, TLE, RE)),
    Hostile("huge-allocation", "try:\n    b = bytearray(1 << 50)\nexcept MemoryError:\n    print(49)", (AC, MLE)),
    Hostile("full-pipes", _PIPES, (AC, MLE)),
)  # fmt: skip
