"""A symbolic worker: reads one job after the other from stdin, answers on stdout. Only here is sympy imported."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import sys
from typing import Any

import sympy

__all__ = ["main"]

CPU_SECONDS = 1.5
"""CPU seconds of one job: not wall time, so that a busy machine gives the same verdicts as an idle one."""

MEMORY_BYTES = 160 * 2**20
"""What a job may add to the address space that the imports took."""


def main() -> None:
    """Serve until stdin ends."""
    _settle()
    _own_stdout()
    _send({"ready": True})
    while True:
        head = _receive(4)
        if head is None:
            return
        body = _receive(struct.unpack(">I", head)[0])
        if body is None:
            return
        _send({"begun": True})
        # The signal's default action ends the process, also in the middle of one long C call.
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            result = _work(json.loads(body))
        except MemoryError:
            result = "over_budget"
        except RecursionError:
            result = "over_budget"
        except Exception:
            # sympy raises almost anything on odd input; what it cannot compare is not equal.
            result = "undecided"
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        _send({"result": result, "megabytes": megabytes})


def _settle() -> None:
    """Warm the parser tables, then bound what may come on top."""
    from latex2sympy2_extended import latex2sympy

    latex2sympy(r"\frac{1}{2}")
    try:
        with open("/proc/self/statm") as statm:
            size = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        size = 2**30
    _limit(resource.RLIMIT_AS, size + MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, 0)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)


def _limit(kind: int, soft: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


_replies = 1
"""The descriptor that replies go to."""


def _own_stdout() -> None:
    """Keep the pipe for replies alone: whatever a library prints must not get between them."""
    global _replies
    _replies = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _send(message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    os.write(_replies, struct.pack(">I", len(data)) + data)


def _receive(count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        chunk = os.read(0, count - len(data))
        if not chunk:
            return None
        data += chunk
    return data


def _work(job: dict[str, Any]) -> str:
    if job["kind"] == "equal":
        return _equal(_build(job["gold"]), _build(job["answer"]))
    gold = _read(job["gold"])
    if gold is None:
        return "refused"
    if job["kind"] == "parse":
        return "equal"
    answer = _read(job["answer"]) if isinstance(job["answer"], str) else _build(job["answer"])
    return "undecided" if answer is None else _equal(_unassumed(gold), _unassumed(answer))


def _unassumed(value: Any) -> Any:
    """``value`` with letters of which nothing is assumed: the LaTeX parser and the trees make different ones."""
    return value.xreplace({letter: sympy.Symbol(letter.name) for letter in value.free_symbols})


def _read(text: str) -> Any:
    """A LaTeX text by latex2sympy2_extended, evaluated; None where it is no expression."""
    from latex2sympy2_extended import latex2sympy

    try:
        value = latex2sympy(text)
        return value.doit() if isinstance(value, sympy.Expr) else None
    except MemoryError:
        raise
    except Exception:
        # The parser's way of saying that the text is not in its language.
        return None


def _equal(gold: Any, answer: Any) -> str:
    """Proof or refutation of equality: structure, then minimal polynomial, then simplification."""
    if gold == answer:
        return "equal"
    difference = gold - answer
    if not difference.free_symbols and difference.is_algebraic:
        letter = sympy.Dummy("t")
        return "equal" if sympy.minimal_polynomial(difference, letter) == letter else "unequal"
    simple = sympy.simplify(difference)
    if simple == 0 or sympy.simplify(sympy.expand_log(simple, force=False)) == 0:
        return "equal"
    return "undecided"


_CONSTANTS = {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "oo": sympy.oo}
_FUNCTIONS = {
    "ln": sympy.log, "abs": sympy.Abs, "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot,
    "sec": sympy.sec, "csc": sympy.csc, "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan,
    "arccot": sympy.acot, "arcsec": sympy.asec, "arccsc": sympy.acsc, "sinh": sympy.sinh, "cosh": sympy.cosh,
    "tanh": sympy.tanh, "coth": sympy.coth, "sech": sympy.sech, "csch": sympy.csch, "factorial": sympy.factorial,
    "binom": sympy.binomial, "floor": sympy.floor, "ceil": sympy.ceiling, "gcd": sympy.gcd, "lcm": sympy.lcm,
    "max": sympy.Max, "min": sympy.Min,
}  # fmt: skip


def _build(tree: list[Any]) -> Any:
    """A sympy expression from a syntax tree sent by ``workers.tree``."""
    op, args = tree
    if op == "num":
        return sympy.Rational(args[0])
    if op == "var":
        return sympy.Symbol(args[0], real=True)
    if op == "const":
        return _CONSTANTS[args[0]]
    if op == "fn":
        values = [_build(part["node"]) for part in args[1:]]
        return _FUNCTIONS[args[0]](*values)
    values = [_build(part["node"]) for part in args]
    if op == "add":
        return sympy.Add(*values)
    if op == "mul":
        return sympy.Mul(*values)
    if op == "neg":
        return -values[0]
    if op == "div":
        return values[0] / values[1]
    if op == "pow":
        return sympy.Pow(values[0], values[1])
    if op == "root":
        return sympy.real_root(*values) if values[1] % 2 else sympy.root(*values)
    if op == "pct":
        return values[0] / 100
    if op == "deg":
        return values[0] * sympy.pi / 180
    raise ValueError(f"{op} is not an expression")


if __name__ == "__main__":
    sys.exit("started by r1gym.verifiers.workers")
