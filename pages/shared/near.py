"""A node from near: what it attends to, before and after a path's patch, and what its write promotes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from analysis.answers import answer
from analysis.errors import UnsupportedModelError
from analysis.labels import number, percent
from analysis.requests import Experiment, MetricName
from analysis.results import WRITES_READ, NodeRequest, NodeResult, PatternShown
from pages.shared.cards import answer_or_stop
from pages.shared.heights import draw_chart
from pages.shared.resolution import BELOW
from pages.shared.shown_results import of_attention
from pages.shared.take_along import take_along
from pages.shared.terms import meaning_of
from pages.shared.theme import current_theme
from pages.shared.tokens import weighted_chips

if TYPE_CHECKING:
    import pandas as pd

#: Promoted and suppressed tokens that are listed.
_MOST_TOKENS = 8


def near_panel(
    experiment: Experiment, metric: MetricName, node: str, edge: tuple[str, str] | None = None
) -> None:
    """Attention and promoted tokens of a writer; with an edge into it, the attention with that patched."""
    request = NodeRequest(experiment, node, edge, metric)
    try:
        waiting, kept = "Looking at the node", (UnsupportedModelError,)
        result = answer_or_stop(lambda: answer(request), waiting, kept).result
    except UnsupportedModelError as error:
        st.text(str(error))
        return
    if edge is not None:
        brings_back, breaks = (percent(share, 1) for share in result.edge_worth)
        st.caption(
            f"With the norm recomputed, the path brings back {brings_back} of the difference in the "
            f"corrupted run, and breaks {breaks} of it in the clean run."
        )
    left, right = st.columns([3, 2], gap="medium") if result.runs else (None, st.container())
    if left is not None:
        with left:
            attention(result)
            shown = of_attention(result)
            if shown is not None:
                take_along(shown)
    with right:
        promoted(result)


def attention(result: NodeResult) -> None:
    """The head's pattern as the chosen run or difference has it, or what it writes of each token it reads."""
    from analysis.charts import CALLED, attention_chart, read_from_chart

    edge, node = result.request.edge, result.request.node
    first: PatternShown = "patched_minus_corrupted" if edge else "clean_minus_corrupted"
    if edge and edge[1].endswith(".v"):  # a value is what is read, not where
        first = "clean"
    views = {
        f"attention, {CALLED[shown]}": partial(attention_chart, result, shown, current_theme())
        for shown in result.patterns
    }
    if result.by_source.size:
        views |= {
            f"written, {CALLED[shown]}": partial(read_from_chart, result, shown, current_theme())
            for shown in WRITES_READ
        }
    chosen = st.selectbox(
        f"What {node} attends to, and writes to answer minus foil by the token read",
        views,
        index=result.patterns.index(first),
        key=f"pattern_{node}_{first}",
        help=meaning_of("attention pattern", "attribution"),
    )
    draw_chart("views", views[chosen]())


def promoted(result: NodeResult) -> None:
    """What the write at the last token pushes up and down, and its part in the answer."""
    clean, corrupted = (number(effect, "+.3f") for effect in result.answer_minus_foil[:, -1])
    st.caption(
        f"Written at the last token, straight to answer minus foil: {clean} logits, corrupted {corrupted}."
    )
    table = result.promoted(-1, "clean_minus_corrupted")
    half = len(table) // 2
    # Beside a pattern one over the other, else side by side.
    places = (st.container(), st.container()) if result.runs else st.columns(2, gap="medium")
    for place, title, rows in (
        (places[0], "Promoted, clean rather than corrupted, in logits", table.iloc[:half]),
        (places[1], "Suppressed, clean rather than corrupted, in logits", table.iloc[half:].iloc[::-1]),
    ):
        with place:
            st.caption(title)
            shown = rows.head(_MOST_TOKENS)
            weighted_chips(title, shown["token"].tolist(), [*_weights(shown)])


def _weights(rows: pd.DataFrame) -> Iterator[str]:
    for logits, below in zip(rows["logits"], rows["below_resolution"], strict=True):
        yield BELOW if below else number(logits, "+.3f")
