"""What every node writes to the answer, as one map: layers by heads, MLPs beside, the embedding above."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.charts.attention import CALLED
from analysis.charts.grid import framed, layer_by_head, row_height
from analysis.charts.once import drawn_once
from analysis.charts.scales import number, pale_note, reach, rounded, told_from_zero
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import head_label, node_name, shown_token
from analysis.labels import number as signed
from analysis.results import NodeAttributionResult, RunShown

#: Height of the rows in pixels, all together; thirty layers fit a screen.
_HEIGHT = 560


@drawn_once
def node_map_chart(
    result: NodeAttributionResult,
    shown: RunShown = "clean",
    position: int = -1,
    theme: Theme = "light",
    selected: str | None = None,
) -> alt.LayerChart:
    """Direct attribution of each node at one position, in logits.

    Selection parameter `node` with the field node; the one that is `selected` is framed.
    """
    palette = PALETTES[theme]
    rows, columns = _rows(result, shown, position)
    layers = ["embedding", *map(str, range(result.n_layers))]
    bounds = result.provenance.resolution, float(result.whole(shown)[-1])
    values = rows["attribution"].to_numpy()
    token = shown_token(result.tokens(shown)[result.position(position)])
    cells, *numbers = layer_by_head(
        rows,
        ("down", "across", "attribution"),
        (len(layers), len(columns)),
        reach(values, *bounds),
        (
            "layer",
            ["head", f"{CALLED[shown]}, at {token}", *pale_note(values, *bounds, "attribution")],
            "logits",
        ),
        palette,
        names=(layers, columns),
    )
    cells = (
        cells.transform_calculate(logits=number("datum.attribution", result.provenance.resolution))
        .encode(tooltip=[alt.Tooltip("name:N", title="node"), alt.Tooltip("logits:N")])
        .add_params(alt.selection_point(name="node", fields=["node"]))
    )
    frame = framed(rows[rows["node"] == selected], ("down", "across"), palette)
    height = len(layers) * row_height(len(layers), _HEIGHT)
    return drawn([cells, *numbers, frame], theme, height, _description(rows, shown, token))


def _rows(result: NodeAttributionResult, shown: RunShown, position: int) -> tuple[pd.DataFrame, list[str]]:
    """A row for each node, and the names of the columns; biases have one where there are any."""
    by_layer = told_from_zero(result, result.by_layer(shown, position))
    slots = [*range(result.n_heads), result.n_heads + 1]
    columns = [*map(str, range(result.n_heads)), "MLP"]
    if by_layer[:, result.n_heads].any():
        slots, columns = [*slots, result.n_heads], [*columns, "bias"]
    places = [("embed", 0, 0, told_from_zero(result, result.shown(shown)[0, result.position(position)]))]
    for layer, values in enumerate(by_layer):
        labels = [*(head_label(layer, head) for head in range(result.n_heads)), f"bias{layer}", f"MLP{layer}"]
        places += [(labels[slot], layer + 1, column, values[slot]) for column, slot in enumerate(slots)]
    rows = pd.DataFrame(places, columns=["node", "down", "across", "attribution"])
    names = [node_name(label) for label in rows["node"]]
    return rows.assign(name=names, attribution=rounded(rows["attribution"])), columns


def _description(rows: pd.DataFrame, shown: RunShown, token: str) -> str:
    largest = rows.loc[rows["attribution"].abs().idxmax()]
    return (
        f"Direct logit attribution of {len(rows):,} nodes at {token}, {CALLED[shown]}. "
        f"Largest: {largest['name']} with {signed(largest['attribution'], '+.3g')} logits."
    )
