"""The GPU benchmarks run on a CPU with a tiny shape, and their arithmetic is that of a hand."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="the benchmarks run models, which the train extra brings")

FOLDER = Path(__file__).parent.parent / "benchmarks"
TINY = {"shape": "tiny", "prompts": 2, "group": 4, "limit": 24, "slots": 4}


@pytest.fixture(autouse=True)
def beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs find each other as they do when one is started."""
    monkeypatch.syspath_prepend(str(FOLDER))


def test_floor_counts_weights_once_a_step_and_every_position_read() -> None:
    from gpu import floor_bytes

    # Prompt 3, two tokens: they read 3 and 4 positions. Prompt 5, one token: 5. With 10 bytes a position 120; the
    # weights of 100 bytes are read in each of 2 steps.
    assert floor_bytes([3, 5], [2, 1], steps=2, weights=100, position=10) == 320


def test_a_step_has_all_its_figures(tmp_path: Path) -> None:
    from grpo_table import page
    from step_ours import run

    result = run(name="main", steps=1, **TINY)
    # 8 completions in 4 slots, uncaptured: as many steps as slots ran, none less than the longest completion.
    assert sum(result["decode_steps"].values()) >= 18
    assert result["parity_mean"] < 0.01
    assert result["step_s"] == pytest.approx(result["rollout_s"] + result["host_s"] + result["train_s"], abs=2e-3)
    written = {"machine": {"gpu": "none", "commit": "abc"}, "results": [result, {"missing": "lora", "left_s": 3}]}
    (tmp_path / "grpo_step.json").write_text(json.dumps(written), encoding="utf-8")
    text = page([tmp_path], "two cards")
    assert "commit abc" in text
    assert f"| {result['step_s']:.3f} (" in text
    assert "Not run, or failed: `lora`" in text


# peft asks transformers a question by its old name.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_a_step_under_lora_learns_the_adapter_only() -> None:
    pytest.importorskip("peft", reason="adapters are those of peft, which the dev extra brings")
    from step_ours import Step

    work = Step(**TINY, lora=2)
    names = [name for name, each in work.policy.model.named_parameters() if each.requires_grad]
    assert len(names) == 2 * 7 * 2  # two matrices for each of seven linear layers in two blocks
    assert all("lora_" in name for name in names)
    assert work.policy._sampler.name == "general"


def test_parity_compares_the_same_tokens() -> None:
    from parity import compare

    figures = compare("tiny", prompts=2, group=2, limit=32)
    assert figures["float32"]["mean"] < 1e-5
    assert 0 < figures["gaps"]["sampler - trainer"]["mean"] < 0.01
    assert figures["largest_ratio"] < 1.1


def test_profile_adds_up() -> None:
    from decode_profile import table

    # Two runs: kernel a takes 2 and 4 µs, b 1 µs twice; b of the first run ends at 4, the next begins at 6.
    spans = [("a<int>(x)", 0.0, 2.0), ("b", 3.0, 4.0), ("a<int>(x)", 6.0, 10.0), ("b", 9.0, 10.0)]
    rows, busy, idle = table(spans, 2, {"b": 0.5}, 5)
    assert (busy, idle) == (4.0, 1.5)
    assert [row["kernel"] for row in rows] == ["a<int>", "b"]
    assert rows[0]["mean_us"] == 3.0
    assert rows[1] == {"kernel": "b", "count": 1.0, "mean_us": 1.0, "total_us": 1.0, "share": 0.25, "floor_us": 0.5}


def test_sweep_exchanges_one_tile_at_a_time() -> None:
    from decode_sweep import ALTERNATIVES, variants

    from r1gym.engine.tiles import FEW, MANY, PLAIN, PLAIN_MANY, SOME

    rows = list(variants(early=True, most=99))
    assert [(row.early, row.cut(FEW)) for row in rows[:2]] == [(True, FEW), (False, FEW)]
    assert len(rows) == 2 + sum(map(len, ALTERNATIVES.values()))
    for row in rows[2:]:
        assert row.early and replace(row.cut(FEW), **{row.table: getattr(FEW, row.table)}) == FEW
    for product, tiles in ALTERNATIVES.items():
        assert [getattr(row.cut(FEW), product) for row in rows if row.table == product] == list(tiles)
        assert len(set(tiles)) == len(tiles)
        assert {getattr(cut, product) for cut in (FEW, SOME, MANY, PLAIN, PLAIN_MANY)} <= set(tiles)


def test_sweep_says_what_differs_and_what_does_not_fit(tmp_path: Path) -> None:
    from decode_sweep import Variant, sweep
    from grpo_table import page

    class Bench:
        slots = 8

        def measure(self, variant: Variant) -> tuple[float, int]:
            if variant.table == "down":
                raise MemoryError
            return 2.5, 3 if variant.table == "out" else 0

    kernels = sweep([Bench()], math.inf, 1)  # type: ignore[list-item]
    assert [row["us"] for row in kernels["down"]] == [{}]
    (tmp_path / "sweep.json").write_text(json.dumps({"slots": [8], "kernels": kernels}), encoding="utf-8")
    text = page([tmp_path], "")
    assert "## Sweep: out, µs a layer" in text and "640 held (3 of 8 slots differ) | 2.50 |" in text
    assert "512 held (MemoryError) | – |" in text
    assert "| launched one after the other | 2.50 |" in text
    assert sweep([Bench()], -math.inf, 1) == {}  # type: ignore[list-item]
