"""Charts as files, drawn by vl-convert without a browser or a network."""

from __future__ import annotations

from typing import Any

import altair as alt
import vl_convert

from analysis.charts.style import PALETTES, Theme

#: Pixels, before the factor of two that keeps a PNG sharp in print.
WIDTH = 860


def chart_png(chart: alt.Chart | alt.LayerChart, theme: Theme = "light") -> bytes:
    """The chart as a PNG at twice its size, on the theme's background."""
    return bytes(vl_convert.vegalite_to_png(_specification(chart, theme), scale=2))


def chart_svg(chart: alt.Chart | alt.LayerChart, theme: Theme = "light") -> str:
    """The chart as an SVG on the theme's background."""
    return str(vl_convert.vegalite_to_svg(_specification(chart, theme)))


def _specification(chart: alt.Chart | alt.LayerChart, theme: Theme) -> dict[str, Any]:
    with alt.data_transformers.disable_max_rows():
        specification: dict[str, Any] = chart.properties(width=WIDTH).to_dict()
    palette = PALETTES[theme]
    text = {"labelColor": palette.ink, "titleColor": palette.ink}
    specification["background"] = palette.background
    specification["config"] = {
        "font": "sans-serif",
        "axis": {
            **text,
            "domainColor": palette.faint,
            "tickColor": palette.faint,
            "gridColor": palette.no_path,
        },
        "legend": text,
        "view": {"stroke": None},
    }
    return specification
