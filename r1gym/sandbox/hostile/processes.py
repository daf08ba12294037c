"""Programs that multiply, outlive their run, attack other processes, or burn time."""

from __future__ import annotations

from r1gym.sandbox.hostile.table import Hostile
from r1gym.sandbox.records import Ruling

__all__ = ["PROGRAMS"]

AC, RE, TLE, WA = Ruling.AC, Ruling.RE, Ruling.TLE, Ruling.WA

_FORK_C = "#include <unistd.h>\nint main(){for(;;)fork();}"
_SIGNALS = "import os,signal\n{attack}\nprint(49)"
_DENIED = """
import os, signal, time
got = []
for pid in {pids}:
    try:
        os.kill(pid, signal.{name})
        time.sleep(0.05)
        with open("/proc/%d/stat" % pid) as file:
            state = file.read().rpartition(")")[2].split()[0]
        if state in "TZX":
            got.append(pid)
    except PermissionError:
        pass
    except (ProcessLookupError, FileNotFoundError):
        if pid == 1:
            got.append(pid)
print(got or 49)
"""
_DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        {body}
    os._exit(0)
os.wait()
print(49)
"""
_TRACE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print("traced" if libc.ptrace(16, {pid}, 0, 0) == 0 else 49)
"""
_READ_MEMORY = """
import os
try:
    pid = {pid} if os.getpid() != {pid} else 1  # in a namespace of its own it may be that number itself
    fd = os.open("/proc/%d/mem" % pid, os.O_RDWR)
    print("open")
except OSError:
    print(49)
"""
_VM_READ = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(64)
local = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 64)
remote = (ctypes.c_void_p * 2)(0x400000, 64)
print("read" if libc.process_vm_readv(os.getppid(), local, 1, remote, 1, 0) > 0 else 49)
"""
_IGNORE = """
import signal
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
while True:
    pass
"""
_MANY_BUSY = """
import os
for _ in range(6):
    if os.fork() == 0:
        while True:
            pass
while True:
    os.sched_yield()
"""
_CHILD_BURNS = """
import os, time
if os.fork() == 0:
    while True:
        pass
time.sleep(60)
"""
_ZOMBIES = """
import os
for _ in range(8):
    if os.fork() == 0:
        os._exit(0)
print(49)
"""

PROGRAMS = (
    Hostile("fork-bomb-python", "import os\nwhile True:\n    os.fork()", (RE, TLE, Ruling.MLE)),
    Hostile("fork-bomb-c", _FORK_C, (RE, TLE, Ruling.MLE), "c"),
    Hostile(
        "thread-bomb",
        "import threading,time\nwhile True:\n    threading.Thread(target=time.sleep, args=(60,)).start()",
        (RE, TLE),
    ),
    Hostile("zombies", _ZOMBIES, (AC,)),
    Hostile("daemon-holds-the-pipe", _DAEMON.format(body="time.sleep(600)"), (AC,)),
    Hostile("daemon-closes-and-stays", _DAEMON.format(body="os.closerange(0, 3); time.sleep(600)"), (AC,)),
    Hostile("daemon-forks-on", _DAEMON.format(body="\n        while True:\n            os.fork()"), (AC, TLE, RE)),
    Hostile("kill-all", _SIGNALS.format(attack="os.kill(-1, signal.SIGKILL)"), (AC, RE)),
    Hostile("kill-worker", _DENIED.format(pids="(1, os.getppid())", name="SIGKILL"), (AC,)),
    Hostile("stop-worker", _DENIED.format(pids="(1, os.getppid())", name="SIGSTOP"), (AC,)),
    Hostile("kill-every-number", _DENIED.format(pids="set(range(1, 400)) - {os.getpid()}", name="SIGKILL"), (AC,)),
    Hostile("kill-own-group", _SIGNALS.format(attack="os.killpg(0, signal.SIGKILL)"), (RE,)),
    Hostile("stop-itself", _SIGNALS.format(attack="os.kill(os.getpid(), signal.SIGSTOP)"), (TLE,)),
    Hostile("ptrace-server", _TRACE.format(pid="os.getppid()"), (AC,)),
    Hostile("ptrace-worker", _TRACE.format(pid="1"), (AC,)),
    Hostile("worker-memory", _READ_MEMORY.format(pid="1"), (AC,)),
    Hostile("server-memory", _READ_MEMORY.format(pid="2"), (AC,)),
    Hostile("process-vm-readv", _VM_READ, (AC,)),
    Hostile("loop", "while True:\n    pass", (TLE,)),
    Hostile("loop-c", "int main(){volatile int x=0;for(;;)x++;}", (TLE,), "c"),
    Hostile("sleep", "import time\ntime.sleep(600)", (TLE,)),
    Hostile("ignore-every-signal", _IGNORE, (TLE,)),
    Hostile("many-busy-processes", _MANY_BUSY, (TLE,)),
    Hostile("child-burns-parent-sleeps", _CHILD_BURNS, (TLE,)),
    Hostile("threads-burn", "import threading\ndef f():\n    while True: pass\n"
            "for _ in range(6): threading.Thread(target=f).start()", (TLE,)),
    Hostile("exit-137", "import os\nos._exit(137)", (RE,)),
    Hostile("sigkill-itself", "import os\nos.kill(os.getpid(), 9)", (RE,)),
    Hostile("exit-124", "import sys\nsys.exit(124)", (RE,)),
    Hostile("segfault-after-answer", "import ctypes\nprint(49, flush=True)\nctypes.string_at(0)", (RE,)),
    Hostile("regex-backtracking", "import re\nre.match('(a+)+$', 'a' * 64 + 'b')\nprint(49)", (TLE,)),
)  # fmt: skip
