"""Which block of a completion is the program, and why there is none: no program runs here."""

from __future__ import annotations

import pytest

from r1gym.errors import UnknownNameError
from r1gym.types import Outcome
from r1gym.verifiers import verify
from r1gym.verifiers.fences import MAX_SOURCE, find_code
from r1gym.verifiers.reasons import RULES

ALL = ("python", "cpp", "c")


def block(source: str, tag: str = "python") -> str:
    return f"```{tag}\n{source}\n```"


@pytest.mark.parametrize(
    ("text", "source", "language"),
    [
        (block("a"), "a\n", "python"),
        (f"{block('a')}\nBetter:\n{block('b')}", "b\n", "python"),
        (f"<think>{block('a')}</think>\n{block('b')}", "b\n", "python"),
        (f"<think>x</think>{block('b')}", "b\n", "python"),
        (f"{block('a')}\n{block('b', 'cpp')}", "b\n", "cpp"),
        (block("a", "C++17"), "a\n", "cpp"),
        (block("a", "c"), "a\n", "c"),
        (block("a", "{.py3 .numberLines}"), "a\n", "python"),
        (block("a", ""), "a\n", "python"),
        (f"{block('a', '')}\n{block('b', '')}", "b\n", "python"),
        (f"{block('a')}\nIt prints:\n{block('5', '')}", "a\n", "python"),  # sample output is no program
        (f"{block('a')}\nRun it:\n{block('python a.py', 'bash')}", "a\n", "python"),
        (f"{block('a')}\nNow:\n```python\nb", "a\n", "python"),  # the last complete one
        ("```python\na\n```python\nb\n```", "b\n", "python"),  # a first one that is never closed
        ("````python\n```\na\n````", "```\na\n", "python"),
        ("~~~python\na\n~~~", "a\n", "python"),
        ("1. So:\n   ```python\n   if x:\n     a\n   ```\n", "if x:\n  a\n", "python"),
        (f"<answer>{block('a')}</answer>", "a\n", "python"),
        ("<answer>\n```python\na\n```</answer>", "a\n", "python"),
        ("```python\r\na\r\n```\r\n", "a\r\n", "python"),
        (f"{block('a')}<|im_end|>", "a\n", "python"),
        (f"{block('a')}\n{block('', 'python')}", "a\n", "python"),
    ],
)
def test_the_program_is_found(text: str, source: str, language: str) -> None:
    found = find_code(text, "lenient", ALL)
    assert (found.source, found.language, found.rule) == (source, language, "")
    assert "\n   " in text or text[found.start : found.end] == source


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("- ```python\n  if x:\n    a\n  ```", "if x:\n  a\n"),
        ("1. ```python\n   a\n   ```\n2. Done.", "a\n"),
        ("> ```python\n> if x:\n>     a\n> ```", "if x:\n    a\n"),
        ("Here is the code: ```python\na\n```", "a\n"),
        ("**Solution:** ```py\na\n```**Explanation**", "a\n"),
        ("Wrap it in ```python\n```python\na\n```", "a\n"),
        ("\ufeff```python\na\n```", "a\n"),
        ("\\boxed{```python\na\n```}", "a\n"),
        ("```python\na\n``` Done.", "a\n"),
        ("```python\na\n```.", "a\n"),
        ("```python\na\n```</s>", "a\n"),
        ("```python\na\n```<｜end▁of▁sentence｜>", "a\n"),
        ("````markdown\n# Solution\n```python\na\n```\n````", "a\n"),
        ("````md\n```python\na\n```\n````\nBetter:\n```python\nb\n```", "b\n"),
        # A fence further in than a closing one may stand is a line of the program.
        (
            '```python\ndef f():\n    """\n    ```\n    f()\n    ```\n    """\n```',
            'def f():\n    """\n    ```\n    f()\n    ```\n    """\n',
        ),
        ("    ```python\n    a\n    ```", "a\n"),
        (block("a", "python="), "a\n"),
        (block("a", "python{1,3}"), "a\n"),
        (block("a", "python3.10"), "a\n"),
        (block("a", "language-python"), "a\n"),
        (block("a", "ipython"), "a\n"),
        (block("a", "python [sol.py]"), "a\n"),
        (f"{block('a')}\nIt prints ```5```.", "a\n"),
        (f"{block('a')}\n> ```python\n> b", "a\n"),
    ],
)
def test_the_program_is_found_in_other_markdown(text: str, source: str) -> None:
    found = find_code(text, "lenient", ALL)
    assert (found.source, found.rule) == (source, "")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "no_code"),
        ("The answer is print(5).", "no_code"),
        ("```python print(5)```", "no_code"),
        (f"<think>{block('a')}</think> Done.", "no_code"),
        (f"<think>{block('a')}", "unclosed_thought"),
        ("```python\na", "unclosed_fence"),
        ("```python\na\n``", "unclosed_fence"),
        (block("a", "java"), "no_code"),
        (block("  \n"), "placeholder"),
        (block("a" * (MAX_SOURCE + 1)), "too_long"),
        (None, "not_text"),
    ],
)
def test_there_is_no_program(text: object, rule: str) -> None:
    found = find_code(text, "lenient", ALL)
    assert found.rule == rule and found.source == "" and rule in RULES
    # No sandbox is named that could be opened: the verdict must not need one.
    verdict = verify(text, {"tests": [{"input": "", "output": "5"}]}, domain="code")  # type: ignore[arg-type]
    assert verdict.outcome is Outcome.NO_ANSWER and verdict.reason.startswith(f"{rule}: ") and verdict.tests == ()


def test_a_language_that_the_task_does_not_take_is_no_program() -> None:
    assert find_code(f"{block('a', 'cpp')}", "lenient", ("python",)).rule == "no_code"
    assert find_code(f"{block('a')}\n{block('b', 'cpp')}", "lenient", ("python",)).source == "a\n"


@pytest.mark.parametrize(
    ("text", "code", "answer"),
    [
        (block("a"), "", "no_final_answer"),
        (f"<think>{block('b')}</think>{block('a')}\n", "", "no_final_answer"),
        (f"<answer>{block('a')}</answer>", "", ""),  # as <answer>\\boxed{7}</answer> passes both
        (f"{block('a')}\n{block('b')}", "not_alone", "no_final_answer"),
        (f"{block('a')}\nDone.", "not_alone", "no_final_answer"),
        (block("a", ""), "no_code", "no_final_answer"),
        (f"{block('b')}<answer>x</answer>", "not_alone", "no_code"),
        (f"<answer>{block('a')}</answer>\n{block('b')}", "not_alone", ""),
    ],
)
def test_strict_modes_accept_the_declared_form_only(text: str, code: str, answer: str) -> None:
    assert find_code(text, "strict:code", ALL).rule == code
    assert find_code(text, "strict:answer", ALL).rule == answer
    assert answer or find_code(text, "strict:answer", ALL).source == "a\n"


def test_a_mode_of_another_domain_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="strict:code"):
        verify(block("a"), {"tests": [{"input": "", "output": ""}]}, domain="code", extraction="strict:boxed")


@pytest.mark.parametrize(
    "text", ["```" * 200_000, "```\n" * 200_000, "~~~x\n" * 100_000, " " * 10**6 + "```", "`" * 10**6]
)
def test_hostile_markdown_takes_no_time(text: str) -> None:
    assert find_code(text, "lenient", ALL).source == ""
