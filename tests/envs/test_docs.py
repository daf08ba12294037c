"""What docs/environments.md says is so."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path

from r1gym.envs.reasoning import ReasoningEnv
from r1gym.prompts import TEMPLATES
from r1gym.tasks.procedural import ProceduralSource
from r1gym.tasks.registry import SOURCES
from r1gym.verifiers.extract import MODES

TEXT = (Path(__file__).parents[2] / "docs" / "environments.md").read_text(encoding="utf-8")


def test_the_first_block_runs() -> None:
    block = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)[0]
    names: dict[str, object] = {}
    exec(block.replace('gym.make("r1/MATH500-v0")', 'gym.make("r1/MATH500-v0", split="sample")'), names)
    assert names["terminated"] is True and names["reward"] in (0.0, 1.0)


def test_every_argument_and_value_is_in_the_table() -> None:
    for name in inspect.signature(ReasoningEnv.__init__).parameters:
        assert name in ("self", "source", "dials") or f"`{name}`" in TEXT, name
    for value in (*TEMPLATES, *MODES, "template"):
        assert f'"{value}"' in TEXT, value
    for source in SOURCES.values():
        if isinstance(source, ProceduralSource):
            assert f"{source.title} `{', '.join(source.dials())}`" in TEXT


def test_the_speed_table_is_the_one_that_was_measured() -> None:
    results = Path(__file__).parents[2] / "benchmarks" / "results"
    assert (results / "envs.md").read_text(encoding="utf-8").split("\n\n", 1)[1].strip() in TEXT
    rows = json.loads((results / "envs.json").read_text(encoding="utf-8"))["rows"]
    assert len(rows) == 6 and all(row["kept"] for row in rows)
