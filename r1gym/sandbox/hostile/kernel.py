"""Programs that ask the kernel for what they should not get; each prints the right answer only if it was denied."""

from __future__ import annotations

from r1gym.sandbox.hostile.table import Hostile
from r1gym.sandbox.records import Ruling

__all__ = ["PROGRAMS"]

AC, RE = Ruling.AC, Ruling.RE

_CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(4096)
result = libc.syscall({arguments})
print(49 if result == -1 else "got %d" % result)
"""
_SOCKET = """
import socket
try:
    socket.socket({arguments})
    print("open")
except OSError:
    print(49)
"""
_SYSCALLS = {  # numbers of x86_64; elsewhere they are other calls, and the programs are not run
    "unshare-user": "272, 0x10000000",
    "unshare-mount": "272, 0x20000",
    "clone-user": "56, 0x10000000 | 17, 0, 0, 0, 0",
    "clone3-user": "435, (ctypes.c_uint64 * 8)(0x10000000, 0, 0, 0, 17), 64",
    "setns": "308, os.open('/proc/self/status', 0), 0",
    "mount": "165, b'none', b'/tmp', b'tmpfs', 0, 0",
    "new-mount-interface": "430, b'tmpfs', 0",
    "chroot": "161, b'/tmp'",
    "keyctl": "250, 0, -3, 1",
    "add-key": "248, b'user', b'x', b'y', 1, -3",
    "bpf": "321, 0, buffer, 48",
    "perf": "298, buffer, 0, -1, -1, 0",
    "userfaultfd": "323, 0",
    "io-uring": "425, 8, buffer",
    "linux-aio": "206, 8, buffer",
    "sysv-shm": "29, 1234, 4096, 0o1666",
    "sysv-msg": "68, 1234, 0o1666",
    "sysv-sem": "64, 1234, 1, 0o1666",
    "posix-mqueue": "240, b'queue', 0o102, 0o600, 0",
    "set-clock": "227, 0, buffer",
    "hostname": "170, b'mine', 4",
    "personality": "135, 0x0400000",
    "open-by-handle": "304, -100, buffer, 0",
    "device-node": "133, b'disk', 0o60660, 0xfe00",
    "pidfd-getfd": "438, 3, 1, 0",
    "kcmp": "312, os.getpid(), 1, 0, 0, 0",
    "module": "175, buffer, 4096, b''",
    "setuid-root": "105, 0",
    "raise-limits": "302, 0, 6, (ctypes.c_uint64 * 2)(100000, 100000), 0",
    "high-priority": "141, 0, 0, -20",
    "realtime": "144, 0, 1, (ctypes.c_int * 1)(50)",
    "syslog": "103, 3, buffer, 4096",
}
_SOCKETS = {
    "inet": "socket.AF_INET, socket.SOCK_STREAM",
    "inet6-datagram": "socket.AF_INET6, socket.SOCK_DGRAM",
    "unix": "socket.AF_UNIX, socket.SOCK_STREAM",
    "netlink": "socket.AF_NETLINK, socket.SOCK_RAW, 0",
    "packet": "socket.AF_PACKET, socket.SOCK_RAW, 0",
    "vsock": "40, socket.SOCK_STREAM",
    "alg": "38, socket.SOCK_SEQPACKET",
}
_X32 = "import ctypes\nctypes.CDLL(None).syscall(0x40000000 + 39)\nprint('x32')"
_COMPAT_C = '#include <stdio.h>\nint main(){int r;__asm__ volatile("int $0x80":"=a"(r):"a"(20));printf("%d",r>0?1:49);}'

PROGRAMS = (
    *(Hostile(name, _CALL.format(arguments=arguments), (AC,)) for name, arguments in _SYSCALLS.items()),
    *(Hostile(f"socket-{name}", _SOCKET.format(arguments=arguments), (AC,)) for name, arguments in _SOCKETS.items()),
    Hostile("x32-calls", _X32, (RE,)),
    Hostile("32-bit-calls", _COMPAT_C, (AC, RE), "c"),
)
