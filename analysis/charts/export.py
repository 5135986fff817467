"""Charts as pictures, drawn in this process: no browser and no network."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from analysis.charts.themes import FONT, PALETTES, Theme

#: Width of the plot in a picture; on a page it takes what room there is.
PICTURE_WIDTH = 720
#: Characters of a line under a picture.
LINE = 120


def chart_png(chart: alt.Chart | alt.LayerChart, theme: Theme, origin: Mapping[str, str]) -> bytes:
    """`chart` as a PNG at twice the screen's resolution, on the theme's own background, over its `origin`."""
    spec = _told(picture(chart, theme), theme, origin)
    # Labels for screen readers cost more time than the drawing, and a PNG cannot hold them.
    spec["config"]["aria"] = False
    return bytes(vl_convert.vegalite_to_png(spec, scale=2))


def chart_svg(chart: alt.Chart | alt.LayerChart, theme: Theme, origin: Mapping[str, str]) -> str:
    """`chart` as an SVG on the theme's own background, over its `origin`."""
    return str(vl_convert.vegalite_to_svg(_told(picture(chart, theme), theme, origin)))


def picture(chart: alt.Chart | alt.LayerChart, theme: Theme) -> dict[str, Any]:
    """The validated Vega-Lite specification of `chart` with its data inside."""
    # Altair's data transformers limit the rows, and are global to the process where Streamlit
    # switches them while it draws: the tables are named here and added after the validation.
    chart = chart.copy()
    tables: dict[str, Any] = {}
    for view in (chart, *getattr(chart, "layer", ())):
        if isinstance(view.data, pd.DataFrame):
            name = f"table_{len(tables)}"
            tables[name] = alt.to_values(view.data)["values"]
            view.data = alt.NamedData(name=name)
    spec: dict[str, Any] = chart.properties(width=PICTURE_WIDTH).to_dict()
    spec["datasets"] = tables
    spec["autosize"] = "pad"
    spec["config"] |= {"background": PALETTES[theme].background, "padding": 16}
    return spec


def _told(spec: dict[str, Any], theme: Theme, origin: Mapping[str, str]) -> dict[str, Any]:
    """`spec` with `origin`, label by label, in small lines under the picture."""
    lines = [line for label, text in origin.items() for line in textwrap.wrap(f"{label}: {text}", LINE)]
    style = {"font": FONT, "fontSize": 10, "fontWeight": "normal", "color": PALETTES[theme].muted}
    return spec | {"title": {"text": lines, "orient": "bottom", "anchor": "start", "offset": 16, **style}}
