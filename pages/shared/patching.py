"""The controls that both path-patching pages share, and the words for their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import streamlit as st

from analysis.labels import number
from analysis.requests import METRIC_UNITS, HeadInput, LayerNormMode, MetricName
from analysis.results import OverviewResult, PatchingResult
from pages.shared import address
from pages.shared.choices import COMPONENT, LAYER_NORM, METRIC, SCALE
from pages.shared.keys import KEPT, SOURCE_KEYS
from pages.shared.notes import note
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
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        component, layer_norm, metric = COMPONENT.draw(), LAYER_NORM.draw(), METRIC.draw()
        SCALE.draw()
    return {"component": component, "layer_norm": layer_norm, "metric": metric}


def source_controls(overview: OverviewResult) -> tuple[int, int]:
    """Layer and head of the source, within what the model has."""
    sizes = dict(zip(SOURCE_KEYS, (overview.n_layers, overview.n_heads), strict=True))
    for key, size in sizes.items():
        asked = st.session_state[key]
        if asked >= size:
            note(f"The model has no {key.replace('_', ' ')} {asked}; the last one, {size - 1}, is shown.")
    address.correct({key: min(st.session_state[key], size - 1) for key, size in sizes.items()})
    labels = dict(zip(SOURCE_KEYS, ("Source layer", "Source head"), strict=True))
    with st.container(horizontal=True, gap="medium"):
        layer, head = (
            st.number_input(labels[key], 0, size - 1, key=key, persist_state=KEPT, width=150)
            for key, size in sizes.items()
        )
    return int(layer), int(head)


def baselines(result: PatchingResult) -> None:
    """The metric on both unpatched runs, the ends of every effect's scale."""
    title = f"{METRIC.options[result.request.metric]} ({METRIC_UNITS[result.request.metric]})"
    with st.container(horizontal=True, gap="large"):
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
