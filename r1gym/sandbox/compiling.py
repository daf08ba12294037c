"""Compile once: in a slot, under the compiler's own limits, cached by content."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace

from r1gym.sandbox.execution import Request, run_once
from r1gym.sandbox.pool import Pool
from r1gym.sandbox.records import CompileResult
from r1gym.sandbox.toolchain import Language, prepare_local
from r1gym.types import Limits

__all__ = ["COMPILE_LIMITS", "CompileCache", "CompilerFault", "Program", "build"]

COMPILE_LIMITS = Limits(cpu_seconds=10.0, wall_seconds=60.0, memory_mb=768, output_mb=1, processes=32)
_CACHE_BYTES = 256 << 20
_MESSAGE = 4096


class CompilerFault(Exception):
    """The compiler could not be run, through no fault of the source."""


@dataclass(frozen=True, slots=True)
class Program:
    """What runs: the bytes of an executable, or a source that needs no compiler."""

    content: bytes
    result: CompileResult | None


class CompileCache:
    """Programs by content hash, least recently used out first; two who want the same compile it once."""

    def __init__(self) -> None:
        self._programs: collections.OrderedDict[str, Program] = collections.OrderedDict()
        self._busy: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._bytes = 0

    def get(self, key: str) -> Program | None:
        """The program of ``key``, marked as cached."""
        with self._lock:
            found = self._programs.get(key)
            if found is None or found.result is None:
                return None
            self._programs.move_to_end(key)
            return replace(found, result=replace(found.result, cached=True, seconds=0.0))

    def put(self, key: str, program: Program) -> None:
        """Keep ``program``."""
        with self._lock:
            self._bytes += len(program.content) - len(self._programs.pop(key, Program(b"", None)).content)
            self._programs[key] = program
            while self._bytes > _CACHE_BYTES:
                self._bytes -= len(self._programs.popitem(last=False)[1].content)

    @contextlib.contextmanager
    def once(self, key: str) -> Iterator[None]:
        """Hold others who want ``key`` until this one has it."""
        with self._lock:
            lock = self._busy.setdefault(key, threading.Lock())
        try:
            with lock:
                yield
        finally:
            with self._lock:
                self._busy.pop(key, None)


def _compile(pool: Pool, language: Language, source: bytes) -> tuple[Program, bool]:
    """The program, and whether the result is worth keeping (a time-out may be another's fault).

    Where a source has errors by the first standard, the second is tried; the words are those of the first.
    """
    program, keep, errors = _attempt(pool, language, source, language.compile_argv)
    if errors and language.second_argv:
        again = _attempt(pool, language, source, language.second_argv)
        if again[0].content:
            program, keep, _ = again
    return program, keep


def _attempt(pool: Pool, language: Language, source: bytes, argv: tuple[str, ...]) -> tuple[Program, bool, bool]:
    """The program, whether to keep it, and whether the compiler ended by itself and found errors."""
    request = Request(
        kind="exec", program=source, name=language.filename, limits=COMPILE_LIMITS, argv=argv, collect="a.out"
    )
    raw = run_once(pool, request)
    if raw.fault:
        raise CompilerFault(raw.fault)
    said = (raw.stderr + raw.stdout).decode(errors="replace")[:_MESSAGE]
    if raw.oom_kills or raw.cause == "memory":
        said = f"the compiler used more than {COMPILE_LIMITS.memory_mb} MB\n{said}"
    elif raw.cause:
        said = f"the compiler passed its {raw.cause} limit\n{said}"
    elif raw.status == 0 and not raw.artifact:
        said = f"the compiler made no executable\n{said}"
    ok = raw.status == 0 and not raw.cause and bool(raw.artifact)
    result = CompileResult(ok, raw.wall, False, said if not ok else said[:500])
    errors = raw.status != 0 and not raw.cause and not raw.oom_kills
    return Program(raw.artifact if ok else b"", result), raw.cause not in ("cpu", "wall"), errors


def build(pool: Pool, cache: CompileCache, language: Language, source: str) -> Program:
    """``source`` as something that runs; a language without a compiler gives its text. Raises CompilerFault."""
    text = source.encode("utf-8", errors="surrogatepass")
    if not language.compile_argv:
        return Program(text, None)
    if pool.backend.name == "local":
        prepare_local()
    parts = (language.name, " ".join((*language.compile_argv, *language.second_argv)), pool.backend.toolchain())
    key = hashlib.sha256("\0".join(parts).encode() + b"\0" + text).hexdigest()
    with cache.once(key):
        found = cache.get(key)
        if found is not None:
            return found
        program, keep = _compile(pool, language, text)
        if keep:
            cache.put(key, program)
        return program
