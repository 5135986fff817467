"""Two results side by side: another pair, model, run or position, or frozen against exact LayerNorm."""

from __future__ import annotations

from functools import partial

import streamlit as st

from analysis.compare import Comparison
from analysis.labels import model_title, number
from analysis.results import NodeAttributionResult, PathsResult
from pages.shared.cards import overview_or_stop, provenance_panel
from pages.shared.choices import COMPARED, COMPONENT, LAYER_NORM, METRIC, RUN, Compared
from pages.shared.compare_controls import controls_of_b, position_of_b
from pages.shared.compare_results import (
    Found,
    attributions,
    compared_attributions,
    compared_paths_of_a_head,
    compared_strongest_paths,
    compared_sweeps,
)
from pages.shared.compare_shown import of_comparison
from pages.shared.compare_sides import Side, differences, sides
from pages.shared.compare_words import finding, other_weights, rounding
from pages.shared.experiment import experiment_at_hand
from pages.shared.heights import draw_chart
from pages.shared.history import keep
from pages.shared.keys import LAST, Key
from pages.shared.lead import begin_with_the_strongest
from pages.shared.notes import note
from pages.shared.patching import edge_columns, edge_formats
from pages.shared.position import chosen_position
from pages.shared.resolution import written
from pages.shared.source import source_list
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme

#: Rows of the table; the CSV has all.
_MOST_ROWS = 100


def compare_attributions(a: Side, b: Side) -> Found:
    """Attribution: its controls on both sides, and both results."""
    row = st.container(horizontal=True, gap="medium")
    with row:
        RUN.draw()
    row_of_b = controls_of_b(a, b, "attribution")
    ours, theirs = attributions(a, b)
    with row:
        position = chosen_position(ours.result.tokens(a.run))
    with row_of_b:
        position_of_b(theirs.result.tokens(b.run))
    what_both_are(a, b)
    for called, side, result in (("A", a, ours.result), ("B", b, theirs.result)):
        if side.position != LAST and int(side.position) >= len(result.clean_tokens):
            note(f"{called} has no position {side.position}: its last one is compared.")
    if position is None:
        note("A comparison is of one position: it is the last one where all are chosen.")
    return compared_attributions(a, b, ours, theirs)


def compare_paths(a: Side, b: Side, compared: Compared) -> Found | None:
    """Paths: their controls on both sides, and both results; None where a sweep is not finished."""
    begin_with_the_strongest(a.experiment)
    with st.container(horizontal=True, gap="medium"):
        if compared != "strongest_paths":
            COMPONENT.draw()
        LAYER_NORM.draw()
        metric = METRIC.draw()
    if compared == "path":
        source_list(overview_or_stop(a.experiment).result)
    controls_of_b(a, b, compared)
    what_both_are(a, b)
    if compared == "path":
        return compared_paths_of_a_head(a, b, metric)
    if compared == "strongest_paths":
        return compared_strongest_paths(a, b, metric)
    return compared_sweeps(a, b, metric)


def what_both_are(a: Side, b: Side) -> None:
    """What A is, and in what B differs."""
    told = differences(a, b)
    of_b = f"as A, but for {' and '.join(told)}" if told else "as A"
    st.text(f"A: {model_title(a.experiment.model)}, the sidebar's pair. B: {of_b}.")


def show(found: Found, comparison: Comparison, a: Side, b: Side) -> None:
    """Sentence, maps, points, table, files."""
    said = finding(comparison, found.called)
    st.text(f"{said} {found.whole}")
    note(other_weights(found.a, found.b))
    maps(found, comparison)
    left, right = st.columns([5, 6], gap="large")
    with left:
        scatter(comparison)
    with right:
        st.header("Largest differences")
        differences_table(comparison, found.called[0])
        if told := rounding(comparison):
            st.caption(told)
    keep(
        *(found.a.request, found.b.request),
        sentence=said,
        values=None if comparison.places is None else comparison.maps()[2],
    )
    take_along(of_comparison(found, comparison, said, a, b))


def maps(found: Found, comparison: Comparison) -> None:
    """Draw A, B and the difference on one scale, where there is a map."""
    from analysis.charts import comparison_maps_chart

    if comparison.places is None or not comparison.labels:
        return
    draw_chart("maps", comparison_maps_chart(comparison, *found.axes, current_theme()))
    st.caption("One colour scale for all three. The difference is B minus A: orange rises, blue falls.")


def scatter(comparison: Comparison) -> None:
    """Draw A against B."""
    from analysis.charts import MOST_POINTS, comparison_scatter_chart

    st.header("A against B")
    draw_chart("scatter", comparison_scatter_chart(comparison, current_theme()))
    if len(comparison.labels) > MOST_POINTS:
        st.caption(f"The {MOST_POINTS:,} largest of {len(comparison.labels):,} are drawn.")


def differences_table(comparison: Comparison, item: str) -> None:
    """The items that differ most."""
    rows = comparison.table().head(_MOST_ROWS)
    form = partial(number, form="+.4f")
    shown = rows.rename(columns={"item": item, "a": "A", "b": "B"})[[item, "A", "B", "difference"]]
    style = written(shown, {"difference": form}, rows["below_resolution"]).format(form, subset=["A", "B"])
    heading = st.column_config.NumberColumn(f"B \N{MINUS SIGN} A ({comparison.unit})")
    st.dataframe(style, hide_index=True, width="stretch", column_config={"difference": heading})


def show_apart(found: Found, a: Side, b: Side) -> None:
    """Both sides beside each other where nothing can be subtracted."""
    note(found.refused)
    st.text(found.whole)
    for column, called, side, result in zip(
        st.columns(2, gap="medium"), ("A", "B"), (a, b), (found.a, found.b), strict=True
    ):
        with column:
            st.header(called)
            if isinstance(result, PathsResult):
                table = result.table().head(15)
                st.dataframe(
                    edge_columns(table, "source", "destination", "component"),
                    hide_index=True,
                    width="stretch",
                    column_config=edge_formats(result.request.metric),
                )
            elif isinstance(result, NodeAttributionResult):
                node_map(result, side, shared_end(found, a, b))
    keep(found.a.request, found.b.request, sentence=found.refused)


def shared_end(found: Found, a: Side, b: Side) -> float:
    """The largest attribution of both sides: the end of the one colour scale."""
    both = ((found.a, a), (found.b, b))
    return max(
        float(abs(result.shown(side.run)[:, side.at(len(result.clean_tokens))]).max())
        for result, side in both
        if isinstance(result, NodeAttributionResult)
    )


def node_map(result: NodeAttributionResult, side: Side, end: float) -> None:
    """Draw one side alone."""
    from analysis.charts import node_map_chart

    at = side.at(len(result.clean_tokens))
    draw_chart("nodes", node_map_chart(result, side.run, at, current_theme(), end=end or 1.0))


experiment = experiment_at_hand()
st.title("Compare")
st.caption(
    "Two results side by side, and what changes from one to the other. A is the sidebar's experiment with "
    "the choices of the first row; B is A, but for what is chosen in the second."
)
with st.container(key=Key.CONTROLS):
    compared = COMPARED.draw()
    st.caption(COMPARED.meanings[compared])
    a, b = sides(experiment, compared)
    found = compare_attributions(a, b) if compared == "attribution" else compare_paths(a, b, compared)
if found is None:
    st.stop()
if found.comparison is None:
    show_apart(found, a, b)
else:
    show(found, found.comparison, a, b)
provenance_panel(found.a, found.from_store, found.b)
