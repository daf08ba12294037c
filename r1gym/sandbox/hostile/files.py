"""Programs that fill, plant, or read what is not theirs."""

from __future__ import annotations

from r1gym.sandbox.hostile.table import Hostile
from r1gym.sandbox.records import Ruling

__all__ = ["PROGRAMS"]

AC, RE, TLE, MLE, WA = Ruling.AC, Ruling.RE, Ruling.TLE, Ruling.MLE, Ruling.WA

_FILL = """
import os
number = 0
try:
    while True:
        with open("{folder}/f%d" % number, "wb") as file:
            number += 1
            for _ in range(32):
                file.write(b"x" * (1 << 20))
except OSError:
    pass
print(49)
"""
_INODES = """
import os
try:
    for number in range(10 ** 6):
        os.close(os.open("i%d" % number, os.O_CREAT | os.O_WRONLY))
except OSError:
    print(49)
"""
_DEEP = """
import os
try:
    while True:
        os.mkdir("d")
        os.chdir("d")
        os.chmod(".", 0o700)
except OSError:
    print(49)
"""
_LOCKED = """
import os
os.makedirs("a/b/c")
open("a/b/c/f", "w").close()
os.symlink("/usr", "a/link")
os.symlink("/nowhere", "a/broken")
os.link("a/b/c/f", "a/hard")
os.mkfifo("a/fifo")
os.chmod("a/b/c", 0)
os.chmod("a", 0)
print(49)
"""
_WRITE = """
import os
opened = []
for path in {paths}:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT))
        opened.append(path)
    except OSError:
        pass
print(opened or 49)
"""
_LIBRARY = "(os.__file__, os.path.dirname(os.__file__) + '/sitecustomize.py', '/usr/bin/python3', '/usr/lib/x.pth')"
_PROGRAM = "('/w/program', '/w/program/a.out', '/w/x', '/etc/passwd', '/x', '/w/trash/x', '/opt/x')"
_PLANT = """
for name in ("checker.py", "correct_output.txt", "conftest.py", "sitecustomize.py", "a.out", "main.py", "input.txt"):
    with open(name, "w") as file:
        file.write("print(1)")
print(48)
"""
_READ_ALL = """
import os
found = []
for folder in ("/w", "/tmp", "/proc/self", "/proc/1", "/proc/2", "/dev", "/run", "/var", "/etc"):
    for root, names, files in os.walk(folder):
        if root.count("/") > 4 or root.startswith(("/proc/self/task", "/usr", "/sys")):
            names.clear()
            continue
        for name in files:
            path = os.path.join(root, name)
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
                data = os.read(fd, 1 << 16)
                os.close(fd)
            except OSError:
                continue
            if data.strip() == b"4" + b"9":
                found.append(path)
print(found or 49)
"""
_SETUID = """
import os, stat
found = []
for folder in ("/usr/bin", "/usr/sbin"):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        if os.lstat(path).st_mode & stat.S_ISUID:
            found.append(path)
import subprocess
for path in found[:5]:
    try:
        subprocess.run([path, "--version"], capture_output=True, timeout=1)
    except (OSError, subprocess.SubprocessError):
        pass
with open("/proc/self/status") as file:
    print(49 if "NoNewPrivs:\\t1" in file.read() else "may gain")
"""

PROGRAMS = (
    Hostile("fill-the-box", _FILL.format(folder="."), (AC, MLE, RE)),
    Hostile("fill-tmp", _FILL.format(folder="/tmp"), (AC, MLE)),
    Hostile("fill-shared-memory", _FILL.format(folder="/dev/shm"), (AC,)),
    Hostile("million-files", _INODES, (AC,)),
    Hostile("deep-folders", _DEEP, (AC,)),
    Hostile("locked-folders-and-links", _LOCKED, (AC,)),
    Hostile("sparse-terabyte", "with open('s', 'wb') as f:\n    f.truncate(1 << 40)\nprint(49)", (RE,)),
    Hostile("write-the-library", _WRITE.format(paths=_LIBRARY), (AC,)),
    Hostile("write-the-program", _WRITE.format(paths=_PROGRAM), (AC,)),
    Hostile("plant-grader-files", _PLANT, (WA,)),
    Hostile("read-everything", _READ_ALL, (AC,)),
    Hostile("setuid-programs", _SETUID, (AC,)),
    Hostile("remount-devices", _WRITE.format(paths="('/dev/mem', '/dev/kmsg', '/dev/sda', '/dev/vda', '/dev/nvidia0')"),
            (AC,)),
    Hostile("kernel-settings", _WRITE.format(paths="('/proc/sys/kernel/core_pattern', '/proc/sysrq-trigger', "
            "'/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/release_agent')"),
            (AC,)),
)  # fmt: skip
