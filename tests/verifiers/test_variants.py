"""Every gold is right for itself and its rewritings, and for none of its near misses."""

from collections import Counter

import pytest
from golds import OWN, data_folder, real_golds

from r1gym.types import Outcome, Task
from r1gym.verifiers import prepare
from r1gym.verifiers.near_misses import CORRUPTIONS, corruptions
from r1gym.verifiers.variants import REWRITINGS, rewritings


def judge(gold: str) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]], int]:
    """Refused rewritings, accepted corruptions, and how many of both were tried."""
    grader = prepare(Task("t", "math", "", gold))
    assert grader.grade(f"\\boxed{{{gold}}}").outcome is Outcome.CORRECT
    refused = [
        (rule, text, verdict.reason)
        for rule, text in rewritings(gold)
        if (verdict := grader.grade(f"\\boxed{{{text}}}")).outcome is not Outcome.CORRECT
    ]
    accepted = [
        (rule, text, verdict.reason)
        for rule, text in corruptions(gold)
        if (verdict := grader.grade(f"\\boxed{{{text}}}")).outcome is not Outcome.WRONG
    ]
    return refused, accepted, len(rewritings(gold)) + len(corruptions(gold))


def test_enough_rules_and_all_of_them_used():
    assert len(REWRITINGS) >= 24
    assert len(CORRUPTIONS) >= 18
    used = {rule for gold in OWN for rule, _ in rewritings(gold)}
    assert used >= set(REWRITINGS) - {"repeating", "text case", "short fraction", "rationalised"}
    missed = {rule for gold in OWN for rule, _ in corruptions(gold)}
    assert missed >= set(CORRUPTIONS) - {"absolute", "equation of zero"}


@pytest.mark.parametrize("gold", OWN)
def test_own_gold(gold):
    refused, accepted, tried = judge(gold)
    assert tried >= 5
    assert not refused
    assert not accepted


def test_a_near_miss_of_a_rewriting_stays_refused():
    for gold in OWN:
        grader = prepare(Task("t", "math", "", gold))
        for _, spelled in rewritings(gold) if gold != "0" else ():
            for rule, text in corruptions(spelled, seed=1):
                if rule in ("sign", "plus tiny", "hedge", "times ten", "one more", "part missing"):
                    assert grader.grade(f"\\boxed{{{text}}}").outcome is Outcome.WRONG, (gold, spelled, rule, text)


def test_real_golds():
    folder = data_folder()
    if folder is None:
        pytest.skip("R1GYM_DATA does not point at the real rows")
    tried = refused = 0
    failures: Counter[str] = Counter()
    for gold in dict.fromkeys(gold for _, gold in real_golds(folder)):
        lost, taken, count = judge(gold)
        assert not taken, (gold, taken)
        tried += count
        refused += len(lost)
        failures.update(rule for rule, _, _ in lost)
    assert tried > 40_000
    assert refused <= 0.001 * tried, failures
