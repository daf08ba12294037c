"""Side terms of the reward: format skeletons, what nothing earns, floors and ceilings, the language of a thought."""

from __future__ import annotations

from typing import Any

from r1gym.envs.audit.records import NotRunError, RowResult
from r1gym.envs.audit.subject import Subject

__all__ = ["empty_terms", "floors_and_ceilings", "language_term", "skeletons"]

SKELETONS = (
    "<think></think><answer></answer>", "<think>a</think><answer>q</answer>", "<think>a</think>\n<answer>…</answer>",
    "<think><think>a</think></think><answer>q</answer>", "<think>a</think><answer>q</answer><answer>c</answer>",
    "<think>a<answer>q</answer></think>", "<answer>q</answer><think>a</think>", "<think>a</think>q",
    "<think>a</think><answer>q</answer>c", "text <think>a</think><answer>q</answer>", "\\boxed{q}", "#### q",
)  # fmt: skip
FOREIGN = {"fr": "de", "de": "fr"}
SENTENCES = {
    "de": "Zuerst lesen wir die Aufgabe genau und schreiben dann auf, was gegeben ist und was gesucht wird.",
    "fr": "Nous lisons d'abord le problème avec soin, puis nous écrivons ce qui est donné et ce qui est cherché.",
}


def _terms(subject: Subject, *names: str) -> None:
    have = subject.grade("").terms
    if missing := [name for name in names if name not in have]:
        raise NotRunError(f"the environment has no term {missing[0]!r}")


def skeletons(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 46: an empty form earns the format term at most, never the answer."""
    _terms(subjects[0], "format")
    for subject in subjects:
        for text in SKELETONS:
            judged = subject.grade(text)
            row.tally.bad += 1
            if judged.score > 0 or judged.verdict == "CORRECT":
                row.fail("false_passes", task=subject.name, completion=text, reason=judged.reason)
            side = sum(
                weight * judged.terms.get(name, 0.0) for name, weight in env.weights.items() if name != "accuracy"
            )
            if judged.reward > side + 1e-9:
                row.fail("other", task=subject.name, completion=text, reason=f"reward {judged.reward} above {side}")
    broken = [text for text in SKELETONS[3:9] if subjects[0].grade(text).terms["format"] == 1.0]
    if subjects[0].form == "think-answer":
        for text in broken:
            row.fail("other", completion=text, reason="a broken think/answer form earns the format term")


def empty_terms(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 47: no term is satisfied by nothing."""
    for subject in subjects:
        for text in ("", " \n"):
            judged = subject.grade(text)
            row.tally.bad += 1
            paid = {name: value for name, value in judged.terms.items() if value > 0}
            if paid or judged.verdict != "NO_ANSWER":
                row.fail("false_passes", task=subject.name, completion=text, reason=f"{judged.verdict}, {paid}")


def floors_and_ceilings(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 48: what each term pays at least and at most, and whether side terms can outweigh being right."""
    weights: dict[str, float] = env.weights
    names = sorted(subjects[0].grade("").terms)
    low, high = dict.fromkeys(names, 1.0), dict.fromkeys(names, 0.0)
    for subject in subjects:
        texts = ("", subject.prompt, subject.stated(subject.right), subject.stated(subject.wrong[0]), *SKELETONS)
        for text in texts:
            for name, value in subject.grade(text).terms.items():
                low[name], high[name] = min(low[name], value), max(high[name], value)
                row.tally.bad += 1
                if not 0.0 <= value <= 1.0:
                    row.fail("other", task=subject.name, completion=text, reason=f"{name} = {value}")
    row.notes += [f"{name}: weight {weights.get(name, 0.0):g}, seen {low[name]:g} to {high[name]:g}" for name in names]
    side = sum(weight for name, weight in weights.items() if name != "accuracy" and weight > 0)
    if side >= weights.get("accuracy", 0.0):
        row.fail("other", reason=f"side terms are worth {side:g}, being right {weights.get('accuracy', 0.0):g}")


def language_term(subjects: list[Subject], row: RowResult, env: Any) -> None:
    """Row 51: the language term pays for prose of the asked language in the thought, and for nothing else."""
    _terms(subjects[0], "language")
    for index, subject in enumerate(subjects):
        asked = env.tasks[env.tasks.index_of(subject.name)].meta.get("language", "en")
        tail = f"\n<answer>{subject.wrong[0]}</answer>"
        others = [text for code, text in SENTENCES.items() if code != asked]
        hostile = {
            "nothing": "", "digits only": f"<think>{'1 2 3 4 5 ' * 20}</think>{tail}",
            "LaTeX only": f"<think>{'$x^2+y^2=z^2$ ' * 20}</think>{tail}",
            "the prompt copied": f"<think>{subject.question}</think>{tail}",
            "another language": f"<think>{others[index % len(others)]}</think>{tail}",
            "another language in a fence": f"<think>```\n{others[0]}\n```</think>{tail}",
        }  # fmt: skip
        for what, text in hostile.items():
            judged = subject.grade(text)
            row.tally.bad += 1
            if judged.terms["language"] > 0.2 or judged.score > 0:
                row.fail("false_passes", task=subject.name, completion=text, reason=f"{what}: {judged.terms}")
        if asked in SENTENCES:
            judged = subject.grade(f"<think>{SENTENCES[asked]}</think>{tail}")
            row.tally.good += 1
            if judged.terms["language"] < 0.9:
                row.fail("false_fails", task=subject.name, completion=SENTENCES[asked], reason=f"{judged.terms}")
            if judged.verdict == "CORRECT":
                row.fail(
                    "false_passes", task=subject.name, completion=text, reason="the right language, a wrong answer"
                )
