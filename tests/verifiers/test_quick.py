"""The short cut for plain boxes finds what the whole extraction finds."""

from hypothesis import given, settings
from hypothesis import strategies as st

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
