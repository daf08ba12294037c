"""The Docker backend: a slot is a hardened container, spoken to over its attached stdin and stdout."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1gym.errors import SandboxError, SandboxUnavailableError
from r1gym.sandbox.guest import bundle
from r1gym.sandbox.image import default_tag
from r1gym.sandbox.protocol import OVERHEAD_MB
from r1gym.sandbox.records import Protection

__all__ = ["LABEL", "DockerBackend", "DockerLink", "connect", "explained"]

LABEL = "r1gym.sandbox"
"""Label of every container made here; its value names the owner."""
_CAPABILITIES = ["DAC_OVERRIDE", "KILL", "SETGID", "SETUID"]
_PIDS = 256
_OPEN_SECONDS, _CALL_SECONDS = 10, 30  # waited for an engine's answer: the first, and any other
_TMPFS = {
    "/w": "size=64m,nr_inodes=4096,nosuid,nodev,exec,mode=1777",
    "/dev/shm": "size=16m,nr_inodes=1024,nosuid,nodev,noexec,mode=1777",
    "/tmp": "size=16m,nr_inodes=1024,nosuid,nodev,noexec,mode=1777",
}


@contextlib.contextmanager
def explained(doing: str) -> Iterator[None]:
    """Errors of SDK and engine as SandboxUnavailableError, with the cause and what to do about it."""
    import docker.errors
    import requests

    try:
        yield
    except docker.errors.ImageNotFound as error:
        raise SandboxUnavailableError(f"{doing}: the image is missing; run: r1gym sandbox build") from error
    except (docker.errors.DockerException, requests.RequestException, OSError) as error:
        raise SandboxUnavailableError(f"{doing}: {_advice(str(error))}") from error


def _advice(text: str) -> str:
    if "PermissionError" in text or "Permission denied" in text:
        return f"no permission on the engine's socket; join the group docker, or run as root ({text:.200})"
    if "FileNotFoundError" in text or "No such file" in text or "Connection refused" in text:
        return f"no engine answers; install and start Docker, or set DOCKER_HOST ({text:.200})"
    if "is too new" in text or "is too old" in text or "client version" in text:
        return f"engine and SDK do not agree on an API version; unset DOCKER_API_VERSION ({text:.200})"
    if "no space left" in text.lower():
        return f"the engine's disk is full; docker system prune makes room ({text:.200})"
    return text[:400]


def connect() -> Any:
    """A client of the engine that the environment names. Raises SandboxUnavailableError."""
    with explained("cannot reach Docker"):
        import docker

        _knock(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
        client = docker.from_env(timeout=_OPEN_SECONDS)
        client.api.timeout = _CALL_SECONDS
        return client


def _knock(host: str) -> None:
    """Raise OSError where nobody answers: the SDK leaves a socket open when its first connection fails."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_OPEN_SECONDS)
            probe.connect(host.removeprefix("unix://"))
            probe.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            try:
                said = probe.recv(64)
            except TimeoutError as error:
                raise OSError(f"{host} takes connections and does not answer within {_OPEN_SECONDS} s") from error
            if not said.startswith(b"HTTP/"):
                raise OSError(f"{host} answers, and not as an engine does: {said!r:.80}")


def _owner() -> str:
    """Names this process for ever: boot, pid namespace, pid and start time."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')} {os.getpid()} {_start_time(os.getpid())}"


def _start_time(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "gone"


class DockerLink:
    """The attached streams of one container."""

    def __init__(self, backend: DockerBackend, container: str, stream: Any) -> None:
        self._backend = backend
        self._container = container
        self._stream = stream  # owns the HTTP response, which owns the socket
        self._socket: socket.socket = stream._sock
        self._socket.setblocking(False)
        self._since = int(time.time()) - 1
        self._raw = bytearray()
        self._words = bytearray()
        self._closed = False
        self.read_fd = self.write_fd = self._socket.fileno()

    def unwrap(self, data: bytes) -> bytes:
        """Take the engine's stream frames apart: one byte of kind, four of length after three of nothing."""
        self._raw += data
        out = bytearray()
        while len(self._raw) >= 8:
            size = int.from_bytes(self._raw[4:8], "big")
            if len(self._raw) < 8 + size:
                break
            part = self._raw[8 : 8 + size]
            if self._raw[0] == 1:
                out += part
            else:
                self._words = (self._words + part)[-2000:]
            del self._raw[: 8 + size]
        return bytes(out)

    def resize(self, memory_mb: int) -> None:
        """Set the memory limit, swap included."""
        limit = (memory_mb + OVERHEAD_MB) << 20
        with self._backend.calling(f"cannot set a slot's memory to {memory_mb} MB") as api:
            api.update_container(self._container, mem_limit=limit, memswap_limit=limit)

    def died_of_memory(self) -> bool:
        """Whether the engine saw the container run out of memory and die of SIGKILL."""
        seen: set[str] = set()
        with contextlib.suppress(SandboxError), self._backend.calling("cannot read events") as api:
            filters = {"container": self._container, "event": ["oom", "die"]}
            events = api.events(since=self._since, until=int(time.time()) + 1, filters=filters, decode=True)
            for event in events:
                code = event.get("Actor", {}).get("Attributes", {}).get("exitCode", "")
                seen.add(event["Action"] + code)
        return {"oom", "die137"} <= seen

    def last_words(self) -> str:
        """What the worker wrote on stderr, cut."""
        return self._words[-500:].decode(errors="replace").strip()

    def hang_up(self) -> None:
        """End the stream both ways."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up and remove the container, paused or not."""
        if self._closed:
            return
        self._closed = True
        self.read_fd = self.write_fd = -1
        self.hang_up()
        with contextlib.suppress(OSError):
            self._stream._response.close()
        with contextlib.suppress(OSError):
            self._stream.close()
            self._socket.close()
        self._backend.remove(self._container)


class DockerBackend:
    """Containers of one image. Raises SandboxUnavailableError where the engine or the image is not there."""

    name = "docker"

    def __init__(self, image: str = "", runtime: str = "") -> None:
        self.image = image or default_tag()
        self.runtime = runtime
        self._lock = threading.RLock()
        self._client = connect()
        try:
            with explained(f"image {self.image}"):
                self._image_id = str(self._client.images.get(self.image).id)
                self._info: dict[str, Any] = self._client.info()
            self.reap()
        except BaseException:
            self._client.close()
            raise

    @contextlib.contextmanager
    def calling(self, doing: str) -> Iterator[Any]:
        """The engine's API, one call at a time, with errors explained."""
        with self._lock, explained(doing):
            yield self._client.api

    def reap(self) -> int:
        """Remove containers whose owner on this machine is gone; how many."""
        mine = _owner().rsplit(" ", 2)[0]
        removed = 0
        with self.calling("cannot list containers") as api:
            found = api.containers(all=True, filters={"label": LABEL})
        for container in found:
            place, _, rest = str(container["Labels"][LABEL]).partition("] ")
            pid, _, started = rest.partition(" ")
            if f"{place}]" == mine and _start_time(int(pid)) != started:
                self.remove(container["Id"])
                removed += 1
        return removed

    def _host_config(self, api: Any, memory_mb: int) -> Any:
        import docker.types

        limit = (memory_mb + OVERHEAD_MB) << 20
        limits = [("core", 0), ("msgqueue", 0), ("nofile", 1024)]
        return api.create_host_config(
            network_mode="none",
            read_only=True,
            cap_drop=["ALL"],
            cap_add=_CAPABILITIES,
            security_opt=["no-new-privileges"],
            pids_limit=_PIDS,
            mem_limit=limit,
            memswap_limit=limit,
            nano_cpus=1_000_000_000,
            ipc_mode="none",
            tmpfs=_TMPFS,
            log_config=docker.types.LogConfig(type="none"),
            ulimits=[docker.types.Ulimit(name=name, soft=value, hard=value) for name, value in limits],
            init=False,
            auto_remove=True,
            runtime=self.runtime or None,
        )

    def start(self, memory_mb: int) -> DockerLink:
        """A fresh container with the worker in it. It ends when we hang up, even by SIGKILL, and removes itself."""
        with self.calling("cannot start a container") as api:
            made = api.create_container(
                self.image,
                command=["python3", "-I", "-S", "-c", bundle.BOOTSTRAP, "worker"],
                stdin_open=True,
                detach=False,
                user="0:0",
                hostname="sandbox",
                working_dir="/",
                environment={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
                labels={LABEL: _owner()},
                stop_signal="KILL",
                host_config=self._host_config(api, memory_mb),
            )
            container = made["Id"]
            try:
                stream = api.attach_socket(container, params={"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
                api.start(container)
            except BaseException:
                self.remove(container)
                raise
        link = DockerLink(self, container, stream)
        source = bundle.build()
        with explained("cannot speak to the container"):
            link._socket.settimeout(30)
            link._socket.sendall(len(source).to_bytes(4, "big") + source)
            link._socket.setblocking(False)
        return link

    def remove(self, container: str, wait_seconds: float = 10.0) -> None:
        """Remove a container whatever state it is in, and see it gone; one that is gone already is fine."""
        import docker.errors
        import requests

        deadline = time.monotonic() + wait_seconds
        with contextlib.suppress(docker.errors.NotFound, requests.RequestException):
            while time.monotonic() < deadline:
                with self._lock, contextlib.suppress(docker.errors.APIError):
                    try:
                        self._client.api.remove_container(container, force=True)
                    except docker.errors.NotFound:
                        return
                time.sleep(0.02)  # removed by itself at the same time: the engine says so until it is done

    def protections(self) -> tuple[Protection, ...]:
        """What a container keeps away, by what this engine says of itself."""
        options = " ".join(self._info.get("SecurityOptions") or [])
        runtime = self.runtime or str(self._info.get("DefaultRuntime", ""))
        gvisor = "runsc" in runtime
        seccomp = "own filter in the submission" + (", the engine's default around it" if "seccomp" in options else "")
        memory, pids = bool(self._info.get("MemoryLimit")), bool(self._info.get("PidsLimit", True))
        cpu, version = bool(self._info.get("CpuCfsQuota")), self._info.get("CgroupVersion", "1")
        return (
            Protection("network", True, "no network, sockets denied by filter"),
            Protection("files", True, "read-only root, no mounts, two tmpfs with size and inode limits"),
            Protection("processes of others", True, "the container's pid namespace; a fresh uid a test; no IPC"),
            Protection("privileges", True, f"no_new_privs, no capabilities; {seccomp}"),
            Protection("number of processes", pids, f"cgroup v{version} and RLIMIT_NPROC"),
            Protection("memory", memory, f"cgroup v{version}, its out-of-memory counter"),
            Protection("CPU share", cpu, f"cgroup v{version}", required=False),
            Protection(
                "separate kernel",
                gvisor,
                f"runtime {runtime}" if gvisor else f"runtime {runtime}: the host's kernel is the boundary",
                required=False,
            ),
        )

    def toolchain(self) -> str:
        """The image's identity."""
        return self._image_id

    def close(self) -> None:
        """Close the client."""
        self._client.close()
