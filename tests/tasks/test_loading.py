"""Where rows come from, what is checked, and what each failure says."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from r1gym.errors import ConfigError, DataError, DataNotFoundError, RowError, UnknownNameError
from r1gym.tasks import cli, fingerprint, hub, loading
from r1gym.tasks.aime import AIME, AIME2024
from r1gym.tasks.gsm8k import GSM8K
from r1gym.tasks.jsonl import parse_rows
from r1gym.tasks.math500 import MATH500
from r1gym.tasks.math_train import MATH, last_boxed
from r1gym.tasks.registry import SOURCES
from r1gym.tasks.source import DataFile, Fingerprint, HubFile, Source, Split


@pytest.fixture(autouse=True)
def _empty_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data folder, an empty cache, and a hub that nothing listens at."""
    monkeypatch.delenv("R1GYM_DATA", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("R1GYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")


def rows(*answers: str) -> list[dict[str, Any]]:
    return [{"problem": f"What is {a}?", "answer": a, "unique_id": f"t/{n}"} for n, a in enumerate(answers)]


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
    return path


def tiny(content: list[dict[str, Any]], *, hub_path: str = "test.jsonl", checked: bool = True) -> Source:
    """A canonical set of our own, whose fingerprint is that of ``content``."""
    tasks = [MATH500.parse(row, "test", n) for n, row in enumerate(parse_rows(_text(content), "x"))]
    known = fingerprint.fingerprint(tasks)
    split = Split((DataFile("tiny.jsonl", known),), HubFile("own/tiny", hub_path, known if checked else None))
    return Source("tiny", "Tiny", "math", {"test": split}, MATH500.parse, "problem, answer, unique_id")


def _text(content: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in content)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A local hub: a folder served over HTTP with the hub's own addresses."""
    root = tmp_path / "hub"
    root.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}/")
        yield root / "datasets" / "own" / "tiny" / "resolve" / "main"
        server.shutdown()
        thread.join()


def test_the_hub_is_asked_last_and_its_answer_is_kept(endpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = rows("1", "2", "3")
    source = tiny(content)
    write(endpoint / "test.jsonl", content)
    tasks = loading.load(source, "test")
    assert [task.reference for task in tasks] == ["1", "2", "3"]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert loading.load(source, "test")[1].question == "What is 2?"
    assert loading.load(source, "test") is loading.load(source, "test"), "rows are read once"


def test_the_hub_must_serve_the_canonical_set(endpoint: Path) -> None:
    write(endpoint / "test.jsonl", rows("1", "2", "4"))
    with pytest.raises(DataError, match="not the canonical set of that name: expected content hash"):
        loading.load(tiny(rows("1", "2", "3")), "test")
    assert not list(loading.cache_dir().glob("*")), "nothing of it is kept"


def test_a_copy_without_known_hash_is_taken_with_a_warning(endpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(endpoint / "test.jsonl", rows("8"))
    tasks = loading.load(tiny(rows("1"), checked=False), "test")
    assert len(tasks) == 1 and "no content hash of this copy is known" in caplog.text


def test_fetch_keeps_what_the_hub_has(
    endpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = rows("1", "2")
    write(endpoint / "test.jsonl", content)
    monkeypatch.setitem(SOURCES, "tiny", tiny(content))
    with pytest.raises(SystemExit) as caught:
        cli.main(["fetch", "tiny", "--split", "test"])
    assert caught.value.code == 0 and "tiny (test): 2 rows in" in capsys.readouterr().out
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert len(loading.load(tiny(content), "test")) == 2
    with pytest.raises(DataNotFoundError, match="could not be fetched: HF_HUB_OFFLINE is set"):
        cli.fetch_sets("tiny")


def test_a_set_with_too_few_rows_is_not_the_canonical_one(tmp_path: Path) -> None:
    write(tmp_path / "cache" / "tiny.jsonl", rows("1"))
    with pytest.raises(DataError, match="expected 2 rows, found 1"):
        loading.load(tiny(rows("1", "2")), "test")


def test_a_missing_file_on_the_hub_is_not_found(endpoint: Path) -> None:
    with pytest.raises(DataNotFoundError, match="HTTP 404"):
        loading.load(tiny(rows("1")), "test")


def test_parquet_copies_are_read(endpoint: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow comes with r1gym[data]")
    import pyarrow

    endpoint.mkdir(parents=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows("5", "6")), endpoint / "test.parquet")
    tasks = loading.load(tiny(rows("5", "6"), hub_path="test.parquet"), "test")
    assert [task.reference for task in tasks] == ["5", "6"]
    (endpoint / "test.parquet").write_bytes(b"no parquet")
    shutil.rmtree(loading.cache_dir())
    with pytest.raises(DataError, match="not a parquet file"):
        loading.load(tiny(rows("5", "6"), hub_path="test.parquet"), "test")


def test_parquet_without_pyarrow_names_the_extra(endpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataNotFoundError, match="pip install 'r1gym\\[data\\]'"):
        loading.load(tiny(rows("5"), hub_path="test.parquet"), "test")


def test_a_hub_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(DataNotFoundError, match="timed out"):
            loading.load(MATH500, "test")


def test_a_slow_or_endless_answer_is_given_up(endpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(endpoint / "test.jsonl", rows("1"))
    monkeypatch.setattr(hub, "DEADLINE_S", -1.0)
    with pytest.raises(DataNotFoundError, match="took more than"):
        loading.load(tiny(rows("1")), "test")
    monkeypatch.setattr(hub, "MAX_BYTES", 5)
    with pytest.raises(DataNotFoundError, match="larger than 5 bytes"):
        loading.load(tiny(rows("1")), "test")


def test_a_cache_that_cannot_be_written_says_what_to_set(endpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = rows("1")
    file = write(endpoint / "test.jsonl", content)
    monkeypatch.setenv("R1GYM_CACHE", str(file))  # a file where a folder should be
    with pytest.raises(ConfigError, match="Set R1GYM_CACHE"):
        loading.load(tiny(content), "test")


def test_nothing_reachable_names_the_set_the_places_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError) as caught:
        loading.load(MATH500, "test")
    message = str(caught.value)
    for part in ("MATH-500 (test)", "math500.jsonl", "R1GYM_DATA (not set)", str(tmp_path / "cache"), "127.0.0.1:9"):
        assert part in message
    assert "python -m r1gym.tasks fetch math500" in message
    with pytest.raises(DataNotFoundError, match=r"python -m r1gym\.tasks import aime FILE"):
        loading.load(AIME, "train")
    with pytest.raises(DataNotFoundError, match="fetch gsm8k --split train"):
        loading.load(GSM8K, "train")


def test_offline_means_offline(endpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(endpoint / "test.jsonl", rows("1"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataNotFoundError, match="HF_HUB_OFFLINE is set"):
        loading.load(tiny(rows("1")), "test")


def test_the_data_folder_comes_before_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = rows("1", "2")
    write(tmp_path / "cache" / "tiny.jsonl", content)
    assert loading.load(tiny(content), "test").origin == str(tmp_path / "cache" / "tiny.jsonl")
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "tiny.jsonl.gz").write_bytes(gzip.compress(_text(content).encode()))
    monkeypatch.setenv("R1GYM_DATA", str(folder))
    assert loading.load(tiny(content), "test").origin == str(folder / "tiny.jsonl.gz")
    own = write(tmp_path / "own.jsonl", rows("9"))
    assert [task.reference for task in loading.load(tiny(content), "test", data=str(own))] == ["9"]
    monkeypatch.setenv("R1GYM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="is not a folder"):
        loading.load(tiny(content), "test")


def test_the_content_hash_ignores_layout_but_not_content() -> None:
    one = [MATH500.parse(row, "t", 0) for row in parse_rows('{"problem":"a  b","answer":"7","unique_id":"x"}', "f")]
    two = [MATH500.parse(row, "t", 0) for row in parse_rows('{"unique_id":"y","answer":" 7","problem":"a\\nb"}', "f")]
    off = [MATH500.parse(row, "t", 0) for row in parse_rows('{"unique_id":"y","answer":"8","problem":"a b"}', "f")]
    assert fingerprint.fingerprint(one) == fingerprint.fingerprint(two) != fingerprint.fingerprint(off)
    # By hand: sha256 of the line ["a b", "7"] as JSON.
    expected = hashlib.sha256(b'["a b", "7"]\n').hexdigest()
    assert fingerprint.fingerprint(one) == Fingerprint(1, expected)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"problem": "p", "unique_id": "x"}', "line 2, field 'answer': is missing; the row has problem, unique_id"),
        ('{"problem": 3, "answer": "7", "unique_id": "x"}', "line 2, field 'problem': expected a string, got int"),
        ('{"problem": " ", "answer": "7", "unique_id": "x"}', "line 2, field 'problem': is blank"),
        ('{"problem": "p", "answer": null, "unique_id": "x"}', "field 'answer': expected a string, got NoneType"),
        ('["p"]', "line 2: expected a JSON object, got list"),
        ("{not json", "line 2: not JSON"),
    ],
)
def test_a_bad_row_names_file_line_and_field(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(_text(rows("1")) + line + "\n", encoding="utf-8")
    with pytest.raises(RowError, match=r"mine\.jsonl") as caught:
        loading.load(MATH500, "test", data=str(path))
    assert message in str(caught.value)


def test_repeated_ids_missing_files_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "twice.jsonl", rows("1") + rows("2"))
    with pytest.raises(DataError, match="'t/0' stands on line 1 and again on line 2"):
        loading.load(MATH500, "test", data=str(path))
    with pytest.raises(DataNotFoundError, match="there is no such file"):
        loading.load(MATH500, "test", data=str(tmp_path / "no.jsonl"))
    path.write_text("\n \n")
    with pytest.raises(DataError, match="holds no row"):
        loading.load(MATH500, "test", data=str(path))
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match="not UTF-8"):
        loading.load(MATH500, "test", data=str(path))
    with pytest.raises(UnknownNameError, match="Did you mean 'test'"):
        loading.load(MATH500, "tst")


def test_only_newlines_end_a_row() -> None:
    text = '{"a": "x\u2028y\u0085z"}\r\n\n{"a": "b"}'
    assert [(row.line, row.fields["a"]) for row in parse_rows(text, "f")] == [(1, "x\u2028y\u0085z"), (3, "b")]


def test_each_source_reads_its_own_fields(tmp_path: Path) -> None:
    gsm = write(tmp_path / "g.jsonl", [{"question": "q", "answer": "so #### no\n#### 1,024 "}])
    task = loading.load(GSM8K, "test", data=str(gsm))[0]
    assert (task.id, task.reference) == ("gsm8k/test/0", "1,024")
    with pytest.raises(RowError, match="expected the final answer after '#### '"):
        loading.load(GSM8K, "test", data=str(write(gsm, [{"question": "q", "answer": "4"}])))
    aime = write(tmp_path / "a.jsonl", [{"problem": "p", "answer": 33, "id": 7}, {"problem": "q", "answer": "050"}])
    assert [(task.id, task.reference) for task in loading.load(AIME2024, "test", data=str(aime))] == [
        ("aime/0", "33"),
        ("aime/1", "50"),
    ]
    for bad in (1000, True, 3.0, "x"):
        with pytest.raises(RowError, match="field 'answer'"):
            loading.load(AIME2024, "test", data=str(write(aime, [{"problem": "p", "answer": bad}])))
    solved = write(tmp_path / "m.jsonl", [{"problem": "p", "solution": "so \\boxed{1} or $\\boxed{\\frac{1}{2}}$."}])
    assert loading.load(MATH, "train", data=str(solved))[0].reference == "\\frac{1}{2}"


def test_the_last_box_is_cut_at_its_own_brace() -> None:
    assert last_boxed("\\boxed{a_{1} + \\{b\\}} done") == "a_{1} + \\{b\\}"
    assert last_boxed("thus \\boxed 7.") == "7" and last_boxed("\\fbox{x}") == "x"
    assert last_boxed("none") == "" and last_boxed("\\boxed{open") == ""


def test_import_checks_and_keeps_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "mine.jsonl", [{"question": "q", "answer": "#### 4"}])
    cli.import_file("gsm8k", path, "train")
    assert "1 rows (no content hash is known" in capsys.readouterr().out
    assert loading.load(GSM8K, "train")[0].reference == "4"
    with pytest.raises(DataError, match="not the canonical set"):
        cli.import_file("gsm8k", path, "test")
    with pytest.raises(ConfigError, match="say --split train or --split test"):
        cli.import_file("gsm8k", path)
    with pytest.raises(ConfigError, match="nothing to fetch or import"):
        cli.import_file("arithmetic", path)


def test_the_command_line_lists_and_complains(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["list"])
    out = capsys.readouterr().out
    assert caught.value.code == 0 and "math500\ttest\t-\tnot at hand" in out and "gsm8k\tsample\t10" in out
    with pytest.raises(SystemExit) as caught:
        cli.main(["fetch", "math50"])
    assert caught.value.code == 2 and "Did you mean 'math500'" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        cli.main(["fetch", "aime"])
    assert caught.value.code == 2 and "aime_1983_2023.jsonl" in capsys.readouterr().err
