"""Canonical forms: identities, near identities, bounds; reflexive, symmetric, and true to double precision."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from r1gym.verifiers import forms
from r1gym.verifiers.answers import parse_answer
from r1gym.verifiers.evaluate import evaluate
from r1gym.verifiers.numeric import approximate
from r1gym.verifiers.reasons import Refused


def value(text: str) -> forms.Value:
    forms.start_work()
    return evaluate(parse_answer(text))


EQUAL = [
    (r"\frac{1}{\sqrt5}", r"\frac{\sqrt5}{5}"),
    (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2"),
    (r"\frac{1}{\sqrt2+\sqrt3+\sqrt5}", r"\frac{2\sqrt3+3\sqrt2-\sqrt{30}}{12}"),
    (r"\frac{1}{\sqrt[3]{2}}", r"\frac{\sqrt[3]{4}}{2}"),
    ("3^{200}", "9^{100}"),
    (r"2^{2^{40}}\cdot 2", "2^{2^{40}+1}"),
    ("2^{10666}", "4^{5333}"),
    (r"\log_4 9", r"\frac{\ln 3}{\ln 2}"),
    (r"\frac{1}{1+i}", r"\frac{1-i}{2}"),
    ("4^x", "2^{2x}"),
    (r"e^{x+1}", r"e\cdot e^x"),
    (r"\cos\frac{\pi}{12}", r"\frac{\sqrt6+\sqrt2}{4}"),
    (r"\sqrt[3]{-8}", "-2"),
    (r"\frac{x^2-9}{x-3}", "x+3"),
]
UNEQUAL = [
    ("1/3^{70}", "1/3^{71}"),
    (r"\sqrt{x^2}", "x"),
    (r"\ln x^2", r"2\ln x"),
    ("2^{2^{40}}", "2^{2^{40}+1}"),
    (r"\sqrt{2}+\sqrt{3}", r"\sqrt{5}"),
    ("x^2", "X^2"),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_equal(left, right):
    assert forms.equal(value(left), value(right))
    assert forms.equal(value(right), value(left))


@pytest.mark.parametrize(("left", "right"), UNEQUAL)
def test_unequal(left, right):
    assert not forms.equal(value(left), value(right))
    assert not forms.equal(value(right), value(left))


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (r"\frac{1}{0}", "undefined"),
        ("0^0", "undefined"),
        (r"\ln 0", "undefined"),
        ("(-1)!", "undefined"),
        ("1001!", "over_budget"),
        (r"\binom{2001}{3}", "over_budget"),
        ("(x+y+z+1)^{60}", "over_budget"),
        (r"\sqrt{10^{399}+7}", "over_budget"),
    ],
)
def test_bounds(text, rule):
    with pytest.raises(Refused) as refused:
        value(text)
    assert refused.value.rule == rule


LEAVES = st.one_of(
    st.integers(0, 30).map(str),
    st.sampled_from([r"\pi", "e", r"\sqrt{2}", r"\sqrt{12}", r"\sqrt[3]{5}", r"\frac{3}{7}", "0.25", r"2^{1/2}"]),
)
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}+{pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: f"({pair[0]}-{pair[1]})"),
        st.tuples(inner, inner).map(lambda pair: rf"{pair[0]}\cdot {pair[1]}"),
        st.tuples(inner, inner).map(lambda pair: rf"\frac{{{pair[0]}}}{{{pair[1]}}}"),
        inner.map(lambda text: f"({text})^2"),
        inner.map(lambda text: f"-{text}" if not text.startswith("-") else text),
    ),
    max_leaves=6,
)


def _double(text: str) -> float:
    """The same expression by Python's own arithmetic."""
    source = text.replace(r"\pi", f"({math.pi})").replace("e", f"({math.e})").replace(r"\cdot", "*").replace("^", "**")
    source = source.replace(r"\sqrt[3]{5}", f"({5 ** (1 / 3)})").replace(r"\sqrt{2}", f"({2**0.5})")
    source = source.replace(r"\sqrt{12}", f"({12**0.5})").replace("{1/2}", "(0.5)")
    source = source.replace(r"\frac{", "div((").replace("}{", "),(").replace("}", "))")
    return float(eval(source, {"__builtins__": {}}, {"div": lambda a, b: a / b}))


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS)
def test_a_form_has_the_value_of_its_expression(text):
    try:
        form = value(text)
        expected = _double(text)
    except (Refused, ZeroDivisionError, OverflowError):
        assume(False)
        return
    assume(abs(expected) < 1e9)
    number = approximate(form)
    assert number is not None
    assert math.isclose(number, expected, rel_tol=1e-6, abs_tol=1e-6)


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, EXPRESSIONS)
def test_reflexive_and_symmetric(left, right):
    try:
        one, other = value(left), value(right)
        shifted = forms.add(one, 1)
        assert forms.equal(one, value(left))
        assert forms.equal(one, other) == forms.equal(other, one)
        assert not forms.equal(one, shifted)
        assert forms.equal(forms.add(forms.mul(one, other), one), forms.mul(one, forms.add(other, 1)))
    except Refused:
        assume(False)
