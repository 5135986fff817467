"""Which tokens a path between two heads carries its effect over."""

from __future__ import annotations

import streamlit as st

from analysis.answers import answer
from analysis.errors import UnsupportedModelError
from analysis.labels import number, token_of_both
from analysis.requests import METRIC_UNITS
from analysis.results import (
    HeadPathsRequest,
    PathPositionsRequest,
    PathPositionsResult,
    StrongestPathsRequest,
)
from pages.shared.cards import answer_or_stop, overview_or_stop
from pages.shared.heights import draw_chart
from pages.shared.keys import Key
from pages.shared.theme import current_theme

#: Positions that are measured unasked: each takes a forward pass of its own.
MOST_UNASKED = 64

#: By the input that a path leads into: what adds up over positions, and what need not.
_SUM = {
    "q": "Each query acts at its own position, so the changes of the destination's output add up; what later "
    "layers and the final norm make of them need not.",
    "k": "The keys of all positions meet in one softmax, so the changes need not add up.",
    "v": "The destination's output is linear in its values, so its changes add up; what later layers and the "
    "final norm make of them need not.",
}


def by_position(asked: StrongestPathsRequest | HeadPathsRequest, path: tuple[str, str]) -> None:
    """The effect of `path` with what its source wrote at one position at a time patched."""
    from analysis.charts import path_positions_chart

    overview = overview_or_stop(asked.experiment).result
    if not overview.differences:
        return
    n_passes = len(overview.clean_tokens) - overview.differences[0]
    if n_passes > MOST_UNASKED and not st.toggle(
        f"By position: {n_passes:,} passes, one for each token from the first that differs",
        key=Key.BY_POSITION,
    ):
        return
    request = PathPositionsRequest(asked.experiment, path, asked.layer_norm, asked.metric)
    try:
        waiting, kept = "Patching one position at a time", (UnsupportedModelError,)
        result = answer_or_stop(lambda: answer(request), waiting, kept).result
    except UnsupportedModelError as error:
        st.text(str(error))
        return
    st.text(positions_sentence(result))
    draw_chart("positions", path_positions_chart(result, st.session_state[Key.SCALE], current_theme()))


def positions_sentence(result: PathPositionsResult) -> str:
    """Which token carries the path most, and how far the positions are from adding up."""
    table, unit = result.table(), METRIC_UNITS[result.request.metric]
    strongest = table.loc[table["effect"].abs().idxmax()]
    if strongest["below_resolution"]:
        return "By position: every effect is below what rounding can tell from zero."
    source, reader = result.request.path
    total, whole = (number(value, "+.3f") for value in (result.effect.sum(), result.whole))
    token = token_of_both(strongest["corrupted"], strongest["clean"])
    return (
        f"By position: most is carried by what {source} writes at {strongest['position']}: {token}, "
        f"{number(strongest['effect'], '+.3f')} {unit} alone. All positions one by one come to {total} in "
        f"sum, patched together to {whole}. {_SUM[reader[-1]]}"
    )
