"""The map of sources and the bars of a path by position: each head and token has its own number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.charts import path_positions_chart, source_map_chart
from analysis.charts.export import picture
from analysis.labels import head_label
from analysis.requests import HEAD_INPUTS
from analysis.results import EffectScale, KnownPaths, PathPositionsRequest, PathPositionsResult
from tests.chart_samples import CLEAN, CORRUPTED, EXPERIMENT, PROVENANCE
from tests.charts.drawn import as_number, drawing
from tests.pages.stored_results import N_HEADS, N_LAYERS, the_estimates, the_strongest

SPAN = 3.25 + 2.5


def known() -> KnownPaths:
    return KnownPaths.of(the_estimates(), replace(the_strongest(0, 3, "k"), effect=np.array([9.0])))


def strongest_out(effect: np.ndarray, layer: int, head: int) -> tuple[float, str, str]:
    """Effect, destination and input of the strongest path out of a head, found one by one."""
    paths = [
        (float(effect[read, layer, head, dl, dh]), head_label(dl, dh), HEAD_INPUTS[read])
        for read in range(3)
        for dl in range(layer + 1, N_LAYERS)
        for dh in range(N_HEADS)
    ]
    return max(paths, key=lambda path: abs(path[0]))


@pytest.mark.parametrize("scale", ["effect", "recovery"])
def test_each_head_has_the_strongest_path_out_of_it(scale: EffectScale):
    shown = drawing(source_map_chart(known(), scale))
    marks = {mark.told["source"]: mark for mark in shown.of("rect", "source", "destination")}
    expected = {
        head_label(layer, head): strongest_out(known().effect, layer, head)
        for layer in range(N_LAYERS - 1)
        for head in range(N_HEADS)
    }
    assert marks.keys() == expected.keys()
    for label, (effect, destination, component) in expected.items():
        told = marks[label].told
        assert as_number(told["effect (logits)"]) == pytest.approx(effect, abs=2e-4)
        assert as_number(told["recovery"]) == pytest.approx(effect / SPAN, abs=2e-4)
        assert (told["destination"], told["component"]) == (destination, component)
        layer, head = label.removeprefix("L").split("H")
        assert shown.place(marks[label]) == (layer, head)
        assert (marks[label].edge["sl"], marks[label].edge["sh"]) == (int(layer), int(head))
    kinds = {label: mark.told["kind"] for label, mark in marks.items()}
    assert kinds.pop("L0H3") == "measured" and set(kinds.values()) == {"estimated"}


def test_the_selected_head_is_framed_also_in_the_last_layer_and_no_other():
    def frames(selected: str | None) -> list[tuple[float, float]]:
        marks = drawing(source_map_chart(known(), selected=selected)).marks
        return [(mark.x, mark.y) for mark in marks if not mark.told and not mark.text and mark.fill is None]

    assert frames(None) == []
    [frame] = frames("L1H2")
    cell = next(
        mark for mark in drawing(source_map_chart(known())).marks if mark.told.get("source") == "L1H2"
    )
    assert frame == pytest.approx((cell.x, cell.y), abs=1.0)
    [last] = frames(f"L{N_LAYERS - 1}H2")
    assert last[1] > frame[1]


def test_a_click_selects_a_head():
    parameter = picture(source_map_chart(known()), "light")["params"][0]
    assert (parameter["name"], parameter["select"]["fields"]) == ("head", ["sl", "sh"])


def by_position(**changed: Any) -> PathPositionsResult:
    result = PathPositionsResult(
        PathPositionsRequest(EXPERIMENT, ("L0H1", "L1H0.q")),
        PROVENANCE,
        CORRUPTED,
        CLEAN,
        ("<s>", " Mary", " saw"),
        ("<s>", " John", " saw"),
        effect=np.array([0.0, -0.5, 2.0]),
        whole=3.0,
    )
    return replace(result, **changed)


@pytest.mark.parametrize("scale", ["effect", "recovery"])
def test_each_token_has_its_own_bar_and_the_axis_reaches_the_whole(scale: EffectScale):
    shown = drawing(path_positions_chart(by_position(), scale))
    title, factor = ("effect (logits)", 1.0) if scale == "effect" else ("recovery", 1 / (CLEAN - CORRUPTED))
    bars = {mark.told["token"]: mark for mark in shown.of("rect", "token")}
    assert {token: as_number(bar.told[title]) for token, bar in bars.items()} == pytest.approx(
        {"0: <s>": 0.0, "1: ·John|·Mary": -0.5 * factor, "2: ·saw": 2.0 * factor}
    )
    for token, effect in (("1: ·John|·Mary", -0.5), ("2: ·saw", 2.0)):
        assert shown.bottom.nearest(bars[token].x) == token
        height = abs(shown.left.read(bars[token].top) - shown.left.read(bars[token].bottom))
        assert height == pytest.approx(abs(effect) * factor, rel=0.02)
    assert as_number(shown.left.labels[-1][0]) == pytest.approx(3.0 * factor)


def test_positions_below_the_resolution_have_no_bar_and_say_why():
    result = by_position(provenance=replace(PROVENANCE, resolution=1.0))
    bars = drawing(path_positions_chart(result)).of("rect", "token")
    told = {bar.told["token"]: bar.told["effect (logits)"] for bar in bars}
    assert told["1: ·John|·Mary"] == "below resolution" and told["2: ·saw"] == "+2.0000"
    assert sum(bar.bottom - bar.top > 0 for bar in bars) == 1
