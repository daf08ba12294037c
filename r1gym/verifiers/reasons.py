"""The closed list of rules that a verdict's reason may name, and the refusal that carries one of them."""

from __future__ import annotations

__all__ = ["RULES", "Refused", "WorkerUnavailableError"]

RULES: dict[str, str] = {
    # why there is no answer
    "not_text": "the completion is not a str",
    "no_final_answer": "no final answer stands in a form that the extraction mode accepts",
    "unclosed_thought": "a thought is opened and never closed",
    "unclosed_answer": "the answer's form is opened and never closed",
    "placeholder": "the only answer form is empty, a placeholder or an example",
    "spray": "too many different final answers",
    "negated": "the text around the last answer form denies it or takes it back",
    "too_long": "the answer is longer than any answer that is read",
    # why an answer could not be read
    "unknown_token": "the answer holds something outside the closed token table",
    "grammar": "the answer does not follow the grammar of answers",
    "over_budget": "reading or comparing the answer would take more work than is allowed",
    "undefined": "the answer has no value (division by zero, logarithm of zero)",
    # what decided
    "same_text": "both are spelled alike",
    "integer": "integers, compared by value",
    "canonical": "canonical forms, compared term by term",
    "tolerance": "a rounded gold, compared within half a unit of its last digit",
    "probed": "equal at random points to 60 digits, or unequal at one of them",
    "symbolic": "decided by computer algebra in a worker",
    "text": "words, compared without case and punctuation",
    "choice": "letters of choices",
    "container": "containers, compared part by part",
    "solution_set": "sets of reals, compared interval by interval",
    "relation": "equations or inequalities, compared up to a factor",
    "unit": "quantities, compared by value and unit",
    "base": "numerals, compared by base and digits",
    "kind": "the answer is not of the gold's kind",
    "hedge": "several different values where the gold is one",
    "chain": "an equation whose sides do not agree, or that does not state a value",
    "undecided": "equality could not be proven; what is unsure is wrong",
    # programs
    "no_code": "no complete fenced block in a language that the task takes",
    "unclosed_fence": "the only fenced block is opened and never closed",
    "not_alone": "the strict form wants one tagged block and nothing after it",
    "tests": "the judge's rulings on the tests",
    "compile": "the program does not compile",
    "sandbox": "the judge itself failed",
    # other domains, and our own faults
    "format": "the think/answer form",
    "no_language": "the thought holds too little prose to be in any language",
    "share": "the share of the thought that is in the target language",
    "reference_refused": "the gold itself is refused",
    "worker_unavailable": "the symbolic workers cannot be started",
    "grader_error": "the grader itself failed on the answer",
}
"""Rule → what it means. ``Verdict.reason`` is ``"rule: text"`` with a rule of this table."""


class WorkerUnavailableError(RuntimeError):
    """The symbolic workers cannot be started or stay busy: our fault, not the answer's."""


class Refused(Exception):
    """An answer that is not read, or not computed: ``rule`` is one of ``RULES``."""

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.rule = rule
        self.detail = detail
