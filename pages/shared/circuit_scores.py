"""The scores of the paths that are drawn, beside random sets and on the curve of the strongest."""

from __future__ import annotations

import streamlit as st

from analysis.answers import answer
from analysis.labels import percent
from analysis.results import (
    CircuitScoresRequest,
    CircuitScoresResult,
    EdgeLabels,
    EdgeSetsRequest,
    EdgeSetsResult,
    GraphResult,
)
from pages.shared.cards import answer_or_stop
from pages.shared.circuit_words import beside_random, finding
from pages.shared.heights import draw_chart
from pages.shared.terms import TERMS
from pages.shared.theme import current_theme

HELP = {
    "brings_back": f"{TERMS['brings back']} Easy to reach: the paths into the logits alone bring nearly "
    "everything back.",
    "breaks": TERMS["breaks"],
    "faithfulness": TERMS["faithful"],
}
TITLES = {"brings_back": "Brings back", "breaks": "Breaks", "faithfulness": "Faithful"}


def own_scores(graph: GraphResult, edges: EdgeLabels) -> EdgeSetsResult:
    """The scores of `edges` patched as a whole."""
    request = EdgeSetsRequest(graph.request.experiment, (edges,), graph.request.metric)
    return answer_or_stop(lambda: answer(request), "Patching the paths together").result


def scores_panel(graph: GraphResult, own: EdgeSetsResult, edges: EdgeLabels) -> None:
    """Three scores, the curve, and last, since it takes longest, how random sets do."""
    from analysis.charts import circuit_curve_chart

    for column, (score, title) in zip(st.columns([5, 4, 4], gap="small"), TITLES.items(), strict=True):
        column.metric(title, percent(getattr(own, score)[0]), help=HELP[score])
    random = st.empty()
    if len(graph.curve_edges):
        chart = circuit_curve_chart(graph, own, len(edges), current_theme())
        draw_chart("curve", chart)
        cpr, cmd = graph.areas.tolist()
        st.caption(
            "The strongest paths by the estimate, together; the large points are the paths drawn. Over all "
            f"sizes: CPR {cpr:.3f} (higher is better), CMD {cmd:.4f} (0 is best)."
        )
    with random.container():
        random_controls(graph, edges)


def random_controls(graph: GraphResult, edges: EdgeLabels) -> CircuitScoresResult:
    """How random sets of the same size and mix do, and what the edges would add up to."""
    request = CircuitScoresRequest(graph.request.experiment, edges, metric=graph.request.metric)
    scores = answer_or_stop(lambda: answer(request), "Patching 50 random sets of the same size").result
    st.caption(
        f"{beside_random(scores)} One by one these paths bring back {percent(scores.sum_of_effects)} in sum.",
        help=" ".join(f"{TITLES[score]}: {meaning}" for score, meaning in HELP.items()),
    )
    return scores


def finding_panel(graph: GraphResult, own: EdgeSetsResult, n_edges: int) -> None:
    """The finding in a sentence."""
    with st.container(key="finding"):
        st.text(finding(graph, own, n_edges))
