"""Rules about what ``reset`` and ``step`` hand out: keys, types, plain values, fresh containers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from r1gym.envs.conformance.bench import SEED, Bench, Ending, Fault, NotRunError, text_of
from r1gym.types import Outcome

__all__ = [
    "fresh_info",
    "messages",
    "plain_info",
    "reset_info",
    "reward_is_the_sum",
    "steady_types",
    "step_info",
    "step_types",
]

RESET_TYPES: dict[str, type] = {"task_id": str, "index": int, "template": str, "messages": list, "group_id": int}
STEP_TYPES: dict[str, type] = {
    "verdict": str, "score": float, "reward_terms": dict, "extracted": str, "reason": str, "task_id": str,
    "spans": list,
}  # fmt: skip
VERDICTS = tuple(outcome.name for outcome in Outcome if outcome is not Outcome.TRUNCATED)
TEXTS = (
    "no answer at all", "", "\\boxed{7}", "<think>some thought</think>\n<answer>12</answer>", "#### 3",
    "Ich denke über die Aufgabe nach und weiß es nicht genau. The answer is 5.",
)  # fmt: skip
RESERVED = ("episode", "final_obs", "final_info", "TimeLimit.truncated")


def _keys(info: Mapping[str, Any], types: Mapping[str, type], where: str) -> Iterator[Fault]:
    for key, kind in types.items():
        if key not in info:
            near = ", ".join(map(str, info)) or "nothing"
            yield Fault(f"{key!r} ({kind.__name__}) in the info of {where}", f"keys: {near}", f"add {key!r}")
        elif type(info[key]) is not kind:
            yield Fault(
                f"info[{key!r}] of {where} to be a plain {kind.__name__}",
                f"{type(info[key]).__name__} {text_of(info[key], 60)}",
                f"convert it with {kind.__name__}(…)",
            )


def reset_info(bench: Bench) -> Iterator[Fault]:
    """The info of ``reset`` has its keys and types."""
    yield from _keys(bench.reset(seed=SEED)[1], RESET_TYPES, "reset")


def messages(bench: Bench) -> Iterator[Fault]:
    """``info["messages"]`` is the chat whose last message is the observation."""
    observation, info = bench.reset(seed=SEED)
    chat = info.get("messages", ())
    sound = isinstance(chat, list) and bool(chat) and all(
        isinstance(message, Mapping) and {"role", "content"} <= set(message) for message in chat
    )  # fmt: skip
    if not sound:
        yield Fault(
            'messages as a list of {"role": …, "content": …}',
            text_of(chat),
            'give [{"role": "user", "content": observation}]',
        )
    elif chat[-1]["content"] != observation:
        yield Fault(
            "the observation to be the last message's content: the user's text, template applied, no chat markup",
            f"observation {text_of(observation)}, message {text_of(chat[-1]['content'])}",
            "build both from one text",
        )


def _span_fault(info: Mapping[str, Any], length: int) -> str:
    spans = info.get("spans", ())
    for span in spans if isinstance(spans, list) else ():
        if not isinstance(span, tuple) or [type(part) for part in span] != [int, int, str, float]:
            return f"the span {text_of(span)}"
        if not 0 <= span[0] <= span[1] <= length:
            return f"the span {span} of a completion of {length} characters"
    return ""


def step_info(bench: Bench) -> Iterator[Fault]:
    """The info of the last ``step`` has its keys, types and ranges."""
    for text in TEXTS:
        _, told = bench.reset(seed=SEED)
        info = bench.play(text).info
        faults = list(_keys(info, STEP_TYPES, "step"))
        yield from faults
        if faults:
            return
        if info["verdict"] not in VERDICTS:
            yield Fault(f"a verdict among {', '.join(VERDICTS)}", text_of(info["verdict"]), "use Outcome(...).name")
        if not 0.0 <= info["score"] <= 1.0:
            yield Fault("a score in [0, 1]", text_of(info["score"]), "scale it")
        for name, value in info["reward_terms"].items():
            if type(name) is not str or type(value) is not float or not 0.0 <= value <= 1.0:
                yield Fault(
                    "every reward term to be a raw float in [0, 1], under its name",
                    f"{text_of(name)}: {text_of(value)}",
                    "weights belong into the sum, not into the terms",
                )
        if ": " not in info["reason"]:
            yield Fault('a reason of the form "rule: text"', text_of(info["reason"]), "name the rule that decided")
        if info["task_id"] != told.get("task_id"):
            yield Fault(
                f"task_id {told.get('task_id')!r} in step as in reset", text_of(info["task_id"]), "keep the task"
            )
        if fault := _span_fault(info, len(text)):
            yield Fault("spans as (start, end, term, value) in characters of the completion", fault, "use ints, floats")


def step_types(bench: Bench) -> Iterator[Fault]:
    """``step`` returns a str, a finite Python float and two Python bools."""
    for text in TEXTS:
        end = bench.answered(text)
        if not isinstance(end.observation, str):
            yield Fault("a str as final observation", text_of(end.observation), 'return "" where there is none')
        if type(end.reward) is not float or not math.isfinite(end.reward):
            yield Fault("a finite Python float as reward", text_of(end.reward), "return float(reward)")
        for name, flag in (("terminated", end.terminated), ("truncated", end.truncated)):
            if type(flag) is not bool:
                yield Fault(f"a Python bool as {name}", f"{type(flag).__name__} {flag!r}", f"return bool({name})")


def _unplain(value: Any, path: str) -> Iterator[str]:
    """Where ``value`` is None, NaN, infinite or no plain container."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _unplain(item, f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for place, item in enumerate(value):
            yield from _unplain(item, f"{path}[{place}]")
    elif value is None:
        yield f"{path} is None"
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{path} is {value!r}"
    elif not isinstance(value, (str, int, float)):
        yield f"{path} is a {type(value).__name__}"


def plain_info(bench: Bench) -> Iterator[Fault]:
    """Infos are JSON-able, without None or NaN, and use no reserved key."""
    infos = [bench.reset(seed=SEED)[1], *(bench.answered(text).info for text in TEXTS)]
    told: set[str] = set()
    for info in infos:
        told.update(_unplain(info, "info"))
        told.update(f"info has the key {key!r}" for key in info if key in RESERVED or str(key).startswith("_"))
        try:
            json.dumps(info)
        except (TypeError, ValueError) as error:
            told.add(f"json.dumps(info): {error}")
    if told:
        yield Fault(
            "plain JSON values in every info: no None, no NaN, no key that Gymnasium reserves",
            "; ".join(sorted(told)[:4]),
            'use "" and 0.0 for what is not there, lists for ragged things, and other names',
        )


def _spoil(value: Any) -> None:
    """Empty every container inside ``value``."""
    for item in list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else ():
        _spoil(item)
    if isinstance(value, (dict, list)):
        value.clear()


def fresh_info(bench: Bench) -> Iterator[Fault]:
    """Each info is new: changing one changes no later one."""
    remedy = "build new dicts and lists on each call; copy rows, never hand them out"
    first = repr(bench.reset(seed=SEED))
    _spoil(bench.reset(seed=SEED)[1])
    again = repr(bench.reset(seed=SEED))
    if again != first:
        yield Fault("an info of reset that nobody shares", f"after it was emptied, reset gave {again[:160]}", remedy)
        return
    known = repr(bench.answered(TEXTS[2]))
    _spoil(dict(bench.answered(TEXTS[2]).info))
    later = repr(bench.answered(TEXTS[2]))
    if later != known:
        yield Fault("an info of step that nobody shares", f"after it was emptied, step gave {later[:160]}", remedy)


def _shape(value: Any) -> Any:
    return {key: _shape(item) for key, item in value.items()} if isinstance(value, Mapping) else type(value).__name__


def steady_types(bench: Bench) -> Iterator[Fault]:
    """Keys and types of a step's info are the same whatever was answered."""
    shapes = [(text, _shape(bench.answered(text).info)) for text in TEXTS]
    for text, shape in shapes[1:]:
        if shape != shapes[0][1]:
            yield Fault(
                f"the same keys and types in info for {text!r} as for {shapes[0][0]!r}",
                f"{shape} and {shapes[0][1]}"[:300],
                "vector environments take dtype and keys from the first: give every term always, as a float",
            )
            return


def reward_is_the_sum(bench: Bench) -> Iterator[Fault]:
    """Where the environment tells its ``weights``, the reward is the sum of weight × term."""
    weights = getattr(bench.env.unwrapped, "weights", None)
    if not isinstance(weights, Mapping):
        raise NotRunError("the environment has no attribute `weights`")
    for text in TEXTS:
        bench.reset(seed=SEED)
        end = Ending(*bench.env.unwrapped.step(text), 1)
        terms = end.info.get("reward_terms", {})
        total = sum(weights.get(name, 0.0) * value for name, value in terms.items())
        if end.info.get("verdict") != "UNGRADABLE" and abs(total - end.reward) > 1e-9:
            yield Fault(
                f"the reward {total:g}, the sum of weight × term", f"{end.reward!r} for {text!r}", "pay what is shown"
            )
