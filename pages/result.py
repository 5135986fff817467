"""What was found, in one look: the pair, the answers, the strongest paths, and whether to trust it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from analysis import jobs
from analysis.answers import stored
from analysis.labels import number
from analysis.requests import RUN_NAMES
from analysis.results import GraphRequest, GraphResult, OverviewResult, SanityRequest
from pages.shared.cards import aligned_prompts, identical_note, overview_or_stop, provenance_panel
from pages.shared.circuit_graph import small_graph
from pages.shared.circuit_scores import finding_panel, own_scores
from pages.shared.experiment import experiment_at_hand
from pages.shared.findings import strongest_path
from pages.shared.heights import draw_chart, flat_table_height, kept_place
from pages.shared.history import keep
from pages.shared.lead import begin_with_the_strongest
from pages.shared.navigation import (
    ALL_SOURCES,
    ATTRIBUTION,
    CIRCUIT,
    PATH_PATCHING,
    PROMPT_SET,
    SANITY_CHECKS,
    page_link,
)
from pages.shared.shown_results import metrics_table, of_overview
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme
from pages.shared.work import result_or_progress

if TYPE_CHECKING:
    import pandas as pd

#: Paths of the small graph.
_DRAWN = 10


def predictions(result: OverviewResult) -> None:
    """Draw the most probable next tokens."""
    from analysis.charts import predictions_chart

    draw_chart("predictions", predictions_chart(result, current_theme()))


def metrics_of_both(table: pd.DataFrame) -> None:
    """Draw the metrics of both runs."""
    with kept_place("both_metrics", flat_table_height(len(table))):
        st.table(
            table.style.format(dict.fromkeys(RUN_NAMES, partial(number, form=".3f"))),
            hide_index=True,
            border="horizontal",
        )
    st.caption("The logit difference is answer minus foil: positive where the model prefers the answer.")


def show_graph(result: GraphResult) -> None:
    """The strongest paths as a small graph, and what they carry together."""
    edges = result.strongest(_DRAWN)
    finding_panel(result, own_scores(result, edges), len(edges))
    small_graph(result, edges)
    page_link(CIRCUIT, "Change, prove and take this circuit along")


def follow_graph(job: jobs.Job[GraphResult], result: GraphResult) -> None:
    """The graph by its estimates, while it is measured."""
    show_graph(result)


def trust() -> None:
    """How many identities hold on this experiment, once they are measured."""
    found = stored(SanityRequest(experiment))
    if found is None:
        page_link(SANITY_CHECKS, "Check that these numbers can be trusted")
        return
    holds = sum(measured <= limit for *_, measured, limit in found.result.checks)
    said = f"{holds} of {len(found.result.checks)} identities hold"
    if holds == len(found.result.checks):
        st.badge(said, icon=":material/verified:", color="green")
    else:
        st.badge(said, icon=":material/error:", color="red")
    page_link(SANITY_CHECKS, "Which identities")


experiment = experiment_at_hand()
st.title("Result")
st.caption(
    "Two prompts that differ in a few tokens, and the two answers they should bring. What in the model makes "
    "that difference?"
)
found = overview_or_stop(experiment)
result = found.result
identical_note(result)
aligned_prompts(result)
differs = bool(result.differences)
strongest = begin_with_the_strongest(experiment) if differs else None
if strongest is not None and len(strongest.effect):
    finding = strongest_path(strongest)
    st.text(finding)
    keep(result.request, strongest.request, sentence=finding, values=strongest.by_source())
left, right = st.columns([6, 5], gap="large")
with right:
    st.header("Most probable next tokens")
    predictions(result)
    st.header("The metrics on both runs")
    metrics_of_both(metrics_table(result))
    trust()
with left:
    if strongest is not None:
        st.header("The strongest paths")
        request = GraphRequest(experiment)
        graph = stored(request) or result_or_progress(
            request, "Estimating every path at once", follow_graph, stopped=show_graph
        )
        if graph is not None:
            show_graph(graph.result)
    st.header("Where to look next")
    page_link(ATTRIBUTION, "Which component wrote the answer")
    page_link(PATH_PATCHING, "What one head tells each later head")
    page_link(ALL_SOURCES, "Which head told which later head")
    page_link(CIRCUIT, "Which handful of paths is the mechanism")
    page_link(PROMPT_SET, "Whether it holds over other prompts")

take_along(of_overview(result))
provenance_panel(result, found.from_store)
