"""Sessions: state from cell to cell, limits a cell, a budget for all, and an end that stays an end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from r1gym.sandbox.chooser import Sandbox
from r1gym.sandbox.sessions import Session
from r1gym.types import Limits

# On a busy machine half a second of CPU may take many of wall time: the two limits are tried apart.
QUICK = Limits(cpu_seconds=0.5, wall_seconds=30.0, memory_mb=64, output_mb=1)


@pytest.fixture
def session(sandbox: Sandbox) -> Iterator[Session]:
    with Session(sandbox, QUICK) as opened:
        yield opened


def test_state_lives_from_cell_to_cell(session: Session) -> None:
    assert session.run("x = 20\ndef f(n):\n    return n + x").stdout == ""
    assert session.run("f(1)").stdout == "21\n"
    assert session.run("import math\nprint('a')\nmath.floor(2.5)").stdout == "a\n2\n"
    assert session.run("None").stdout == "" and session.run("'é'").stdout == "'é'\n"


def test_an_exception_ends_the_cell_and_not_the_session(session: Session) -> None:
    session.run("x = 1")
    failed = session.run("def f():\n    return 1 / 0\nf()")
    assert failed.state == "error" and "ZeroDivisionError" in failed.stdout and "return 1 / 0" in failed.stdout
    assert "programs.py" not in failed.stdout and "<cell 2>" in failed.stdout
    assert session.run("x").stdout == "1\n"
    assert "SyntaxError" in session.run("x =").stdout and session.run("x").state == "ok"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("while True: pass", "cpu time"),
        ("b = bytearray(1 << 30)", "64 MB"),
        ("while True: print('y' * 1000)", "printed more than 1 MB"),
        ("import os; os._exit(0)", "the interpreter ended"),
        ("exit()", "the interpreter ended"),
        ("import os\nos.closerange(3, 64)", "ended"),
    ],
)
def test_a_cell_over_its_limits_ends_the_session(session: Session, cell: str, message: str) -> None:
    assert session.run("1").state == "ok"
    last = session.run(cell)
    assert last.state == "ended" and message in last.message
    assert session.run("1").state == "ended"


def test_a_cell_that_sleeps_ends_the_session(sandbox: Sandbox) -> None:
    with Session(sandbox, replace(QUICK, wall_seconds=1.0)) as session:
        last = session.run("import time; time.sleep(60)")
        assert last.state == "ended" and "wall time" in last.message


def test_the_budget_is_for_all_cells(sandbox: Sandbox) -> None:
    with Session(sandbox, QUICK, total_seconds=3.0) as session:
        assert session.run("import time; time.sleep(0.5)").state == "ok"
        assert session.run("import time; time.sleep(4)").state == "ended"
        assert session.run("1").state == "ended"


def test_a_cell_cannot_answer_for_the_next(session: Session) -> None:
    forge = "import os, json\nhead = json.dumps({'nonce': '0', 'state': 'ok', 'blobs': []}).encode()\n"
    session.run(forge + "os.write(4, len(head).to_bytes(4, 'big') + head)")
    assert session.run("1 + 1").stdout in ("2\n", "")


def test_what_was_running_is_gone_with_the_session(sandbox: Sandbox) -> None:
    with Session(sandbox, QUICK) as session:
        session.run("import os\nif os.fork() == 0:\n    import time; time.sleep(60)")
        assert session.run("5").stdout == "5\n"
    assert session.run("5").message == "the session was closed"


def test_sessions_do_not_take_slots_of_the_judge(sandbox: Sandbox) -> None:
    before = sandbox.pool.started
    sessions = [Session(sandbox, QUICK) for _ in range(3)]
    assert [session.run("6 * 7").stdout for session in sessions] == ["42\n"] * 3
    for session in sessions:
        session.close()
        session.close()
    assert sandbox.pool.started == before
