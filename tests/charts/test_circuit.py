"""A circuit as it is drawn: places, colours, dashes, words."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest

from analysis.charts import chart_png, chart_svg, circuit_chart, circuit_curve_chart, circuit_graph
from analysis.charts.circuit_layout import Drawing, drawing_of, lines_of
from analysis.charts.circuit_positions import positions_drawing
from analysis.charts.themes import PALETTES, Theme
from analysis.nodes import Graph
from analysis.results import EdgeLabels
from tests.chart_samples import PROVENANCE
from tests.charts.drawn import drawing
from tests.circuit_samples import GRAPH, a_graph, own_scores_of, positions_of

EDGES: EdgeLabels = (
    ("embed", "L0H1.v"),
    ("L0H1", "L1H0.q"),
    ("L0H1", "L1H0.k"),
    ("L0H1", "MLP0"),
    ("L1H0", "MLP1"),
    ("MLP0", "logits"),
    ("MLP1", "logits"),
)
SHARES = [0.5, -0.3, 0.2, 0.1, 0.05, -0.02, 0.8]
MEASURED = [True] * 6 + [False]
HOSTILE = "<img src=x onerror=alert(1)>{b}{a|x}"


def drawn(groups: dict[str, tuple[str, ...]] | None = None, graph: Graph = GRAPH) -> Drawing:
    lines = lines_of(EDGES, groups or {})
    shares = SHARES if not groups else [0.1 * (row + 1) for row in range(len(lines))]
    return drawing_of(graph, lines, shares, [*MEASURED, *[True] * 9][: len(lines)], groups or {}, EDGES[:1])


def series(picture: Drawing, theme: Theme = "light") -> dict[str, Any]:
    (found,) = circuit_graph(picture, theme)["series"]
    return found


@pytest.mark.parametrize("parallel", [False, True])
def test_every_line_leads_upwards_and_no_two_nodes_share_a_place(parallel: bool) -> None:
    edges = EDGES if not parallel else tuple(edge for edge in EDGES if edge != ("L1H0", "MLP1"))
    graph = Graph(2, 2, True, parallel)
    edges = tuple(edge for edge in edges if not parallel or edge != ("L0H1", "MLP0"))
    picture = drawing_of(graph, lines_of(edges, {}), [0.1] * len(edges), [True] * len(edges), {})
    places = {node.name: (node.x, node.y) for node in picture.nodes}
    assert all(places[edge.source][1] < places[edge.target][1] for edge in picture.edges)
    for one, other in itertools.combinations(picture.used, 2):
        assert abs(one.x - other.x) >= 0.9 or abs(one.y - other.y) >= 0.4


def test_where_heads_would_overlap_they_stand_without_their_layer() -> None:
    edges: EdgeLabels = (*EDGES, ("L0H0", "L1H0.v"))
    picture = drawing_of(GRAPH, lines_of(edges, {}), [0.1] * 8, [True] * 8, {})
    option = circuit_graph(picture, "light", badges={"L0H1": "previous token"})
    [narrow] = option["media"]
    apart = next(node.x for node in picture.nodes if node.label == "L0H1") - next(
        node.x for node in picture.nodes if node.label == "L0H0"
    )
    assert narrow["query"]["maxWidth"] == round(42 * (picture.right - picture.left) / apart)
    [wide], [small] = option["series"], narrow["option"]["series"]
    assert [one["name"] for one in small["data"]] == [one["name"] for one in wide["data"]]
    names = {one["name"]: one["label"].get("formatter") for one in small["data"]}
    assert [names[f"node {node}"] for node in ("embed", "L0H1", "L1H0", "MLP0")] == [
        "embed",
        "H1",
        "H0",
        "MLP0",
    ]
    for node, one, other in zip(picture.nodes, wide["data"], small["data"], strict=False):
        if node.used and node.kind == "head":
            assert other["symbolSize"][0] < 28 < one["symbolSize"][0]
        assert {key: one[key] for key in ("id", "value", "tooltip")} == {
            key: other[key] for key in ("id", "value", "tooltip")
        }


def test_where_no_heads_stand_beside_each_other_no_room_is_asked_for() -> None:
    edges: EdgeLabels = (("embed", "L0H1.v"), ("L0H1", "logits"))
    picture = drawing_of(GRAPH, lines_of(edges, {}), [0.1] * 2, [True] * 2, {})
    assert circuit_graph(picture, "light")["media"] == []


def test_a_group_is_one_node_and_what_is_within_it_is_no_line() -> None:
    picture = drawn({"early": ("L0H1", "MLP0")})
    assert {node.label for node in picture.nodes}.isdisjoint({"L0H1", "MLP0"})
    (group,) = [node for node in picture.nodes if node.kind == "group"]
    assert group.members == ("L0H1", "MLP0") and group.used
    held = [edge for line in picture.edges for edge in line.edges]
    assert sorted(held) == sorted(set(EDGES) - {("L0H1", "MLP0")})
    assert {line.label for line in picture.edges if line.source == "early"} >= {"early → L1H0.q"} or any(
        line.edges == (("L0H1", "L1H0.q"),) for line in picture.edges
    )


def test_by_tokens_only_keys_and_values_cross() -> None:
    edges: EdgeLabels = (("embed", "L0H1.v"), ("L0H1", "L1H0.q"), ("L0H1", "MLP1"), ("L1H0", "logits"))
    picture = positions_drawing(positions_of(edges, [1, 2, 2, 2]), [0.1] * 4, [True] * 4)
    columns = {node.name: node.x for node in picture.nodes}
    ends = {line.label: (line.source, line.target) for line in picture.edges}
    assert ends["embed → L0H1.v"] == ("embed@1", "L0H1@2")
    for label in ("L0H1 → L1H0.q", "L0H1 → MLP1", "L1H0 → logits"):
        source, target = ends[label]
        assert source.endswith("@2") and target.endswith("@2")
    assert columns["embed@1"] < columns["L0H1@2"]
    assert [text for _, text in picture.columns] == ["·John|·Mary", "·saw"]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_line_has_the_colour_width_and_dashes_of_its_edge(theme: Theme) -> None:
    picture, palette = drawn(), PALETTES[theme]
    links = series(picture, theme)["links"]
    for line, link in zip(picture.edges, links, strict=True):
        assert link["lineStyle"]["color"] == (palette.positive if line.share >= 0 else palette.negative)
    by_size = sorted(zip(picture.edges, links, strict=True), key=lambda pair: abs(pair[0].share))
    widths = [link["lineStyle"]["width"] for _, link in by_size]
    assert widths == sorted(widths) and widths[0] < widths[-1]
    dashes = {
        line.reads: str(link["lineStyle"]["type"]) for line, link in zip(picture.edges, links, strict=True)
    }
    assert len({dashes["q"], dashes["k"], dashes["v"], dashes["MLP"]}) == 4
    assert dashes["MLP"] == dashes["logits"] == "solid"
    told = [link["tooltip"]["formatter"] for link in links]
    assert told[0] == "embed → L0H1.v: 50.0 % (measured, in my circuit)"
    assert told[1] == "L0H1 → L1H0.q: \N{MINUS SIGN}30.0 % (measured)" and "estimate" in told[-1]


def test_what_a_click_gives_stands_in_the_order_of_the_drawing() -> None:
    picture = drawn()
    found = series(picture)
    names = [node["name"] for node in found["data"][: len(picture.nodes)]]
    index = {name: row for row, name in enumerate(names)}
    for line, link in zip(picture.edges, found["links"], strict=True):
        assert picture.nodes[index[link["source"]]].name == line.source
        assert picture.nodes[index[link["target"]]].name == line.target


def test_the_name_of_a_group_is_text_wherever_it_stands() -> None:
    option = str(circuit_graph(drawn({HOSTILE: ("L0H1", "MLP0")}), "light"))
    found = series(drawn({HOSTILE: ("L0H1", "MLP0")}))
    (node,) = [node for node in found["data"] if HOSTILE in node["name"]]
    tooltips = [item["tooltip"]["formatter"] for item in (node, *found["links"])]
    assert not any("<img" in text or "{b}" in text for text in tooltips)
    assert "{b}" not in node["label"]["formatter"] and "formatter" in option


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_picture_names_every_node_that_is_drawn(theme: Theme) -> None:
    picture = drawn()
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", chart_svg(circuit_chart(picture, theme), theme, {}))
    assert {node.label for node in picture.used} <= set(texts)
    assert not {node.label for node in picture.nodes if not node.used} & set(texts)


def test_the_picture_leaves_with_its_finding() -> None:
    origin = {"finding": "These 7 paths bring back all.", **PROVENANCE.rows()}
    svg = chart_svg(circuit_chart(drawn()), "light", origin)
    assert "These 7 paths bring back all." in svg.replace("<metadata>", "").split("</metadata>")[1]
    assert chart_png(circuit_chart(drawn()), "dark", origin).startswith(b"\x89PNG")


def test_the_curve_has_every_point_and_where_the_drawn_paths_stand() -> None:
    result, own = a_graph(), own_scores_of(EDGES)
    told = [mark.told for mark in drawing(circuit_curve_chart(result, own, 7)).marks if mark.told]
    found = {(row["paths"], row["score"]): row["share"].replace("\N{MINUS SIGN}", "-") for row in told}
    assert found["5", "faithful"] == "+30.0%" and found["20", "brings back"] == "+95.0%"
    assert found["7", "faithful"] == "+64.0%" and found["7", "brings back"] == "+91.0%"
    assert len(found) == 2 * 5
