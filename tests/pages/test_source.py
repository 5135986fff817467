"""The source is picked on a map or from a list; a head's page has each map once; a path by position."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from analysis.answers import answer
from analysis.results import PathPositionsRequest
from pages.shared.keys import Key
from pages.shared.path_positions import positions_sentence
from tests.charts.test_source_map import by_position
from tests.pages.looking import See, captions, chart, specification, texts
from tests.pages.stored_results import EXPERIMENT, N_HEADS, N_LAYERS, a_path, all_of_a_head, keep

Visit = Callable[..., AppTest]


def parameters(app: AppTest) -> list[str]:
    """What can be selected in each of the page's charts."""
    names = [json.loads(element.proto.spec).get("params", []) for element in app.get("vega_lite_chart")]
    return [own[0]["name"] if own else "" for own in names]


def test_the_list_has_every_head_and_shows_the_source(see: See):
    app = see("path_patching")
    source = app.selectbox(key=Key.SOURCE)
    assert source.options == [f"L{layer}H{head}" for layer in range(N_LAYERS) for head in range(N_HEADS)]
    assert source.value == "L0H3"


def test_a_choice_from_the_list_is_the_source_and_stands_in_the_address(see: See):
    keep(a_path(1, 2))
    app = see("path_patching")
    app.selectbox(key=Key.SOURCE).set_value("L1H2").run()
    assert not app.exception
    assert (app.query_params["source_layer"], app.query_params["source_head"]) == ("1", "2")
    assert "Strongest destinations of L1H2" in [heading.value for heading in app.header]


def test_the_map_frames_the_source(see: See):
    spec = specification(see("path_patching"), "head")
    frames = [
        spec["datasets"][layer["data"]["name"]]
        for layer in spec["layer"]
        if isinstance(layer["mark"], dict) and layer["mark"].get("filled") is False
    ]
    [rows] = frames
    assert [(row["sl"], row["sh"]) for row in rows] == [(0, 3)]


@pytest.mark.parametrize(("engine", "maps"), [("hooks", ["head", "edge"]), ("replay", ["head", "path"])])
def test_whom_a_head_tells_is_drawn_once(see: See, engine: str, maps: list[str]):
    keep(a_path(engine=engine), all_of_a_head(0, 3))
    app = see("path_patching")
    assert [name for name in parameters(app) if name] == maps
    assert [heading.value for heading in app.header].count("Whom L0H3 tells") == 1


def test_without_an_estimate_there_is_no_map_and_the_list_stays(see: See, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pages.shared.lead.begin_with_the_strongest", lambda _: None)
    app = see("path_patching")
    assert "head" not in parameters(app) and app.selectbox(key=Key.SOURCE).value == "L0H3"
    assert "Click a head" not in captions(app)


def test_the_chosen_path_is_shown_by_position(visit: Visit):
    app = visit("path_patching", source_layer="0", source_head="7", selected="L0H7 → L2H5.v")
    assert not app.exception
    result = answer(PathPositionsRequest(EXPERIMENT, ("L0H7", "L2H5.v"))).result
    assert positions_sentence(result) in texts(app)
    charts = [chart(app, index) for index in range(len(app.get("vega_lite_chart")))]
    tokens = {mark.told.get("token") for drawn in charts for mark in drawn.of("rect", "token")}
    assert {"12: ·a", "10: ·Mary|·John"} <= tokens


@pytest.mark.parametrize(("reader", "said"), [("q", "own position"), ("k", "softmax"), ("v", "is linear in")])
def test_the_sentence_says_what_adds_up(reader: str, said: str):
    result = by_position(request=PathPositionsRequest(EXPERIMENT, ("L0H1", f"L1H0.{reader}")))
    told = positions_sentence(result)
    assert "what L0H1 writes at 2: ·saw, +2.000 logits alone" in told
    assert "+1.500 in sum, patched together to +3.000" in told and said in told


def test_noise_by_position_is_no_finding():
    result = by_position(effect=np.array([0.0, 1e-9, 0.0]))
    result = replace(result, provenance=replace(result.provenance, resolution=1e-6))
    assert (
        positions_sentence(result) == "By position: every effect is below what rounding can tell from zero."
    )


def test_a_long_prompt_is_measured_by_position_only_when_it_is_asked_for(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("pages.shared.path_positions.MOST_UNASKED", 2)
    app = visit("path_patching", source_layer="0", source_head="7")
    assert not app.exception and "By position: most" not in texts(app)
    [toggle] = [one for one in app.toggle if one.key == Key.BY_POSITION]
    assert "5 passes" in toggle.label
    toggle.set_value(True).run()
    assert not app.exception and "By position: most" in texts(app)
