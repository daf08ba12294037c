"""The languages, one table row each, and the compilers of the local backend with their precompiled header."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from r1gym.errors import unknown_name

__all__ = ["HEADER_FOLDER", "LANGUAGES", "Language", "get_language", "local_binds", "local_identity", "prepare_local"]

HEADER_FOLDER = "/opt/r1gym/include"
"""Holds the folder ``bits/stdc++.h.gch`` with a file for each standard, of which the compiler takes the one that fits
its flags; first on the include path, in the image as in a jail."""


@dataclass(frozen=True, slots=True)
class Language:
    """How a source becomes a running program."""

    name: str
    filename: str
    compile_argv: tuple[str, ...]
    """Empty where nothing is compiled."""
    run_argv: tuple[str, ...]
    time_factor: float
    """How much more time a language may take than C++ where ``time_factor="language"``."""
    second_argv: tuple[str, ...] = ()
    """How to compile where ``compile_argv`` finds errors: a later standard."""
    precompiled: bool = False
    """Whether its compiler looks for the precompiled header."""


_FLAGS = ("-O2", "-pipe", "-DONLINE_JUDGE")
CXX_FLAGS = (*_FLAGS, "-std=gnu++17")
"""Flags of C++, those of the precompiled header too: the compiler takes it only if they agree."""
CXX_LATER_FLAGS = (*_FLAGS, "-std=gnu++20")
"""The same where a source has errors by the first standard. Not the first: its new names break older programs."""

LANGUAGES: dict[str, Language] = {
    language.name: language
    for language in (
        Language("python", "main.py", (), ("python3", "-s", "/w/program/main.py"), 5.0),
        Language(
            "cpp",
            "main.cpp",
            ("/usr/bin/g++", *CXX_FLAGS, "-w", f"-I{HEADER_FOLDER}", "/w/program/main.cpp", "-o", "a.out"),
            ("/w/program/a.out",),
            1.0,
            ("/usr/bin/g++", *CXX_LATER_FLAGS, "-w", f"-I{HEADER_FOLDER}", "/w/program/main.cpp", "-o", "a.out"),
            True,
        ),
        Language(
            "c",
            "main.c",
            ("/usr/bin/gcc", *_FLAGS, "-std=gnu17", "-w", "/w/program/main.c", "-o", "a.out", "-lm"),
            ("/w/program/a.out",),
            1.0,
        ),
    )
}


def get_language(name: str) -> Language:
    """The table row of ``name``. Raises UnknownNameError."""
    if name not in LANGUAGES:
        raise unknown_name("language", name, LANGUAGES)
    return LANGUAGES[name]


@functools.cache
def local_identity() -> str:
    """The version line of this machine's g++; part of the compile cache's key."""
    if shutil.which("g++") is None:
        return "none"
    done = subprocess.run(["g++", "--version"], capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.splitlines()[0]


def _header_home() -> Path:
    """Where this machine keeps the header: readable by the jail's ids, so as root not in its home."""
    key = hashlib.sha256(f"{local_identity()} {CXX_FLAGS} {CXX_LATER_FLAGS}".encode()).hexdigest()[:16]
    place = (
        Path("/var/cache") if os.geteuid() == 0 else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    )
    return place / "r1gym" / "include" / key


def local_binds() -> list[Path]:
    """What a jail shows at ``HEADER_FOLDER``: a list of at most one folder, made if it may be."""
    home = _header_home()
    try:
        (home / "bits").mkdir(parents=True, exist_ok=True)
    except OSError:
        return []
    return [home]


def prepare_local() -> None:
    """Build the precompiled headers once a machine (seconds, 200 MB); without them compiling is slower, not other."""
    binds = local_binds()
    if not binds or local_identity() == "none":
        return
    folder = binds[0] / "bits" / "stdc++.h.gch"
    folder.mkdir(exist_ok=True)
    for flags in (CXX_FLAGS, CXX_LATER_FLAGS):
        target = folder / flags[-1].removeprefix("-std=")
        if target.exists():
            continue
        # Beside the folder, not in it: the compiler tries every file there.
        with tempfile.TemporaryDirectory(dir=binds[0]) as place, contextlib.suppress(subprocess.SubprocessError):
            source, made = Path(place, "stdc++.h"), Path(place, "made.gch")
            source.write_text("#include <bits/stdc++.h>\n")
            command = ["g++", *flags, "-x", "c++-header", str(source), "-o", str(made)]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            os.chmod(made, 0o644)
            os.replace(made, target)
