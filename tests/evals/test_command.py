"""The command: its options, what it says of wrong input, its folder, and one run of a real (tiny) model."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from r1gym.evals import command
from r1gym.evals.command import EvalConfig
from r1gym.policy.protocol import Sampling
from r1gym.types import Completion, Message, Prompt

ARITHMETIC = ["--model", "stand-in", "--env", "r1/Arithmetic-v0", "--k", "2", "--limit", "5"]


class Sevens:
    """Always answers 7; ``after`` runs before each batch."""

    def __init__(self, after: Any = None) -> None:
        self.batches = 0
        self.after = after

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        return Prompt(tuple(messages), (1,))

    def sample(
        self, prompts: Sequence[Prompt], group_size: int, sampling: Sampling, seeds: Sequence[Sequence[int]]
    ) -> list[list[Completion]]:
        if self.after and self.batches:
            self.after()
        self.batches += 1
        return [[Completion((1, 2, 3), (), "\\boxed{7}", "stop") for _ in row] for row in seeds]


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as caught:
        command.main(argv)
    return int(caught.value.code or 0)


@pytest.fixture
def sevens(monkeypatch: pytest.MonkeyPatch) -> Sevens:
    policy = Sevens()
    monkeypatch.setattr(command, "_policy", lambda config: policy)
    return policy


def test_options_are_these() -> None:
    # The command line is a promise: a change here is one of the public surface.
    assert [field.name for field in fields(EvalConfig)] == [
        "model", "env", "split", "data", "k", "limit", "temperature", "top_p", "max_new_tokens", "paraphrases",
        "seed", "batch_tasks", "dtype", "device", "out", "regrade",
    ]  # fmt: skip
    assert (EvalConfig().temperature, EvalConfig().top_p) == (0.6, 0.95)


def test_a_run_writes_its_folder_and_goes_on(
    sevens: Sevens, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(*ARITHMETIC, "--out", str(out)) == 0
    screen = capsys.readouterr().out
    assert "r1/Arithmetic-v0 0/5 tasks | time left ?" in screen
    assert "cons@2" in screen and "95 % interval" in screen and "tokens/s" in screen
    report = json.loads((out / "report.json").read_text())
    assert report["env_options"]["split"] == "test"  # held out, though training is the environment's default
    assert (report["figures"]["pass@1"]["value"], report["figures"]["mean_length"]["value"]) == (0.0, 3.0)
    assert len((out / "completions.jsonl").read_text().splitlines()) == 10
    assert run(*ARITHMETIC, "--out", str(out)) == 0
    assert sevens.batches == 1
    assert "5/5 tasks (stored by an earlier run)" in capsys.readouterr().out


def test_another_evaluation_does_not_share_the_folder(
    sevens: Sevens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*ARITHMETIC, "--out", str(tmp_path / "out")) == 0
    assert run(*ARITHMETIC, "--out", str(tmp_path / "out"), "--seed", "1") == 2
    assert "seed was 0, is 1" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path)
    for seed in ("0", "1", "0"):
        assert run(*ARITHMETIC, "--seed", seed) == 0
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "eval-Arithmetic-v0",
        "eval-Arithmetic-v0-2",
    ]


@pytest.mark.parametrize(
    "argv, complaint",
    [
        (["--env", "r1/Arithmetic-v0"], "--model"),
        (["--model", "m", "--env", "r1/Arithmetik-v0"], "Did you mean 'r1/Arithmetic-v0'?"),
        (["--model", "m", "--env", "no_such_module:r1/X-v0"], "no_such_module"),
        (["--model", "m", "--env", "r1/Arithmetic-v0", "--split", "tset"], "Did you mean 'test'?"),
        (["--model", "m", "--k", "0"], "--k must be at least 1, got 0"),
        (["--model", "m", "--limit", "0"], "--limit must be at least 1, got 0"),
        (["--model", "m", "--temperature", "-1"], "temperature must be 0 (greedy) or above"),
        (["--model", "m", "--max-new-tokens", "0"], "max_new_tokens must be at least 1"),
        (["--model", "/no/such/folder", "--env", "r1/Arithmetic-v0"], "no model at '/no/such/folder'"),
        (["--model", "m", "--modle", "x"], "--modle"),
        (["--model", "m", "--env", "r1/Arithmetic-v0", "--device", "gpu"], "cannot use the device 'gpu'"),
        (
            ["--model", "m", "--env", "r1/Arithmetic-v0", "--out", f"{__file__}/out"],
            f"cannot write the evaluation's folder {__file__}/out",
        ),
        (["--regrade", "/no/such/file.jsonl"], "no stored completions at /no/such/file.jsonl"),
    ],
)
def test_wrong_input_is_one_clear_line(
    argv: list[str],
    complaint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*argv) == 2
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())  # nothing stands in the way of the corrected command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_says_what_is_kept(
    number: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = Sevens(after=lambda: os.kill(os.getpid(), number))
    monkeypatch.setattr(command, "_policy", lambda config: policy)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is born deaf to it
    argv = [*ARITHMETIC, "--out", str(tmp_path / "out"), "--batch-tasks", "2"]
    assert run(*argv) == 130
    assert "2 finished tasks are kept in" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    policy.after = None
    assert run(*argv) == 0
    signal.signal(signal.SIGINT, ignored)


def test_regrade_lists_flips(sevens: Sevens, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*ARITHMETIC, "--out", str(tmp_path)) == 0
    file = tmp_path / "completions.jsonl"
    assert run("--regrade", str(file)) == 0
    assert "10 completions graded again: no verdict changed" in capsys.readouterr().out
    assert (tmp_path / "regraded.jsonl").read_text() == file.read_text()
    file.write_text(file.read_text().replace('"verdict": "WRONG"', '"verdict": "CORRECT"', 1))
    assert run("--regrade", str(file)) == 0
    screen = capsys.readouterr().out
    assert "1 of 10 verdicts changed" in screen and "CORRECT" in screen and "WRONG" in screen


def test_a_real_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_tiny_llama(tmp_path / "model")
    argv = [
        "--model", str(tmp_path / "model"), "--env", "r1/Arithmetic-v0", "--k", "2", "--limit", "3",
        "--max-new-tokens", "12", "--batch-tasks", "2", "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    assert run(*argv) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert 1 <= report["figures"]["mean_length"]["value"] <= 12
    assert report["tokens_per_second"] > 0
    written = (tmp_path / "out" / "completions.jsonl").read_text()
    assert len(written.splitlines()) == 6
    # The same command in another folder draws the same completions.
    assert run(*argv[:-1], str(tmp_path / "again")) == 0
    assert (tmp_path / "again" / "completions.jsonl").read_text() == written


def save_tiny_llama(path: Path) -> None:
    """A Llama of random weights with a tokenizer of characters."""
    import string

    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    vocabulary = ["<eos>", "<pad>", "<unk>", *string.digits, *string.ascii_letters, *string.punctuation, " "]
    tokenizer = Tokenizer(models.WordLevel({text: i for i, text in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(path)
    torch.manual_seed(0)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(vocabulary), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, max_position_embeddings=256, bos_token_id=None, eos_token_id=0, pad_token_id=1,
        )
    ).save_pretrained(path)  # fmt: skip
