"""The controls that both path-patching pages share, and the words for their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import streamlit as st

from analysis.labels import number
from analysis.requests import METRIC_UNITS, HeadInput, LayerNormMode, MetricName
from analysis.results import PatchingResult
from pages.shared.choices import COMPONENT, LAYER_NORM, METRIC, SCALE
from pages.shared.keys import Key
from pages.shared.resolution import written
from pages.shared.terms import TERMS

if TYPE_CHECKING:
    import pandas as pd
    from pandas.io.formats.style import Styler


class PatchingChoices(TypedDict):
    """What a patching request holds beside the experiment and its source."""

    component: HeadInput
    layer_norm: LayerNormMode
    metric: MetricName


def patching_controls() -> PatchingChoices:
    """Component, LayerNorm mode and metric, in one row with the scale of the chart."""
    with st.container(horizontal=True, gap="medium"):
        component, layer_norm, metric = COMPONENT.draw(), LAYER_NORM.draw(), METRIC.draw()
        SCALE.draw()
    return {"component": component, "layer_norm": layer_norm, "metric": metric}


def baselines(result: PatchingResult) -> None:
    """The metric on both unpatched runs, the ends of every effect's scale."""
    title = f"{METRIC.options[result.request.metric]} ({METRIC_UNITS[result.request.metric]})"
    with st.container(horizontal=True, gap="large", key=Key.METRICS):
        for run, value in (("clean", result.clean_metric), ("corrupted", result.corrupted_metric)):
            st.metric(f"{title}, {run} run", number(value, "+.3f"), width="content", help=METRIC.help)


def edge_columns(table: pd.DataFrame, *names: str) -> Styler:
    """The columns `names` of a table of edges, then effect and recovery as they are written."""
    shown = table[[*names, "effect", "recovery"]]
    return written(shown, {"effect": _effect, "recovery": _recovery}, table["below_resolution"])


def _effect(effect: float) -> str:
    return number(effect, "+.4f")


def _recovery(share: float) -> str:
    return f"{number(100 * share, '+.2f')} %"


def edge_formats(metric: MetricName) -> dict[str, Any]:
    """The headings of what `edge_columns` gives."""
    column = st.column_config.NumberColumn
    return {
        "effect": column(METRIC_UNITS[metric], help=TERMS["effect"]),
        "recovery": column("recovery", help=TERMS["recovery"]),
    }
