"""Prompt templates: the question arrives unchanged, and the declared form is one that the verifiers read."""

from __future__ import annotations

import pytest

from r1gym.errors import UnknownNameError
from r1gym.prompts import TEMPLATES, Template, template_named
from r1gym.types import Outcome
from r1gym.verifiers import verify
from r1gym.verifiers.extract import MODES

QUESTION = "Let $f(x) = \\frac{x}{2}$ and {question} {braces}. Find $f(14)$."
FORMS = {
    "lenient": "so \\boxed{7}",
    "strict:boxed": "so \\boxed{7}",
    "strict:answer": "<think>14/2</think>\n<answer>7</answer>",
    "strict:####": "14/2 = 7\n#### 7",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda template: template.name)
def test_the_question_arrives_unchanged(template: Template) -> None:
    text = template.user_text(QUESTION)
    assert text.count(QUESTION) == 1
    assert template.messages(QUESTION) == ({"role": "user", "content": text},)
    assert template.messages(QUESTION)[0] is not template.messages(QUESTION)[0]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda template: template.name)
def test_the_declared_form_is_read_by_its_own_mode(template: Template) -> None:
    assert template.extraction in MODES
    verdict = verify(FORMS[template.extraction], "7", extraction=template.extraction)
    assert verdict.outcome is Outcome.CORRECT
    for mode, completion in FORMS.items():
        if template.extraction.startswith("strict") and mode != "lenient" and mode != template.extraction:
            assert verify(completion, "7", extraction=template.extraction).outcome is Outcome.NO_ANSWER


def test_r1_zero_is_the_papers_template() -> None:
    text = template_named("r1-zero").user_text("What is 2+2?")
    assert text.startswith("A conversation between User and Assistant. The user asks a question, and")
    assert text.endswith("<answer> answer here </answer>. User: What is 2+2?. Assistant:")


def test_a_near_miss_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'r1-zero'"):
        template_named("r1_zero")
