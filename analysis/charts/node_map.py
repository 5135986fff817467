"""What every node writes to the answer, as one map: layers by heads, MLPs beside, the embedding above."""

from __future__ import annotations

import altair as alt
import pandas as pd

from analysis.charts.attention import CALLED
from analysis.charts.grid import framed, layer_by_head, row_height
from analysis.charts.once import drawn_once
from analysis.charts.scales import number, pale_note, reach, rounded, told_from_zero
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import node_name, shown_token
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
    end: float | None = None,
) -> alt.LayerChart:
    """Direct attribution of each node at one position, in logits.

    Selection parameter `node` with the field node; the one that is `selected` is framed. `end` is that of the
    colour scale where several maps share one.
    """
    palette = PALETTES[theme]
    rows, layers, columns = _rows(result, shown, position)
    bounds = result.provenance.resolution, float(result.whole(shown)[-1])
    values = rows["attribution"].to_numpy()
    token = shown_token(result.tokens(shown)[result.position(position)])
    cells, *numbers = layer_by_head(
        rows,
        ("down", "across", "attribution"),
        (len(layers), len(columns)),
        end or reach(values, *bounds),
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


def _rows(
    result: NodeAttributionResult, shown: RunShown, position: int
) -> tuple[pd.DataFrame, tuple[str, ...], tuple[str, ...]]:
    """A row for each node, and the names of the map's rows and columns; biases only where there are any."""
    names, columns, places = result.map_places()
    values = told_from_zero(result, result.shown(shown)[:, result.position(position)])
    is_bias = places[:, 1] == columns.index("bias")
    labels = result.labels
    if not values[is_bias].any():
        places, values, columns = places[~is_bias], values[~is_bias], columns[:-1]
        labels = tuple(label for label, bias in zip(labels, is_bias, strict=True) if not bias)
    rows = pd.DataFrame(
        {
            "node": labels,
            "down": places[:, 0],
            "across": places[:, 1],
            "attribution": rounded(values),
            "name": [node_name(label) for label in labels],
        }
    )
    return rows, names, columns


def _description(rows: pd.DataFrame, shown: RunShown, token: str) -> str:
    largest = rows.loc[rows["attribution"].abs().idxmax()]
    return (
        f"Direct logit attribution of {len(rows):,} nodes at {token}, {CALLED[shown]}. "
        f"Largest: {largest['name']} with {signed(largest['attribution'], '+.3g')} logits."
    )
