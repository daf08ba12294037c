"""Many pairs over several processes, each started by exec, none forked from the caller."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from r1gym.types import Verdict

__all__ = ["main", "verify_in_processes"]


def verify_in_processes(
    completions: Sequence[str], references: Sequence[Any], domain: str, workers: int, options: dict[str, Any]
) -> list[Verdict]:
    """Judge the pairs in ``workers`` fresh interpreters; the verdicts come back in order.

    A process that dies returns nothing: its pairs are judged here, one after the other.
    """
    from r1gym.verifiers.domains import verify_batch

    count = min(workers, len(completions))
    shares = [(list(completions[index::count]), list(references[index::count])) for index in range(count)]
    processes = [
        subprocess.Popen([sys.executable, "-c", _PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(count)
    ]
    for process, share in zip(processes, shares, strict=True):
        assert process.stdin is not None
        try:
            process.stdin.write(pickle.dumps((share, domain, options, sys.path)))
            process.stdin.close()
        except BrokenPipeError:
            pass
    verdicts: list[Verdict] = [Verdict.ungradable("grader_error: not judged")] * len(completions)
    for index, (process, share) in enumerate(zip(processes, shares, strict=True)):
        assert process.stdout is not None
        with process.stdout as stream:
            answer = stream.read()
        if process.wait() == 0:
            verdicts[index::count] = pickle.loads(answer)
        else:
            verdicts[index::count] = verify_batch(*share, domain, **options)
    return verdicts


_PROGRAM = (
    "import sys, pickle; job = pickle.load(sys.stdin.buffer); sys.path[:] = job[3]; "
    "from r1gym.verifiers.fleet import main; main(job)"
)
"""The caller's sys.path comes with the job, so that an uninstalled checkout is found too."""


def main(job: tuple[tuple[list[str], list[Any]], str, dict[str, Any], list[str]]) -> None:
    """Judge one share and write the pickled verdicts to stdout: what a worker process runs."""
    from r1gym.verifiers.domains import verify_batch

    share, domain, options, _ = job
    sys.stdout.buffer.write(pickle.dumps(verify_batch(*share, domain, **options)))
    sys.stdout.buffer.flush()
