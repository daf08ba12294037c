"""One reference of every kind with forms that mean it and near misses that do not, for graders of mathematics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from r1gym.envs.audit.records import Probe
from r1gym.envs.audit.subject import Subject

__all__ = ["near_misses", "spellings", "written_forms"]


@lru_cache(maxsize=1)
def spellings() -> dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Kind → (reference, forms that mean it, near misses)."""
    text = (Path(__file__).parent / "spellings.json").read_text(encoding="utf-8")
    rows = json.loads(text).items()
    return {kind: (row["reference"], tuple(row["same"]), tuple(row["other"])) for kind, row in rows}


def written_forms(subject: Subject) -> Iterator[Probe]:
    """Row 3: other ways to write the same answer."""
    forms = next((forms for reference, forms, _ in spellings().values() if reference == subject.right), ())
    for form in (subject.right, *forms):
        yield Probe(subject.box(form), "right", f"{subject.right} written as {form}")
        yield Probe(form, "stated", "the bare answer without a form")


def near_misses(subject: Subject) -> Iterator[Probe]:
    """Rows 4 and 23: answers that look like the gold and are not."""
    misses = next((misses for reference, _, misses in spellings().values() if reference == subject.right), ())
    for miss in misses:
        yield Probe(subject.box(miss), "unpaid", f"{miss} for {subject.right}")
    for text in (f"{subject.right} \\text{{ is wrong}}", f"\\text{{not }} {subject.right}", f"\\ne {subject.right}"):
        yield Probe(subject.box(text), "unpaid", f"{text} for {subject.right}")
