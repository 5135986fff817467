"""Below its resolution a number is no finding: tables say so in its place, a caption tells the way out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from analysis import answers
from analysis.answers import Answer, answer
from analysis.labels import number
from pages.shared import attribution_map
from pages.shared.patching import edge_columns
from pages.shared.resolution import BELOW, written
from tests.chart_samples import all_sources

Visit = Callable[..., AppTest]


def displayed(styler) -> pd.DataFrame:
    """What is written in the cells."""
    rows = styler._translate(False, False)["body"]
    cells = [[cell["display_value"] for cell in row if cell["type"] == "td"] for row in rows]
    return pd.DataFrame(cells, columns=styler.columns)


def test_a_number_below_its_resolution_is_written_as_words_and_stays_a_number():
    table = pd.DataFrame({"name": ["a", "b"], "effect": [0.5, -1e-9]})
    shown = written(table, {"effect": "{:+.4f}".format}, pd.Series([False, True]))
    assert list(displayed(shown)["effect"]) == ["+0.5000", BELOW]
    assert list(displayed(shown)["name"]) == ["a", "b"]
    pd.testing.assert_frame_equal(shown.data, table)


def test_edges_are_written_in_the_metrics_unit_and_in_percent_but_for_what_is_below_resolution():
    result = all_sources()
    strongest = float(np.nanmax(np.abs(result.effect)))
    result = replace(result, provenance=replace(result.provenance, resolution=strongest / 2))
    table = result.table()
    cells = displayed(edge_columns(table, "source", "destination"))
    for (_, row), (_, cell) in zip(table.iterrows(), cells.iterrows(), strict=True):
        small = abs(row["effect"]) < strongest / 2
        assert cell["effect"] == (BELOW if small else number(row["effect"], "+.4f"))
        assert cell["recovery"] == (BELOW if small else f"{number(100 * row['recovery'], '+.2f')} %")
    assert 0 < (cells["effect"] == BELOW).sum() < len(cells)


@pytest.mark.parametrize(
    ("page", "what"), [("path_patching", "paths"), ("direct_logit_attribution", "nodes")]
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_page_says_how_many_are_below_resolution_and_the_way_out(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, page: str, what: str, dtype: str
):
    def coarse(request):
        found = answer(request)
        provenance = replace(found.result.provenance, resolution=1e3, dtype=dtype)
        return Answer(replace(found.result, provenance=provenance), found.from_store)

    monkeypatch.setattr(answers, "answer", coarse)
    monkeypatch.setattr(attribution_map, "answer", coarse)
    app = visit(page, source_layer="0", source_head="0")
    assert not app.exception
    captions = [caption.value for caption in app.main.caption if "below the resolution" in caption.value]
    [told] = [caption for caption in captions if caption.split()[3] == what]
    words = told.split()
    assert words[0] == words[2] and dtype in words
    assert ("dtype: float64" in told) is (dtype == "float32")
    assert "+1e+03" in told or "1e+03" in told


def test_nothing_is_said_where_every_number_is_a_finding(visit: Visit, monkeypatch: pytest.MonkeyPatch):
    def fine(request):
        found = answer(request)
        provenance = replace(found.result.provenance, resolution=0.0)
        return Answer(replace(found.result, provenance=provenance), found.from_store)

    monkeypatch.setattr(answers, "answer", fine)
    app = visit("path_patching")
    assert not any("resolution" in caption.value for caption in app.main.caption)
