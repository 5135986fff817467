"""Whatever leaves is read again, and every number in it is the one that the page has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO, StringIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from analysis.exports import (
    ORIGIN,
    inert_csv,
    table_json,
    table_parquet,
    tensors_npz,
    tensors_of,
    tensors_safetensors,
    without_places,
)
from analysis.requests import Experiment
from analysis.results import AllSourcesRequest, GraphRequest, PathRequest, StrongestPathsRequest
from pages.shared.keys import Key
from pages.shared.shown import Shown
from pages.shared.take_along import figure, provenance_json
from tests.chart_samples import CLEAN, CORRUPTED, PROVENANCE, all_sources, path
from tests.hostile import HOSTILE
from tests.pages.looking import visit
from tests.pages.showing import EXPERIMENT, SHOWN, ask

TABLES: dict[str, Callable[[pd.DataFrame, dict[str, str]], str | bytes]] = {
    "CSV": lambda table, origin: inert_csv(table),
    "JSON": table_json,
    "Parquet": table_parquet,
}


def read_table(form: str, file: str | bytes) -> pd.DataFrame:
    if form == "CSV":
        assert isinstance(file, str)
        return pd.read_csv(StringIO(file, newline=""), keep_default_na=False, na_values=[""])
    if form == "JSON":
        held = json.loads(file)
        return pd.DataFrame(held["rows"], columns=held["columns"])
    assert isinstance(file, bytes)
    return parquet.read_table(BytesIO(file)).to_pandas()


def same_table(read: pd.DataFrame, table: pd.DataFrame) -> None:
    """Number by number, not a digit apart; texts but for the apostrophe that keeps spreadsheets quiet."""
    assert list(read.columns) == list(table.columns) and len(read) == len(table) > 0
    for column in table.columns:
        own, other = table[column], read[column]
        if pd.api.types.is_numeric_dtype(own):
            np.testing.assert_array_equal(other.astype(float), own.astype(float), err_msg=column)
        else:
            # In a CSV an empty text is nothing.
            other = other.fillna("")
            assert [str(text).removeprefix("'") for text in other] == [
                str(text).removeprefix("'") for text in own
            ]


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("kind", SHOWN)
def test_a_table_is_read_again_number_by_number(kind: str, form: str):
    shown = SHOWN[kind]()
    assert shown.table.select_dtypes("number").shape[1] >= 2
    same_table(read_table(form, TABLES[form](shown.table, shown.told.origin())), shown.table)


def read_tensors(form: str, file: bytes) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    if form == "NPZ":
        with np.load(BytesIO(file), allow_pickle=False) as held:
            arrays = {name: held[name] for name in held.files}
        return arrays, json.loads(str(arrays.pop(ORIGIN)))
    from safetensors.numpy import load

    size = int.from_bytes(file[:8], "little")
    return load(file), json.loads(json.loads(file[8 : 8 + size])["__metadata__"][ORIGIN])


TENSORS = {"NPZ": tensors_npz, "safetensors": tensors_safetensors}
WITHOUT_TENSORS = {"overview", "sanity checks", "checks over prompts", "prompts"}
WITHOUT_A_PICTURE = {"strongest paths", "sanity checks", "checks over prompts"}


@pytest.mark.parametrize("form", TENSORS)
@pytest.mark.parametrize("kind", SHOWN)
def test_tensors_are_read_again_with_what_stands_along_their_axes(kind: str, form: str):
    shown = SHOWN[kind]()
    tensors = shown.tensors()
    assert (tensors is None) == (kind in WITHOUT_TENSORS)
    if tensors is None:
        return
    arrays, told = read_tensors(form, TENSORS[form](tensors))
    assert arrays.keys() == tensors.arrays.keys() == told["axes"].keys() == told["labels"].keys()
    for name, array in tensors.arrays.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)
        assert len(told["axes"][name]) == array.ndim
        for axis, length, along in zip(told["axes"][name], array.shape, told["labels"][name], strict=True):
            # Tokens may stand at several positions.
            assert along == [] or (len(along) == length and (axis == "pos" or len(set(along)) == length))
    assert told["origin"] == json.loads(json.dumps(shown.told.origin()))


def test_the_labels_of_a_tensor_lead_to_the_number_of_the_table():
    """Each number is looked up by its labels alone, in the table and in the file."""
    nodes = SHOWN["nodes"]()
    arrays, told = read_tensors("NPZ", tensors_npz(nodes.tensors()))
    runs, names, _ = told["labels"]["attribution"]
    assert told["axes"]["attribution"] == ["run", "node", "pos"] and runs == ["clean", "corrupted"]
    for row in nodes.table.itertuples():
        clean, corrupted = arrays["attribution"][:, names.index(row.node), row.position]
        assert clean - corrupted == row.attribution
    paths = SHOWN["path"]()
    arrays, told = read_tensors("safetensors", tensors_safetensors(paths.tensors()))
    layers, heads = told["labels"]["values"]
    for row in paths.table.itertuples():
        layer, head = layers.index(row.destination[:2]), heads.index(row.destination[2:])
        assert arrays["values"][layer, head] - told["values"]["corrupted_metric"] == row.effect


def test_the_edges_of_a_graph_stand_by_writer_and_reader():
    graph = ask(GraphRequest(EXPERIMENT))
    tensors = tensors_of(graph)
    assert tensors is not None
    arrays, told = read_tensors("safetensors", tensors_safetensors(tensors))
    directions, writers, readers = told["labels"]["estimated"]
    for row in graph.table().itertuples():
        at = writers.index(row.writer), readers.index(row.reader)
        for direction in ("brings_back", "breaks"):
            index = directions.index(direction)
            measured, estimated = arrays["measured"][index][at], arrays["estimated"][index][at]
            assert getattr(row, direction) == (estimated if np.isnan(measured) else measured)
    assert told["labels"]["areas"] == [["CPR", "CMD"]]


def test_every_path_stands_by_its_ends():
    paths = ask(StrongestPathsRequest(EXPERIMENT))
    tensors = tensors_of(paths)
    assert tensors is not None and tensors.labels["effect"] == (
        tuple(" → ".join(ends) for ends in paths.labels),
    )
    assert tensors.axes["edges"] == ("path", "4") and tensors.labels["edges"][1] == ("sl", "sh", "dl", "dh")


def test_parquet_and_json_tell_where_the_numbers_come_from():
    shown = SHOWN["path"]()
    origin = shown.told.origin()
    file = table_parquet(shown.table, origin)
    told = parquet.read_schema(BytesIO(file)).metadata[ORIGIN.encode()]
    assert json.loads(told) == json.loads(table_json(shown.table, origin))["origin"] == origin
    assert json.loads(provenance_json(shown.told)) == origin
    assert json.loads(origin["request"])["kind"] == PathRequest.__name__


def test_what_is_not_defined_is_read_as_missing():
    result = path(clean=CORRUPTED)
    table = result.table()
    assert table["recovery"].isna().all() and CLEAN != CORRUPTED
    for form, write in TABLES.items():
        assert read_table(form, write(table, {}))["recovery"].isna().all()


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_stands_in_a_table_is_read_again(text: str):
    # Half of a surrogate pair is no text to a table.
    written = text.encode("utf-8", "backslashreplace").decode()
    table = pd.DataFrame({"token": [written, "a"], "number": [0.1, -1e-17]})
    for form in ("Parquet", "JSON"):
        same_table(read_table(form, TABLES[form](table, {"model": text})), table)


def test_files_hold_no_path_of_the_machine():
    """A folder that a model was read from stands in no file, but for the code that names it."""
    model = "/home/ann/models/mine"
    folder = replace(EXPERIMENT, model=model)
    result = all_sources()
    result = replace(
        result,
        request=AllSourcesRequest(folder),
        provenance=replace(PROVENANCE, model=model),
    )
    tensors = tensors_of(result)
    assert tensors is not None
    origin = result.origin()
    files = [table_json(result.table(), origin).encode(), table_parquet(result.table(), origin)]
    files += [
        tensors_safetensors(tensors),
        str(tensors.metadata()).encode(),
        inert_csv(result.table()).encode(),
    ]
    assert all(b"/home" not in file and b"ann" not in file.split(b"ORIGIN")[0] for file in files)
    assert without_places(folder) == replace(folder, model="mine")
    assert without_places(EXPERIMENT) == EXPERIMENT


@pytest.mark.parametrize("kind", [kind for kind in SHOWN if kind not in WITHOUT_A_PICTURE])
def test_every_picture_is_drawn_in_every_form_for_a_column(kind: str):
    from analysis.charts import Layout

    shown = SHOWN[kind]()
    layout = Layout("column", 7, shown.title)
    starts = {"svg": "<svg", "pdf": b"%PDF", "png": b"\x89PNG"}
    for form, start in starts.items():
        assert figure(shown, form, layout)()[: len(start)] == start


def test_code_names_the_model_as_it_is_asked_to(monkeypatch: pytest.MonkeyPatch):
    shown: Shown = SHOWN["path"]()
    elsewhere: Experiment = replace(EXPERIMENT, model="/home/ann/mine")
    for code in shown.codes(lambda _: elsewhere):
        assert "'/home/ann/mine'" in code.script() and "/home/ann/mine" in code.notebook()
    for code in shown.codes(lambda _: without_places(elsewhere)):
        assert "'mine'" in code.script() and "/home" not in code.script() + code.notebook()


def test_the_menu_is_filled_when_it_is_opened_and_stays_so_until_the_page_is_left():
    app = visit("sanity_checks")
    assert not app.exception and not app.get("download_button")
    app.button(key=f"{Key.TAKE}_sanity_checks").click().run()
    for _ in range(2):  # the page runs anew where an estimate comes in
        labels = {button.proto.label for button in app.get("download_button")}
        assert {"HTML", "CSV", "JSON", "Parquet", "Provenance", "Script", "Notebook"} <= labels
        app.run()
    app.switch_page("pages/history.py").run()
    app.switch_page("pages/sanity_checks.py").run()
    assert not app.exception and not app.get("download_button")
