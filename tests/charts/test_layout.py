"""A figure for print has the width, the fonts and the words that were asked for, whatever chart it is."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest

from analysis.charts import INCHES, Layout, chart_pdf, chart_svg, path_chart
from analysis.charts.themes import PALETTES
from tests.chart_samples import CHARTS, all_sources, path

SVG = "{http://www.w3.org/2000/svg}"
ORIGIN = {"model": "demo", "weights fingerprint": "0" * 64, "finding": "L0H7 tells L2H5 most."}
#: Pixels of a point.
PIXELS = 96 / 72


def drawn(chart: Any, layout: Layout) -> ElementTree.Element:
    return ElementTree.fromstring(chart_svg(chart, "light", ORIGIN, layout))


def texts(svg: ElementTree.Element) -> dict[str, list[float]]:
    """Text -> the sizes in pixels in which it stands."""
    found: dict[str, list[float]] = {}
    for element in svg.iter(f"{SVG}text"):
        size = float(element.get("font-size", "0px").removesuffix("px"))
        found.setdefault("".join(element.itertext()), []).append(size)
    return found


@pytest.mark.parametrize("width", INCHES)
@pytest.mark.parametrize("name", CHARTS)
def test_a_picture_is_as_wide_as_the_column_on_white(name: str, width: Any):
    svg = drawn(CHARTS[name]("light"), Layout(width, 8, "A title"))
    inches = {side: float(svg.attrib[side].removesuffix("in")) for side in ("width", "height")}
    assert inches["width"] == pytest.approx(INCHES[width], abs=1 / 96)
    box = [float(number) for number in svg.attrib["viewBox"].split()]
    assert box[2:] == pytest.approx([96 * inches["width"], 96 * inches["height"]], abs=0.01)
    (ground, *_) = svg.iter(f"{SVG}rect")
    assert ground.get("fill") == PALETTES["light"].background == "#ffffff"


@pytest.mark.parametrize("points", [6.0, 8.0, 11.0])
def test_labels_have_the_size_that_was_asked_for(points: float):
    found = texts(drawn(path_chart(path(), "effect", "light"), Layout("column", points)))
    assert found["destination head"] == pytest.approx([points * PIXELS])
    assert max(found["0"]) == pytest.approx(points * PIXELS)
    small = [size for text, sizes in found.items() if "Pathscope" in text for size in sizes]
    assert small == pytest.approx([points * PIXELS * 10 / 12])


def test_numbers_in_the_data_stay_whatever_the_font(monkeypatch: pytest.MonkeyPatch):
    charts = [
        chart_svg(path_chart(path(), "effect", "light"), "light", {}, Layout(points=p)) for p in (9.0, 9.5)
    ]
    labels = [sorted(re.findall(r'aria-label="([^"]*)"', svg)) for svg in charts]
    assert labels[0] == labels[1] and any("effect" in label for label in labels[0])


@pytest.mark.parametrize("width", ["screen", *INCHES])
@pytest.mark.parametrize("title", ["", "Paths from L1H2"])
@pytest.mark.parametrize("caption", [True, False])
def test_title_and_caption_stand_in_it_where_they_are_wanted(width: Any, title: str, caption: bool):
    svg = drawn(path_chart(path(), "effect", "light"), Layout(width, 8, title, caption))
    said = " ".join(texts(svg))
    assert ("Paths from L1H2" in said) == bool(title)
    assert ("L0H7 tells L2H5 most." in said) == ("Pathscope" in said) == caption
    heights = dict(placed(svg))
    plot = heights["destination head"]
    for text, y in heights.items():
        if text.startswith(("Paths from", "L0H7 tells", "Pathscope")):
            # Above the plot alone; with a caption it begins that, below.
            assert (y < plot) == (text.startswith("Paths from") and not caption)
    if title and caption:
        (below,) = (y for text, y in heights.items() if text.startswith("L0H7 tells"))
        assert heights["Paths from L1H2"] < below


def placed(svg: ElementTree.Element) -> Iterator[tuple[str, float]]:
    """Each text, and how far down it stands."""

    def walk(element: ElementTree.Element, down: float) -> Iterator[tuple[str, float]]:
        moved = re.search(r"translate\([^,]+,([-\d.]+)\)", element.get("transform", ""))
        down += float(moved[1]) if moved else 0.0
        if element.tag == f"{SVG}text":
            yield "".join(element.itertext()), down
        for child in element:
            yield from walk(child, down)

    return walk(svg, 0.0)


@pytest.mark.parametrize("width", INCHES)
def test_a_pdf_is_one_page_of_that_width_with_fonts_and_without_pixels(width: Any):
    pdf = chart_pdf(CHARTS["all sources"]("light"), "light", ORIGIN, Layout(width, 8, "A title"))
    (box,) = re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    assert float(box[0]) == pytest.approx(72 * INCHES[width], abs=0.75)
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") == 1
    assert b"/FontFile" in pdf and b"/Subtype /Image" not in pdf
    assert b"Tj" in b"".join(streams(pdf)) or b"TJ" in b"".join(streams(pdf))


def streams(pdf: bytes) -> Iterator[bytes]:
    """What stands in the streams of a PDF."""
    for stream in re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            yield zlib.decompress(stream)
        except zlib.error:
            yield stream


def test_on_the_screen_a_picture_is_as_it_always_was():
    chart = CHARTS["all sources"]("dark")
    # Each drawing numbers its parts on.
    usual, same = (
        re.sub(r"(clip|gradient_)\d+", r"\1", chart_svg(chart, "dark", ORIGIN, *layout))
        for layout in ([], [Layout()])
    )
    assert usual == same
    assert 'width="3' not in chart_svg(chart, "dark", ORIGIN)[:200] and all_sources().complete
