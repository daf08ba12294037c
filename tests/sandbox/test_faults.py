"""What goes wrong around the sandbox: nothing hangs, nothing stays behind, and the pool heals itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from r1gym.errors import SandboxUnavailableError, UnsafeSandboxError
from r1gym.sandbox import cgroups
from r1gym.sandbox.chooser import Sandbox, open_sandbox
from r1gym.sandbox.docker import LABEL, _advice, _start_time
from r1gym.sandbox.judging import judge
from r1gym.sandbox.local import LocalBackend
from r1gym.sandbox.records import Protection
from r1gym.types import Limits, StdioCase

Opening = Callable[..., Sandbox]
ONE = [StdioCase("", "1")]
PATIENT = Limits(cpu_seconds=5.0, wall_seconds=8.0)

CHILD = """
import sys, threading, time
from r1gym.sandbox import judge, open_sandbox
from r1gym.types import Limits, StdioCase
sandbox = open_sandbox(sys.argv[1], slots=2)
assert judge("print(1)", "python", [StdioCase("", "1")], sandbox=sandbox).verdict == "AC"
long = ("import time; time.sleep(60)", "python", [StdioCase("", "1")], Limits(60, 60))
threading.Thread(target=judge, args=long, kwargs={"sandbox": sandbox}).start()
time.sleep(0.5)
print("ready", flush=True)
time.sleep(60)
"""


def jails(owner: int) -> set[str]:
    """The jails that descend from ``owner``; other test processes have some of their own."""
    parents, found = {}, set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                if b"_KEPT_CAPABILITIES" in (folder / "cmdline").read_bytes():
                    found.add(int(folder.name))
            except OSError:
                continue

    def descends(pid: int) -> bool:
        while pid in parents and pid != owner:
            pid = parents[pid]
        return pid == owner

    return {f"{pid} {_start_time(pid)}" for pid in found if descends(pid)}


def is_alive(jail: str) -> bool:
    pid, _, started = jail.partition(" ")
    return _start_time(int(pid)) == started


def groups(owner: int) -> set[str]:
    parents = cgroups.find_parents().values()
    return {str(folder) for parent in parents for folder in parent.glob(f"r1gym-{owner}-*")}


def containers(owner: int | None = None) -> set[str]:
    shown = f'{{{{.ID}}}} {{{{.Label "{LABEL}"}}}}'
    command = ["docker", "ps", "-a", "--no-trunc", "--filter", f"label={LABEL}", "--format", shown]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {line[:12] for line in lines if owner is None or f"] {owner} " in line}


def left_behind(backend: str, owner: int) -> set[str]:
    return jails(owner) | groups(owner) if backend == "local" else containers(owner)


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_parent_that_dies_leaves_nothing(backend: str, how: signal.Signals, open_backend: Opening) -> None:
    open_backend(backend).close()
    command = [sys.executable, "-c", CHILD, backend]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as child:
        assert child.stdout is not None and child.stdout.readline() == "ready\n"
        seen = jails(child.pid)
        assert left_behind(backend, child.pid)
        child.send_signal(how)
        if how is signal.SIGINT:  # the thread that judges holds the interpreter's exit: end it for good
            time.sleep(0.5)
            child.kill()

    def stays() -> bool:  # an orphaned jail descends from another process, and holds its groups
        return bool(left_behind(backend, child.pid)) or any(map(is_alive, seen))

    # What hung on the parent's pipe goes by itself. A slot in the middle of its start does not hang on it yet: the
    # next sandbox of this machine finds it by its label and removes it.
    deadline = time.monotonic() + 10
    while stays() and time.monotonic() < deadline:
        time.sleep(0.05)
    open_backend(backend).close()
    wait_until(lambda: not stays(), 60)


def test_a_closed_sandbox_leaves_nothing(backend: str, open_backend: Opening) -> None:
    before = left_behind(backend, os.getpid())
    with open_backend(backend, slots=2) as sandbox:
        assert judge("print(1)", "python", ONE, sandbox=sandbox).verdict == "AC"
        assert left_behind(backend, os.getpid()) - before
    # A Docker engine lists a container for a moment after it has answered that it is gone.
    wait_until(lambda: left_behind(backend, os.getpid()) <= before, 10)
    sandbox.close()


def end_the_slot(sandbox: Sandbox) -> None:
    """Kill the one leased slot from outside, as an operator would."""
    (slot,) = sandbox.pool._leased
    if sandbox.name == "docker":
        subprocess.run(["docker", "kill", slot.link._container], check=True, capture_output=True)  # type: ignore[attr-defined]
        return
    keeper = slot.link._process.pid  # type: ignore[attr-defined]
    holder = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()[0]
    worker = Path(f"/proc/{holder}/task/{holder}/children").read_text().split()[0]
    os.kill(int(worker), signal.SIGKILL)


def test_a_slot_killed_from_outside_costs_a_retry(backend: str, open_backend: Opening) -> None:
    with open_backend(backend, slots=1) as sandbox:
        judge("print(1)", "python", ONE, sandbox=sandbox)
        timer = threading.Timer(0.5, end_the_slot, [sandbox])
        timer.start()
        found = judge("import time; time.sleep(1); print(1)", "python", ONE, PATIENT, sandbox=sandbox)
        timer.join()
        assert found.verdict == "AC" and sandbox.pool.started == 2


@pytest.mark.docker
def test_a_paused_container_is_given_up_and_removed(monkeypatch: pytest.MonkeyPatch, open_backend: Opening) -> None:
    monkeypatch.setattr("r1gym.sandbox.execution._GRACE_SECONDS", 1.0)
    with open_backend("docker", slots=1) as sandbox:
        judge("print(1)", "python", ONE, sandbox=sandbox)
        (slot,) = sandbox.pool._free
        container = slot.link._container  # type: ignore[attr-defined]
        subprocess.run(["docker", "pause", container], check=True, capture_output=True)
        found = judge("print(1)", "python", ONE, Limits(1.0, 1.0), sandbox=sandbox)
        assert found.verdict == "AC" and sandbox.pool.started == 2
        wait_until(lambda: container[:12] not in containers(), 5)


@pytest.mark.docker
def test_an_engine_that_goes_away_gives_ie_and_comes_back(
    monkeypatch: pytest.MonkeyPatch, open_backend: Opening
) -> None:
    with open_backend("docker", slots=1) as sandbox:
        assert judge("print(1)", "python", ONE, sandbox=sandbox).verdict == "AC"
        (slot,) = sandbox.pool._free
        subprocess.run(["docker", "kill", slot.link._container], check=True, capture_output=True)  # type: ignore[attr-defined]
        real = sandbox.backend.start

        def refuse(memory_mb: int) -> object:
            raise SandboxUnavailableError("the engine is gone")

        monkeypatch.setattr(sandbox.backend, "start", refuse)
        found = judge("print(1)", "python", ONE, sandbox=sandbox)
        assert found.verdict == "IE" and "the engine is gone" in found.message
        monkeypatch.setattr(sandbox.backend, "start", real)
        assert judge("print(1)", "python", ONE, sandbox=sandbox).verdict == "AC"


@pytest.mark.docker
def test_a_missing_image_names_the_command(open_backend: Opening) -> None:
    open_backend("docker").close()
    with pytest.raises(SandboxUnavailableError, match="r1gym sandbox build"):
        open_sandbox("docker", image="r1gym-no-such-image:1")


@pytest.mark.docker
def test_containers_of_a_dead_owner_are_reaped(open_backend: Opening) -> None:
    # Every pool that opens reaps, also in the processes beside this one: the owner lives until its container stands.
    with open_backend("docker", slots=1) as sandbox, subprocess.Popen(["sleep", "600"]) as owner:
        place = Path("/proc/sys/kernel/random/boot_id").read_text().strip() + " " + os.readlink("/proc/self/ns/pid")
        label = f"{LABEL}={place} {owner.pid} {_start_time(owner.pid)}"
        image = sandbox.backend.image  # type: ignore[attr-defined]
        command = ["docker", "run", "-d", "--network", "none", "--label", label, image, "sleep", "600"]
        made = subprocess.run(command, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        name = made.stdout.strip()[:12]
        sandbox.backend.reap()  # type: ignore[attr-defined]
        assert name in containers()
        owner.kill()
        owner.wait()
        sandbox.backend.reap()  # type: ignore[attr-defined]
        wait_until(lambda: name not in containers(), 10)  # a neighbour may have been first, and be at it still
        assert name not in containers()


def test_no_engine_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with pytest.raises(SandboxUnavailableError, match="no engine answers; install and start Docker"):
        open_sandbox("docker")


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("('Connection aborted.', PermissionError(13, 'Permission denied'))", "group docker"),
        ("('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))", "install and start Docker"),
        ("('Connection aborted.', ConnectionRefusedError(111, 'Connection refused'))", "install and start Docker"),
        ("client version 1.99 is too new. Maximum supported API version is 1.41", "DOCKER_API_VERSION"),
        ("write /var/lib: no space left on device", "docker system prune"),
        ("something else", "something else"),
    ],
)
def test_advice_for_what_an_engine_says(text: str, advice: str) -> None:
    assert advice in _advice(text)


def test_auto_says_why_it_took_what_it_took(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, open_backend: Opening
) -> None:
    open_backend("local").close()
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with open_sandbox("auto", slots=1) as sandbox:
        assert sandbox.name == "local"
    assert "sandbox auto: local (docker: cannot reach Docker: no engine answers" in caplog.text


def test_a_missing_protection_is_refused_unless_told(monkeypatch: pytest.MonkeyPatch, open_backend: Opening) -> None:
    open_backend("local").close()
    monkeypatch.setattr(LocalBackend, "protections", lambda self: (Protection("network", False, "no namespace"),))
    with pytest.raises(UnsafeSandboxError, match=r"network \(no namespace\).*allow_unsafe"):
        open_sandbox("local")
    open_sandbox("local", allow_unsafe=True).close()


def test_where_namespaces_are_forbidden_local_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LocalBackend, "problem", lambda self: "user namespaces are off")
    with pytest.raises(SandboxUnavailableError, match="user namespaces are off"):
        open_sandbox("local")


def test_a_cgroup_of_a_dead_owner_is_removed(tmp_path: Path) -> None:
    for name in ("r1gym-4194303-0", f"r1gym-{os.getpid()}-0", "other-4194303-0"):
        (tmp_path / name).mkdir()
    assert cgroups.remove_stale({"memory": tmp_path}) == 1
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["other-4194303-0", f"r1gym-{os.getpid()}-0"]


def test_memory_limits_are_written_for_both_versions(tmp_path: Path) -> None:
    for parents, name, value in (
        ({"memory": tmp_path / "v1"}, "memory.limit_in_bytes", str((64 + 96) << 20)),
        ({"unified": tmp_path / "v2"}, "memory.max", str((64 + 96) << 20)),
    ):
        (parent,) = parents.values()
        parent.mkdir()
        made = cgroups.Cgroup.create(parents, 64)
        (folder,) = made.folders.values()
        assert (folder / name).read_text() == value and folder.name.startswith(f"r1gym-{os.getpid()}-")
        made.resize(128)
        assert (folder / name).read_text() == str((128 + 96) << 20)
