"""Build the sandbox's image: from a registry's base, or from Debian packages where no registry can be reached."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from r1gym.errors import SandboxUnavailableError
from r1gym.sandbox.guest.forkserver import PRELOADED
from r1gym.sandbox.toolchain import CXX_FLAGS, CXX_LATER_FLAGS

__all__ = ["Route", "build", "default_tag"]

Route = Literal["auto", "registry", "debian"]
_PACKAGES = (
    *("base-files", "base-passwd", "bash", "dash", "coreutils", "libc-bin"),
    *("python3", "python3-numpy", "python3-sortedcontainers", "g++", "gcc", "libc6-dev"),
)
_MODULES = (*PRELOADED, "array", "ast", "cmath", "contextlib", "ctypes", "dataclasses", "numpy", "select", "socket",
            "sortedcontainers", "statistics", "subprocess", "tempfile", "unittest")  # fmt: skip
_LEFT_OUT = ("doc", "man", "locale", "info")
_RECIPE = Path(__file__).with_name("Dockerfile")


def default_tag() -> str:
    """The image's name: its tag changes with the recipe, so that an old image is never taken for a new one."""
    text = _RECIPE.read_text() + " ".join((*CXX_FLAGS, *CXX_LATER_FLAGS, *_PACKAGES, *_MODULES))
    return f"r1gym-sandbox:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _say_nothing(_: str) -> None:
    pass


def _run(*command: str, cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=600)
    except FileNotFoundError as error:
        raise SandboxUnavailableError(f"{command[0]} is missing: the Debian route needs apt and dpkg") from error
    if done.returncode != 0:
        raise SandboxUnavailableError(f"{' '.join(command)[:200]} failed: {done.stderr.strip()[-400:]}")


def _download(folder: Path) -> list[Path]:
    """The packages with all that they need, as if nothing were installed."""
    (folder / "partial").mkdir(parents=True)
    options = ["Dir::State::status=/dev/null", f"Dir::Cache::archives={folder}", "APT::Install-Recommends=0"]
    options.append("APT::Sandbox::User=root")  # the folder is ours alone, and apt's own user cannot reach it
    flags = [part for option in options for part in ("-o", option)]
    _run("apt-get", "-qq", "-y", *flags, "--download-only", "install", *_PACKAGES)
    return sorted(folder.glob("*.deb"))


def _unpack(packages: list[Path], root: Path) -> None:
    """Extract into ``root`` with a merged /usr, and do by hand the little that maintainer scripts would do."""
    for name in ("dev", "proc", "sys", "tmp", "w"):
        (root / name).mkdir(parents=True)
    for name in ("tmp", "w"):
        (root / name).chmod(0o1777)  # a tmpfs takes its folder's mode, whatever its options say (runc 1.1)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    skip = " ".join(f"--exclude=./usr/share/{name}" for name in _LEFT_OUT)
    script = 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink ' + skip
    workers: list[subprocess.Popen[bytes]] = []
    waiting = list(packages)
    while waiting or workers:
        while waiting and len(workers) < (os.cpu_count() or 1):
            workers.append(subprocess.Popen(["sh", "-c", script, "sh", str(waiting.pop(0)), str(root)]))
        if workers.pop(0).wait() != 0:
            raise SandboxUnavailableError("a package could not be extracted: is the disk full?")
    library = next(iter((root / "usr/lib").glob("*-linux-gnu*")))
    for name in ("blas", "lapack"):
        if (library / name).is_dir():
            (library / f"lib{name}.so.3").symlink_to(f"{name}/lib{name}.so.3")
    for name in ("passwd", "group"):
        shutil.copy(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    _run("ldconfig", "-r", str(root))


def _debian_base(client: Any, say: Callable[[str], None]) -> str:
    """An image of the packages alone; its name. Needs root, for apt and for the owners of files."""
    tag = "r1gym-sandbox-base:" + hashlib.sha256(" ".join(_PACKAGES).encode()).hexdigest()[:12]
    if client.images.list(name=tag):
        return tag
    with tempfile.TemporaryDirectory(prefix="r1gym-image-") as name:
        folder = Path(name)
        say("downloading Debian packages")
        packages = _download(folder / "debs")
        say(f"extracting {len(packages)} packages")
        _unpack(packages, folder / "root")
        say("importing the root")
        archive = folder / "root.tar"
        _run("tar", "-C", str(folder / "root"), "-cf", str(archive), ".")
        changes = ["ENV PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8"]
        repository, _, version = tag.partition(":")
        with archive.open("rb") as data:
            client.api.import_image_from_data(data, repository=repository, tag=version, changes=changes)
    return tag


def build(
    route: Route = "auto", base: str = "", tag: str = "", force: bool = False, say: Callable[[str], None] = _say_nothing
) -> tuple[str, float]:
    """Build the image and return its name and the seconds it took; an image of the same recipe is kept.

    Args:
        route: "registry" pulls ``base``; "debian" makes the base from packages (needs root and apt); "auto" tries both.
        base: Base image of the registry route; "" takes the Dockerfile's.
        tag: The image's name; "" takes ``default_tag()``.
        force: Build although the image is there.
        say: Told what is being done.

    Raises SandboxUnavailableError.
    """
    from r1gym.sandbox.docker import connect, explained

    tag, started = tag or default_tag(), time.monotonic()
    client = connect()
    try:
        with explained("cannot build the image"):
            if client.images.list(name=tag) and not force:
                return tag, time.monotonic() - started
            if route in ("auto", "registry"):
                try:
                    _from_base(client, base, tag, say)
                    return tag, time.monotonic() - started
                except Exception as error:
                    if route == "registry":
                        raise
                    say(f"no registry ({str(error)[:100]}): from Debian packages")
            _from_base(client, _debian_base(client, say), tag, say)
    finally:
        client.close()
    return tag, time.monotonic() - started


def _from_base(client: Any, base: str, tag: str, say: Callable[[str], None]) -> None:
    say(f"building {tag}" + (f" on {base}" if base else ""))
    arguments = {
        "CXX_FLAGS": " ".join(CXX_FLAGS),
        "CXX_LATER_FLAGS": " ".join(CXX_LATER_FLAGS),
        "MODULES": " ".join(_MODULES),
    } | ({"BASE": base} if base else {})
    with tempfile.TemporaryDirectory(prefix="r1gym-build-") as folder:
        shutil.copy(_RECIPE, folder)
        network = "none" if base.startswith("r1gym-sandbox-base") else None
        client.images.build(path=folder, tag=tag, buildargs=arguments, rm=True, forcerm=True, network_mode=network)
