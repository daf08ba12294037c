"""A Python submission inside the forked interpreter: a whole program, one function call, or a session of cells.

Everything here shares its process with hostile code and is trusted with nothing: it can only misreport the answer of
the submission that it runs, and it never sees an expected value.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import linecache
import os
import sys
import traceback
import types
from typing import Any, NoReturn

from r1gym.sandbox.guest import values
from r1gym.sandbox.guest.frames import FrameBuffer, encode

__all__ = ["SYNTAX_ERROR", "run"]

SYNTAX_ERROR = "syntax"
"""What the status pipe says of a program that does not compile; written before any of its code runs."""
_NAME = "main.py"
_REQUEST_FD, _ANSWER_FD = 3, 4


def _fresh_streams() -> None:
    streams = io.FileIO(0, "r", closefd=False), io.FileIO(1, "w", closefd=False), io.FileIO(2, "w", closefd=False)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(streams[0]), "utf-8", "surrogateescape")
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(streams[1]), "utf-8", "surrogateescape")
    sys.stderr = io.TextIOWrapper(io.BufferedWriter(streams[2]), "utf-8", "backslashreplace", line_buffering=True)
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _fresh_main(name: str) -> types.ModuleType:
    """An empty module called ``name``: "__main__" for a program; one that is called is imported, as it were."""
    for loaded in [each for each in sys.modules if each.split(".")[0] == "r1gym"]:
        del sys.modules[loaded]
    main = types.ModuleType(name)
    main.__dict__.update(__file__=_NAME, __builtins__=builtins)
    sys.modules[name] = sys.modules["__main__"] = main
    sys.argv = [_NAME]
    sys.path.insert(0, os.getcwd())
    return main


def _compile(program: bytes, status_fd: int, filename: str = _NAME) -> types.CodeType:
    try:
        code = compile(program, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        traceback.print_exc(limit=0)
        os.write(status_fd, SYNTAX_ERROR.encode())
        os._exit(1)
    text = program.decode("utf-8", errors="replace")
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    return code


def _exit_code(error: BaseException) -> int:
    """What the interpreter does with an exception that nobody caught: report it, and the exit status."""
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    trace = error.__traceback__.tb_next if error.__traceback__ else None
    error = error.with_traceback(trace)  # without the frames of this file
    if sys.excepthook is sys.__excepthook__:
        traceback.print_exception(error)  # the interpreter's own would look for the source in a file
    else:
        sys.excepthook(type(error), error, trace)
    return 1


def _finish(code: int) -> NoReturn:
    """End as an interpreter ends: wait for threads, run exit handlers, flush; a flush that fails is exit status 120."""
    try:
        import atexit
        import threading

        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
    except BaseException as error:
        code = _exit_code(error) or 1
    for stream, failure in ((sys.stdout, 120), (sys.stderr, code)):
        try:
            if stream is not None:
                stream.flush()
        except BaseException:  # the submission may have put anything in place of a stream
            code = failure
    os._exit(code)


def _guarded(main: types.ModuleType, code: types.CodeType) -> int:
    try:
        exec(code, main.__dict__)
    except BaseException as error:
        return _exit_code(error)
    return 0


def _resolve(main: types.ModuleType, name: str) -> Any:
    """``"f"``, ``"Class().method"`` or ``"Class.method"`` (an instance is made), among what the submission defined."""
    first, *rest = name.replace("()", "").split(".")
    found = getattr(main, first)
    for part in rest:
        found = getattr(found() if isinstance(found, type) else found, part)
    return found


def _call(main: types.ModuleType, code: types.CodeType) -> int:
    with open(_REQUEST_FD, "rb") as file:
        request = json.loads(file.read())
    answer = os.dup(_ANSWER_FD)
    os.close(_ANSWER_FD)
    status = _guarded(main, code)
    if status:
        return status
    try:
        result = _resolve(main, request["function"])(*[values.unpack(item) for item in request["args"]])
        packed = json.dumps([request["nonce"], values.pack(result)])
    except BaseException as error:
        return _exit_code(error) or 1  # leaving by sys.exit(0) gives no answer either
    with open(answer, "wb") as out:
        out.write(packed.encode())
    return 0


def _evaluate(main: types.ModuleType, source: str, number: int) -> str:
    """Run one cell; the text of its last expression, or its traceback, follows what it printed."""
    filename = f"<cell {number}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    try:
        import ast

        tree = ast.parse(source, filename)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, filename, "exec", 0, True), main.__dict__)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), filename, "eval", 0, True), main.__dict__)
            if value is not None:
                print(repr(value))
    except SystemExit:
        return "exit"
    except BaseException as error:
        trace = error.__traceback__.tb_next if error.__traceback__ else None
        print("".join(traceback.format_exception(type(error), error, trace)), end="")
        return "error"
    return "ok"


def _session(main: types.ModuleType) -> int:
    buffer, number = FrameBuffer(), 0
    while True:
        frame = buffer.next()
        if frame is None:
            data = os.read(_REQUEST_FD, 1 << 16)
            if not data:
                return 0
            buffer.feed(data)
            continue
        number += 1
        state = _evaluate(main, frame[1][0].decode(errors="replace"), number)
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        sys.stderr.flush()
        os.write(_ANSWER_FD, encode({"nonce": frame[0]["nonce"], "state": state}))
        if state == "exit":
            return 0


def run(kind: str, program: bytes, status_fd: int) -> NoReturn:
    """Be the submission: ``kind`` is "python", "call", "check" (syntax only) or "session"; never returns."""
    _fresh_streams()
    code = _compile(program, status_fd)
    main = _fresh_main("solution" if kind == "call" else "__main__")
    os.close(status_fd)
    if kind == "check":
        os._exit(0)
    status = {"python": _guarded, "call": _call}[kind](main, code) if kind != "session" else _session(main)
    _finish(status)
