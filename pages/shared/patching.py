"""The controls that both path-patching pages share, and the words for their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import streamlit as st

from analysis.requests import (
    COMPONENTS,
    LAYER_NORM_MODES,
    METRIC_NAMES,
    METRIC_UNITS,
    Component,
    LayerNormMode,
    MetricName,
)
from analysis.results import PatchingResult
from pages.shared.keys import URL, Key

if TYPE_CHECKING:
    import pandas as pd

METRIC_TITLES: dict[str, str] = {
    "logit_difference": "Logit difference",
    "answer_log_probability": "Log-probability of the answer",
    "answer_probability": "Probability of the answer",
    "kl_from_clean": "KL divergence from the clean run",
}
_COMPONENT_TITLES = {"q": "Query", "k": "Key", "v": "Value"}
_LAYER_NORM_TITLES = {"frozen": "Frozen", "exact": "Exact"}
_SCALE_TITLES = {"effect": "Effect", "recovery": "Recovery"}


class PatchingChoices(TypedDict):
    """What a patching request holds beside the experiment and its source."""

    component: Component
    layer_norm: LayerNormMode
    metric: MetricName


def patching_controls() -> PatchingChoices:
    """Component, LayerNorm mode and metric, in one row with the scale of the chart."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        component = st.segmented_control(
            "Patched input",
            COMPONENTS,
            default="q",
            format_func=_COMPONENT_TITLES.__getitem__,
            key=Key.COMPONENT,
            bind=URL,
            required=True,
            help="Which input of the destination head sees the source head's clean output.",
        )
        layer_norm = st.segmented_control(
            "LayerNorm",
            LAYER_NORM_MODES,
            default="frozen",
            format_func=_LAYER_NORM_TITLES.__getitem__,
            key=Key.LAYER_NORM,
            bind=URL,
            required=True,
            help="Frozen keeps the corrupted run's scale, so patches add up; exact recomputes it.",
        )
        metric = st.selectbox(
            "Metric",
            METRIC_NAMES,
            format_func=METRIC_TITLES.__getitem__,
            key=Key.METRIC,
            bind=URL,
            width=260,
        )
        st.segmented_control(
            "Show",
            list(_SCALE_TITLES),
            default="effect",
            format_func=_SCALE_TITLES.__getitem__,
            key=Key.SCALE,
            bind=URL,
            required=True,
            help="Effect: metric minus its corrupted value. Recovery: 0 = corrupted, 1 = clean.",
        )
    return {"component": component, "layer_norm": layer_norm, "metric": metric}


def baselines(result: PatchingResult) -> None:
    """The metric on both unpatched runs, the ends of every effect's scale."""
    title = f"{METRIC_TITLES[result.request.metric]} ({METRIC_UNITS[result.request.metric]})"
    with st.container(horizontal=True, gap="large"):
        st.metric(f"{title}, clean run", f"{result.clean_metric:+.3f}", width="content")
        st.metric(f"{title}, corrupted run", f"{result.corrupted_metric:+.3f}", width="content")


def edge_columns(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """The columns `names` of a table of edges, then effect and recovery, the latter in percent."""
    return table[[*names, "effect", "recovery"]].assign(recovery=100 * table["recovery"])


def edge_formats(metric: MetricName) -> dict[str, Any]:
    """How `edge_columns` are written."""
    number = st.column_config.NumberColumn
    return {
        "effect": number(
            METRIC_UNITS[metric], format="%+.4f", help="Effect: metric minus its corrupted value."
        ),
        "recovery": number("recovered", format="%+.2f %%", help="0 % = corrupted run, 100 % = clean run."),
    }
