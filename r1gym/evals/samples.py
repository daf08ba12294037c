"""One stored completion: a line of ``completions.jsonl``, with all that grading it again needs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from r1gym.errors import DataNotFoundError, RowError
from r1gym.logbook import completion_record
from r1gym.rollout import Start
from r1gym.types import Episode, Finish, Outcome

__all__ = ["Sample", "dump", "from_episode", "load"]


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion with its verdict, and where its task is found."""

    step: int
    """Training step; 0 in an evaluation."""
    task_id: str
    group_id: int
    """Samples of one task share it; in an evaluation it is the task's index."""
    sample: int
    """Number within the group, from 0."""
    seed: int
    """Of this completion."""
    prompt: str
    """Contents of the chat messages, a blank line between them."""
    completion: str
    """The text, stop token left out."""
    tokens: int
    """Sampled tokens, stop token included."""
    finish: Finish
    verdict: Outcome
    score: float
    reward: float
    reward_terms: dict[str, float]
    extracted: str
    reason: str
    advantage: float | None
    """Null in an evaluation: nothing is learnt from it."""
    env: str
    """Id of the environment."""
    env_options: dict[str, Any]
    """Arguments of ``gym.make`` beside the id."""
    index: int
    """Number of the task in the environment."""
    task_seed: int
    """Given to ``env.reset``; it chooses the task where the environment lists none."""
    domain: str
    """Which verifier judges it; "" where the environment does not say."""
    reference: Any
    """The gold answer; null where the environment does not say or it is no JSON value."""


CHOICES: Mapping[str, tuple[str, ...]] = {
    "finish": ("stop", "length", "abort"),
    "verdict": tuple(outcome.name for outcome in Outcome),
}
TYPES: Mapping[str, tuple[type, ...]] = {
    "step": (int,), "task_id": (str,), "group_id": (int,), "sample": (int,), "seed": (int,), "prompt": (str,),
    "completion": (str,), "tokens": (int,), "finish": (str,), "verdict": (str,), "score": (int, float),
    "reward": (int, float), "reward_terms": (dict,), "extracted": (str,), "reason": (str,),
    "advantage": (int, float, type(None)), "env": (str,), "env_options": (dict,), "index": (int,), "task_seed": (int,),
    "domain": (str,), "reference": (object,),
}  # fmt: skip


def from_episode(
    episode: Episode,
    sample: int,
    start: Start,
    index: int,
    env_id: str,
    env_options: Mapping[str, Any],
    domain: str,
    reference: Any,
) -> Sample:
    """The line of a judged episode of one turn."""
    record = completion_record(0, sample, episode, 0.0)
    return Sample(
        **(record | {"verdict": episode.verdict.outcome, "advantage": None}),
        env=env_id,
        env_options=dict(env_options),
        index=index,
        task_seed=start.seed,
        domain=domain,
        reference=_json_or_none(reference),
    )


def dump(samples: Iterable[Sample]) -> str:
    """The samples as JSON lines."""
    lines = []
    for sample in samples:
        row = asdict(sample) | {"verdict": sample.verdict.name}
        line = json.dumps(row, ensure_ascii=False, allow_nan=False)
        try:
            line.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which a tokenizer can decode to: no UTF-8 for it
            line = json.dumps(row, allow_nan=False)
        lines.append(line + "\n")
    return "".join(lines)


def load(path: Path, torn_tail: bool = False) -> list[Sample]:
    """Read the stored completions of the file ``path``.

    Args:
        path: A ``completions.jsonl`` that an evaluation wrote.
        torn_tail: Leave out a last line without its newline: what a killed process was writing.

    Raises:
        DataNotFoundError: No such file.
        RowError: A line is no such record; the message names file, line and field.
    """
    if not path.is_file():
        raise DataNotFoundError(f"no stored completions at {path}: give the completions.jsonl of an evaluation")
    text = path.read_text(encoding="utf-8")
    if torn_tail and not text.endswith("\n"):
        text = text[: text.rfind("\n") + 1]
    return list(_parse(text, path))


def _parse(text: str, path: Path) -> Iterator[Sample]:
    # Not str.splitlines: completions hold U+2028 and the like, which are no line ends in JSON lines.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise RowError(f"{place}: not a JSON object ({error}); take the line out, or sample again") from error
        yield _sample(row, place)


def _sample(row: Any, place: str) -> Sample:
    if not isinstance(row, dict):
        raise RowError(f"{place}: expected a JSON object, got {type(row).__name__}")
    for field in fields(Sample):
        name, types = field.name, TYPES[field.name]
        if name not in row:
            raise RowError(f"{place}: the field {name!r} is missing; was the file written by python -m r1gym.evals?")
        if not isinstance(row[name], types) or (isinstance(row[name], bool) and types != (object,)):
            wanted = " or ".join("null" if each is type(None) else each.__name__ for each in types)
            raise RowError(f"{place}: the field {name!r} must be {wanted}, got {row[name]!r:.80}")
        if name in CHOICES and row[name] not in CHOICES[name]:
            raise RowError(f"{place}: the field {name!r} must be one of {', '.join(CHOICES[name])}, got {row[name]!r}")
    values = {field.name: row[field.name] for field in fields(Sample)}
    return Sample(**(values | {"verdict": Outcome[row["verdict"]]}))


def _json_or_none(value: Any) -> Any:
    """The value where JSON gives it back unchanged, else None: regrading then goes through the environment."""
    try:
        return value if json.loads(json.dumps(value)) == value else None
    except (TypeError, ValueError):
        return None
