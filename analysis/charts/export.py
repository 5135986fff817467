"""Charts as pictures, drawn in this process: no browser and no network."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from analysis.charts.themes import PALETTES, Theme

#: Width of the plot in a picture; on a page it takes what room there is.
PICTURE_WIDTH = 720


def chart_png(chart: alt.Chart | alt.LayerChart, theme: Theme) -> bytes:
    """`chart` as a PNG at twice the screen's resolution, on the theme's own background."""
    return bytes(vl_convert.vegalite_to_png(picture(chart, theme), scale=2))


def chart_svg(chart: alt.Chart | alt.LayerChart, theme: Theme) -> str:
    """`chart` as an SVG on the theme's own background."""
    return str(vl_convert.vegalite_to_svg(picture(chart, theme)))


def picture(chart: alt.Chart | alt.LayerChart, theme: Theme) -> dict[str, Any]:
    """The validated Vega-Lite specification of `chart` with its data inline."""
    # Altair's data transformers limit rows and are global to the process, where Streamlit
    # switches them while it draws; data that is inline already never meets them.
    chart = chart.copy()
    for view in (chart, *getattr(chart, "layer", ())):
        if isinstance(view.data, pd.DataFrame):
            view.data = alt.InlineData(**alt.to_values(view.data))
    spec = chart.properties(width=PICTURE_WIDTH).to_dict()
    spec["config"] |= {"background": PALETTES[theme].background, "padding": 16}
    return spec
