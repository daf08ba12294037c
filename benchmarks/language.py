"""Language consistency against other identifiers: error of the share, pure text, formulas and code, spans, speed.

Run with the data folder in R1GYM_DATA: ``python benchmarks/language.py``. lingua-language-detector and langdetect stand
beside r1gym where they are installed (``pip install lingua-language-detector langdetect``).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import r1gym
from r1gym.verifiers.language.languages import LANGUAGES
from r1gym.verifiers.language.model import model

Share = Callable[[str, str], float]
"""(text, target) → share of the text in the target language."""

CODES = {"nb": "no"}
MIXED = ("en", "bn", "de", "es", "fr", "ja", "ru", "sw", "te", "th", "zh")
"""The languages of mixed_language.jsonl."""
PARAGRAPH = 5
"""Sentences of one language that make a paragraph."""


def rows(name: str) -> list[dict[str, Any]]:
    text = Path(os.environ["R1GYM_DATA"], name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def ours(text: str, target: str) -> float:
    return r1gym.verify(text, domain="language", target=target).score


def lingua() -> Share | None:
    """Passages by ``detect_multiple_languages_of`` over the eleven languages of mixed_language.jsonl."""
    try:
        from lingua import IsoCode639_1, LanguageDetectorBuilder
    except ImportError:
        return None
    codes = [getattr(IsoCode639_1, code.upper()) for code in MIXED]
    detector = LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()

    def share(text: str, target: str) -> float:
        found = [
            (each.language.iso_code_639_1.name.lower(), each.end_index - each.start_index)
            for each in detector.detect_multiple_languages_of(text)
        ]
        return sum(size for code, size in found if code == target) / max(1, sum(size for _, size in found))

    return share


def langdetect() -> Share | None:
    """The probability of the target for the whole text, seeded."""
    try:
        from langdetect import DetectorFactory, LangDetectException, detect_langs
    except ImportError:
        return None
    DetectorFactory.seed = 0

    def share(text: str, target: str) -> float:
        try:
            return sum(each.prob for each in detect_langs(text) if each.lang.split("-")[0] == target)
        except LangDetectException:
            return 0.0

    return share


def mixed_error(share: Share) -> dict[str, float]:
    """Mean absolute error against the file's share by characters, every language of a row as target."""
    errors = defaultdict(list)
    for row in rows("mixed_language.jsonl"):
        for language, truth in row["share"].items():
            errors[row["kind"]].append(abs(share(row["text"], language) - truth))
            errors["all"].append(errors[row["kind"]][-1])
    return {f"mixed, error: {kind}": statistics.mean(values) for kind, values in errors.items()}


def paragraphs() -> dict[str, list[str]]:
    sentences = defaultdict(list)
    for row in rows("langid_sentences.jsonl"):
        code = CODES.get(row["iso639_1"], row["iso639_1"])
        if code in LANGUAGES:
            sentences[code].append(row["text"])
    return {
        code: [" ".join(texts[i : i + PARAGRAPH]) for i in range(0, len(texts), PARAGRAPH)]
        for code, texts in sentences.items()
    }


def pure(share: Share) -> dict[str, float]:
    means = {code: statistics.mean(share(text, code) for text in texts) for code, texts in paragraphs().items()}
    worst = sorted(means, key=lambda code: means[code])[:5]
    print("  pure, worst:", ", ".join(f"{code} {means[code]:.3f}" for code in worst))
    return {f"pure text of {len(means)} languages": statistics.mean(means.values()), "pure, worst": means[worst[0]]}


def formulas(share: Share) -> dict[str, float]:
    found = defaultdict(list)
    for row in rows("latex_code_heavy.jsonl"):
        verdict = r1gym.verify(row["text"], domain="language", target=row["language"])
        if verdict.outcome is r1gym.Outcome.NO_ANSWER:
            found["rows left out: fewer than 5 words of prose"].append(1)
            continue
        value = share(row["text"], row["language"])
        found[f"{row['kind']}, {row['language']}"].append(value)
        found["latex and code, all"].append(value)
    return {name: sum(values) if "left out" in name else statistics.mean(values) for name, values in found.items()}


def spans() -> dict[str, float]:
    """Foreign characters of the mixed rows, white space left out: those marked, and those that should be."""
    hits = marked = wanted = 0
    for row in rows("mixed_language.jsonl"):
        text = row["text"]
        owner: list[str | None] = [None] * len(text)
        place = 0
        for segment in row["segments"]:
            start = text.index(segment["text"], place)
            place = start + len(segment["text"])
            owner[start:place] = [segment["lang"]] * len(segment["text"])
        for target in row["share"]:
            chosen = set()
            for span in r1gym.verify(text, domain="language", target=target).spans:
                chosen.update(range(span.start, span.end))
            letters = [index for index, character in enumerate(text) if character.isalpha()]
            foreign = {index for index in letters if owner[index] not in (None, target)}
            chosen &= set(letters)
            hits += len(chosen & foreign)
            marked += len(chosen)
            wanted += len(foreign)
    return {"span precision": hits / marked, "span recall": hits / wanted}


def speed(share: Share) -> dict[str, float]:
    """Milliseconds for 12,000 characters: French questions, then French and English ones in turn; median of 9.

    Processor time, so that other work on the machine does not count.
    """
    questions: dict[str, list[str]] = defaultdict(list)
    for row in rows("mgsm.jsonl"):
        questions[row["language"]].append(row["question"])
    french = " ".join(questions["fr"])[:12_000]
    turns = " ".join(text for pair in zip(questions["fr"], questions["en"], strict=True) for text in pair)[:12_000]
    found = {}
    for name, text in (("12,000 characters, ms", french), ("12,000 characters in turns, ms", turns)):
        times = []
        for _ in range(9):
            start = time.process_time()
            share(text, "fr")
            times.append(1000 * (time.process_time() - start))
        found[name] = statistics.median(times)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", action="store_true", help="leave the other identifiers out")
    arguments = parser.parse_args()
    if "R1GYM_DATA" not in os.environ:
        raise SystemExit("set R1GYM_DATA to the folder with mixed_language.jsonl, langid_sentences.jsonl, …")
    start = time.process_time()
    model()
    print(f"r1gym: model loaded in {time.process_time() - start:.2f} s")
    table: dict[str, dict[str, float]] = {"r1gym": {}}
    others = {} if arguments.alone else {"lingua": lingua(), "langdetect": langdetect()}
    for name, share in {"r1gym": ours, **others}.items():
        if share is None:
            print(f"{name}: not installed, left out")
            continue
        table[name] = {**mixed_error(share), **formulas(share), **speed(share)}
        if name == "r1gym":
            table[name] |= {**pure(share), **spans()}
        elif name == "langdetect":
            table[name] |= pure(share)
    width = max(len(name) for name in table["r1gym"])
    print(f"{'':{width}}" + "".join(f"{name:>12}" for name in table))
    for name in table["r1gym"]:
        print(
            f"{name:{width}}"
            + "".join(f"{found[name]:12.4f}" if name in found else f"{'-':>12}" for found in table.values())
        )


if __name__ == "__main__":
    main()
