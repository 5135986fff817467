"""The nodes that write most, at every token."""

from __future__ import annotations

import altair as alt
import numpy as np
import pandas as pd

from analysis.charts.attention import CALLED
from analysis.charts.grid import layer_by_head
from analysis.charts.once import drawn_once
from analysis.charts.scales import number, pale_note, reach, rounded, told_from_zero
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import counted, node_name, shown_token
from analysis.results import NodeAttributionResult, RunShown

#: Nodes that are drawn, those with the largest attribution at any token.
MOST_NODES = 30
_ROW = 20


@drawn_once
def node_positions_chart(
    result: NodeAttributionResult, shown: RunShown = "clean", theme: Theme = "light"
) -> alt.LayerChart:
    """Direct attribution, in logits, of the nodes that write most (in the order in which they run) by token.

    Selection parameter `node` with the field node.
    """
    palette, values = PALETTES[theme], told_from_zero(result, result.shown(shown))
    strongest = np.argsort(-np.abs(values).max(axis=1), kind="stable")[:MOST_NODES]
    nodes = sorted(index for index in strongest.tolist() if values[index].any())
    tokens = [f"{index} {shown_token(token)}" for index, token in enumerate(result.tokens(shown))]
    rows = pd.DataFrame(
        [
            (down, across, result.labels[node], node_name(result.labels[node]), tokens[across])
            for down, node in enumerate(nodes)
            for across in range(len(tokens))
        ],
        columns=["down", "across", "node", "name", "token"],
    ).assign(attribution=rounded(values[nodes].ravel()))
    left_out = int(values.any(axis=1).sum()) - len(nodes)
    note = [f"{counted(left_out, 'node')} that write less are left out"] if left_out else []
    bounds = result.provenance.resolution, float(result.whole(shown)[-1])
    cells, *numbers = layer_by_head(
        rows,
        ("down", "across", "attribution"),
        (max(1, len(nodes)), len(tokens)),
        reach(values, *bounds),
        ("", [f"token, {CALLED[shown]}", *note, *pale_note(values, *bounds, "attribution")], "logits"),
        palette,
        names=([node_name(result.labels[node]) for node in nodes], tokens),
    )
    cells = (
        cells.transform_calculate(logits=number("datum.attribution", result.provenance.resolution))
        .encode(
            tooltip=[alt.Tooltip("name:N", title="node"), alt.Tooltip("token:N"), alt.Tooltip("logits:N")]
        )
        .add_params(alt.selection_point(name="node", fields=["node"]))
    )
    cells.encoding.x.axis.labelAngle = -45
    description = (
        f"Direct logit attribution of {counted(len(nodes), 'node')} at every token, {CALLED[shown]}."
    )
    return drawn([cells, *numbers], theme, max(80, _ROW * len(nodes)), description)
