"""Unicode look-alikes and non-Latin digits, each with the ASCII or LaTeX spelling that the token table knows."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["to_ascii"]

_MAP = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "﹣": "-", "－": "-", "＋": "+", "×": r"\times ", "⋅": r"\cdot ",
    "·": r"\cdot ", "∙": r"\cdot ", "•": r"\cdot ", "✕": r"\times ", "∗": "*", "＊": "*", "÷": "/", "∕": "/", "⁄": "/",
    "／": "/", "√": r"\sqrt ", "∛": r"\sqrt[3] ", "∜": r"\sqrt[4] ", "π": r"\pi ", "𝜋": r"\pi ", "Π": r"\Pi ",
    "∞": r"\infty ", "≤": r"\le ", "⩽": r"\le ", "≦": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≧": r"\ge ", "≠": r"\ne ",
    "＜": "<", "＞": ">", "＝": "=", "≈": r"\approx ", "≅": r"\approx ", "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ",
    "∅": r"\emptyset ", "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "∖": r"\setminus ", "°": r"^\circ ", "º": r"^\circ ",
    "˚": r"^\circ ", "′": "'", "’": "'", "‘": "'", "½": r"\frac{1}{2}", "⅓": r"\frac{1}{3}", "⅔": r"\frac{2}{3}",
    "¼": r"\frac{1}{4}", "¾": r"\frac{3}{4}", "⅕": r"\frac{1}{5}", "⅖": r"\frac{2}{5}", "⅗": r"\frac{3}{5}",
    "⅘": r"\frac{4}{5}", "⅙": r"\frac{1}{6}", "⅚": r"\frac{5}{6}", "⅛": r"\frac{1}{8}", "⅜": r"\frac{3}{8}",
    "⅝": r"\frac{5}{8}", "⅞": r"\frac{7}{8}", "±": r"\pm ", "∓": r"\mp ", "％": "%", "（": "(", "）": ")", "［": "[",
    "］": "]", "｛": r"\{", "｝": r"\}", "，": ",", "、": ",", "；": ";", "：": ":", "．": ".", "。": ".", "！": "!",
    "｜": "|", "＾": "^", "＿": "_", "⟨": r"\langle ", "⟩": r"\rangle ", "〈": r"\langle ", "〉": r"\rangle ",
    "⌊": r"\lfloor ", "⌋": r"\rfloor ", "⌈": r"\lceil ", "⌉": r"\rceil ", "…": r"\ldots ", "⋯": r"\ldots ", "“": '"',
    "”": '"', "€": r"\text{EUR}", "£": r"\text{GBP}", "¥": r"\text{JPY}", "₹": r"\text{INR}", "¢": r"\text{cents}",
    "￥": r"\text{JPY}", "＄": "$", "∠": r"\angle ", "△": r"\triangle ", "∶": ":", "٫": ".", "٬": ",", "⋃": r"\cup ",
    "∨": r"\text{ or }", "∧": r"\text{ and }", "ⅈ": "i", "ℯ": "e", "∣": "|", "‖": r"\|",
    "\u00a0": " ", "\u2009": r"\,", "\u202f": r"\,", "\u2007": r"\,", "\u2002": " ", "\u2003": " ", "\u3000": " ",
    "\u200a": r"\,", "\u200b": "", "\u200c": "", "\u200d": "", "\u2060": "", "\ufeff": "", "\u2061": "", "\u2062": "",
    "\u200e": "", "\u200f": "",
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ϵ": "epsilon", "ζ": "zeta", "η": "eta",
    "θ": "theta", "ϑ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "ρ": "rho", "σ": "sigma",
    "τ": "tau", "φ": "phi", "ϕ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta",
    "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega", "µ": "mu",
}  # fmt: skip
_MAP.update({letter: f"\\{name} " for letter, name in _GREEK.items()})

_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₍₎ₙᵢₓ", "0123456789+-()nix", strict=True))
_SUPER_RUN = re.compile(f"[{''.join(_SUPER)}]+")
_SUB_RUN = re.compile(f"[{''.join(_SUB)}]+")
_ROOT_NUMBER = re.compile(r"(\\sqrt(?:\[\d\])?) \s*(\d+(?:\.\d+)?|[A-Za-z](?![A-Za-z]))")
_ROOT_GROUP = re.compile(r"(\\sqrt(?:\[\d\])?) \s*\(([^()]*)\)")


def to_ascii(text: str) -> str:
    """``text`` with mathematical look-alikes spelled in LaTeX; what has no such spelling stays as it is."""
    text = _SUPER_RUN.sub(lambda run: "^{" + "".join(_SUPER[letter] for letter in run.group()) + "}", text)
    text = _SUB_RUN.sub(lambda run: "_{" + "".join(_SUB[letter] for letter in run.group()) + "}", text)
    text = "".join(map(_letter, text))
    # √ has no braces: it holds the whole number, letter or parenthesis that follows, where \sqrt takes one digit.
    text = _ROOT_NUMBER.sub(r"\1{\2}", text)
    return _ROOT_GROUP.sub(r"\1{\2}", text)


def _letter(letter: str) -> str:
    if letter < "\x80":
        return letter
    known = _MAP.get(letter)
    if known is not None:
        return known
    digit = unicodedata.decimal(letter, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", letter)
    return plain if plain.isascii() and plain.isalnum() else letter
