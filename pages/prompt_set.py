"""Does it hold over prompts of the same kind: what agrees in all of them, and what changes every time."""

from __future__ import annotations

import streamlit as st

from analysis.requests import METRIC_UNITS
from analysis.sets import Agreement, node_agreement, path_agreement
from pages.shared.cards import provenance_panel
from pages.shared.choices import LAYER_NORM, METRIC, RUN
from pages.shared.experiment import experiment_at_hand
from pages.shared.heights import draw_chart
from pages.shared.history import keep
from pages.shared.keys import Key
from pages.shared.set_choice import chosen_set
from pages.shared.set_results import SetResults, results_or_stop
from pages.shared.set_shown import Asked, of_agreement, of_prompt_maps, of_prompts
from pages.shared.set_tables import agreement_view, pairs_table, pairs_view
from pages.shared.set_words import finding, rule_caption
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme


def prompts_section(found: SetResults, asked: Asked) -> None:
    """Which pairs there are, and the metric of each on both runs."""
    from analysis.charts import metric_strip_chart

    st.header("The prompts")
    pairs_view(pairs_table(found, asked.metric), found.prompts)
    metrics = found.metrics(asked.metric)
    chart = metric_strip_chart(metrics, found.numbers, asked.metric, current_theme())
    draw_chart("metrics", chart)
    take_along(of_prompts(found, asked))


def strips(found: SetResults, agreement: Agreement, called: str, unit: str) -> None:
    """Draw the effects of every prompt."""
    from analysis.charts import agreement_chart

    chart = agreement_chart(agreement, f"effect ({unit})", current_theme(), found.numbers)
    draw_chart(f"effects_of_{called}", chart)


def effects_section(found: SetResults, agreement: Agreement, called: str, unit: str, asked: Asked) -> None:
    """Strips, table and downloads of one kind of effect."""
    left, right = st.columns([2, 3], gap="large")
    with left:
        strips(found, agreement, called, unit)
        st.caption(
            "A dot for each prompt, the mean a tick. Filled in colour: robust. Hollow and grey: not robust."
        )
    with right:
        agreement_view(agreement.table(), called, unit)
    take_along(of_agreement(found, agreement, called, unit, asked))


def small_maps(found: SetResults, asked: Asked) -> None:
    """A small map of what every node writes for each prompt, all on one scale."""
    st.subheader("Prompt by prompt")
    shown = of_prompt_maps(found, asked)
    if shown.draw is not None:
        draw_chart("small_maps", shown.draw(current_theme(), 0))
    st.caption(shown.title)
    take_along(shown)


experiment = experiment_at_hand()
st.title("Prompt set")
st.caption(
    "One prompt pair proves little. The same questions over several prompts: what leads in all of them is a "
    "mechanism of the model, what changes every time is a matter of the one prompt."
)
with st.container(key=Key.CONTROLS):
    prompts = chosen_set(experiment)
    with st.container(horizontal=True, gap="medium"):
        metric, layer_norm = METRIC.draw(), LAYER_NORM.draw()
asked = Asked(metric, layer_norm, st.session_state[RUN.key])
found = results_or_stop(prompts, experiment.model, metric, layer_norm)
paths = path_agreement(found.strongest, found.left) if found.strongest else None
said = finding(found.metrics(metric), metric, paths)
st.text(said)
keep(*(overview.request for overview in found.overviews), sentence=said, values=found.mean_by_layer())
prompts_section(found, asked)

st.header("Paths between heads")
if paths is not None:
    effects_section(found, paths, "path", METRIC_UNITS[metric], asked)
st.header("What each node writes to the answer")
run = RUN.draw()
if found.nodes:
    effects_section(found, node_agreement(found.nodes, run), "node", "logits", asked._replace(run=run))
    small_maps(found, asked._replace(run=run))
for refusal in found.refusals.values():
    st.text(refusal)
st.caption(rule_caption(len(found.numbers)))
provenance_panel(found.overviews[0], found.from_store)
