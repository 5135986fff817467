"""The neurons of an MLP that write most at a position, and the tokens that each of them promotes."""

from __future__ import annotations

from functools import partial

import streamlit as st

from analysis.answers import answer
from analysis.errors import UnsupportedModelError
from analysis.labels import counted, number, shown_token
from analysis.requests import Experiment
from analysis.results import NeuronsRequest, NeuronsResult, RunShown
from pages.shared.cards import answer_or_stop
from pages.shared.heights import draw_chart
from pages.shared.resolution import resolution_caption, written
from pages.shared.shown_results import of_neurons
from pages.shared.take_along import take_along
from pages.shared.theme import current_theme

#: Rows of the list; the download has all.
_MOST_LISTED = 20


def neurons_panel(experiment: Experiment, node: str, run: RunShown, position: int) -> None:
    """What the neurons of the MLP `node` write at `position`; a sentence where they cannot be seen."""
    from analysis.charts import neurons_chart

    request = NeuronsRequest(experiment, node, position)
    try:
        result = answer_or_stop(
            lambda: answer(request), "Looking at the neurons", (UnsupportedModelError,)
        ).result
    except UnsupportedModelError as error:
        st.text(str(error))
        return
    if not result.attribution.any():
        st.text(
            f"None of its {counted(len(result.labels), 'neuron')} writes anything to answer minus foil here."
        )
        return
    st.text(neurons_found(result, run))
    left, right = st.columns([2, 3], gap="medium")
    with left:
        draw_chart("neurons", neurons_chart(result, run, current_theme()))
    with right:
        _list(result, run)
    table = result.table(run)
    resolution_caption(result, table["below_resolution"], "neurons")
    take_along(of_neurons(result, run, neurons_found(result, run)))


def neurons_found(result: NeuronsResult, run: RunShown) -> str:
    """What the drawn neurons write of what the MLP writes, and what the others and the bias do."""
    from analysis.charts import MOST_NEURONS

    of_run = result.shown(run)
    drawn = result.strongest(run)[:MOST_NEURONS]
    together, rest = float(of_run[drawn].sum()), float(of_run.sum() - of_run[drawn].sum())
    _, bias, whole = result.sums(run)
    token = (result.corrupted_tokens if run == "corrupted" else result.clean_tokens)[result.position]
    logits = partial(number, form="+.3f")
    return (
        f"At position {result.position} ({shown_token(token)}) its {counted(len(drawn), 'strongest neuron')} "
        f"write {logits(together)} logits to answer minus foil, {len(of_run) - len(drawn):,} others "
        f"{logits(rest)} and the output bias {logits(bias)}: {logits(whole)} in all."
    )


def _list(result: NeuronsResult, run: RunShown) -> None:
    """The strongest neurons on both runs, and what an activation of each promotes."""
    table = result.table(run, _MOST_LISTED)
    promoted = [result.promoted(neuron) for neuron in result.strongest(run)[:_MOST_LISTED].tolist()]
    promotes, suppresses = ([" ".join(map(shown_token, one[end])) for one in promoted] for end in (0, 1))
    effects = ("clean", "corrupted", "clean_minus_corrupted")
    activations = ("activation_clean", "activation_corrupted")
    columns = ["neuron", *effects, "promotes", "suppresses", *activations]
    shown = table[columns].assign(promotes=promotes, suppresses=suppresses)
    logits = partial(number, form="+.3f")
    column = st.column_config.NumberColumn
    st.dataframe(
        written(shown, {run: logits}, table["below_resolution"]).format(
            logits, subset=[name for name in (*effects, *activations) if name != run]
        ),
        hide_index=True,
        width="stretch",
        column_config={
            "clean_minus_corrupted": column("difference", help="Clean minus corrupted, in logits."),
            "activation_clean": column("activation", help="On the clean run, after the nonlinearity."),
            "activation_corrupted": column("corrupted activation", help="On the corrupted run."),
            "promotes": st.column_config.TextColumn(
                help="The tokens that a positive activation pushes up most; a negative one pushes them down."
            ),
            "suppresses": st.column_config.TextColumn(help="The tokens that it pushes down most."),
        },
    )
