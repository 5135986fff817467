"""What a visitor sees on a page under AppTest: charts as they are drawn, tables as they are written."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.testing.v1 import AppTest

from tests.charts.drawn import Drawing, drawing_of

ROOT = Path(__file__).resolve().parents[2]


class See(Protocol):
    """Opens a page, chooses values in its controls by their keys, and returns what then is shown."""

    def __call__(self, page: str, **chosen: object) -> AppTest: ...


def visit(page: str, **parameters: str) -> AppTest:
    """Open a page by its file's name, as a link with the given parameters would."""
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=180)
    for name, value in parameters.items():
        app.query_params[name] = value
    app.switch_page(f"pages/{page}.py")
    return app.run()


def specification(app: AppTest, number: int = 0) -> dict[str, Any]:
    """A chart of the page with its data inside; the first, if no other is asked for."""
    chart = app.get("vega_lite_chart")[number].proto
    spec: dict[str, Any] = json.loads(chart.spec)
    spec["datasets"] = {table.name: _rows(table.data.data) for table in chart.datasets}
    return spec | {"width": 720, "autosize": "pad"}


def chart(app: AppTest, number: int = 0) -> Drawing:
    """A chart of the page, drawn."""
    return drawing_of(specification(app, number))


def _rows(arrow: bytes) -> list[dict[str, Any]]:
    table = convert_arrow_bytes_to_pandas_df(arrow)
    return [
        {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
        for row in table.astype(object).where(table.notna(), None).to_dict("records")
    ]


def table(app: AppTest, number: int = 0) -> pd.DataFrame:
    """A table of the page."""
    return pd.DataFrame(app.dataframe[number].value)


def written(app: AppTest, number: int = 0) -> pd.DataFrame:
    """A table of the page as a visitor reads it, where the page writes its numbers itself."""
    arrow = app.dataframe[number].proto.arrow_data.styler.display_values
    return convert_arrow_bytes_to_pandas_df(arrow)


def headings(app: AppTest, number: int = 0) -> dict[str, str]:
    """Column -> what stands above it, for the columns of a table that are renamed."""
    columns = json.loads(app.dataframe[number].proto.columns)
    return {name: column["label"] for name, column in columns.items() if "label" in column}


def metrics(app: AppTest) -> dict[str, str]:
    """Label -> number of everything that the page shows as a metric."""
    return {metric.label: metric.value for metric in app.metric}


def small_print(app: AppTest) -> str:
    """What the page says in its own HTML, as a browser shows it."""
    bodies = " ".join(element.proto.body for element in app.get("html"))
    return unescape(re.sub(r"<[^>]*>", " ", bodies))


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.main.caption)


def texts(app: AppTest) -> str:
    return "\n".join(element.value for element in app.text)
