"""Prompt templates: the question arrives unchanged, and the declared form is one that the verifiers read."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest

from r1gym.envs.forms import form_grader
from r1gym.errors import ConfigError, UnknownNameError
from r1gym.prompts import PARAPHRASES, TEMPLATES, Template, template_named, wordings
from r1gym.types import Outcome
from r1gym.verifiers import verify
from r1gym.verifiers.extract import MODES

THOUGHT = "<think>14/2</think>\n<answer>7</answer>"
QUESTION = "Let $f(x) = \\frac{x}{2}$ and {question} {braces}. Find $f(14)$."
FORMS = {
    "lenient": "so \\boxed{7}",
    "strict:boxed": "so \\boxed{7}",
    "strict:answer": "<think>14/2</think>\n<answer>7</answer>",
    "strict:####": "14/2 = 7\n#### 7",
    "strict:code": "14/2 = 7\n```python\nprint(7)\n```",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda template: template.name)
def test_the_question_arrives_unchanged(template: Template) -> None:
    text = template.user_text(QUESTION)
    assert text.count(QUESTION) == 1
    assert template.messages(QUESTION) == ({"role": "user", "content": text},)
    assert template.messages(QUESTION)[0] is not template.messages(QUESTION)[0]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=lambda template: template.name)
def test_the_declared_form_is_read_by_its_own_mode(template: Template) -> None:
    assert form_grader(template.form).grade(FORMS.get(template.form, THOUGHT)).score == 1.0
    if template.extraction == "strict:code":
        return  # the domain "code" reads it, and would run it
    assert template.extraction in MODES
    verdict = verify(FORMS[template.extraction], "7", extraction=template.extraction)
    assert verdict.outcome is Outcome.CORRECT
    for mode, completion in FORMS.items():
        if (
            template.extraction.startswith("strict")
            and mode != "strict:code"
            and mode != "lenient"
            and mode != template.extraction
        ):
            assert verify(completion, "7", extraction=template.extraction).outcome is Outcome.NO_ANSWER


def test_r1_zero_is_the_papers_template() -> None:
    text = template_named("r1-zero").user_text("What is 2+2?")
    assert text.startswith("A conversation between User and Assistant. The user asks a question, and")
    assert text.endswith("<answer> answer here </answer>. User: What is 2+2?. Assistant:")


def test_a_near_miss_is_named() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'r1-zero'"):
        template_named("r1_zero")


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_has_eight_paraphrases_that_ask_for_the_same_form(name: str) -> None:
    every = wordings(name)
    assert len(PARAPHRASES[name]) >= 8 and every[0] is TEMPLATES[name]
    assert len({" ".join(each.text.lower().split()) for each in every}) == len(every) == 1 + len(PARAPHRASES[name])
    for number, each in enumerate(every):
        assert each.text.count("{question}") == 1 and each.user_text(QUESTION).count(QUESTION) == 1
        assert (each.extraction, each.form) == (every[0].extraction, every[0].form)
        own = template_named(each.text)  # the marks in the text ask for the declared form
        assert (own.name, own.extraction, own.form) == ("own", each.extraction, each.form)
        assert template_named(f"{name}/{number}") == each
    assert [each.name for each in every[1:]] == [f"{name}/{number}" for number in range(1, len(every))]


def test_a_drawn_wording_is_a_function_of_the_seed() -> None:
    drawn = template_named("boxed/*")
    assert (drawn.name, drawn.extraction, len(drawn.variants)) == ("boxed/*", "strict:boxed", 9)
    picks = Counter(drawn.drawn(np.random.default_rng(seed)).name for seed in range(900))
    assert set(picks) == {each.name for each in wordings("boxed")} and min(picks.values()) > 60  # 100 each, σ 9.4
    assert drawn.drawn(np.random.default_rng(5)) == drawn.drawn(np.random.default_rng(5))
    assert template_named("boxed").drawn(np.random.default_rng(0)) is template_named("boxed")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("boxd/3", "unknown template 'boxd'. Did you mean 'boxed'"),
        ("boxed/12", "unknown wording of template 'boxed' '12'"),
        ("boxed/", "unknown wording of template 'boxed' ''"),
    ],
)
def test_a_wording_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=re.escape(message)):
        template_named(name)


def test_a_text_of_ones_own_needs_the_place() -> None:
    with pytest.raises(ConfigError, match=r"needs the place \{question\}"):
        template_named("Answer this question.")
    with pytest.raises(ConfigError, match="must be a name or a text"):
        template_named(3)  # type: ignore[arg-type]
