"""A test that wants the real rows skips on a laptop and fails in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
SUITE = """
import pytest

@pytest.mark.skipif(True, reason="needs real rows: set R1GYM_DATA")
def test_marked(): ...

def test_inside(): pytest.skip("needs real rows: set R1GYM_DATA")

@pytest.mark.skipif(True, reason="comes with another extra")
def test_other_reason(): ...
"""


@pytest.mark.parametrize(("ci", "closing"), [("", "3 skipped"), ("true", "1 failed, 1 skipped, 1 error")])
def test_no_test_skips_for_want_of_data_under_ci(ci: str, closing: str, tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "test_suite.py").write_text(SUITE, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "CI": ci})
    assert closing in done.stdout.rsplit("\n", 2)[-2], done.stdout
    assert done.returncode == (1 if ci else 0)
