"""Results as Altair charts: one function for each view, and their export as pictures.

A chart is drawn for the light or the dark theme; what leaves the app is drawn on white.
Layers run from the first at the top to the last at the bottom, heads from left to right. What was
not measured has no mark of its own: a cell without a causal path is part of a grey area.
"""

from analysis.charts.all_sources import all_sources_chart
from analysis.charts.attention import CALLED, attention_chart, read_from_chart
from analysis.charts.attribution import attribution_chart
from analysis.charts.circuit_curve import circuit_curve_chart
from analysis.charts.circuit_graph import circuit_graph, graph_height
from analysis.charts.circuit_layout import Drawing, DrawnEdge, DrawnNode, Line, drawing_of, lines_of
from analysis.charts.circuit_picture import circuit_chart
from analysis.charts.circuit_positions import positions_drawing
from analysis.charts.circuit_set import circuit_set_chart
from analysis.charts.comparison import (
    MOST_POINTS,
    SIDES,
    comparison_maps_chart,
    comparison_scatter_chart,
)
from analysis.charts.export import chart_pdf, chart_picture, chart_png, chart_svg, sentence_picture
from analysis.charts.head_paths import HeadEnd, head_paths_chart
from analysis.charts.layer_map import block_chart, layer_map_chart
from analysis.charts.layout import INCHES, Layout, PictureWidth
from analysis.charts.maps import Maps, maps_chart
from analysis.charts.neurons import MOST_NEURONS, neurons_chart
from analysis.charts.node_map import node_map_chart
from analysis.charts.node_positions import node_positions_chart
from analysis.charts.path import path_chart
from analysis.charts.path_positions import path_positions_chart
from analysis.charts.pictures import Form
from analysis.charts.predictions import predictions_chart
from analysis.charts.prompt_maps import attribution_maps_chart, most_maps
from analysis.charts.prompt_set import agreement_chart, metric_strip_chart
from analysis.charts.scales import stepped
from analysis.charts.source_map import source_map_chart, source_map_height
from analysis.charts.themes import Theme
from analysis.charts.thumbnail import picture_of, thumbnail_png

__all__ = [
    "CALLED",
    "INCHES",
    "MOST_NEURONS",
    "MOST_POINTS",
    "SIDES",
    "Drawing",
    "DrawnEdge",
    "DrawnNode",
    "Form",
    "HeadEnd",
    "Layout",
    "Line",
    "Maps",
    "PictureWidth",
    "Theme",
    "agreement_chart",
    "all_sources_chart",
    "attention_chart",
    "attribution_chart",
    "attribution_maps_chart",
    "block_chart",
    "chart_pdf",
    "chart_picture",
    "chart_png",
    "chart_svg",
    "circuit_chart",
    "circuit_curve_chart",
    "circuit_graph",
    "circuit_set_chart",
    "comparison_maps_chart",
    "comparison_scatter_chart",
    "drawing_of",
    "graph_height",
    "head_paths_chart",
    "layer_map_chart",
    "lines_of",
    "maps_chart",
    "metric_strip_chart",
    "most_maps",
    "neurons_chart",
    "node_map_chart",
    "node_positions_chart",
    "path_chart",
    "path_positions_chart",
    "picture_of",
    "positions_drawing",
    "predictions_chart",
    "read_from_chart",
    "sentence_picture",
    "source_map_chart",
    "source_map_height",
    "stepped",
    "thumbnail_png",
]
