"""The experiment at a glance: do the prompts align, what does the model say, where to look next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.requests import METRIC_UNITS, RUN_NAMES
from analysis.results import OverviewResult
from pages.shared.cards import aligned_prompts, identical_note, overview_or_stop, provenance_panel
from pages.shared.choices import METRIC
from pages.shared.downloads import downloads
from pages.shared.experiment import experiment_sidebar
from pages.shared.navigation import (
    ALL_SOURCES,
    ATTRIBUTION,
    CIRCUIT,
    PATH_PATCHING,
    PROMPT_SET,
    SANITY_CHECKS,
    page_link,
)
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd


def metrics_table(result: OverviewResult) -> pd.DataFrame:
    """Every metric on both runs, each in its own unit."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "metric": f"{title} ({METRIC_UNITS[name]})",
                "clean": clean,
                "corrupted": corrupted,
            }
            for name, title in METRIC.options.items()
            for clean, corrupted in [result.metrics[name]]
        ]
    )


def predictions(result: OverviewResult) -> alt.LayerChart:
    """Draw the most probable next tokens."""
    from analysis.charts import predictions_chart

    chart = predictions_chart(result, current_theme())
    st.altair_chart(chart, width="stretch")
    return chart


experiment = experiment_sidebar()
st.title("Overview")
st.caption(
    "Two prompts that differ in a few tokens, and the two answers they should bring. Every page asks what "
    "in the model makes that difference."
)
found = overview_or_stop(experiment)
result = found.result
identical_note(result)

st.subheader("The prompt pair")
aligned_prompts(result)

left, right = st.columns(2, gap="large")
with left:
    st.subheader("Most probable next tokens")
    chart = predictions(result)
with right:
    st.subheader("The metrics on both runs")
    table = metrics_table(result)
    numbers = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(
        # Rounded before it is shown, and without the sign that rounding leaves on a zero.
        table.assign(**{run: table[run].round(3) + 0.0 for run in RUN_NAMES}),
        hide_index=True,
        width="stretch",
        column_config=dict.fromkeys(RUN_NAMES, numbers),
    )
    st.caption("The logit difference is answer minus foil: positive where the model prefers the answer.")
    st.subheader("Where to look next")
    page_link(ATTRIBUTION, "Which component wrote the answer")
    page_link(PATH_PATCHING, "What one head tells each later head")
    page_link(ALL_SOURCES, "Which head told which later head")
    page_link(CIRCUIT, "Which handful of paths is the mechanism")
    page_link(PROMPT_SET, "Whether it holds over other prompts")
    page_link(SANITY_CHECKS, "Whether these numbers can be trusted")

downloads("overview", result, table, chart)
provenance_panel(result, found.from_store)
