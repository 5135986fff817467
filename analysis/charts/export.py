"""Charts as pictures, over a few lines that tell where their numbers come from."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from analysis.charts.pictures import Form, draw
from analysis.charts.themes import FONT, PALETTES, Theme
from analysis.labels import printable

#: Width of the plot in a picture; on a page it takes what room there is.
PICTURE_WIDTH = 720
#: Characters of a line under a picture.
LINE = 120


def chart_png(chart: alt.Chart | alt.LayerChart, theme: Theme, origin: Mapping[str, str]) -> bytes:
    """`chart` as a PNG at twice the screen's resolution, on the theme's own background, over its `origin`.

    Raises `PictureError`.
    """
    spec = _told(picture(chart, theme), theme, origin)
    # Labels for screen readers cost more time than the drawing, and a PNG cannot hold them.
    spec["config"]["aria"] = False
    return draw(spec, "png")


def chart_svg(chart: alt.Chart | alt.LayerChart, theme: Theme, origin: Mapping[str, str]) -> str:
    """`chart` as an SVG on the theme's own background, over its `origin`. Raises `PictureError`."""
    return draw(_told(picture(chart, theme), theme, origin), "svg").decode()


def sentence_picture(sentence: str, form: Form, theme: Theme) -> bytes:
    """`sentence` alone on the theme's own background, in place of a picture that there is none of.

    Raises `PictureError`.
    """
    palette = PALETTES[theme]
    style = {"font": FONT, "fontSize": 14, "fontWeight": "normal", "color": palette.text, "anchor": "start"}
    text = textwrap.wrap(printable(sentence), LINE * 3 // 4)
    spec = {
        "title": {"text": text, **style},
        "data": {"values": [{}]},
        "mark": {"type": "point", "opacity": 0},
        "width": PICTURE_WIDTH,
        "height": 1,
        "background": palette.background,
        "padding": 16,
        "config": {"view": {"stroke": None}},
    }
    return draw(spec, form)


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
    told = [printable(f"{label}: {text}") for label, text in origin.items()]
    lines = [line for text in told for line in textwrap.wrap(text, LINE)]
    style = {"font": FONT, "fontSize": 10, "fontWeight": "normal", "color": PALETTES[theme].muted}
    return spec | {"title": {"text": lines, "orient": "bottom", "anchor": "start", "offset": 16, **style}}
