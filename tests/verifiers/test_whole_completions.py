"""Whole completions, made of answer forms and what models write around them: a verdict by rule, never a crash."""

import random

import pytest

from r1gym.types import Outcome, Task
from r1gym.verifiers import prepare
from r1gym.verifiers.fences import CODE_MODES, find_code

LEADS = ["", "So ", "Hence ", "We get 7. ", "<think>\\boxed{8}</think>", "Let x = 7.\n", "- ", "~~", "答案是"]
FORMS = ["\\boxed{7}", "$\\boxed{(1,2)}$", "<answer>B</answer>", "<answer>7", "\\boxed{", "\\fbox{x=1}", "", "7", "(B)"]
PROSE = " We go on with words that say nothing of value here. " * 9
FILLERS = ["", " ", ". ", "\n\n", PROSE, f"{PROSE}\n", ", because 3+4=7. ", " or "]
CLOSINGS = ["", "The answer is ", "**Answer:** ", "#### ", "Answer: ", "Final answer\n", "so the answer is ", "答案是"]
VALUES = ["", "7", "8", "$8$", "B", "(1,2)", "\\boxed{8}", "\\%", "\\text{no}", "x", "!", "<answer>", "\\( 8 \\)"]
TAILS = [
    "", ".", "? No.", ". That is wrong.", "? ", ". Wait, no, it is 8.", " because 7 is odd.", "! ", " or 8", ".\nNo.",
    ". I hope it is correct.", ". Let me know if you need more.", "</answer>", "}", "$", " which is 7",
    " is not right.", "。",
]  # fmt: skip
PARTS = (LEADS, FORMS, FILLERS, CLOSINGS, VALUES, TAILS)
OPTIONS = {"answer": "B", "options": ["S. aureus", "E. coli", "8", "7"]}
TASKS = {
    "math": [Task("t", "math", "", gold) for gold in ("7", "(1,2)", "x=1", "\\text{(B)}")],
    "choice": [Task("t", "choice", "", OPTIONS)],
    "countdown": [Task("t", "countdown", "", {"target": 24, "numbers": [3, 8, 8, 3]})],
}


def completions(seed, count):
    draw = random.Random(seed)
    for _ in range(count):
        yield "".join(draw.choice(part) for part in PARTS) + draw.choice(["", "", "\n" + draw.choice(CLOSINGS) + "8"])


@pytest.mark.parametrize("mode", ["lenient", "strict:boxed", "strict:answer", "strict:####"])
@pytest.mark.parametrize("domain", TASKS)
def test_a_verdict_by_rule(domain, mode):
    graders = [prepare(task, extraction=mode) for task in TASKS[domain]]
    for number, text in enumerate(completions(f"{domain} {mode}", 4_000)):
        verdict = graders[number % len(graders)].grade(text)
        assert verdict.outcome is not Outcome.UNGRADABLE, (text, verdict)
        assert not verdict.reason.startswith("grader_error"), (text, verdict)


@pytest.mark.parametrize("mode", CODE_MODES)
def test_programs_are_found_or_refused(mode):
    for text in completions(f"code {mode}", 2_000):
        for fenced in (text, f"{text}\n```python\nprint(7)\n```{text}"):
            found = find_code(fenced, mode, ["python"])
            assert bool(found.source) != bool(found.detail), (fenced, found)
