"""The short cut for plain boxes finds what the whole extraction finds."""

from hypothesis import given, settings
from hypothesis import strategies as st

from r1gym.verifiers import marks, retractions
from r1gym.verifiers.extract import extract, quick

PIECES = st.sampled_from(
    [
        r"\boxed{7}", r"\boxed{x=3}", r"\boxed{ 1/2 }", r"\boxed{}", r"\boxed{7", r"\fbox{2}", "<answer>7</answer>",
        "<think>",
        "</think>", " so ", "not ", "e.g. ", "or 8", " maybe 9", ". ", "\n\n", "$", "The answer is 5.", "Problem: ",
        "3 < 4 ", "}", "#### 6", r"\boxed 4", "box ", "<|im_end|>", "like this: ",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(PIECES, max_size=7))
def test_quick_agrees_with_extract(pieces):
    text = "".join(pieces)
    found = quick(text)
    if found is not None:
        for mode in ("lenient", "strict:boxed"):
            whole = extract(text, mode)
            assert (whole.parts, whole.start, whole.end) == ((found[0],), found[1], found[2])


WORDS = st.sampled_from(
    [
        "it", "is", "not", "the", "answer", "wrong", "incorrect", "mistake", "can’t", "cannot", "isn't", "I",
        "don't", "know", "just", "a", "guess", "never", "than", "instead", "of", "e.g.", "for", "example", "like",
        "this", "\\ne", "≠", "-", "−", "$", "wait", "no", "actually", "correction", "it", "should", "be", "8",
        "could", "maybe", "9", ".", ",", ":", "real", "value", "result", "rather", "other", "alternatively", "(eg)",
        "suppose", "that", "–", "such", "as", "unlike", "oops", "sorry", "otherwise", "scratch", "that", "on",
        "second", "thought", "x=3", "5", "NOT", "WRONG", "Actually", "ERROR",
        "take", "it", "back", "retract", "withdraw", "Disregard", "ignore", "forget",
    ]
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=9).map(" ".join))
def test_cues_never_hide_what_the_patterns_find(text):
    if marks._EXAMPLE.search(text) or marks._NEGATION.search(text):
        assert marks.may_deny(text)
    folded = retractions._folded(text)
    if retractions._DENIAL.search(text):
        assert retractions._holds(folded, retractions._DENYING)
    if retractions._WITHDRAWN.search(text):
        assert retractions._holds(folded, retractions._WITHDRAWING)
    if retractions._INSTEAD.search(text) or retractions._LATER_ANSWER.search(text):
        assert retractions._holds(folded, retractions._CHANGING)
