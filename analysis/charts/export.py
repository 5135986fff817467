"""Charts as pictures, over a line that tells where their numbers come from; the file itself tells all."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape

import altair as alt
import pandas as pd
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from analysis.charts.layout import LINE, PICTURE_WIDTH, PIXELS, Layout
from analysis.charts.pictures import Form, draw
from analysis.charts.themes import FONT, PALETTES, Theme
from analysis.labels import printable
from analysis.release import __version__

#: A picture as on the screen.
SCREEN = Layout()
_SIZE = re.compile(r'\b(width|height)="([\d.]+)"')
#: Of more marks than this, an SVG does not name each for screen readers: that would be most of the file.
MOST_NAMED = 2_000


def chart_png(
    chart: alt.Chart | alt.LayerChart, theme: Theme, origin: Mapping[str, str], layout: Layout = SCREEN
) -> bytes:
    """`chart` as a PNG at twice the screen's resolution, on the theme's own background, over a caption.

    The whole `origin` stands in the file's text chunks. Raises `PictureError`.
    """
    spec = _captioned(picture(chart, theme), theme, origin, layout)
    # Labels for screen readers cost more time than the drawing, and a PNG cannot hold them.
    spec["config"]["aria"] = False
    told, png = PngInfo(), BytesIO()
    for label, text in origin.items():
        told.add_itxt(label, printable(text))
    with Image.open(BytesIO(draw(spec, "png"))) as image:
        image.save(png, "png", pnginfo=told, dpi=image.info.get("dpi"))
    return png.getvalue()


def chart_svg(
    chart: alt.Chart | alt.LayerChart, theme: Theme, origin: Mapping[str, str], layout: Layout = SCREEN
) -> str:
    """`chart` as an SVG on the theme's own background, over a caption; `origin` stands in its metadata.

    On paper its width is told in inches. Raises `PictureError`.
    """
    spec = _captioned(picture(chart, theme), theme, origin, layout)
    if sum(len(table) for table in spec["datasets"].values()) > MOST_NAMED:
        spec["config"]["aria"] = False
    drawn = draw(spec, "svg").decode()
    told = escape("\n".join(f"{label}: {printable(text)}" for label, text in origin.items()))
    end = drawn.index(">", drawn.index("<svg")) + 1
    root = drawn[:end] if layout.width == "screen" else _SIZE.sub(_in_inches, drawn[:end])
    return f"{root}<metadata>{told}</metadata>{drawn[end:]}"


def chart_pdf(
    chart: alt.Chart | alt.LayerChart, theme: Theme, origin: Mapping[str, str], layout: Layout = SCREEN
) -> bytes:
    """`chart` as one page of PDF, lines and text as such, over a caption. Raises `PictureError`."""
    return draw(_captioned(picture(chart, theme), theme, origin, layout), "pdf")


def chart_picture(
    chart: alt.Chart | alt.LayerChart, form: Form, origin: Mapping[str, str], layout: Layout
) -> str | bytes:
    """`chart` on white in one of the forms there are. Raises `PictureError`."""
    if form == "svg":
        return chart_svg(chart, "light", origin, layout)
    return (chart_png if form == "png" else chart_pdf)(chart, "light", origin, layout)


def _in_inches(size: re.Match[str]) -> str:
    return f'{size[1]}="{float(size[2]) / PIXELS:.4f}in"'


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


def _captioned(
    spec: dict[str, Any], theme: Theme, origin: Mapping[str, str], layout: Layout
) -> dict[str, Any]:
    """`spec` laid out, with what was found, if that is told, and one line on where it comes from."""
    return layout.of(spec, PALETTES[theme], [printable(origin.get("finding", "")), caption(origin)])


def caption(origin: Mapping[str, str]) -> str:
    """Which release computed it, on which weights, when, in one line; as much of it as `origin` tells."""
    weights, computed = origin.get("weights fingerprint", ""), origin.get("computed", "").partition(",")[0]
    told = (printable(origin.get("model", ""), 40), weights and f"weights {weights[:12]}", computed)
    return ", ".join([f"Pathscope {__version__}", *filter(None, told)])
