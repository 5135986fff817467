"""The folded map and its blocks: each cell the strongest of its paths, with its number, on one scale."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from analysis.charts import all_sources_chart, block_chart, layer_map_chart
from analysis.charts.export import picture
from analysis.requests import HEAD_INPUTS
from analysis.results import AllSourcesResult, EffectScale, KnownPaths, PathMap
from tests.chart_samples import CLEAN, CORRUPTED, THEMES, all_sources, cells
from tests.charts.drawn import Mark, as_number, contrast, drawing
from tests.charts.signed import coloured_by_value
from tests.pages.stored_results import the_estimates, the_strongest

N_LAYERS, N_HEADS = 5, 3
BLOCK = (1, 3)
SPAN = CLEAN - CORRUPTED
SCALES: tuple[EffectScale, ...] = ("effect", "recovery")


def sweep(measured: float = 1.0) -> AllSourcesResult:
    return all_sources(N_LAYERS, N_HEADS, measured)


def together() -> PathMap:
    return KnownPaths.of(the_estimates(), the_strongest(0, 3, "k")).together


def numbers(label: str) -> tuple[int, int]:
    layer, head = label.removeprefix("L").split("H")
    return int(layer), int(head)


def told(mark: Mark) -> tuple[int, int, int, int]:
    return (*numbers(mark.told["source"]), *numbers(mark.told["destination"]))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("measured", [1.0, 0.4])
def test_each_block_is_the_strongest_of_its_paths_at_its_place(scale: EffectScale, measured: float):
    result = sweep(measured)
    shown = drawing(layer_map_chart(result, scale))
    marks = {told(mark)[::2]: mark for mark in shown.of("rect", "source", "destination")}
    blocks = {(sl, dl) for dl in range(N_LAYERS) for sl in range(dl)}
    assert marks.keys() == blocks
    for (sl, dl), mark in marks.items():
        paths = {(sl, sh, dl, dh): result.effect[sl, sh, dl, dh] for sh, dh in np.ndindex(N_HEADS, N_HEADS)}
        strongest = max(paths, key=lambda path: abs(paths[path]))
        assert told(mark) == strongest
        assert as_number(mark.told["effect (logits)"]) == pytest.approx(paths[strongest], abs=2e-4)
        assert as_number(mark.told["recovery"]) == pytest.approx(paths[strongest] / SPAN, abs=2e-4)
        assert (mark.told["kind"] == "measured") == bool(result.measured[strongest])
        assert (mark.opacity < 1) == (mark.told["kind"] == "estimated")
        assert shown.place(mark) == (str(sl), str(dl))
        assert (mark.edge["sl"], mark.edge["dl"]) == (sl, dl)
    legend = shown.legend("recovery" if scale == "recovery" else "effect (logits)")
    values = [as_number(mark.told[legend.title]) for mark in marks.values()]
    assert as_number(legend.labels[-1]) == pytest.approx(max(map(abs, values)), rel=0.01)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_block_has_every_path_between_its_layers_and_no_other(scale, theme):
    result = sweep()
    shown = drawing(block_chart(result, BLOCK, scale, theme), theme)
    marks = {told(mark): mark for mark in shown.of("rect", "source", "destination")}
    assert marks.keys() == {(BLOCK[0], sh, BLOCK[1], dh) for sh in range(N_HEADS) for dh in range(N_HEADS)}
    found = []
    for edge, mark in marks.items():
        effect = result.effect[edge]
        assert as_number(mark.told["effect (logits)"]) == pytest.approx(effect, abs=2e-4)
        assert shown.place(mark) == (str(edge[1]), str(edge[3]))
        assert tuple(mark.edge.values()) == edge
        found.append((effect if scale == "effect" else effect / SPAN, mark))
    title = "recovery" if scale == "recovery" else "effect (logits)"
    coloured_by_value(found, shown.legend(title), theme)


def test_a_block_is_on_the_scale_of_the_whole_map():
    result = sweep()
    ends = {
        drawing(chart).legend("effect (logits)").labels[-1]
        for chart in (
            layer_map_chart(result),
            all_sources_chart(result),
            *(block_chart(result, (sl, dl)) for dl in range(N_LAYERS) for sl in range(dl)),
        )
    }
    assert len(ends) == 1


@pytest.mark.parametrize("largest", [1.0, 40.0])
def test_several_maps_share_a_scale_that_grows_by_quarters_only(largest: float):
    result = sweep()
    own = float(np.nanmax(np.abs(result.effect)))
    end = largest * max(1.0, np.ceil(4 * own / largest) / 4)
    for chart in (
        layer_map_chart(result, largest=largest),
        all_sources_chart(result, largest=largest),
        block_chart(result, BLOCK, largest=largest),
    ):
        label = drawing(chart).legend("effect (logits)").labels[-1]
        assert as_number(label) == pytest.approx(end, rel=0.01)
    shares = drawing(layer_map_chart(result, "recovery", largest=largest)).legend("recovery").labels[-1]
    assert as_number(shares) == pytest.approx(end / SPAN, rel=0.01)


def test_of_three_inputs_together_each_cell_names_the_one_that_is_the_strongest():
    paths = together()
    for chart in (layer_map_chart(paths), all_sources_chart(paths), block_chart(paths, (0, 2))):
        marks = drawing(chart).of("rect", "source", "component")
        assert marks
        for mark in marks:
            edge = told(mark)
            assert mark.told["component"] == HEAD_INPUTS[paths.component[edge]]
            assert as_number(mark.told["effect (logits)"]) == pytest.approx(paths.effect[edge], abs=2e-4)
            assert (mark.told["kind"] == "measured") == bool(paths.measured[edge])


@pytest.mark.parametrize("theme", THEMES)
def test_numbers_in_cells_can_be_read_where_they_are_estimated_too(theme):
    background = {"light": (255, 255, 255), "dark": (17, 22, 29)}[theme]
    estimated = replace(sweep(), values=np.full_like(sweep().values, np.nan))
    for result in (sweep(), estimated):
        shown = drawing(layer_map_chart(result, theme=theme), theme)
        rects = shown.of("rect", "source", "destination")
        texts = [mark for mark in shown.of("text") if mark.text]
        assert texts
        for text in texts:
            [cell] = [
                mark for mark in rects if mark.left < text.x < mark.right and mark.top < text.y < mark.bottom
            ]
            assert cell.fill is not None and text.fill is not None
            mixed = tuple(
                round(cell.opacity * own + (1 - cell.opacity) * behind)
                for own, behind in zip(cell.fill, background, strict=True)
            )
            assert contrast(text.fill, mixed) >= 4.5


def test_what_is_selected_is_framed():
    def frames(chart) -> list[Mark]:
        marks = drawing(chart).marks
        return [mark for mark in marks if not mark.told and not mark.text and mark.fill is None]

    assert not frames(layer_map_chart(sweep())) and not frames(block_chart(sweep(), BLOCK))
    [block] = frames(layer_map_chart(sweep(), selected=(2, 4)))
    assert drawing(layer_map_chart(sweep())).place(block) == ("2", "4")
    [path] = frames(block_chart(sweep(), BLOCK, selected=(2, 0)))
    assert drawing(block_chart(sweep(), BLOCK)).place(path) == ("2", "0")


@pytest.mark.parametrize(
    ("chart", "name", "fields"),
    [
        (layer_map_chart(sweep()), "block", ["sl", "dl"]),
        (block_chart(sweep(), BLOCK), "edge", ["sl", "sh", "dl", "dh"]),
    ],
)
def test_a_click_selects(chart, name: str, fields: list[str]):
    parameter = picture(chart, "light")["params"][0]
    assert (parameter["name"], parameter["select"]["fields"]) == (name, fields)


def test_a_model_of_one_layer_has_an_empty_map():
    assert cells(layer_map_chart(all_sources(1, 3)))["rows"] == []


def test_a_screen_reader_is_told_the_strongest():
    said = picture(layer_map_chart(together()), "light")["description"]
    assert "into query, key and value, the strongest of later heads" in said
    assert "into the q input" in picture(layer_map_chart(sweep()), "light")["description"]


@pytest.mark.parametrize(
    "chart",
    [layer_map_chart, partial(block_chart, block=BLOCK), all_sources_chart],
    ids=["layers", "block", "heads"],
)
def test_while_a_sweep_fills_the_scale_stands_still_and_only_the_data_change(chart):
    def specification(measured: float) -> str:
        spec = picture(chart(sweep(measured), largest=40.0), "light")
        del spec["datasets"]
        return re.sub(r"view_[0-9a-f]+|data-[0-9a-f]+", "name", json.dumps(spec))

    assert specification(0.0) == specification(0.2) == specification(0.8)
    ends = {
        drawing(chart(sweep(measured), largest=40.0)).legend("effect (logits)").labels[-1]
        for measured in (0.0, 0.4, 1.0)
    }
    assert ends == {"+40"}
