"""Named prompt templates: how a question is put to a model, and which answer form the prompt declares."""

from __future__ import annotations

from dataclasses import dataclass

from r1gym.errors import ConfigError, unknown_name
from r1gym.types import Message

__all__ = ["TEMPLATES", "Template", "template_named"]

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
        Template("gsm8k", _GSM8K, extraction="strict:####", form="strict:####"),
        Template("none", QUESTION, extraction="lenient", form="think-answer"),
        Template("r1-zero", _R1_ZERO, extraction="strict:answer", form="think-answer"),
        Template("think-answer", _THINK_ANSWER, extraction="strict:answer", form="think-answer"),
    )
}
"""Every template by name. "none" asks the bare question; its "format" term looks for the think/answer form."""


OWN = "own"
"""What ``info["template"]`` calls a text of the user's own."""


def template_named(name: str) -> Template:
    """The template called ``name``, or made of a text with the place ``{question}``.

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
    if name not in TEMPLATES:
        raise unknown_name("template", name, TEMPLATES)
    return TEMPLATES[name]


def _declared(text: str) -> tuple[str, str]:
    """Extraction and form of the answer that a prompt asks for, known by its mark."""
    if "<answer>" in text:
        return "strict:answer", "think-answer" if "<think>" in text else "strict:answer"
    if "\\boxed" in text:
        return "strict:boxed", "strict:boxed"
    return ("strict:####", "strict:####") if "####" in text else ("lenient", "think-answer")
