"""Does it hold over prompts of the same kind: what agrees in all of them, and what changes every time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from analysis.requests import METRIC_UNITS, MetricName
from analysis.results import RunShown
from analysis.sets import Agreement, node_agreement, node_table, path_agreement
from pages.shared.cards import provenance_panel
from pages.shared.choices import LAYER_NORM, METRIC, RUN
from pages.shared.downloads import downloads
from pages.shared.experiment import experiment_sidebar
from pages.shared.history import keep
from pages.shared.set_choice import chosen_set
from pages.shared.set_results import SetResults, results_or_stop
from pages.shared.set_tables import agreement_view, pairs_table, pairs_view
from pages.shared.set_words import finding, rule_caption
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import altair as alt


def prompts_section(found: SetResults, metric: MetricName) -> None:
    """Which pairs there are, and the metric of each on both runs."""
    from analysis.charts import metric_strip_chart

    st.subheader("The prompts")
    table = pairs_table(found, metric)
    pairs_view(table, found.prompts)
    chart = metric_strip_chart(found.metrics(metric), found.numbers, metric, current_theme())
    st.altair_chart(chart, width="stretch")
    downloads("prompts", found, table, chart)


def strips(agreement: Agreement, unit: str) -> alt.LayerChart:
    """Draw the effects of every prompt."""
    from analysis.charts import agreement_chart

    chart = agreement_chart(agreement, f"effect ({unit})", current_theme())
    st.altair_chart(chart, width="stretch")
    return chart


def effects_section(found: SetResults, agreement: Agreement, called: str, unit: str) -> None:
    """Strips, table and downloads of one kind of effect."""
    table = agreement.table()
    left, right = st.columns([2, 3], gap="large")
    with left:
        chart = strips(agreement, unit)
        st.caption(
            "A dot for each prompt, the mean a tick. Filled in colour: robust. Hollow and grey: not robust."
        )
    with right:
        agreement_view(table, called, unit)
    downloads(f"{called}s_over_prompts", found, table, chart)


def small_maps(found: SetResults, run: RunShown) -> None:
    """A small map of what every node writes for each prompt, all on one scale."""
    from analysis.charts import attribution_maps_chart, most_maps

    st.subheader("Prompt by prompt")
    drawn = most_maps(found.nodes)
    chart = attribution_maps_chart(found.nodes[:drawn], found.numbers[:drawn], run, current_theme())
    st.altair_chart(chart, width="stretch")
    of_all = "" if drawn == len(found.nodes) else f" The first {drawn} of {len(found.nodes)} are drawn."
    st.caption(
        f"What every node writes at the last token, in logits, on one colour scale for all prompts.{of_all}"
    )
    downloads("attribution_by_prompt", found, node_table(found.nodes, found.numbers, run), chart)


experiment = experiment_sidebar()
st.title("Prompt set")
st.caption(
    "One prompt pair proves little. The same questions over several prompts: what leads in all of them is a "
    "mechanism of the model, what changes every time is a matter of the one prompt."
)
prompts = chosen_set(experiment)
with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
    metric, layer_norm = METRIC.draw(), LAYER_NORM.draw()
found = results_or_stop(prompts, experiment.model, metric, layer_norm)
paths = path_agreement(found.strongest, found.left) if found.strongest else None
said = finding(found.metrics(metric), metric, paths)
st.text(said)
keep(*(overview.request for overview in found.overviews), sentence=said, values=found.mean_by_layer())
prompts_section(found, metric)

st.subheader("Paths between heads")
if paths is not None:
    effects_section(found, paths, "path", METRIC_UNITS[metric])
st.subheader("What each node writes to the answer")
run = RUN.draw()
if found.nodes:
    effects_section(found, node_agreement(found.nodes, run), "node", "logits")
    small_maps(found, run)
for refusal in found.refusals.values():
    st.text(refusal)
st.caption(rule_caption(len(found.numbers)))
provenance_panel(found.overviews[0], found.from_store)
