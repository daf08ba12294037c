"""The public calls: prepare, verify, verify_batch; names, refusals and odd input."""

import pickle

import pytest

from r1gym.errors import ConfigError, ReferenceRefusedError, UnknownNameError
from r1gym.types import Outcome, Task
from r1gym.verifiers import prepare, verify, verify_batch

ANSWER_BOXED = r"<answer>\boxed{7}</answer>"


def task(reference: object, domain: str = "math") -> Task:
    return Task(id="t", domain=domain, question="q", reference=reference)


@pytest.mark.parametrize("mode", ["lenient", "strict:boxed", "strict:answer"])
def test_box_inside_answer_passes_every_mode_but_hashes(mode):
    assert verify(ANSWER_BOXED, "7", extraction=mode).outcome is Outcome.CORRECT


def test_box_inside_answer_is_no_hash_answer():
    assert verify(ANSWER_BOXED, "7", extraction="strict:####").outcome is Outcome.NO_ANSWER
    assert verify("so\n#### 7", "7", extraction="strict:####").outcome is Outcome.CORRECT


def test_strict_modes_refuse_the_other_forms():
    assert verify(r"\boxed{7}", "7", extraction="strict:answer").outcome is Outcome.NO_ANSWER
    assert verify("<answer>7</answer>", "7", extraction="strict:boxed").outcome is Outcome.NO_ANSWER
    assert verify("The answer is 7.", "7", extraction="strict:boxed").outcome is Outcome.NO_ANSWER


def test_unknown_names_name_the_near_miss():
    with pytest.raises(UnknownNameError, match="Did you mean 'math'"):
        verify("7", "7", "maths")
    with pytest.raises(UnknownNameError, match="Did you mean 'strict:boxed'"):
        verify("7", "7", extraction="strict:box")
    with pytest.raises(UnknownNameError, match="option"):
        verify("7", "7", kind="integer")


def test_refused_reference():
    with pytest.raises(ReferenceRefusedError):
        prepare(task(""))
    with pytest.raises(ReferenceRefusedError):
        prepare(task(None))
    verdict = verify(r"\boxed{7}", "")
    assert verdict.outcome is Outcome.UNGRADABLE
    assert verdict.reason.startswith("reference_refused: ")


@pytest.mark.parametrize("text", [None, b"\\boxed{7}", 7, ["7"]])
def test_what_is_not_text_is_no_answer(text):
    verdict = verify(text, "7")
    assert verdict.outcome is Outcome.NO_ANSWER
    assert verdict.reason.startswith("not_text: ")


def test_odd_text_is_a_verdict():
    assert verify("\ud800\\boxed{\udfff7}", "7").outcome is Outcome.WRONG
    assert verify("x" * 10_000_000 + "\\boxed{7}", "7").outcome is Outcome.CORRECT
    assert verify("\x00" * 1000, "7").outcome is Outcome.NO_ANSWER


def test_grader_pickles_and_spans_point_at_the_form():
    grader = pickle.loads(pickle.dumps(prepare(task("7"))))
    text = r"So $\boxed{7}$."
    verdict = grader.grade(text)
    assert verdict.outcome is Outcome.CORRECT
    (span,) = verdict.spans
    assert text[span.start : span.end] == r"\boxed{7}"
    assert (span.term, span.value) == ("answer", 1.0)


def test_batch_in_order_and_over_processes():
    completions = [rf"\boxed{{{i}}}" for i in range(10)]
    references = [str(i if i % 2 else i + 1) for i in range(10)]
    here = verify_batch(completions, references)
    assert [v.outcome is Outcome.CORRECT for v in here] == [i % 2 == 1 for i in range(10)]
    assert verify_batch(completions, references, workers=2) == here


def test_batch_lengths_must_agree():
    with pytest.raises(ConfigError, match="as many references"):
        verify_batch(["7"], [])


@pytest.mark.parametrize(
    ("completions", "references", "workers", "message"),
    [
        ("ab", ["1", "2"], 0, "completions must be a list.* got str 'ab'"),
        (["a", "b"], "12", 0, "references must be a list.* got str '12'"),
        (["a"], 1, 0, "references must be a list.* got int 1"),
        (["a"], ["1"], -1, "workers must be 0 .* got -1"),
        (["a"], ["1"], "2", "workers must be 0 .* got '2'"),
    ],
)
def test_a_batch_of_another_form_is_refused(completions, references, workers, message):
    with pytest.raises(ConfigError, match=message):
        verify_batch(completions, references, workers=workers)


def test_a_batch_may_be_any_iterable():
    (verdict,) = verify_batch((text for text in [r"\boxed{7}"]), ("7",))
    assert verdict.outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("<think>a</think><answer>7</answer>", 1.0),
        (" <think>\n</think>\n<answer>7</answer>\n", 1.0),
        ("<think>a</think> so <answer>7</answer>", 0.0),
        ("<think>a</think><answer>7</answer><answer>7</answer>", 0.0),
        ("<answer>7</answer><think>a</think>", 0.0),
        ("<think>a</think><answer> </answer>", 0.0),
        ("<think><answer>7</answer></think>", 0.0),
        ("<think>a<answer>7</answer>", 0.0),
        ("", 0.0),
    ],
)
def test_format(text, score):
    verdict = verify(text, domain="format")
    assert verdict.score == score
    assert verdict.outcome is (Outcome.CORRECT if score else Outcome.WRONG)
