"""The paths that are drawn, patched together in every prompt of a set: what they carry over all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from analysis.exports import circuit_set_code, tensors_of_circuit_set
from analysis.labels import counted, number, percent
from analysis.requests import METRIC_UNITS, Experiment
from analysis.results import EdgeLabels, EdgeSetsRequest, EdgeSetsResult, GraphResult
from analysis.sets import SET_SCORES, CircuitOverPrompts
from pages.shared.circuit_scores import HELP, TITLES
from pages.shared.heights import draw_chart, grid_height
from pages.shared.set_answers import OverPrompts, over_prompts, told_over
from pages.shared.set_over import prompts_at_hand, wanted_of
from pages.shared.set_words import few_prompts
from pages.shared.shown import Shown
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme

if TYPE_CHECKING:
    import pandas as pd

_MEASURED = (
    "In each prompt all paths are patched together, and what they carry is measured, no sum. Over all "
    "prompts: the sum of what is moved over the sum of the differences, a ratio of means."
)


def circuit_over_the_set(graph: GraphResult, edges: EdgeLabels) -> None:
    """The scores of `edges` over the set at hand: ratios of means, a dot and a row for each prompt."""
    from analysis.charts import circuit_set_chart

    experiment, metric = graph.request.experiment, graph.request.metric
    what = (edges, metric)
    prompts = prompts_at_hand(experiment, what, within=False)
    if prompts is None:
        return
    found = over_prompts(
        prompts,
        experiment.model,
        lambda ask, one: ask(EdgeSetsRequest(one, (edges,), metric)),
        wanted_of(experiment, *what),
    )
    if found is None:
        return
    scores = CircuitOverPrompts.of(found.found)
    st.text(over_finding(scores, _chosen_on(found, experiment), len(edges)))
    for column, score, ratio in zip(st.columns(3), SET_SCORES, scores.ratio, strict=True):
        told = "none" if np.isnan(ratio) else percent(ratio)
        column.metric(f"{TITLES[score]}, {scores.n_prompts} prompts", told, help=HELP[score])
    left, right = st.columns([2, 3], gap="large")
    with left:
        chart = circuit_set_chart(scores, found.numbers, current_theme())
        draw_chart("circuit_set_chart", chart)
        st.caption(
            "A dot for each prompt, the ratio of means a tick. Hollow and grey: its two runs hardly differ, "
            "and its own share says little."
        )
    with right:
        _by_prompt(by_prompt(found, scores), METRIC_UNITS[metric])
    take_along(of_circuit_over_prompts(found, scores, graph, edges))


def _chosen_on(found: OverPrompts[EdgeSetsResult], experiment: Experiment) -> int | None:
    """The index of the pair on which the paths were chosen; None where it is none of the set."""
    return found.experiments.index(experiment) if experiment in found.experiments else None


def over_finding(scores: CircuitOverPrompts, chosen_on: int | None, n_edges: int) -> str:
    """What the paths carry over all prompts, and over those that they were not chosen on."""
    begin = told_over(scores.n_prompts)
    if np.isnan(scores.ratio).any():
        return (
            f"{begin} the clean and the corrupted run differ by no more than twice the standard error of "
            "their mean difference: there is nothing to be a share of."
        )
    these = f"these {n_edges:,} paths bring" if n_edges > 1 else "this one path brings"
    back, _, kept = scores.ratio
    found = [
        f"{begin} {these} back {percent(back)}{_interval(scores)} of the difference, and alone "
        f"{'keep' if n_edges > 1 else 'keeps'} {percent(kept)}: ratios of means."
    ]
    of_each = scores.share[~scores.small, 0]
    if len(of_each) > 1:
        found.append(
            f"Prompt by prompt they bring back {percent(of_each.min())} to {percent(of_each.max())}."
        )
    if chosen_on is not None and scores.n_prompts > 1:
        back, _, kept = scores.without(chosen_on).ratio
        others = "nothing that can be told" if np.isnan(back) else f"{percent(back)}, and {percent(kept)}"
        found.append(f"Without the pair of the sidebar, on which they were chosen: {others}.")
    return " ".join(filter(None, (*found, few_prompts(scores.n_prompts))))


def _interval(scores: CircuitOverPrompts) -> str:
    low, high = scores.interval[:, 0]
    return "" if np.isnan(low) else f" (95 % interval {percent(low)} to {percent(high)})"


def by_prompt(found: OverPrompts[EdgeSetsResult], scores: CircuitOverPrompts) -> pd.DataFrame:
    """One row per prompt, then one of all, as `CircuitOverPrompts.table`, with the prompts and answers."""
    import pandas as pd

    pairs = pd.DataFrame(
        [found.prompts.pairs[number - 1] for number in found.numbers],
        columns=["clean", "corrupted", "answer", "foil"],
    )
    return scores.table(found.numbers).join(pairs).fillna(dict.fromkeys(pairs, ""))


def _by_prompt(table: pd.DataFrame, unit: str) -> None:
    shares = {score: lambda share: "" if np.isnan(share) else percent(share) for score in SET_SCORES}
    shown = table[["prompt", "difference", *SET_SCORES, "answer", "foil"]]
    columns = {score: st.column_config.NumberColumn(TITLES[score].lower()) for score in SET_SCORES}
    st.dataframe(
        shown.style.format({"difference": lambda x: number(x, "+.3f")} | shares),
        hide_index=True,
        width="stretch",
        height=grid_height(len(shown)),
        column_config=columns
        | {"difference": st.column_config.NumberColumn(f"clean minus corrupted ({unit})")},
    )


def of_circuit_over_prompts(
    found: OverPrompts[EdgeSetsResult], scores: CircuitOverPrompts, graph: GraphResult, edges: EdgeLabels
) -> Shown:
    """The scores over the set, as they leave."""
    from analysis.charts import circuit_set_chart

    experiment, metric = graph.request.experiment, graph.request.metric
    return Shown(
        name="circuit_over_prompts",
        title=f"What {counted(len(edges), 'path')} carry over {counted(scores.n_prompts, 'prompt')}",
        told=found,
        experiment=experiment,
        sentence=over_finding(scores, _chosen_on(found, experiment), len(edges)),
        measured=_MEASURED,
        table=by_prompt(found, scores),
        draw=lambda theme, _: circuit_set_chart(scores, found.numbers, theme),
        tensors=lambda: tensors_of_circuit_set(scores, found.numbers, found.origin()),
        codes=lambda named: (circuit_set_code([*map(named, found.experiments)], edges, metric),),
    )
