"""One experiment as a single HTML file, read without the app: pictures, tables, sentences, origin, code.

All text is escaped by the template's engine. Pictures are drawn elsewhere and come as SVG.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

from analysis.labels import number, printable
from analysis.release import __version__

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Template
    from markupsafe import Markup

#: Rows of a table that a report shows; the files with tables have all.
MOST_ROWS = 40
_TEMPLATE = Path(__file__).with_name("report.html")
#: Attributes by which a part of a picture uses another, as ``url(#name)``.
_USES = {"clip-path", "fill", "filter", "mask", "stroke"}


class Cell(NamedTuple):
    """A cell as it is read; `value` is the number itself in all its digits, None for a text."""

    shown: str
    value: str | None


@dataclass(frozen=True)
class Rows:
    """The first rows of a table, and a sentence on those that are left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    left_out: str


@dataclass(frozen=True, eq=False)
class Section:
    """One part of a report: sentences, then a picture (SVG), a table, a script, where there is one."""

    name: str
    title: str
    sentences: tuple[str, ...] = ()
    svg: str = ""
    frame: pd.DataFrame | None = None
    script: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """What a report says, in its order; `link` is empty where there is none that others can open.

    Sentences are fit to be read; cells of tables are made so.
    """

    title: str
    sentences: tuple[str, ...]
    sections: tuple[Section, ...]
    link: str


def report_html(report: Report) -> str:
    """`report` as HTML without scripts, in which nothing is fetched from anywhere."""
    sections = [
        {
            "name": section.name,
            "title": section.title,
            "sentences": section.sentences,
            "picture": inline_svg(section.svg, f"p{index}-") if section.svg else "",
            "table": None if section.frame is None else rows_of(section.frame),
            "code": section.script,
        }
        for index, section in enumerate(report.sections)
    ]
    told = {
        "title": report.title,
        "sentences": report.sentences,
        "sections": sections,
        "link": report.link,
    }
    text = _template().render(report=told, version=__version__)
    # Half of a surrogate pair is no text to a file.
    return text.encode("utf-8", "backslashreplace").decode()


def rows_of(frame: pd.DataFrame, most: int = MOST_ROWS) -> Rows:
    """The first `most` rows of `frame`, each cell as it is read."""
    left = len(frame) - most
    return Rows(
        columns=tuple(printable(str(column)) for column in frame.columns),
        rows=tuple(tuple(map(_cell, row)) for row in frame.head(most).itertuples(index=False, name=None)),
        left_out=f"The first {most} of {len(frame):,} rows; the files of the table have all."
        if left > 0
        else "",
    )


def origin_rows(origin: Mapping[str, str]) -> pd.DataFrame:
    """Where numbers come from, as a table."""
    import pandas as pd

    return pd.DataFrame({"what": [*origin], "value": [*origin.values()]})


def _cell(value: Any) -> Cell:
    plain = getattr(value, "item", lambda: value)()
    if isinstance(plain, bool):
        return Cell("yes" if plain else "no", None)
    if plain is None or (isinstance(plain, float) and math.isnan(plain)):
        return Cell("not defined", None)
    if isinstance(plain, int | float):
        return Cell(number(plain, ".6g" if isinstance(plain, float) else "d"), repr(plain))
    return Cell(printable(str(plain)), None)


def inline_svg(svg: str, prefix: str) -> Markup:
    """`svg` as an element of an HTML page, its names apart from those of other pictures by `prefix`.

    Without its metadata, which the report has in a table, and without namespaces, which HTML knows.
    """
    from markupsafe import Markup

    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        attributes = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
        element.attrib.clear()
        element.attrib.update({name: _own(name, value, prefix) for name, value in attributes.items()})
    for metadata in root.findall("metadata"):
        root.remove(metadata)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _own(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == "href" or (name in _USES and value.startswith("url(#")):
        return value.replace("#", f"#{prefix}", 1)
    return value


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
