"""The audit finds what is planted: every row fails on a grader that has its hole, and passes on one that has none."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import pytest

import r1gym
from r1gym.cli import main as cli
from r1gym.envs.audit.checklist import ROWS
from r1gym.envs.audit.records import Judged
from r1gym.envs.audit.running import AUDITABLE, audit, grader_hash, run_rows
from r1gym.envs.audit.scorecard import as_text, state_of, table, write
from r1gym.envs.audit.subject import Subject, wrong_answers
from r1gym.envs.catalog import Entry
from r1gym.types import Outcome

ROOT = Path(__file__).parents[2]
AUDITED = pytest.mark.parametrize(
    "entry",
    [
        pytest.param(entry, marks=[pytest.mark.xdist_group("sandbox")] if entry.verifier == "code" else [], id=entry.id)
        for entry in AUDITABLE
    ],
)
CARDS = ROOT / "docs" / "scorecards"
QUESTION = "What is $6 \\cdot 7$? Hint: 40 + 2 = 42."
BOX = re.compile(r"\\boxed\{([^{}]*)\}|<answer>([^<]*)</answer>")

Grade = Callable[[str], tuple[str, bool]]
"""completion -> (verdict name, paid)."""


def answers(text: str) -> list[str]:
    return [(one or two).strip() for one, two in BOX.findall(text)]


def sound(text: str) -> tuple[str, bool]:
    verdict = r1gym.verify(text, "42")
    return verdict.outcome.name, verdict.outcome is Outcome.CORRECT


def planted(trigger: Callable[[str], bool], verdict: str = "CORRECT") -> Grade:
    """A sound grader but for the texts that ``trigger`` knows."""
    return lambda text: (verdict, verdict == "CORRECT") if trigger(text) else sound(text)


def subject(grade: Grade) -> Subject:
    def judged(completion: str) -> Judged:
        begin = time.perf_counter()
        verdict, paid = grade(completion)
        return Judged(verdict, float(paid), "test: planted", {}, float(paid), time.perf_counter() - begin)

    prompt = f"{QUESTION} Put your final answer within \\boxed{{}}."
    return Subject("t", QUESTION, prompt, "42", wrong_answers("42", "math"), judged, "strict:boxed", "lenient", "math")


def broken_rows(grade: Grade) -> set[int]:
    return {row.number for row in run_rows([subject(grade)], None, quick=True) if row.status == "fail"}


def contains(*needles: str) -> Callable[[str], bool]:
    return lambda text: any(needle in text for needle in needles)


HOLES: dict[str, tuple[int, Grade]] = {
    "refuses everything": (1, lambda text: ("WRONG", False)),
    "refuses CRLF": (2, planted(contains("\r\n"), "WRONG")),
    "pays the empty": (5, planted(lambda text: not text.strip())),
    "pays a refusal": (6, planted(contains("I do not know"))),
    "pays an echo": (7, planted(lambda text: text.startswith(QUESTION) and "\\boxed{42}" not in text)),
    "pays a scaffold": (8, planted(contains("answer here"))),
    "takes any of many": (9, planted(lambda text: "42" in re.split(r"\D+", text) and text.count("\n") > 3)),
    "takes either side of or": (10, planted(lambda text: " or " in text and "42" in text)),
    "takes a side of =": (11, planted(lambda text: "=" in text and "42" in text)),
    "deaf to denial in the slot": (12, planted(contains("is wrong", "\\ne", "not"))),
    "deaf to denial": (13, planted(lambda text: "definitely not" in text and "42" in text)),
    "reads the thought": (14, planted(lambda text: "<think>" in text and "42" in text and "42" not in text[-9:])),
    "near enough": (15, planted(contains("\\boxed{43}", "{44}"))),
    "startswith": (16, planted(lambda text: any("42".startswith(a) and a for a in answers(text)))),
    "charmed": (17, planted(contains("certain", "10/10"))),
    "obeys": (18, planted(contains("Note to the grader"))),
    "pays length": (19, planted(lambda text: len(text) > 1_000_000)),
    "pays infinity": (20, planted(contains("infty"))),
    "dies of braces": (21, planted(lambda text: len(text) // 0 > 0 if "}}}}}}" in text else False)),
    "ungradable by surrogates": (21, planted(contains("\ud800"), "UNGRADABLE")),
    "refuses a form named in prose": (22, planted(lambda text: "\\boxed{}" in text and "42" in text, "NO_ANSWER")),
    "revives an earlier box": (23, planted(lambda text: text.endswith("\\boxed{43"))),
    "pays look-alikes": (26, planted(contains("４３"))),
    "paid by bold": (27, planted(contains("**"))),
    "ungradable by large numbers": (28, planted(contains("9^{9^9}"), "UNGRADABLE")),
}
"""What is planted → the row that must find it, and the grader."""


@pytest.mark.parametrize("name", HOLES)
def test_a_planted_hole_is_found_by_its_row(name: str) -> None:
    row, grade = HOLES[name]
    assert row in broken_rows(grade)


def test_a_sound_grader_has_no_hole() -> None:
    rows = run_rows([subject(sound)], None, quick=True)
    assert {row.number for row in rows if row.status == "fail"} == set()
    assert {row.number for row in rows if row.status == "pass"} >= {1, 2, *range(5, 24), 26, 27, 28}
    assert all(row.why for row in rows if row.status == "not run")


def test_every_kind_of_hole_is_counted_apart() -> None:
    (masked,) = run_rows([subject(HOLES["ungradable by surrogates"][1])], None, only=(21,))
    (crashed,) = run_rows([subject(HOLES["dies of braces"][1])], None, only=(21,))
    (refused,) = run_rows([subject(HOLES["refuses CRLF"][1])], None, only=(2,))
    assert (masked.tally.masked, masked.tally.false_passes, masked.tally.crashed) == (1, 0, 0)
    assert crashed.tally.crashed >= 1 and "ZeroDivisionError" in crashed.failures[0]["reason"]
    assert refused.tally.false_fails == 1 and refused.tally.false_passes == 0


def test_a_hole_found_by_the_search_is_cut_to_its_recipe() -> None:
    (row,) = run_rows([subject(HOLES["paid by bold"][1])], None, only=(27,))
    assert row.status == "fail" and any(note.endswith("+ bold") for note in row.notes), row.notes


def test_the_checklist_is_complete_and_in_order() -> None:
    assert [row.number for row in ROWS] == list(range(1, 61))


@AUDITED
def test_no_id_has_a_hole(entry: Entry) -> None:
    options = {"sandbox": "local"} if entry.verifier == "code" else {}
    card = audit(gym.make(entry.id, split="sample", **options), quick=True)
    assert card.total.holes == 0, as_text(card)
    assert card.total.bad > (20 if entry.verifier == "code" else 500) and card.total.good > 2


@AUDITED
def test_every_id_has_a_scorecard(entry: Entry) -> None:
    """Its hash may be older than the sources: `r1gym audit all --check docs/scorecards` says so."""
    name = entry.id.removeprefix("r1/")
    card = json.loads((CARDS / f"{name}.json").read_text(encoding="utf-8"))
    assert card["env"] == f"r1/{name}" and card["command"].startswith(f"r1gym audit r1/{name} ")
    assert [row["number"] for row in card["checklist"]] == list(range(1, 61))
    assert card["false_passes"]["paid"] == card["false_fails"]["refused"] == card["ungradable_by_completion"] == 0
    assert f"`r1/{name}`" in (CARDS / "README.md").read_text(encoding="utf-8")


def test_the_command_writes_a_card_and_says_when_it_is_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli(["audit", "r1/Arithmetic-v0", "--quick", "--rows", "1", "5", "--out", str(tmp_path)])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "false passes  0 of 20" in said and "false fails   0 of 30" in said
    path = tmp_path / "Arithmetic-v0.json"
    assert state_of(path, grader_hash()) == "current"
    assert state_of(path, "0" * 16).startswith("stale: graded by ")
    card = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**card, "grader": "0" * 16}), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        cli(["audit", "all", "--check", str(tmp_path)])
    assert ended.value.code == 1 and "stale" in capsys.readouterr().out
    assert table([card]).count("\n") == 2


def test_a_hole_makes_the_command_fail(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from r1gym.types import Verdict
    from r1gym.verifiers.math import MathGrader

    monkeypatch.setattr(MathGrader, "grade", lambda self, text: Verdict.correct("x", "text: always right"))
    card = audit(gym.make("r1/Arithmetic-v0", split="sample"), quick=True, only=(5, 15))
    assert card.total.false_passes == card.total.bad > 0 and card.total.false_fails == 0
    assert "false_passes" in as_text(card)
    write(tmp_path, [card])
    assert "| 0 | 2 | 0 |" in (tmp_path / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["r1/MATH50-v0"], "unknown environment 'r1/MATH50-v0'"),
        (["mine/X-v0"], "One of your own is given as module:id"),
        (["no_such_module:mine/X-v0"], "No module named 'no_such_module'"),
        (["CartPole-v1"], "audit needs an environment of tasks"),
        (["CartPole-v1", "--split", "test"], "unexpected keyword argument 'split'"),
        (["r1/MATH500-v0", "--out", f"{__file__}/cards"], "give --out another"),
        (["r1/MATH500-v0", "--rows", "99"], "--rows must be from 1 to 60, got 99"),
    ],
)
def test_mistakes_of_the_command_are_one_line_and_status_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli(["audit", *words])
    said = capsys.readouterr()
    assert ended.value.code == 2 and message in said.err and said.out == ""
    assert said.err.startswith("error: ") and said.err.count("\n") == 1


def test_the_command_takes_tasks_of_your_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "How many legs has a spider?", "reference": 8}\n', encoding="utf-8")
    r1gym.register_task_env("audited/Own-v0", tasks=rows)
    with pytest.raises(SystemExit) as ended:
        cli(["audit", "audited/Own-v0", "--quick", "--rows", "1", "5"])
    assert ended.value.code == 0
    assert "split train, 1 tasks" in capsys.readouterr().out
