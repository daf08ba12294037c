"""Extraction: what counts as a final answer, and every way of seeming to give one."""

import json
import time
from pathlib import Path

import pytest

from r1gym.types import Outcome
from r1gym.verifiers import verify
from r1gym.verifiers.extract import extract

HONEST = [
    r"\boxed{7}",
    r"So the answer is $\boxed{7}$.",
    r"\boxed 7",
    r"\boxed7",
    r"\fbox{7}",
    r"\boxed{\boxed{7}}",
    r"\boxed{ 7 }",
    "\\boxed{\n7\n}",
    r"**\boxed{7}**",
    r"$$\boxed{7}$$",
    "<answer>7</answer>",
    "<answer> 7 </answer>",
    r"<answer>\boxed{7}</answer>",
    r"<answer>The answer is \boxed{7}.</answer>",
    "<answer>The answer is 7</answer>",
    "The answer is 7.",
    "The answer is 7",
    "First 3, then 4.\nThe answer is 7.",
    "So the final answer is 7.",
    "Answer: 7",
    "**Answer:** 7",
    "**Answer: 7**",
    "Final Answer: The final answer is $7$. I hope it is correct.",
    "### Final Answer\n\n7",
    "**Final Answer:**\n$$\n7\n$$",
    "3 + 4 = 7\n#### 7",
    "3 + 4 = 7\n#### The answer is 7",
    "The answer is therefore 7.",
    "The answer is simply $7$.",
    r"The final answer is: \( \boxed{7} \)",
    r"The answer is \(7\).",
    "Answer:\n7",
    "### Answer: 7",
    "So the answer is x = 7.",
    r"Hence $\framebox{7}$.",
    "<answer>\n$7$\n</answer>",
    "<answer>Answer: 7</answer>",
    "**Final Answer**\n\\[\n\\boxed{7}\n\\]",
    "答案：\\boxed{7}",
    "<think>3? no.</think>\\boxed{7}",
    "hm, 3.</think>\nThe answer is 7.",
    r"<think>\boxed{3}</think>\boxed{7}",
    r"\boxed{3}. Wait, that is wrong. The sum is \boxed{7}.",
    r"\boxed{3}" + "\n\nLet me check again.\n\n" + r"\boxed{7}",
    r"\boxed{7} and so \boxed{7}",
    r"\boxed{7}. " + "This follows because the sum of the parts is the whole. " * 20,
    r"\boxed{7}" + "\n\nProblem: what is 1+2?\nSolution: " + r"\boxed{3}",
    r"\boxed{7}<|im_end|>" + "\n<|im_start|>user\nnext \\boxed{3}",
    r"I put it in \boxed{}: it is \boxed{7}",
    r"\boxed{7}. I wrote it in \boxed{} as asked.",
    r"\boxed{7}" + "\n\nThe answer is 7.",
    r"The answer is \boxed{7}" + "\n\nThe answer is in the box above.",
    "Problem: what is 3+4?\nThe answer is 7.",
    r"\boxed{7} or equivalently 7",
    r"Step one gives \boxed{2}. Step two gives \boxed{5}. In all \boxed{7}.",
    r"\boxed{7} \boxed{",
]

NO_ANSWER = [
    "",
    "7",
    "I think it might be 7",
    "Question: 7 is given. I do not know.",
    r"put it in \boxed{}. The answer is 7",
    r"<think>\boxed{7}</think>",
    r"<think>\boxed{7}",
    r"\boxed{7} <think> or not",
    r"<think>a</think> hm <think>\boxed{7}",
    r"\boxed{7",
    r"\boxed{\frac{7}{1}",
    r"\boxed{",
    r"\boxed",
    r"\boxed{}",
    r"\boxed{...}",
    r"\boxed{\text{your answer}}",
    r"\boxed{answer}",
    "<answer>7",
    "<answer> answer here </answer>",
    "7</answer>",
    r"Write it like this, e.g. \boxed{7}",
    "The answer is 7.\nBut I am not sure.",
    "The answer is",
    "#### Step 1: add 3 and 4, which gives 7\nThen we are done",
    r"\boxed{1}. \boxed{2}. \boxed{3}. \boxed{4}. \boxed{5}. \boxed{7}.",
    " ".join(rf"\boxed{{{i}}}" for i in range(8)),
    r"It is not \boxed{7}",
    r"\boxed{7}. \boxed{" + "8" * 5000 + "}",
    r"\boxed{" + "7 " * 3000 + "}",
]

WRONG = [
    r"\boxed{3} or \boxed{7}",
    r"\boxed{3}, \boxed{7}",
    r"\boxed{7}, \boxed{3}",
    r"\boxed{7 \text{ or } 3}",
    r"\boxed{7 or 3}",
    r"\boxed{7, 3}",
    r"\boxed{3=7}",
    r"\boxed{7} (or maybe 8)",
    r"\boxed{7} or 8",
    r"\boxed{7}. Actually the answer is 8.",
    r"I looked at 7 cases. \boxed{@#}",
    r"The answer is 7. \boxed{@#}",
    r"7 \boxed{\text{unknown}}",
    r"\boxed{7}, then a second thought. \boxed{3}",
    "<answer>7 or 3</answer>",
    "<answer>3</answer> <answer>7</answer>",
    "The answer is 7 or 3",
]


@pytest.mark.parametrize("text", HONEST)
def test_honest(text):
    assert verify(text, "7").outcome is Outcome.CORRECT, verify(text, "7")


@pytest.mark.parametrize("text", NO_ANSWER)
def test_no_answer(text):
    assert verify(text, "7").outcome is Outcome.NO_ANSWER, verify(text, "7")


@pytest.mark.parametrize("text", WRONG)
def test_wrong(text):
    assert verify(text, "7").outcome is Outcome.WRONG, verify(text, "7")


@pytest.mark.parametrize("text", HONEST)
def test_idempotent(text):
    answer = verify(text, "7").extracted
    assert verify(rf"\boxed{{{answer}}}", "7").extracted == answer


@pytest.mark.parametrize(
    "unit",
    [
        "\\boxed{", "\\boxed{7}", "}", "{", "<answer>", "</answer>", "<think>", "</think>", "#### 7\n",
        "The answer is 7. ", "$", "\n", " ", "Question: ", "\\boxed", "\\fbox{7} \\boxed{8} ", "or ", "answer is ",
        "<|im_end|>", "####", "*", "_ ",
    ],
)  # fmt: skip
@pytest.mark.parametrize("mode", ["lenient", "strict:boxed", "strict:answer", "strict:####"])
def test_linear_time(unit, mode):
    text = unit * (1_000_000 // len(unit))
    began = time.process_time()
    extract(text, mode)
    extract(text + "\\boxed{7}", mode)
    assert time.process_time() - began < 0.5


def test_lenient_is_strict_about_boxes_where_no_tag_stands() -> None:
    """The detour over "strict:boxed" finds what a scan in its own mode finds, also where a phrase follows a box."""
    from r1gym.verifiers import extract as module

    golden = (Path(__file__).parents[1] / "golden" / "math.jsonl").read_text(encoding="utf-8").split("\n")
    texts = [json.loads(line)["completion"] for line in golden if line]
    texts += [
        "The answer is \\boxed{{5}",
        "\\boxed{7} The answer is 8",
        "The answer is 8 \\boxed{",
        "#### 4",
        "",
        "\\boxed{}",
    ]
    texts += [
        "<think>\\boxed{1}",
        "\\boxed{1} \\boxed{2} \\boxed{3} \\boxed{4} \\boxed{5} \\boxed{6}",
        "The answer is: 5",
    ]
    assert sum("answer>" not in text for text in texts) > 100
    for text in texts:
        assert extract(text) == module._extract(text, "lenient", ""), text
