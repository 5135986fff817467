"""Sweeps over a table of prompts: each as the page stores it, once, and all of them in one file."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from pyarrow import parquet

from analysis import answers, sweep_many
from analysis.demo_model.examples import EXAMPLES
from analysis.errors import PathscopeError
from analysis.exports import ORIGIN, TableFile
from analysis.requests import Experiment
from analysis.results import AllSourcesRequest

pytestmark = pytest.mark.usefixtures("own_store")

PAIRS = [(one.clean, one.corrupted, one.answer, one.foil) for one in (EXAMPLES[0], EXAMPLES[4])]
BROKEN = ("The day after Monday is", "Too short", " Tuesday", " Sunday")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return written(tmp_path, *PAIRS)


def written(folder: Path, *pairs: tuple[str, ...]) -> Path:
    path = folder / "prompts.jsonl"
    names = "clean", "corrupted", "answer", "foil"
    path.write_text("".join(json.dumps(dict(zip(names, pair, strict=True))) + "\n" for pair in pairs))
    return path


def run(table: Path, *more: str) -> int:
    return sweep_many.main([str(table), *more])


def stored(pair: tuple[str, ...], component: str = "v", layer_norm: str = "frozen"):
    found = answers.stored(AllSourcesRequest(Experiment("demo", *pair), component, layer_norm))
    assert found is not None
    return found.result


def test_each_sweep_is_stored_as_the_page_asks_for_it_and_is_not_measured_again(table, monkeypatch):
    assert run(table, "--component", "v", "q") == 0
    for pair in PAIRS:
        assert stored(pair).complete and stored(pair, "q").complete

    def compute(*_):
        raise AssertionError("it was stored")

    monkeypatch.setattr("analysis.jobs.resume.steps", compute)
    assert run(table, "--component", "v", "q") == 0


def test_the_file_holds_every_effect_of_every_sweep(table, tmp_path):
    file = tmp_path / "effects.parquet"
    assert run(table, "--component", "v", "--layer-norm", "frozen", "exact", "--into", str(file)) == 0
    rows = pd.read_parquet(file)
    keys = ["clean", "corrupted", "answer", "foil", "layer_norm"]
    assert rows.groupby(keys).ngroups == 4 and set(rows["metric"]) == {"logit_difference"}
    for pair in PAIRS:
        for layer_norm in ("frozen", "exact"):
            own = rows[(rows["clean"] == pair[0]) & (rows["layer_norm"] == layer_norm)]
            expected = stored(pair, "v", layer_norm).table()
            got = own[expected.columns].reset_index(drop=True)
            pd.testing.assert_frame_equal(got, expected.reset_index(drop=True), check_exact=True)
    origins = json.loads(parquet.read_metadata(file).metadata[ORIGIN.encode()])
    assert len(origins) == 4 and all("demo" in json.dumps(origin) for origin in origins)
    assert not [*tmp_path.glob("*.part")]


def test_what_cannot_be_swept_is_told_and_the_others_are_there(tmp_path, capsys):
    table = written(tmp_path, BROKEN, PAIRS[1], ("no foil", "either", " x", ""))
    file = tmp_path / "effects.parquet"
    assert run(table, "--component", "v", "--into", str(file)) == 1
    told = capsys.readouterr().err
    assert "Row 3 is left out: foil is empty." in told
    assert "'The day after Monday is', v, frozen: " in told and "they need the same number" in told
    assert set(pd.read_parquet(file)["clean"]) == {PAIRS[1][0]}


def test_more_pairs_than_a_set_has_are_read(tmp_path, monkeypatch):
    names = [f"{first}{second}" for first in "abcdefghij" for second in "abcdefghij"]
    table = written(tmp_path, *((f"{name} is", f"{name} was", " a", " b") for name in names))
    asked: list[AllSourcesRequest] = []
    monkeypatch.setattr(sweep_many, "warm", asked.append)
    assert run(table) == 0
    assert len(asked) == 3 * len(names) > 3 * 64


@pytest.mark.parametrize(
    ("name", "hosted", "told"),
    [
        ("absent.jsonl", "", "absent.jsonl' cannot be read: No such file"),
        ("prompts.jsonl", "1", "PATHSCOPE_HOSTED is 1, and a server for strangers sweeps no tables."),
    ],
)
def test_what_is_wrong_is_a_sentence(table, capsys, monkeypatch, name, hosted, told):
    monkeypatch.setenv("PATHSCOPE_HOSTED", hosted)
    assert run(table.with_name(name)) == 1
    assert told in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_told(table, tmp_path, capsys):
    assert run(table, "--component", "v", "--into", str(tmp_path / "no" / "folder")) == 1
    assert "folder' cannot be written" in capsys.readouterr().err


def test_a_file_that_was_begun_and_not_ended_is_none(tmp_path):
    file = tmp_path / "effects.parquet"
    file.write_text("what stood there")

    def stopped() -> None:
        with TableFile(file) as rows:
            rows.add(pd.DataFrame({"effect": [1.0]}), {})
            raise PathscopeError("stopped")

    with pytest.raises(PathscopeError, match="stopped"):
        stopped()
    assert file.read_text() == "what stood there" and [*tmp_path.iterdir()] == [file]
