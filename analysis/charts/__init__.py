"""Results -> Altair charts. Nothing is computed here beyond layout, and no torch is imported."""

from analysis.charts.attribution import attribution_chart
from analysis.charts.export import chart_png, chart_svg
from analysis.charts.patching import all_sources_chart, path_chart
from analysis.charts.predictions import predictions_chart
from analysis.charts.style import Scale, Theme, shown_token

__all__ = [
    "Scale",
    "Theme",
    "all_sources_chart",
    "attribution_chart",
    "chart_png",
    "chart_svg",
    "path_chart",
    "predictions_chart",
    "shown_token",
]
