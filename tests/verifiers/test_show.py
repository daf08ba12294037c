"""The console verb: what it prints and how it ends."""

import io

import pytest

from r1gym.cli import main


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["verify", *argv])
    return int(ended.value.code or 0)


def test_right_and_wrong_end_with_0_and_1(capsys):
    assert run(r"So it is $\boxed{\frac{1}{2}}$.", "0.5") == 0
    shown = capsys.readouterr().out
    assert "CORRECT" in shown and "canonical" in shown and r"\boxed{\frac{1}{2}}" in shown
    assert run(r"\boxed{0.33}", r"\frac13") == 1
    assert "WRONG" in capsys.readouterr().out


def test_explain_shows_both_readings_and_the_rungs(capsys):
    assert run(r"\boxed{1-2\sin^2 x}", r"\cos 2x", "--explain") == 0
    shown = capsys.readouterr().out
    assert "gold read as" in shown and "answer read as" in shown and "probed" in shown and "decided CORRECT" in shown


def test_a_bare_answer_is_taken_whole(capsys):
    assert run("2,125", "2125") == 0
    assert "the whole text is taken" in capsys.readouterr().out


def test_stdin_and_no_answer(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("I do not know.\nSorry."))
    assert run("-", "7") == 1
    assert "NO_ANSWER" in capsys.readouterr().out


def test_errors_are_one_line(capsys):
    assert run("7", "7", "--domain", "maths") == 2
    assert "Did you mean 'math'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["verfy"])
    assert ended.value.code == 2
    assert "Did you mean 'verify'" in capsys.readouterr().err


def test_help_lists_the_verbs(capsys):
    with pytest.raises(SystemExit):
        main([])
    assert "verify" in capsys.readouterr().out


def test_a_structured_gold_is_written_as_json(capsys):
    assert run("(B)", '{"answer": "B", "options": ["12 N", "24 N"]}', "--domain", "choice") == 0
    assert run("So it is 24 N.", "B", "--domain", "choice") == 1
    assert run("```python\nprint(1)\n```", "{tests}", "--domain", "code") == 2
    said = capsys.readouterr().err
    assert "the gold of domain 'code' is JSON, got '{tests}'" in said and said.count("\n") == 1


def test_tests_of_a_program_are_read_from_the_command_line(capsys):
    assert run("I write no program.", '{"tests": [{"input": "7", "output": "49"}]}', "--domain", "code") == 1
    assert "NO_ANSWER" in capsys.readouterr().out
    assert run("I write no program.", '{"tests": []}', "--domain", "code") == 2
    assert "there is no test" in capsys.readouterr().err
