"""Each control asks another question, each click leads where it says, nothing large starts by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from analysis import jobs
from analysis.answers import result_key
from analysis.attribution import of_run
from analysis.errors import PathscopeError
from analysis.results import AllSourcesResult, AttributionResult, PathResult
from analysis.store import open_store
from pages.shared.keys import Key
from tests.charts.drawn import as_number
from tests.pages.looking import See, chart, metrics, table, texts
from tests.pages.stored_results import (
    CORRUPTED_TOKENS,
    EXPERIMENT,
    METRICS,
    a_path,
    a_sweep,
    an_attribution,
    an_overview,
    keep,
    the_strongest,
)

Visit = Callable[..., AppTest]
PATCHING: dict[str, Callable[..., PathResult | AllSourcesResult]] = {
    "path_patching": a_path,
    "all_sources": a_sweep,
}
#: Which of a page's tables lists the paths that the chosen component is read by.
PATHS: dict[str, int | str] = {"path_patching": 0, "all_sources": "how"}


def effects(result: PathResult | AllSourcesResult) -> list[float]:
    values = result.values - result.corrupted_metric
    return sorted(values[np.isfinite(values)].tolist())


@pytest.mark.parametrize(
    ("control", "value"),
    [
        ("component", "k"),
        ("component", "v"),
        ("layer_norm", "exact"),
        *(("metric", metric) for metric in METRICS if metric != "logit_difference"),
    ],
)
@pytest.mark.parametrize("page", PATCHING)
def test_a_control_of_patching_asks_for_other_numbers(see: See, page: str, control: str, value: str):
    result = PATCHING[page](**{control: value})
    keep(result)
    shown = table(see(page, **{control: value}), PATHS[page])["effect"]
    assert sorted(shown) == pytest.approx(effects(result))
    assert sorted(shown) != pytest.approx(effects(PATCHING[page]()))


@pytest.mark.parametrize(("layer", "head"), [(1, 3), (0, 1)])
def test_source_layer_and_source_head_are_asked_for_as_such(see: See, layer: int, head: int):
    keep(a_path(layer, head))
    app = see("path_patching", source_layer=layer, source_head=head)
    assert sorted(table(app)["effect"]) == pytest.approx(effects(a_path(layer, head)))
    assert {mark.told["source"] for mark in chart(app, "edge").of("rect", "source", "effect (logits)")} == {
        f"L{layer}H{head}"
    }


@pytest.mark.parametrize(("control", "value"), [("unit", "layer"), ("unit", "head"), ("run", "corrupted")])
def test_a_control_of_attribution_asks_for_other_numbers(see: See, control: str, value: str):
    result = an_attribution(**{control: value})
    keep(result)
    shown = table(see("direct_logit_attribution", **{control: value}))["attribution"]
    assert sorted(shown) == pytest.approx(sorted(result.attribution[:, -1]))


def test_the_positions_to_choose_from_are_those_of_the_prompt_that_was_run(see: See):
    keep(an_attribution(run="corrupted"))
    app = see("direct_logit_attribution", run="corrupted")
    options = app.selectbox(key=Key.POSITION).options
    assert options[2:] == [f"{i}: {token.replace(' ', '·')}" for i, token in enumerate(CORRUPTED_TOKENS)]


@pytest.mark.parametrize("page", PATCHING)
def test_the_scale_changes_the_chart_and_not_the_numbers(see: See, page: str):
    result = PATCHING[page]()
    span = result.clean_metric - result.corrupted_metric
    ends = {}
    for scale, title in (("effect", "effect (logits)"), ("recovery", "recovery")):
        app = see(page, scale=scale)
        ends[scale] = as_number(chart(app, "edge").legend(title).labels[-1])
        assert sorted(table(app, PATHS[page])["effect"]) == pytest.approx(effects(result))
    assert ends["recovery"] == pytest.approx(ends["effect"] / abs(span), rel=0.01)


def clicked(monkeypatch: pytest.MonkeyPatch, edge: dict[str, int] | None, row: int | None) -> None:
    """Streamlit reports a click on a cell of the map, or on a row of the table, as the browser would."""
    draw_chart, draw_table = st.altair_chart, st.dataframe

    def altair_chart(*arguments: Any, **options: Any) -> Any:
        event = draw_chart(*arguments, **options)
        told = SimpleNamespace(selection={"edge": [edge] if edge else []})
        return told if options.get("key") == Key.EDGE_CHART else event

    def dataframe(*arguments: Any, **options: Any) -> Any:
        event = draw_table(*arguments, **options)
        told = SimpleNamespace(selection=SimpleNamespace(rows=[] if row is None else [row]))
        return told if options.get("key") == Key.EDGE_TABLE else event

    monkeypatch.setattr(st, "altair_chart", altair_chart)
    monkeypatch.setattr(st, "dataframe", dataframe)


def opened(app: AppTest) -> tuple[str, str]:
    """Title of the page that is open, and the source that its list names."""
    assert not app.exception
    return app.title[0].value, str(app.selectbox(key=Key.SOURCE).value)


def from_near(app: AppTest) -> str:
    """The path that is selected, which the address holds and the page shows from near."""
    assert not app.exception
    assert app.title[0].value == "All sources"
    label = app.session_state[Key.SELECTED]
    assert label in [heading.value for heading in app.header]
    assert app.query_params[Key.SELECTED] == label
    return label


def label(path: pd.Series) -> str:
    return f"{path['source']} → {path['destination']}.q"


def test_a_click_on_a_cell_selects_its_path(see: See, visit: Visit, monkeypatch: pytest.MonkeyPatch):
    clicked(monkeypatch, {"sl": 1, "sh": 2, "dl": 2, "dh": 0}, None)
    assert from_near(visit("all_sources")) == "L1H2 → L2H0.q"


def test_a_click_on_a_row_selects_its_path_until_something_else_is_selected(
    see: See, visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    clicked(monkeypatch, None, 3)
    app = visit("all_sources")
    assert from_near(app) == label(a_sweep().table().iloc[3])
    app.session_state[Key.SELECTED] = "L0H3 → L2H1.q"
    assert from_near(app.run()) == "L0H3 → L2H1.q"


def test_a_click_on_a_row_that_has_moved_since_selects_what_stood_there(
    see: See, visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    drawn = a_sweep()
    before = [label(path) for _, path in drawn.table().iterrows()]
    app = visit("all_sources")
    moved = replace(drawn, values=drawn.values[:, ::-1].copy())
    keep(moved)
    after = [label(path) for _, path in moved.table().iterrows()]
    row = next(i for i, (then, now) in enumerate(zip(before, after, strict=True)) if then != now)
    clicked(monkeypatch, None, row)
    assert from_near(app.run()) == before[row]


def test_without_a_choice_component_and_source_are_those_of_the_strongest_path(see: See, visit: Visit):
    keep(a_path(1, 2, component="v"), the_strongest(1, 2, "v"))
    app = visit("path_patching")
    assert opened(app) == ("Path patching", "L1H2")
    assert app.session_state[Key.COMPONENT] == "v"
    assert not app.query_params, "what follows from the experiment alone stays out of the address"


def test_what_was_chosen_stays_where_the_strongest_path_is_another(see: See, visit: Visit):
    keep(a_path(0, 1, component="k"), the_strongest(1, 2, "v"))
    app = visit("path_patching", component="k", source_layer="0", source_head="1")
    assert (opened(app), app.session_state[Key.COMPONENT]) == (("Path patching", "L0H1"), "k")
    assert app.query_params == {"component": "k", "source_layer": "0", "source_head": "1"}


def test_the_source_follows_the_experiment_until_somebody_chooses(see: See, visit: Visit):
    keep(a_path(1, 2, component="v"), the_strongest(1, 2, "v"))
    app = visit("path_patching")
    other = replace(EXPERIMENT, foil=" Helen")
    path, lead = a_path(0, 1, component="v"), the_strongest(0, 1, "v")
    keep(
        *(replace(one, request=replace(one.request, experiment=other)) for one in (path, lead, an_overview()))
    )
    app.session_state[Key.FOIL] = other.foil
    assert opened(app.run()) == ("Path patching", "L0H1")
    app.selectbox(key=Key.SOURCE).set_value("L1H1").run()
    app.session_state[Key.FOIL] = EXPERIMENT.foil
    keep(a_path(1, 1, component="v"))
    assert opened(app.run()) == ("Path patching", "L1H1"), "a source is chosen whole"
    assert app.query_params == {"source_layer": "1", "source_head": "1"}


@pytest.mark.parametrize(
    ("n_layers", "n_heads", "starts"),
    [(12, 12, True), (141, 1, True), (142, 1, False), (13, 12, False), (30, 9, False)],
)
def test_a_sweep_starts_by_itself_only_where_it_has_up_to_ten_thousand_paths(
    see: See, visit: Visit, monkeypatch: pytest.MonkeyPatch, n_layers: int, n_heads: int, starts: bool
):
    asked: list[str] = []

    def submit(request: Any, *_: Any) -> jobs.Job:
        asked.append(result_key(request, open_store()))
        raise PathscopeError("It was asked for.")

    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(jobs, "find", lambda request: None)
    keep(an_overview(n_layers, n_heads))
    wanted = a_sweep(component="v", layer_norm="exact", metric="kl_from_clean").request

    app = visit("all_sources")
    asked.clear()
    for choice in (Key.COMPONENT, Key.LAYER_NORM, Key.METRIC):
        app.session_state[choice] = getattr(wanted, choice)
    app.run()
    key = result_key(wanted, open_store())
    assert asked == [key] * starts
    start = [button for button in app.button if button.key == f"{Key.START}_sweep"]
    assert bool(start) is not starts
    for button in start:
        button.click().run()
    assert asked == [key]
    assert not app.exception
    assert "It was asked for." in texts(app)


@pytest.mark.usefixtures("own_store", "own_workers")
def test_a_press_is_not_lost_with_a_run_that_is_interrupted_before_the_work_begins(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    keep(an_overview(30, 9))
    app = visit("all_sources")
    [start] = [button for button in app.button if button.key == f"{Key.START}_sweep"]
    begun: list[bool] = []

    def submit(request: Any, _visitor: Any = None) -> None:
        begun.append(True)
        raise PathscopeError("It was asked for.")

    find = jobs.find
    with monkeypatch.context() as interrupted:
        interrupted.setattr(jobs, "find", lambda _request: st.stop())
        start.click().run()
    assert begun == []
    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(jobs, "find", find)
    app.run()
    assert begun == [True]
    app.run()
    assert begun == [True]


@pytest.mark.usefixtures("own_store")
@pytest.mark.parametrize(("factor", "shown"), [(1.0, True), (1.01, False), (float("nan"), False)])
def test_the_page_refuses_parts_that_do_not_make_the_whole(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, factor: float, shown: bool
):
    attribute = of_run.attribution_result

    def wrong(*told: Any) -> AttributionResult:
        result = attribute(*told)
        return replace(result, attribution=factor * result.attribution)

    monkeypatch.setattr(of_run, "attribution_result", wrong)
    app = visit("direct_logit_attribution")
    assert not app.exception
    assert bool(app.get("vega_lite_chart")) is shown
    assert ("The parts miss this model's own logit difference" in texts(app)) is not shown
    assert bool(metrics(app)) is shown
