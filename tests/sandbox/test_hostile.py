"""Each hostile program gets its ruling, and the next honest one in the same slot is right and on time."""

from __future__ import annotations

import functools
import os
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from r1gym.sandbox.chooser import Sandbox
from r1gym.sandbox.hostile import memory, processes
from r1gym.sandbox.hostile.table import CALLS, HONEST, LIMITS, STDIO, Hostile, all_programs
from r1gym.sandbox.judging import judge
from r1gym.sandbox.records import Ruling

EVERY_PROGRAM = pytest.mark.parametrize("program", all_programs(), ids=lambda program: program.name)


def run(sandbox: Sandbox, program: Hostile) -> tuple[Ruling, str]:
    found = judge(program.source, program.language, CALLS if program.call else STDIO, LIMITS, sandbox=sandbox)
    return found.verdict, found.message


@EVERY_PROGRAM
def test_a_hostile_program_gets_its_ruling_and_leaves_nothing(one_slot: Sandbox, program: Hostile) -> None:
    if os.uname().machine != "x86_64" and "syscall(" in program.source:
        pytest.skip("the numbers of these calls are those of x86_64")
    before = one_slot.pool.started
    started = time.monotonic()
    verdict, message = run(one_slot, program)
    assert verdict in program.expect, message
    assert time.monotonic() - started < 40, "no ruling may take longer than the compiler's wall limit and some"
    started = time.monotonic()
    after = judge(HONEST, "python", STDIO, LIMITS, sandbox=one_slot)
    assert after.verdict is Ruling.AC, after.message
    assert time.monotonic() - started < 3.0
    assert one_slot.pool.started <= max(before, 1), "the slot itself survived"


def test_there_are_many_and_their_names_are_unique() -> None:
    names = [program.name for program in all_programs()]
    assert len(names) == len(set(names)) >= 50


def test_state_does_not_cross_from_one_submission_to_the_next(one_slot: Sandbox) -> None:
    plant = "import builtins,sys,os,random\nbuiltins.mine=1\nsys.mine=1\nos.environ['MINE']='1'\nrandom.seed(1)\n"
    plant += (
        "os.umask(0o777)\nopen('left','w').close()\nopen('/tmp/left','w').close()\nsys.setrecursionlimit(99)\nprint(49)"
    )
    look = "import builtins,sys,os\nprint(49 if not (hasattr(builtins,'mine') or hasattr(sys,'mine')"
    look += " or 'MINE' in os.environ or os.listdir('.') or os.listdir('/tmp') or os.umask(0)!=0o22"
    look += " or sys.getrecursionlimit()!=1000) else 0)"
    for _ in range(3):
        assert judge(plant, "python", STDIO, LIMITS, sandbox=one_slot).verdict is Ruling.AC
        assert judge(look, "python", STDIO, LIMITS, sandbox=one_slot).verdict is Ruling.AC


def test_hashes_are_the_same_every_time(one_slot: Sandbox) -> None:
    shown = {
        judge("print(hash('r1'), {'b', 'a', 'c'})", "python", STDIO, sandbox=one_slot, isolation=isolation)
        .tests[0]
        .stdout
        for isolation in ("fork", "exec", "fork")
    }
    assert len(shown) == 1


def test_a_submission_never_meets_its_predecessors_uid(one_slot: Sandbox) -> None:
    uids = [judge("import os;print(os.getuid())", "python", STDIO, sandbox=one_slot).tests[0].stdout for _ in range(4)]
    assert len(set(uids)) == 4 and all(int(uid) > 20_000 for uid in uids)


UNCOUNTED = [row for row in memory.PROGRAMS if row.name != "memory-untouched-is-fine"]
UNCOUNTED += [
    row for row in processes.PROGRAMS if row.name in ("fork-bomb-c", "loop", "many-busy-processes", "zombies")
]


@pytest.fixture(scope="module")
def without_cgroups(open_backend: Callable[..., Sandbox]) -> Iterator[Sandbox]:
    """The local backend on a machine where no cgroup can be written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r1gym.sandbox.local.find_parents", dict)
        with open_backend("local", slots=1) as sandbox:
            yield sandbox


@pytest.mark.parametrize("program", UNCOUNTED, ids=lambda program: program.name)
def test_the_watchdog_stands_in_where_no_cgroup_counts(without_cgroups: Sandbox, program: Hostile) -> None:
    verdict, message = run(without_cgroups, program)
    assert verdict in program.expect, message
    assert judge(HONEST, "python", STDIO, LIMITS, sandbox=without_cgroups).verdict is Ruling.AC


@pytest.fixture(scope="module")
def unprivileged(open_backend: Callable[..., Sandbox]) -> Iterator[Sandbox]:
    """The local backend as a user who is not root: one uid, no cgroup, namespaces for each test."""
    if os.geteuid() != 0:
        pytest.skip("already what the other tests of the local backend run as")
    popen = functools.partial(subprocess.Popen, user=65534, group=65534, extra_groups=[])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r1gym.sandbox.local.find_parents", dict)
        with open_backend("local", slots=1) as sandbox:
            sandbox.backend._ranged = False  # type: ignore[attr-defined]
            patch.setattr("r1gym.sandbox.local.subprocess.Popen", popen)
            yield sandbox


@pytest.mark.parametrize(
    "program",
    [row for row in all_programs() if row.name != "memory-untouched-is-fine" and row.language == "python"],
    ids=lambda program: program.name,
)
def test_nobody_holds_them_too(unprivileged: Sandbox, program: Hostile) -> None:
    verdict, message = run(unprivileged, program)
    assert verdict in program.expect, message
    assert judge(HONEST, "python", STDIO, LIMITS, sandbox=unprivileged).verdict is Ruling.AC
    assert unprivileged.pool.started == 1


def test_the_doctor_says_that_memory_is_only_watched(without_cgroups: Sandbox) -> None:
    (memory_row,) = [row for row in without_cgroups.backend.protections() if row.name == "memory"]
    assert not memory_row.covered and "RSS watchdog" in memory_row.means
