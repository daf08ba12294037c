"""A container in one file, run as a script: namespaces, a read-only root, cgroups, then the worker as process 1.

Called as ``python -I -S -c SOURCE CONFIG`` with the judge's frames on stdin and stdout. Three processes: the *keeper*
(outside, owns the cgroups, ends the rest when its parent is gone), the *holder* (in the new namespaces) and the worker.
Standard library only. CONFIG is JSON: python, bootstrap, cgroups {controller: folder},
binds [[source, target]], keep_usr_local, first_uid, tmpfs_mb, inodes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main"]

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW = {"NS": 0x00020000, "CGROUP": 0x02000000, "UTS": 0x04000000, "IPC": 0x08000000, "USER": 0x10000000}
_NEW |= {"PID": 0x20000000, "NET": 0x40000000}
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 2, 4, 8, 32, 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_KEPT_CAPABILITIES = {1, 5, 6, 7}  # DAC_OVERRIDE (to empty the box), KILL, SETGID, SETUID
_UIDS = 65536
_ROOTS = ("/mnt", "/media", "/srv", "/tmp")  # where the new root is put together, in the new mount namespace only
_DEVICES = ("null", "zero", "full", "random", "urandom")


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    code = _LIBC.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, data.encode() or None)
    _check(code, f"mount {kind or 'bind'} {source} on {target}")


def _bind(source: str, target: str, read_only: bool = True) -> None:
    """Bind ``source``; the flags that the host's mount carries are locked in a user namespace and must stay."""
    _mount(source, target, None, _BIND | _REC)
    if read_only:
        flags = os.statvfs(target).f_flag
        kept = sum(bit for bit in (_NOSUID, _NODEV, _NOEXEC, 1024, 2048) if flags & bit)  # the last two: no atime
        if flags & 4096:  # statvfs calls relatime 4096, mount(2) calls it 1 << 21
            kept |= 1 << 21
        _mount(source, target, None, _BIND | _REMOUNT | _RDONLY | kept | _NOSUID)


def _pick_root(binds: list[list[str]]) -> str:
    """A folder of the host that nothing is bound from: it is covered while the new root is put together."""
    for place in _ROOTS:
        if os.path.isdir(place) and not any(f"{source}/".startswith(f"{place}/") for source, _ in binds):
            return place
    raise OSError(f"none of {', '.join(_ROOTS)} can hold the new root")


def _folder(root: str, name: str) -> str:
    path = root + name
    os.makedirs(path, mode=0o755, exist_ok=True)
    return path


def _build_root(config: dict[str, Any]) -> None:
    """A root of tmpfs with /usr read-only, a few files of /etc, five devices, this slot's /proc and its counters."""
    root = _pick_root(config["binds"])
    _mount("none", "/", None, _REC | _PRIVATE)
    _mount("root", root, "tmpfs", _NOSUID | _NODEV, "size=1m,mode=755")
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            _bind(f"/{name}", _folder(root, f"/{name}"))
    _bind("/usr", _folder(root, "/usr"))
    if os.path.isdir("/usr/local") and not config["keep_usr_local"]:
        _mount("local", _folder(root, "/usr/local"), "tmpfs", _NOSUID | _NODEV | _RDONLY, "size=4k")
    for source, target in config["binds"]:
        _bind(source, _folder(root, target))
    _folder(root, "/etc")
    Path(root, "etc/passwd").write_text("root:x:0:0::/:/bin/false\n")
    Path(root, "etc/group").write_text("root:x:0:\n")
    for name in ("/etc/ld.so.cache", "/etc/alternatives"):
        if os.path.isdir(name):
            _bind(name, _folder(root, name))
        elif os.path.exists(name):
            Path(root + name).touch()
            _bind(name, root + name)
    _folder(root, "/dev")
    for name in _DEVICES:
        Path(root, "dev", name).touch()
        _mount(f"/dev/{name}", f"{root}/dev/{name}", None, _BIND)
    for index, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{index}", f"{root}/dev/{name}")
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    _mount("shm", _folder(root, "/dev/shm"), "tmpfs", _NOSUID | _NODEV | _NOEXEC, "size=16m,nr_inodes=1024,mode=1777")
    _mount("proc", _folder(root, "/proc"), "proc", _NOSUID | _NODEV | _NOEXEC)
    for name, path in config["cgroups"].items():
        _bind(path, _folder(root, "/sys/fs/cgroup" if name == "unified" else f"/sys/fs/cgroup/{name}"))
    size = f"size={config['tmpfs_mb']}m,nr_inodes={config['inodes']},mode=755"
    _mount("w", _folder(root, "/w"), "tmpfs", _NOSUID | _NODEV, size)
    _mount("tmp", _folder(root, "/tmp"), "tmpfs", _NOSUID | _NODEV | _NOEXEC, "size=16m,nr_inodes=1024,mode=1777")
    os.chdir(root)
    _check(_LIBC.pivot_root(b".", b"."), "pivot_root")
    _check(_LIBC.umount2(b".", 2), "umount of the old root")  # MNT_DETACH
    os.chdir("/")
    _mount("none", "/", None, _BIND | _REMOUNT | _RDONLY | _NOSUID | _NODEV)


def _drop_capabilities(ranged: bool, counted: bool) -> None:
    # SETFCAP: without it a namespace within this one may not map our only id (Linux 5.12)
    keep = _KEPT_CAPABILITIES if ranged else {*_KEPT_CAPABILITIES, 31}
    if not counted:
        keep = {*keep, 19}  # SYS_PTRACE: the watchdog reads which pages processes share, where no cgroup counts them
    for capability in range(64):
        if capability not in keep and _LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # past the last one that this kernel has
    _check(_LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    kept = sum(1 << capability for capability in keep)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)(kept, kept, 0, 0, 0, 0)
    _check(_LIBC.capset(header, data), "capset")


def _worker(config: dict[str, Any]) -> NoReturn:
    """Process 1: the last steps that need a capability, then the interpreter that reads the worker's source."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _build_root(config)
    _check(_LIBC.sethostname(b"sandbox", 7), "sethostname")
    _drop_capabilities(config["first_uid"] is not None, bool({"memory", "unified"} & config["cgroups"].keys()))
    os.closerange(3, 1024)
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    os.execve(config["python"], [config["python"], "-I", "-S", "-c", config["bootstrap"], "worker"], environment)


def _holder(config: dict[str, Any], ready: int, mapped: int) -> NoReturn:
    """Enter the namespaces, wait until the keeper has mapped the ids, fork the worker, end with it."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    _join(config["cgroups"])
    _check(_LIBC.unshare(sum(_NEW.values())), "unshare")
    os.write(ready, b"1")
    if not os.read(mapped, 1):
        os._exit(1)
    os.setresgid(0, 0, 0)
    if config["first_uid"] is not None:
        os.setgroups([])
    os.setresuid(0, 0, 0)
    pid = os.fork()
    if pid == 0:
        _worker(config)
    os.closerange(0, 2)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _guard(step: Any, *arguments: Any) -> NoReturn:
    try:
        step(*arguments)
    except BaseException as error:
        print(f"jail: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    os._exit(70)


def _join(cgroups: dict[str, str]) -> None:
    for path in cgroups.values():
        Path(path, "cgroup.procs").write_text("0")


def _keep(pid: int, parent: int) -> int:
    """Wait for the holder; end it when our parent is gone (its pipe may live on in some child of it)."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if os.getppid() != parent:
            os.kill(pid, signal.SIGKILL)
        signal.sigtimedwait({signal.SIGCHLD}, 0.25)


def _leave(cgroups: dict[str, str]) -> None:
    """Tell what the memory cgroup counted and remove them; a folder stays busy for a moment after its last process."""
    for path in cgroups.values():
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError):
                print(Path(path, name).read_text(), file=sys.stderr, flush=True)
    for path in cgroups.values():
        for _ in range(200):
            try:
                os.rmdir(path)
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(0.01)


def _map_ids(pid: int, first: int | None) -> None:
    """Map the holder's ids: a range of our own from ``first`` as root, or only our own id without it."""
    folder = Path(f"/proc/{pid}")
    if first is None:
        (folder / "setgroups").write_text("deny")
    for name, own in (("uid_map", os.geteuid()), ("gid_map", os.getegid())):
        (folder / name).write_text(f"0 {own} 1" if first is None else f"0 {first} {_UIDS}")


def main(config: dict[str, Any]) -> int:
    """Be the keeper."""
    parent = os.getppid()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    ready_r, ready_w = os.pipe()
    mapped_r, mapped_w = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            os.close(ready_r)
            os.close(mapped_w)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
            _guard(_holder, config, ready_w, mapped_r)
        os.close(ready_w)
        os.close(mapped_r)
        os.closerange(0, 2)  # the frames belong to the worker alone
        if os.read(ready_r, 1):
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                _map_ids(pid, config["first_uid"])
            os.write(mapped_w, b"1")
        return os.waitstatus_to_exitcode(_keep(pid, parent)) & 0xFF
    finally:
        _leave(config["cgroups"])


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
