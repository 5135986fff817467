"""Files that a page gives, each made when it is asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import streamlit as st

from analysis.errors import PictureError
from analysis.exports import inert_csv, request_python
from analysis.results import Result
from pages.shared.keys import Key
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd

    from analysis.charts import Form, Theme


class Told(Protocol):
    """What can tell where its numbers come from."""

    def origin(self) -> dict[str, str]:
        """Label -> text."""


def downloads(name: str, result: Told, table: pd.DataFrame, chart: alt.Chart | alt.LayerChart) -> None:
    """Buttons for the table as CSV and the chart as PNG and SVG, and where the numbers come from."""
    from analysis.charts import chart_png, chart_svg

    theme, origin = current_theme(), result.origin()
    png = picture_or_sentence(lambda: chart_png(chart, theme, origin), "png", theme)
    svg = picture_or_sentence(lambda: chart_svg(chart, theme, origin), "svg", theme)
    with st.container(horizontal=True):
        download("CSV", f"{name}.csv", "text/csv", lambda: inert_csv(table))
        download("Provenance", f"{name}.json", "application/json", lambda: provenance_json(result))
        download("PNG", f"{name}.png", "image/png", png)
        download("SVG", f"{name}.svg", "image/svg+xml", svg)


def copy_as_python(result: Result, table: str = "") -> None:
    """The script that asks the question of `result` anew; its table is asked for `table`."""
    python_panel(type(result.request).__name__, lambda: request_python(result.request, table))


def python_panel(called: str, script: Callable[[], str]) -> None:
    """A panel with the `script` of the question `called` so, which is made when the panel is opened."""
    key = f"{Key.SCRIPT}_{called}"
    panel = st.expander("Copy as Python", icon=":material/code:", key=key, on_change="rerun")
    # What colours the code is one and a half megabytes, which a closed panel would load for nobody.
    if panel.open:
        panel.code(script(), language="python", height=300)


def picture_or_sentence(
    draw: Callable[[], str | bytes], form: Form, theme: Theme
) -> Callable[[], str | bytes]:
    """What makes a picture; of one that cannot be drawn, a picture of the sentence that says so.

    While a file is made there is no page to show it on.
    """
    from analysis.charts import sentence_picture

    def made() -> str | bytes:
        try:
            return draw()
        except PictureError as error:
            return sentence_picture(str(error), form, theme)

    return made


def download(label: str, file_name: str, mime: str, data: Callable[[], str | bytes]) -> None:
    """A button for one file."""
    st.download_button(
        label,
        data=data,
        file_name=file_name,
        mime=mime,
        icon=":material/download:",
        key=f"download_{file_name}",
        on_click="ignore",
    )


def provenance_json(result: Told) -> str:
    """Where the numbers come from and what was asked for, as a file beside a table."""
    return json.dumps(result.origin(), indent=1, ensure_ascii=False) + "\n"
