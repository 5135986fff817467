"""The map of all sources: folded or not, one input or three, on one scale; what the address says of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analysis import jobs
from analysis.results import KnownPaths
from pages.shared.keys import Key
from pages.shared.path_map import MapShown
from tests.charts.drawn import as_number
from tests.pages.looking import See, captions, chart, table, texts
from tests.pages.stored_results import (
    N_HEADS,
    N_LAYERS,
    a_sweep,
    an_overview,
    keep,
    the_estimates,
    the_strongest,
)

Visit = Callable[..., AppTest]


def shown(app: AppTest) -> set[str]:
    """What can be selected on the charts of the page."""
    specs = [json.loads(element.proto.spec) for element in app.get("vega_lite_chart")]
    return {spec["params"][0]["name"] for spec in specs if spec.get("params")}


def test_a_small_model_is_shown_head_by_head_and_the_list_folds_it(see: See):
    app = see("all_sources")
    assert "edge" in shown(app) and "block" not in shown(app)
    choices = app.selectbox(key=Key.MAP_LIST)
    assert choices.options == ["Layer by layer", "Head by head", "L0 → L1", "L0 → L2", "L1 → L2"]
    assert Key.MAP not in app.query_params, "what follows from the model stays out of the address"
    choices.set_value("layers").run()
    assert not app.exception and "block" in shown(app) and "edge" not in shown(app)
    assert app.query_params[Key.MAP] == "layers"
    app.selectbox(key=Key.MAP_LIST).set_value("L0-L2").run()
    assert not app.exception and app.query_params[Key.MAP] == "L0-L2"
    marks = chart(app, "edge").of("rect", "source", "destination")
    assert {(mark.told["source"][:2], mark.told["destination"][:2]) for mark in marks} == {("L0", "L2")}
    assert len(marks) == N_HEADS**2
    [fold] = [button for button in app.button if button.label == "All layers"]
    fold.click().run()
    assert app.query_params[Key.MAP] == "layers" and "block" in shown(app)


def test_a_link_opens_a_block_and_one_that_there_is_not_is_said(see: See, visit: Visit):
    app = visit("all_sources", map="L1-L2")
    assert not app.exception and app.selectbox(key=Key.MAP_LIST).value == "L1-L2"
    app = visit("all_sources", map="L1-L9")
    assert not app.exception and app.selectbox(key=Key.MAP_LIST).value == "heads"
    assert "The model has no paths L1-L9" in texts(app)
    app = visit("all_sources", map="upside-down")
    assert not app.exception and "shown is all of it" in texts(app)


def test_a_click_on_a_block_unfolds_it(see: See, visit: Visit, monkeypatch: pytest.MonkeyPatch):
    draw = st.altair_chart

    def altair_chart(*arguments: Any, **options: Any) -> Any:
        event = draw(*arguments, **options)
        told = SimpleNamespace(selection={"block": [{"sl": 0, "dl": 2}]})
        return told if options.get("key") == Key.LAYER_MAP else event

    monkeypatch.setattr(st, "altair_chart", altair_chart)
    app = visit("all_sources", map="layers")
    assert not app.exception
    assert app.query_params[Key.MAP] == "L0-L2" and app.selectbox(key=Key.MAP_LIST).value == "L0-L2"


def test_a_large_model_shows_its_estimate_folded_before_anybody_asks_for_the_sweep(
    see: See, visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pages.shared.path_map.MOST_HEADS_UNFOLDED", 4)
    monkeypatch.setattr("pages.shared.sweeps.is_small", lambda *_: False)
    monkeypatch.setattr(jobs, "find", lambda request: None)
    keep(an_overview(), the_strongest(0, 3, "k"))
    app = visit("all_sources", component="k")
    assert not app.exception and "block" in shown(app)
    assert f"{Key.START}_sweep" in [button.key for button in app.button]
    assert "shown is the estimate, in which the strongest are measured" in captions(app)
    known = KnownPaths.of(the_estimates(), the_strongest(0, 3, "k"))
    drawn = chart(app, "block")
    assert as_number(drawn.legend("effect (logits)").labels[-1]) == pytest.approx(known.largest, rel=0.01)
    kinds = [mark.told["kind"] for mark in drawn.of("rect", "source", "kind")]
    assert set(kinds) <= {"measured", "estimated"} and "estimated" in kinds


@pytest.mark.parametrize("component", ["q", "k", "v"])
def test_the_scale_is_that_of_query_key_and_value_together(see: See, component: str):
    keep(a_sweep(component=component))
    app = see("all_sources", component=component)
    known = KnownPaths.of(the_estimates(), the_strongest(0, 3, "q"))
    own = max(abs(effect) for effect in table(app, "how")["effect"])
    steps = [known.largest * (4 + quarter) / 4 for quarter in range(9)]
    end = next(step for step in steps if step >= 0.9999 * own)
    label = chart(app, "edge").legend("effect (logits)").labels[-1]
    assert as_number(label) == pytest.approx(end, rel=0.01)
    assert "one scale for query, key and value" in captions(app)


def test_together_the_map_holds_what_every_stored_sweep_has_measured(see: See):
    sweeps = [a_sweep(component=component) for component in ("q", "v")]
    keep(*sweeps)
    app = see("all_sources", inputs="together")
    known = KnownPaths.of(the_estimates(), the_strongest(0, 3, "q"), *sweeps).together
    marks = chart(app, "edge").of("rect", "source", "component")
    assert len(marks) == N_HEADS**2 * N_LAYERS * (N_LAYERS - 1) // 2
    for mark in marks:
        ends = (mark.told["source"], mark.told["destination"])
        edge = tuple(int(number) for end in ends for number in end.removeprefix("L").split("H"))
        assert as_number(mark.told["effect (logits)"]) == pytest.approx(known.effect[edge], abs=2e-4)
        assert mark.told["kind"] == ("measured" if known.measured[edge] else "estimated")
    assert {mark.told["component"] for mark in marks} == {"q", "k", "v"}


def test_a_click_together_selects_the_path_into_the_input_that_is_drawn(
    see: See, visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    draw, edge = st.altair_chart, {"sl": 1, "sh": 2, "dl": 2, "dh": 0}

    def altair_chart(*arguments: Any, **options: Any) -> Any:
        event = draw(*arguments, **options)
        told = SimpleNamespace(selection={"edge": [edge]})
        return told if options.get("key") == Key.EDGE_CHART else event

    monkeypatch.setattr(st, "altair_chart", altair_chart)
    known = KnownPaths.of(the_estimates(), the_strongest(0, 3, "q"), a_sweep()).together
    read = "qkv"[known.component[1, 2, 2, 0]]
    app = visit("all_sources", inputs="together", component="q")
    assert not app.exception and app.session_state[Key.SELECTED] == f"L1H2 → L2H0.{read}"


def test_how_many_cells_are_drawn():
    assert MapShown("heads").marks(30, 9) == 81 * 435
    assert MapShown("layers").marks(30, 9) == 435
    assert MapShown("L0-L3").marks(30, 9) == 81
