"""The mathematics grader: extract the final answer, read it in the light of the gold, compare, say why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from r1gym.errors import ReferenceRefusedError, unknown_name
from r1gym.types import Outcome, Span, Task, Verdict
from r1gym.verifiers import text as prose
from r1gym.verifiers.answers import parse_answer
from r1gym.verifiers.compare import Policy, Ruling, compare
from r1gym.verifiers.evaluate import evaluate
from r1gym.verifiers.extract import Extraction, extract, quick
from r1gym.verifiers.forms import start_work
from r1gym.verifiers.gold import Gold, clean, read_answer, read_gold
from r1gym.verifiers.items import Item
from r1gym.verifiers.reasons import Refused, WorkerUnavailableError
from r1gym.verifiers.units import known, unit_named

__all__ = ["MathGrader", "prepare"]

_INTEGER = re.compile(r"-?\d{1,18}")
_SHOWN = 60
_SAME_INTEGER = "integer: the same integer"


@dataclass(frozen=True, slots=True)
class MathGrader:
    """A mathematical gold made ready: built once, used on every completion of its group."""

    gold: Gold
    extraction: str
    policy: Policy
    integer: int | None
    """The gold where it is a plain integer: most answers are then compared as integers at once."""
    echo: str = ""
    quick: bool = True
    """Whether a single plain box may be read without the whole extraction (modes that read boxes, no echo)."""
    other_integer: str = ""
    """The reason for an integer that is not the gold."""

    def grade(self, completion: object) -> Verdict:
        """The verdict on one completion; never raises."""
        try:
            if type(completion) is str and self.quick:
                plain = quick(completion)
                if plain is not None:
                    return self._plain_verdict(*plain)
            found = extract(completion, self.extraction, self.echo)
            if not found.parts:
                return Verdict.no_answer(f"{found.rule}: {found.detail}")
            return self._verdict(found)
        except WorkerUnavailableError as error:
            return Verdict.ungradable(f"worker_unavailable: {error}")
        except Exception as error:
            # The gold has passed its own grader: what fails now is of the answer's making, and never masked.
            return Verdict.wrong("", f"grader_error: {type(error).__name__}: {error!s:.200}")

    def _plain_verdict(self, answer: str, start: int, end: int) -> Verdict:
        if self.integer is not None and (
            (answer.isdecimal() and len(answer) < 19) or (answer[:1] == "-" and _INTEGER.fullmatch(answer))
        ):
            if int(answer) == self.integer:
                return Verdict(Outcome.CORRECT, 1.0, answer, _SAME_INTEGER, (Span(start, end, "answer", 1.0),))
            return Verdict(Outcome.WRONG, 0.0, answer, self.other_integer, (Span(start, end, "answer", 0.0),))
        return self._verdict(Extraction((answer,), start, end, "boxed"))

    def _verdict(self, found: Extraction) -> Verdict:
        parts = found.parts
        if len(parts) == 1:
            answer = parts[0]
            ruling = self.rule(answer)
        else:
            answer = ", ".join(parts)
            ruling = self._rule_several(parts, answer)
        score = 1.0 if ruling.right else 0.0
        spans = (Span(found.start, found.end, "answer", score),)
        reason = f"{ruling.rule}: {ruling.detail}"
        if ruling.right:
            return Verdict.correct(answer, reason, spans)
        return Verdict.wrong(answer, reason, spans)

    def _rule_several(self, parts: tuple[str, ...], answer: str) -> Ruling:
        """Several values in one closing statement: one answer of several parts, or one value said several times."""
        if self.gold.container or (self.gold.kind == "choice" and len(self.gold.letters) > 1):
            ruling = self.rule(answer)
            if ruling.right:
                return ruling
        for part in parts:
            ruling = self.rule(part)
            if not ruling.right:
                return Ruling(
                    False, "hedge", f"several final answers, not all of them right ({ruling.rule}: {ruling.detail})"
                )
        return ruling

    def rule(self, answer: str) -> Ruling:
        """Rule on the text of an answer."""
        if self.integer is not None and _INTEGER.fullmatch(answer):
            right = int(answer) == self.integer
            return Ruling(right, "integer", "the same integer" if right else f"expected {self.integer}")
        if len(answer) > 240 + 8 * len(self.gold.source):
            return Ruling(False, "too_long", f"{len(answer)} characters for a gold of {len(self.gold.source)}")
        start_work()
        answer = clean(answer)
        if answer == self.gold.source:
            return Ruling(True, "same_text", "spelled like the gold")
        if self.integer is not None and _INTEGER.fullmatch(answer):
            right = int(answer) == self.integer
            return Ruling(right, "integer", "the same integer" if right else f"expected {self.integer}")
        if not answer:
            return Ruling(False, "grammar", "the answer is empty")
        try:
            return self._read_and_compare(answer)
        except Refused as refusal:
            return Ruling(False, refusal.rule, refusal.detail)

    def _read_and_compare(self, answer: str) -> Ruling:
        gold = self.gold
        if gold.kind == "choice":
            right = prose.same_choice(gold.letters, answer)
            return Ruling(right, "choice", "the same choice" if right else f"expected {', '.join(gold.letters)}")
        if gold.kind == "text":
            right = prose.words(answer) == gold.words and answer[:1] not in "-!~"
            return Ruling(right, "text", "the same words" if right else f"expected the words {gold.words!r:.{_SHOWN}}")
        if gold.item is None:
            return self._symbolic(answer, None)
        ruling = Ruling(False, "undecided", "no reading")
        for item in read_answer(answer, gold):
            ruling = compare(gold.item, item, self.policy)
            if ruling.doubt:
                ruling = self._symbolic(answer, item)
            if ruling.right:
                return ruling
        return ruling

    def _symbolic(self, answer: str, item: Item | None) -> Ruling:
        """What computer algebra says, in a worker: of two trees, or of two texts where only it reads the gold."""
        from r1gym.verifiers.workers import ask, tree  # few answers ever need it

        job: dict[str, Any]
        if self.gold.item is None:
            job = {"kind": "latex", "gold": self.gold.source, "answer": _tree_or_text(answer)}
        elif item is not None and item.kind == self.gold.item.kind == "value":
            job = {"kind": "equal", "gold": tree(self.gold.item.node), "answer": tree(item.node)}
        else:
            return Ruling(False, "undecided", "a part whose equality is not proven")
        result = ask(job)
        if result == "over_budget":
            return Ruling(False, "over_budget", "computer algebra found no end in its time and memory")
        if result == "undecided":
            return Ruling(False, "undecided", "computer algebra could not prove equality")
        right = result == "equal"
        return Ruling(right, "symbolic", "proven equal" if right else "proven different")


def _tree_or_text(answer: str) -> Any:
    """The answer's own tree where the grammar has one (it reads more spellings), else its text for the LaTeX parser.

    Raises:
        Refused: The tree would take more work than is allowed: no worker need find that out.
    """
    from r1gym.verifiers.workers import tree

    try:
        node = parse_answer(answer)
    except Refused as refusal:
        if refusal.rule == "over_budget":
            raise
        return answer
    try:
        evaluate(node)
    except Refused as refusal:
        if refusal.rule == "over_budget":
            raise
    return tree(node)


def _ask(job: dict[str, Any]) -> str:
    from r1gym.verifiers.workers import ask

    return ask(job)


_PERCENT = re.compile(r"percent|%", re.IGNORECASE)
_ROUNDED = re.compile(r"\bround|\bnearest\b|approximat|decimal place|significant (?:figure|digit)", re.IGNORECASE)
_AMBIGUOUS = frozenset(["in", "second", "min", "mi", "ha", "ms", "unit", "units", "degree"])
"""Words of a question that are more often not units."""

_FORM = re.compile(r"\\boxed|\\fbox|<answer>|answer is|####")


def prepare(task: Task, extraction: str, **options: Any) -> MathGrader:
    """Read the gold of ``task``; the option ``type`` pins how (see ``gold.TYPES``).

    Raises:
        ReferenceRefusedError: The gold cannot be read, or does not earn CORRECT from its own grader.
        UnknownNameError: No such option or type.
    """
    for option in options:
        if option != "type":
            raise unknown_name("option of domain 'math'", option, ("type",))
    gold = read_gold(task.reference, options.get("type", "auto"))
    if gold.kind == "symbolic" and _ask({"kind": "parse", "gold": gold.source}) != "equal":
        raise ReferenceRefusedError(f"the gold {task.reference!r} is neither in the answer language nor in LaTeX's")
    integer = None
    if (
        gold.item is not None
        and gold.item.kind == "value"
        and gold.item.unit is None
        and isinstance(gold.item.value, int)
    ):
        integer = gold.item.value
    echo = task.question if _FORM.search(task.question) else ""
    plain = not echo and extraction in ("lenient", "strict:boxed")
    return MathGrader(gold, extraction, _policy(task.question), integer, echo, plain, f"integer: expected {integer}")


def _policy(question: str) -> Policy:
    """What the question says of percentages, rounding and units."""
    if not question:
        return Policy()
    units = {
        unit_named(word) for word in re.findall(r"[A-Za-z]{2,}", question) if word not in _AMBIGUOUS and known(word)
    }
    return Policy(bool(_PERCENT.search(question)), bool(_ROUNDED.search(question)), tuple(sorted(units)))
