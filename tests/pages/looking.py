"""What a visitor sees on a page under AppTest: charts as they are drawn, tables as they are written."""

from __future__ import annotations

import json
import re
import sys
from html import unescape
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from streamlit.dataframe_util import convert_arrow_bytes_to_pandas_df
from streamlit.runtime.scriptrunner import script_runner
from streamlit.testing.v1 import AppTest

from pages.shared.keys import Key
from tests.charts.drawn import Drawing, drawing_of

ROOT = Path(__file__).resolve().parents[2]


def _run_the_app(main_script_path: str) -> None:
    """Run app.py for whichever page, as the server does."""
    code = Path(main_script_path).read_text(encoding="utf-8")
    exec(compile(code, main_script_path, "exec"), vars(sys.modules["__main__"]))


# AppTest forgets before each run what `pages.shared.door` tells Streamlit once: that the folder `pages` makes
# no app of the old kind, whose pages run alone.
script_runner._mpa_v1 = _run_the_app


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


def scripts(app: AppTest) -> list[str]:
    """The Python of every menu *Take along* of the page, each opened in turn."""
    found = []
    for key in [str(button.key) for button in app.button if str(button.key).startswith(f"{Key.TAKE}_")]:
        app.button(key=key).click().run()
        found += [code.value for code in app.code]
    assert not app.exception
    return found


def specification(app: AppTest, which: int | str = 0) -> dict[str, Any]:
    """A chart of the page with its data inside: by its number, or the first in which `which` is selected."""
    charts = [element.proto for element in app.get("vega_lite_chart")]
    if isinstance(which, str):
        charts = [one for one in charts if f'"name": "{which}"' in json.dumps(json.loads(one.spec))]
    chart = charts[which if isinstance(which, int) else 0]
    spec: dict[str, Any] = json.loads(chart.spec)
    spec["datasets"] = {table.name: _rows(table.data.data) for table in chart.datasets}
    return spec | {"width": 720, "autosize": "pad"}


def chart(app: AppTest, which: int | str = 0) -> Drawing:
    """A chart of the page, drawn; `which` as of `specification`."""
    return drawing_of(specification(app, which))


def _rows(arrow: bytes) -> list[dict[str, Any]]:
    table = convert_arrow_bytes_to_pandas_df(arrow)
    return [
        {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
        for row in table.astype(object).where(table.notna(), None).to_dict("records")
    ]


def frame(app: AppTest, which: int | str = 0) -> Any:
    """A table of the page: by its number, or the first that has the column `which`."""
    if isinstance(which, int):
        return app.dataframe[which]
    return next(one for one in app.dataframe if which in one.value.columns)


def table(app: AppTest, which: int | str = 0) -> pd.DataFrame:
    """What a table of the page holds; `which` as of `frame`."""
    return pd.DataFrame(frame(app, which).value)


def written(app: AppTest, which: int | str = 0) -> pd.DataFrame:
    """A table of the page as a visitor reads it, where the page writes its numbers itself."""
    arrow = frame(app, which).proto.arrow_data.styler.display_values
    return convert_arrow_bytes_to_pandas_df(arrow)


def headings(app: AppTest, which: int | str = 0) -> dict[str, str]:
    """Column -> what stands above it, for the columns of a table that are renamed."""
    columns = json.loads(frame(app, which).proto.columns)
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
