"""Prompt sensitivity: the figures by hand, what chance gives, and the command."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean

import numpy as np
import pytest

from r1gym.errors import ConfigError
from r1gym.evals import command
from r1gym.evals.samples import Sample, load
from r1gym.evals.sensitivity import sensitivity
from r1gym.policy.protocol import Sampling
from r1gym.types import Completion, Message, Prompt

Group = Callable[..., list[Sample]]


def test_the_figures_by_hand(make_group: Group) -> None:
    found = sensitivity(
        {"boxed": {0: make_group("CC"), 1: make_group("CW")}, "boxed/1": {0: make_group("WN"), 1: make_group("WC")}}
    )
    # pass@1: (1 + ½)/2 = ¾ and (0 + ½)/2 = ¼; standard deviation √((¼)² + (¼)²) with one in the denominator
    assert [each.value for each in found.wordings.values()] == [0.75, 0.25] and found.tasks == 2
    assert (found.mean, found.lowest, found.highest, found.range) == (0.5, 0.25, 0.75, 0.5)
    assert found.standard_deviation == pytest.approx(0.125**0.5)
    # Both tasks: p = 2/4, s² = ¼ · 4/3 = ⅓; variance of a pass@1: ¼ · (⅓/2 + ⅓/2) = 1/12
    assert found.by_chance == pytest.approx((1 / 12) ** 0.5)


def test_only_tasks_that_every_wording_could_grade_count(make_group: Group) -> None:
    found = sensitivity(
        {
            "a": {0: make_group("CC"), 1: make_group("CC")},
            "b": {0: make_group("UU"), 1: make_group("UW"), 2: make_group("C")},
        }
    )
    assert found.tasks == 1 and [each.value for each in found.wordings.values()] == [1.0, 0.0]
    with pytest.raises(ConfigError, match="no task has a sample that could be graded in every wording"):
        sensitivity({"a": {0: make_group("U")}, "b": {0: make_group("C")}})
    with pytest.raises(ConfigError, match="at least 2 wordings"):
        sensitivity({"a": {0: make_group("C")}})


@pytest.mark.parametrize("k", [1, 4])
def test_without_an_effect_the_spread_is_that_of_chance(k: int, make_group: Group) -> None:
    rng = np.random.default_rng(7)
    rates = rng.uniform(size=12)
    seen, expected = [], []
    for _ in range(150):
        words = [["".join("CW"[int(rng.random() > rate)] for _ in range(k)) for rate in rates] for _ in range(4)]
        found = sensitivity(
            {str(w): {i: make_group(word) for i, word in enumerate(row)} for w, row in enumerate(words)}
        )
        seen.append(found.standard_deviation**2)
        expected.append(found.by_chance**2)
    # Relative standard error of a mean of 150 variances of 4 values: √(2/3/150) = 0.07
    assert mean(seen) == pytest.approx(mean(expected), rel=0.25)


class Picky:
    """Adds up rightly where the prompt begins with "Q", and says 0 otherwise."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        return Prompt(tuple(messages), (1,))

    def sample(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[list[Completion]]:
        texts = [prompt.messages[-1]["content"] for prompt in prompts]
        self.asked += texts
        sums = [sum(map(int, re.findall(r"\d+", text))) if text.startswith("Q") else 0 for text in texts]
        return [
            [Completion((1, 2), (), f"\\boxed{{{each}}}", "stop")] * len(row)
            for each, row in zip(sums, seeds, strict=True)
        ]


ARGV = ["--model", "stand-in", "--env", "r1/Arithmetic-v0", "--k", "2", "--limit", "3", "--paraphrases", "8"]


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        command.main(argv)
    return int(caught.value.code or 0)


@pytest.fixture
def picky(monkeypatch: pytest.MonkeyPatch) -> Picky:
    policy = Picky()
    monkeypatch.setattr(command, "_policy", lambda config: policy)
    return policy


def test_the_command_reports_range_and_deviation(
    picky: Picky, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(*ARGV, "--out", str(out)) == 0
    screen = capsys.readouterr().out
    assert "range" in screen and "standard deviation" in screen and "by chance alone" in screen
    found = json.loads((out / "report.json").read_text())["paraphrases"]
    assert list(found["wordings"]) == ["none", *(f"none/{number}" for number in range(1, 8))]
    # Two of the eight wordings begin with "Q" ("Question: …", "Q: …"): six zeros and two ones
    right = {name for name, each in found["wordings"].items() if each["value"] == 1.0}
    assert right == {"none/1", "none/7"} and (found["tasks"], found["range"], found["mean"]) == (3, 1.0, 0.25)
    # Σ (x − ¼)² = 2 · (¾)² + 6 · (¼)² = 1.5, over 7
    assert found["standard_deviation"] == pytest.approx((1.5 / 7) ** 0.5)
    stored = {name: load(out / name.replace("/", "-") / "completions.jsonl") for name in found["wordings"]}
    assert len({tuple((each.task_id, each.seed) for each in samples) for samples in stored.values()}) == 1, "same items"
    assert len(set(picky.asked)) == 8 * 3
    assert run(*ARGV, "--out", str(out)) == 0
    assert len(picky.asked) == 8 * 3, "all was stored"
    assert run("--regrade", str(out / "none-3" / "completions.jsonl")) == 0
    assert "no verdict changed" in capsys.readouterr().out


def test_folders_are_not_mixed(picky: Picky, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = [*ARGV[:-2], "--out", "plain"]
    assert run(*plain) == 0 and run(*ARGV, "--out", "plain") == 2
    assert run(*ARGV) == 0 and run(*ARGV, "--seed", "1") == 0
    names = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert names == ["eval-Arithmetic-v0-wordings", "eval-Arithmetic-v0-wordings-2"]
    assert run(*ARGV[:-2], "--out", f"runs/{names[0]}") == 2


@pytest.mark.parametrize("count", ["0", "10"])
def test_a_count_that_cannot_be_is_refused(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*ARGV[:-1], count) == 2
    assert f"--paraphrases must be from 1 (the template alone) to 9, got {count}" in capsys.readouterr().err


def test_an_environment_without_templates_is_refused(picky: Picky, capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["--model", "m", "--env", "CartPole-v1", "--limit", "1", "--paraphrases", "2"]
    assert run(*argv) == 2
    assert "needs an environment with one of r1gym's templates, and CartPole-v1 has none" in capsys.readouterr().err
