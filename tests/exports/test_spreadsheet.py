"""The CSV of a table is read plainly, and a spreadsheet finds nothing to run in it."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pandas as pd
import pytest

from analysis.exports import inert_csv
from tests.chart_samples import attribution
from tests.exports.samples import EDGES, GRAPH, graph_result


def test_plain_pandas_reads_what_the_table_holds():
    graph = graph_result("/home/ann/mine")
    text = inert_csv(graph.table(graph.graph.index(EDGES)))
    read = pd.read_csv(io.StringIO(text))
    pd.testing.assert_frame_equal(read, graph.table(GRAPH.index(EDGES)), check_exact=False, rtol=1e-14)
    assert [tuple(row) for row in read[["writer", "reader"]].to_numpy()] == list(EDGES)
    assert read["effect"].tolist() == pytest.approx((read["brings_back"] * 4.0).tolist())
    assert "#" not in text and "ann" not in text
    assert len(text.splitlines()) == 1 + len(EDGES)


def test_an_empty_circuit_has_its_columns():
    graph = graph_result()
    read = pd.read_csv(io.StringIO(inert_csv(graph.table(graph.graph.index(())))))
    assert list(read) == list(graph_result().table()) and read.empty


@pytest.mark.parametrize("start", [*"=+-@\t\r\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_text_that_a_spreadsheet_would_run_is_made_harmless(start):
    formula = f"{start}HYPERLINK(1)"
    texts = [formula, f"a {formula}", f"a\r{formula}", f"a;{formula}", '"' + formula]
    text = inert_csv(pd.DataFrame({formula: texts, "number": [-1.5, 2.0, 1e-7, 3, 0]}))
    read = pd.read_csv(io.StringIO(text, newline=""))
    assert list(read) == [f"'{formula}", "number"]
    assert read.iloc[:, 0].tolist() == [f"'{formula}", *texts[1:]]
    assert read["number"].tolist() == [-1.5, 2.0, 1e-7, 3.0, 0.0]
    # Outside quotes there are numbers and what separates them, and nothing else.
    assert re.fullmatch(r"[-\d.e,\n]*", re.sub(r'"(?:[^"]|"")*"', "", text))


def test_attribution_over_all_positions_has_no_token_that_a_spreadsheet_would_run():
    result = replace(attribution(), tokens=("=1+1", "-2+3", "@SUM(1)", " a"))
    table = result.table(None)
    read = pd.read_csv(io.StringIO(inert_csv(table), newline=""))
    assert list(read["token"].unique()) == ["'=1+1", "'-2+3", "'@SUM(1)", " a"]
    assert read["attribution"].tolist() == pytest.approx(table["attribution"].tolist())
    assert (read["attribution"] < 0).any()


def test_numbers_truth_and_the_table_itself_stay():
    table = pd.DataFrame({"mixed": ["=1", -1, None], "truth": [True, False, True], "n": [-1, 0, 1]})
    before = table.copy()
    read = pd.read_csv(io.StringIO(inert_csv(table)))
    assert read["mixed"].tolist()[:2] == ["'=1", "-1"]
    pd.testing.assert_frame_equal(read[["truth", "n"]], before[["truth", "n"]])
    pd.testing.assert_frame_equal(table, before)
