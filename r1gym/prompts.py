"""Named prompt templates: how a question is put to a model, and which answer form the prompt declares."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from r1gym.errors import ConfigError, unknown_name
from r1gym.types import Message

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PARAPHRASES", "TEMPLATES", "Template", "template_named", "wordings"]

QUESTION = "{question}"


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt with the place ``{question}`` in it."""

    name: str
    text: str
    extraction: str
    """The extraction mode that accepts only the answer form the prompt declares; "lenient" where it declares none."""
    form: str
    """What the reward term "format" looks at: "think-answer", or the extraction mode that must find an answer."""
    variants: tuple[Template, ...] = ()
    """Wordings of which ``drawn`` takes one; () for a template that is one wording."""

    def drawn(self, rng: np.random.Generator, pinned: str = "") -> Template:
        """The wording to ask in: one of ``variants``, each equally likely, or the template itself.

        Args:
            rng: Draws it.
            pinned: Id of a task that is asked for by name, without a seed: the wording is then a function of the id,
                as the completions of a group must answer one prompt.
        """
        if not self.variants:
            return self
        if pinned:
            return self.variants[zlib.crc32(pinned.encode("utf-8", "replace")) % len(self.variants)]
        return self.variants[int(rng.integers(len(self.variants)))]

    def user_text(self, question: str) -> str:
        """The whole text that the user says; other braces in template and question stay as they are."""
        return self.text.replace(QUESTION, question)

    def messages(self, question: str) -> tuple[Message, ...]:
        """The chat that asks ``question``; new dicts on each call."""
        return ({"role": "user", "content": self.user_text(question)},)


_THINK_ANSWER = (
    "{question}\n\nFirst think between <think> and </think>, then give only the final answer between <answer> and "
    "</answer>."
)
_BOXED = "{question}\n\nPlease reason step by step, and put your final answer within \\boxed{}."
_GSM8K = '{question}\n\nWork step by step. End with a line that holds "#### " and the final number, and nothing else.'
_PROGRAM = (
    "{question}\n\nWrite a whole program that reads from standard input and writes to standard output, in Python 3, "
    "C++17 or C17. Think it through first, then end with the program in one fenced block that names its language, "
    "```python, ```cpp or ```c."
)
_FUNCTION = (
    "{question}\n\nThink it through first, then end with the whole function and the imports that it needs in one "
    "fenced ```python block."
)
# DeepSeek-R1 (arXiv 2501.12948), table 1: the template of R1-Zero, meant for a base model without chat markup.
_R1_ZERO = (
    "A conversation between User and Assistant. The user asks a question, and the Assistant solves it. The assistant "
    "first thinks about the reasoning process in the mind and then provides the user with the answer. The reasoning "
    "process and answer are enclosed within <think> </think> and <answer> </answer> tags, respectively, i.e., "
    "<think> reasoning process here </think> <answer> answer here </answer>. User: {question}. Assistant:"
)

TEMPLATES: dict[str, Template] = {
    template.name: template
    for template in (
        Template("boxed", _BOXED, extraction="strict:boxed", form="strict:boxed"),
        Template("function", _FUNCTION, extraction="strict:code", form="strict:code"),
        Template("gsm8k", _GSM8K, extraction="strict:####", form="strict:####"),
        Template("none", QUESTION, extraction="lenient", form="think-answer"),
        Template("program", _PROGRAM, extraction="strict:code", form="strict:code"),
        Template("r1-zero", _R1_ZERO, extraction="strict:answer", form="think-answer"),
        Template("think-answer", _THINK_ANSWER, extraction="strict:answer", form="think-answer"),
    )
}
"""Every template by name. "none" asks the bare question; its "format" term looks for the think/answer form."""


PARAPHRASES: dict[str, tuple[str, ...]] = {
    "boxed": (
        "{question}\n\nThink it through one step at a time. Write the final answer in \\boxed{}.",
        "Solve the following problem. Show your reasoning, and put the final answer within \\boxed{}.\n\n{question}",
        "{question}\n\nExplain your solution step by step, then state the final answer inside \\boxed{}.",
        "Here is a problem:\n\n{question}\n\nWork it out carefully and finish with the answer in \\boxed{}.",
        "Question: {question}\n\nReason in steps. Your last line must hold the final answer in \\boxed{}.",
        "{question}\n\nLet's work this out step by step, with the final answer enclosed in \\boxed{}.",
        "Please answer the question below. Reason before you answer, and box the final answer: "
        "\\boxed{}.\n\n{question}",
        "Problem:\n{question}\n\nSolution: reason step by step and end with \\boxed{} around the final answer.",
    ),
    "function": (
        "{question}\n\nReason about it first. Close with one fenced ```python block that holds the whole function "
        "and its imports.",
        "Write the function below. Think before you write it; the last thing in your reply is one fenced ```python "
        "block with the whole function and its imports.\n\n{question}",
        "{question}\n\nWork out how to do it, then give the complete function, imports included, in a single fenced "
        "```python block at the end.",
        "Here is a function to write:\n\n{question}\n\nExplain your idea, and finish with one ```python block: the "
        "imports and the whole function.",
        "Task: {question}\n\nThink step by step. Your reply ends with the full function and what it imports, in one "
        "fenced ```python block.",
        "{question}\n\nPlan it first. After that, put the imports and the entire function into one fenced ```python "
        "block, and write nothing behind it.",
        "Please implement this:\n\n{question}\n\nReason as long as you need, then answer with one fenced ```python "
        "block that has the whole function and its imports.",
        "Problem:\n{question}\n\nSolution: your reasoning, and at the end one fenced ```python block with the "
        "imports and the complete function.",
    ),
    "gsm8k": (
        '{question}\n\nThink step by step. Put the final number on a last line of its own, after "#### ".',
        'Solve the problem below step by step, and finish with a line "#### " followed by the number.\n\n{question}',
        '{question}\n\nShow your work. The last line must be "#### " and then the final number alone.',
        'Question: {question}\n\nReason in steps, and close with the line "#### " plus the resulting number.',
        'Here is a word problem:\n\n{question}\n\nWork it out, then write "#### " and the final number as the last '
        "line.",
        '{question}\n\nExplain each step. At the very end, on a new line, write "#### " and only the number.',
        'Please work out the answer to this problem. End with "#### " and the number, on one line.\n\n{question}',
        'Problem:\n{question}\n\nGo step by step; your answer ends with a line of "#### " and the final number.',
    ),
    "none": (
        "Question: {question}",
        "Problem:\n{question}",
        "{question}\n\nAnswer:",
        "Please answer this: {question}",
        "Solve the following.\n\n{question}",
        "Here is a question:\n\n{question}",
        "Q: {question}\nA:",
        "Answer the question below.\n\n{question}",
    ),
    "program": (
        "{question}\n\nSolve this with a whole program in Python 3, C++17 or C17 that reads standard input and "
        "writes standard output. Reason first; close with the program in one fenced block tagged ```python, ```cpp "
        "or ```c.",
        "Write a program for the problem below, in Python 3, C++17 or C17. It reads from standard input and writes "
        "to standard output. Think first, then end with the whole program in one fenced block that names its "
        "language (```python, ```cpp or ```c).\n\n{question}",
        "{question}\n\nThink about the problem, then give a complete program in Python 3, C++17 or C17: input from "
        "stdin, output to stdout. The program ends your reply, in a single fenced block marked ```python, ```cpp or "
        "```c.",
        "Here is a programming problem:\n\n{question}\n\nWork out a solution and finish with a whole program in "
        "Python 3, C++17 or C17, which reads stdin and writes stdout, in one fenced block beginning with ```python, "
        "```cpp or ```c.",
        "Problem: {question}\n\nReason step by step. End with one fenced block (```python, ```cpp or ```c) that "
        "holds the complete program, in Python 3, C++17 or C17; it reads standard input and prints to standard "
        "output.",
        "{question}\n\nPlan your algorithm first. After that, put the entire program, in Python 3, C++17 or C17, "
        "into one fenced block with its language's tag, ```python, ```cpp or ```c, and write nothing behind it. It "
        "reads stdin and writes stdout.",
        "Please solve this with a program that reads from standard input and writes to standard output, in Python "
        "3, C++17 or C17.\n\n{question}\n\nExplain your idea, then answer with the whole program in one fenced "
        "block tagged ```python, ```cpp or ```c.",
        "Problem:\n{question}\n\nSolution: your reasoning, and at the end one fenced block, ```python, ```cpp or "
        "```c, with the complete program in Python 3, C++17 or C17 from standard input to standard output.",
    ),
    "r1-zero": (
        "Below, a User talks with an Assistant. The User asks a question and the Assistant solves it: it first "
        "reasons in its mind, then tells the User the answer. The reasoning is enclosed in <think> </think> tags "
        "and the answer in <answer> </answer> tags, i.e., <think> reasoning here </think> <answer> answer here "
        "</answer>. User: {question} Assistant:",
        "The following is a dialogue of a User and an Assistant. To each question the Assistant replies with its "
        "thinking between <think> and </think>, and after that with its answer between <answer> and "
        "</answer>.\nUser: {question}\nAssistant:",
        "A User asks, an Assistant answers. The Assistant always thinks before it answers and marks both parts: "
        "<think> its thoughts </think> <answer> its answer </answer>. User: {question}. Assistant:",
        "This is a conversation between User and Assistant. The Assistant works on the User's question in two "
        "parts. The first holds the reasoning, inside <think> </think>; the second holds the answer, inside "
        "<answer> </answer>.\n\nUser: {question}\n\nAssistant:",
        "User and Assistant are in conversation. Given a question, the Assistant thinks about how to solve it and "
        "then provides the answer, in the form <think> reasoning process </think> <answer> answer </answer>.\nUser: "
        "{question}\nAssistant:",
        "What follows is a conversation. The User poses a problem; the Assistant reasons about it step by step "
        "within <think> </think> tags and gives the solution within <answer> </answer> tags. User: {question} "
        "Assistant:",
        "An Assistant helps a User. Before it replies it thinks, and writes down the thoughts between <think> and "
        "</think>; the reply itself goes between <answer> and </answer>. User: {question}. Assistant:",
        "Conversation between a User and an Assistant that solves problems. Format of every reply of the Assistant: "
        "<think> how it got there </think> <answer> what it found </answer>.\nUser: {question}\nAssistant:",
    ),
    "think-answer": (
        "{question}\n\nPut your reasoning between <think> and </think>, then the final answer alone between "
        "<answer> and </answer>.",
        "Solve the problem below. Think inside <think> </think> and answer inside <answer> </answer>, nothing else "
        "outside.\n\n{question}",
        "{question}\n\nReply in two parts: <think> your reasoning </think> <answer> only the final answer </answer>.",
        "Question: {question}\n\nFirst reason within <think> and </think>. Then write the final answer, and only "
        "it, within <answer> and </answer>.",
        "{question}\n\nStart with your thoughts in <think> </think> tags and end with the answer in <answer> "
        "</answer> tags.",
        "Here is a question:\n\n{question}\n\nWork it out between <think> and </think>; give just the result "
        "between <answer> and </answer>.",
        "Please answer in the form <think> … </think> <answer> … </answer>: the thinking first, then the bare final "
        "answer.\n\n{question}",
        "Problem:\n{question}\n\nReason step by step inside <think> </think>, and state the final answer inside "
        "<answer> </answer>.",
    ),
}
"""Eight other wordings of each template, which ask for the same answer form. "boxed/3" names the third of "boxed",
"boxed/0" its own wording, and "boxed/*" one of the nine, drawn at each reset."""


def wordings(name: str) -> tuple[Template, ...]:
    """The template called ``name`` in its own wording, then its paraphrases."""
    own = TEMPLATES[name]
    paraphrases = [
        Template(f"{name}/{number}", text, own.extraction, own.form)
        for number, text in enumerate(PARAPHRASES[name], start=1)
    ]
    return own, *paraphrases


def _worded(name: str) -> Template:
    """The template of a name with a slash."""
    base, _, number = name.rpartition("/")
    if base not in TEMPLATES:
        raise unknown_name("template", base, TEMPLATES)
    every = wordings(base)
    if number == "*":
        return Template(name, every[0].text, every[0].extraction, every[0].form, every)
    known = {str(place): template for place, template in enumerate(every)}
    if number not in known:
        raise unknown_name(f"wording of template {base!r}", number, (*known, "*"))
    return known[number]


OWN = "own"
"""What ``info["template"]`` calls a text of the user's own."""


def template_named(name: str) -> Template:
    """The template called ``name`` ("boxed", "boxed/3", "boxed/*"), or made of a text with the place ``{question}``.

    Raises:
        UnknownNameError: No such template; the near miss is named.
        ConfigError: A text without the place.
    """
    if not isinstance(name, str):
        raise ConfigError(f"template must be a name or a text with {QUESTION} in it, got {name!r:.60}")
    if QUESTION in name and name not in TEMPLATES:
        return Template(OWN, name, *_declared(name))
    if len(name.split()) > 1:
        raise ConfigError(f"a prompt of your own needs the place {QUESTION}, got {name!r:.80}")
    if "/" in name:
        return _worded(name)
    if name not in TEMPLATES:
        raise unknown_name("template", name, TEMPLATES)
    return TEMPLATES[name]


def _declared(text: str) -> tuple[str, str]:
    """Extraction and form of the answer that a prompt asks for, known by its mark."""
    if "<answer>" in text:
        return "strict:answer", "think-answer" if "<think>" in text else "strict:answer"
    if "```" in text:
        return "strict:code", "strict:code"
    if "\\boxed" in text:
        return "strict:boxed", "strict:boxed"
    return ("strict:####", "strict:####") if "####" in text else ("lenient", "think-answer")
