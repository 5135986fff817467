"""One menu, the same on every page, by which a result leaves: report, table, numbers, figure, code."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal

import streamlit as st

from analysis.errors import PictureError
from analysis.exports import (
    Code,
    inert_csv,
    table_json,
    table_parquet,
    tensors_npz,
    tensors_safetensors,
    without_places,
)
from analysis.policy import policy
from pages.shared import address
from pages.shared.keys import Key
from pages.shared.notes import escaped
from pages.shared.report import report_of
from pages.shared.shown import File, Shown, Told
from pages.shared.visitor import visitor

if TYPE_CHECKING:
    from analysis.charts import Form, Layout, PictureWidth

_WIDTHS: dict[PictureWidth, str] = {"column": "Column", "page": "Page", "screen": "Screen"}
_FORMS: dict[Form, str] = {"svg": "image/svg+xml", "pdf": "application/pdf", "png": "image/png"}
_NEEDS = {"TransformerLens": "TransformerLens alone", "Pathscope": "With Pathscope"}


@st.fragment
def take_along(shown: Shown) -> None:
    """The button that opens the menu, in which each file is made when it is asked for."""
    st.button(
        "Take along",
        icon=":material/ios_share:",
        key=f"{Key.TAKE}_{shown.name}",
        help="Report, table, numbers, figure and code of what stands here.",
        on_click=_open,
        args=(shown.name,),
    )
    # Held, as the page may run anew meanwhile: an estimate comes in, a sweep ends.
    if st.session_state.get(Key.TAKE_OPEN) == shown.name:
        _menu(shown)


def close_take_along() -> None:
    """No menu is open: it was dismissed, or left with its page."""
    st.session_state[Key.TAKE_OPEN] = None


def _open(name: str) -> None:
    st.session_state[Key.TAKE_OPEN] = name


# A dialog is filled when it is opened; a popover would be filled in every run of the page.
@st.dialog("Take along", width="medium", icon=":material/ios_share:", on_dismiss=close_take_along)
def _menu(shown: Shown) -> None:
    st.caption(escaped(shown.title))
    _report(shown)
    _table(shown)
    _numbers(shown)
    if shown.draw is not None:
        _figure(shown)
    _code(shown)


def _group(title: str, align: Literal["top", "bottom"] = "top") -> AbstractContextManager[object]:
    st.markdown(f"**{title}**")
    return st.container(horizontal=True, gap="small", vertical_alignment=align)


def _report(shown: Shown) -> None:
    # What a file is made of is taken now: it is made outside of any run, where there is no session.
    link, who = address.link(shown.experiment), visitor()
    with _group("Report of this experiment, one file that needs no app"):
        name = f"report_{shown.name}.html"
        download(File("HTML", name, "text/html", lambda: report_of(shown, link, who)))


def _table(shown: Shown) -> None:
    name, table, told = shown.name, shown.table, shown.told
    with _group(f"Table, {len(table):,} rows"):
        download(File("CSV", f"{name}.csv", "text/csv", lambda: inert_csv(table)))
        download(File("JSON", f"{name}.json", "application/json", lambda: table_json(table, told.origin())))
        download(
            File(
                "Parquet",
                f"{name}.parquet",
                "application/vnd.apache.parquet",
                lambda: table_parquet(table, told.origin()),
            )
        )
        where = f"{name}_provenance.json"
        download(File("Provenance", where, "application/json", lambda: provenance_json(told)))
        for file in shown.files:
            download(file)


def _numbers(shown: Shown) -> None:
    tensors = shown.tensors()
    if tensors is None:
        return
    with _group("Tensors, with the names of their axes and what stands along them"):
        binary, name = "application/octet-stream", shown.name
        download(File("NPZ", f"{name}.npz", binary, lambda: tensors_npz(tensors)))
        download(File("safetensors", f"{name}.safetensors", binary, lambda: tensors_safetensors(tensors)))


def _figure(shown: Shown) -> None:
    with _group("Figure, on white, with lines and text as such", align="bottom"):
        layout = _layout(shown)
    with st.container(horizontal=True, gap="small"):
        for form, mime in _FORMS.items():
            download(File(form.upper(), f"{shown.name}.{form}", mime, figure(shown, form, layout)))


def _layout(shown: Shown) -> Layout:
    """What the options of the figure say."""
    from analysis.charts import INCHES, Layout

    width = st.segmented_control(
        "Width",
        _WIDTHS,
        default="column",
        required=True,
        format_func=lambda word: f"{_WIDTHS[word]}{f', {INCHES[word]} in' if word in INCHES else ''}",
        key=f"{Key.FIGURE_WIDTH}_{shown.name}",
        help="How wide the figure is: one column of a paper, its whole page, or as on the screen.",
    )
    points = st.number_input(
        "Font, pt",
        5,
        14,
        8,
        key=f"{Key.FIGURE_POINTS}_{shown.name}",
        width=110,
        help="The size of the figure's letters, in points.",
    )
    titled = st.checkbox("Title", key=f"{Key.FIGURE_TITLE}_{shown.name}")
    captioned = st.checkbox("Caption", value=True, key=f"{Key.FIGURE_CAPTION}_{shown.name}")
    return Layout(width, float(points), shown.title if titled else "", captioned)


def _code(shown: Shown) -> None:
    codes = shown.codes(without_places if policy().hosted else lambda here: here)
    st.markdown("**Copy as Python**")
    code = codes[0] if len(codes) == 1 else _chosen(shown.name, codes)
    with st.container(horizontal=True, gap="small"):
        download(File("Script", f"{shown.name}.py", "text/x-python", code.script))
        download(File("Notebook", f"{shown.name}.ipynb", "application/x-ipynb+json", code.notebook))
    # Without colours, of which some have too little contrast, and no box that scrolls: none gets the focus.
    st.code(code.script(), language=None, wrap_lines=True)


def _chosen(name: str, codes: tuple[Code, ...]) -> Code:
    by_needs = {code.needs: code for code in codes}
    needs = st.segmented_control(
        "It needs",
        by_needs,
        default=codes[0].needs,
        required=True,
        format_func=_NEEDS.__getitem__,
        key=f"{Key.TAKE}_needs_{name}",
        help="What has to be installed where the script runs.",
    )
    return by_needs[needs]


def figure(shown: Shown, form: Form, layout: Layout) -> Callable[[], str | bytes]:
    """What makes the picture of `shown`, always on white; of one that cannot be drawn, a picture of why.

    While a file is made there is no page to show a sentence on.
    """
    draw, told = shown.draw, shown.told.origin() | {"finding": shown.sentence}
    assert draw is not None

    def made() -> str | bytes:
        from analysis.charts import chart_picture, sentence_picture

        try:
            return chart_picture(draw("light", layout.pixels), form, told, layout)
        except PictureError as error:
            return sentence_picture(str(error), form, "light")

    return made


def download(file: File) -> None:
    """A button for one file."""
    st.download_button(
        file.label,
        data=file.data,
        file_name=file.name,
        mime=file.mime,
        icon=":material/download:",
        key=f"download_{file.name}",
        on_click="ignore",
    )


def provenance_json(told: Told) -> str:
    """Where the numbers come from and what was asked for, as a file beside a table."""
    return json.dumps(told.origin(), indent=1, ensure_ascii=False) + "\n"
