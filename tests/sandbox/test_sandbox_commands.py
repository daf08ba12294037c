"""The verbs: what they print, what they return, and that the naive graders are fooled where ours is not."""

from __future__ import annotations

import pytest

from r1gym.sandbox import doctor
from r1gym.sandbox.chooser import Sandbox
from r1gym.sandbox.commands import main
from r1gym.sandbox.hostile.table import CALLS, LIMITS
from r1gym.sandbox.image import default_tag
from r1gym.sandbox.judging import judge
from r1gym.sandbox.naive import EXPLOITS, GRADERS, fooled
from r1gym.sandbox.records import Protection
from r1gym.sandbox.survive import report

# Which exploit each naive grader was seen to pay; the rest of the table it holds.
PAID = {
    "exec and ==": {"__eq__ always true", "int subclass"},
    "asserts + exit status": {
        "__eq__ always true",
        "int subclass",
        "os._exit(0)",
        "raise SystemExit",
        "exit at import",
    },
}


def test_a_probe_finds_every_protection_at_work(sandbox: Sandbox) -> None:
    seen = doctor.probe(sandbox)
    assert len(seen) > 20 and not [name for name, held in seen.items() if not held]


def test_the_doctor_refuses_what_is_not_covered(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    holes = {
        "docker": ("no engine answers", (), {}),
        "local": ("", (Protection("network", False, "no namespace"),), {"read-only root": True}),
    }
    monkeypatch.setattr(doctor, "examine", lambda backend, with_probe: holes[backend])
    assert doctor.report() == 1
    printed = capsys.readouterr().out
    assert "docker: not available: no engine answers" in printed and "REFUSES UNTRUSTED CODE" in printed
    holes["local"] = ("", (Protection("network", True, "a namespace"),), {})
    assert doctor.report() == 0


@pytest.mark.parametrize("grader", PAID)
def test_naive_graders_pay_what_they_were_seen_to_pay(sandbox: Sandbox, grader: str) -> None:
    assert {exploit.name for exploit in EXPLOITS if fooled(sandbox, grader, exploit)} == PAID[grader]


def test_the_third_naive_grader_pays_most_exploits(sandbox: Sandbox) -> None:
    assert sum(fooled(sandbox, list(GRADERS)[2], exploit) for exploit in EXPLOITS) >= 6


@pytest.mark.parametrize("exploit", EXPLOITS, ids=lambda exploit: exploit.name)
def test_ours_pays_no_exploit(sandbox: Sandbox, exploit: object) -> None:
    assert judge(exploit.source, "python", CALLS, LIMITS, sandbox=sandbox).verdict != "AC"  # type: ignore[attr-defined]


def test_an_honest_function_is_paid_by_all(sandbox: Sandbox) -> None:
    honest = type(EXPLOITS[0])("honest", "def square(n):\n    return n * n")
    assert all(fooled(sandbox, grader, honest) for grader in GRADERS)
    assert judge(honest.source, "python", CALLS, LIMITS, sandbox=sandbox).verdict == "AC"


def test_survive_prints_its_table(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    assert report([sandbox.name], only="kill-") == 0
    printed = capsys.readouterr().out
    assert f"{sandbox.name}: 5 of 5 hostile programs held" in printed and printed.count("PAID") > 9
    assert report([], only="") == 1


def test_a_verb_that_does_not_exist_names_the_near_miss(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["docter"])
    assert ended.value.code == 2 and "Did you mean 'doctor'" in capsys.readouterr().err
    main([])
    assert capsys.readouterr().out.startswith("usage: r1gym sandbox {build,doctor,survive}")


def test_the_images_name_follows_its_recipe() -> None:
    assert default_tag() == default_tag() and default_tag().startswith("r1gym-sandbox:")
