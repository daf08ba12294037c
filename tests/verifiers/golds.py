"""Golds for the generators: a few of our own of every kind, and the real ones where R1GYM_DATA points at them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

OWN = [
    "7", "-12", "2048", "35,\\!280", "4500000", "0", "\\frac{3}{8}", "-\\frac{7}{12}", "\\frac{2}{3}",
    "\\frac{11}{4}", ".625", "2.75", "3\\sqrt{5}", "\\frac{\\sqrt{7}}{7}", "4-3\\sqrt{2}", "9\\pi",
    "\\frac{5\\pi}{6}", "2+7i", "-3i", "e^3", "2^{17}", "x^2-5x+6", "(x+4)(x-1)", "3y", "\\frac{a}{a+b}", "2m^3+m",
    "(4,-9)", "(2,0,5)", "[3,8)", "(-\\infty,6]", "[-1,4]", "(-\\infty,1)\\cup(5,\\infty)", "3,-8", "-2,0,5",
    "4\\pm\\sqrt{3}", "\\begin{pmatrix} 2 & 5 \\\\ 1 & 9 \\end{pmatrix}",
    "\\begin{pmatrix} 6 \\\\ -1 \\end{pmatrix}", "y = 3x - 4", "x = 11", "x + 2y - 3z = 7", "x \\ge 3",
    "-2 < x \\le 6", "45^\\circ", "\\$12.40", "35\\%", "6\\text{ cm}", "18\\text{ square inches}", "234_5",
    "\\text{(B)}", "\\text{parallel}", "\\sin x", "2:7",
]  # fmt: skip

FILES = (
    "math500", "math_train_3000", "math_with_solutions_1000", "aime_1983_2023", "aime_2024", "aime_2025", "aime_2026",
    "gsm8k_test", "gsm8k_train_1000",
)  # fmt: skip


def data_folder() -> Path | None:
    """The folder of the real rows; None where it is not at hand."""
    folder = os.environ.get("R1GYM_DATA", "")
    return Path(folder) if folder and (Path(folder) / "math500.jsonl").exists() else None


def real_golds(folder: Path) -> Iterator[tuple[str, str]]:
    """(file, gold) of every row."""
    for name in FILES:
        for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").split("\n"):
            if line:
                yield name, json.loads(line)["answer"].split("####")[-1].strip()
