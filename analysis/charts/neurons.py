"""The strongest neurons of an MLP as bars."""

from __future__ import annotations

import altair as alt

from analysis.charts.attention import CALLED
from analysis.charts.bars import attribution_bars
from analysis.charts.once import drawn_once
from analysis.charts.scales import BELOW_RESOLUTION, rounded, told_from_zero
from analysis.charts.themes import PALETTES, Theme, drawn
from analysis.labels import node_name, number, shown_token
from analysis.results import NeuronsResult, RunShown

#: Neurons that are drawn; a table has all.
MOST_NEURONS = 12
#: Tokens of each kind that a tooltip tells.
_TOKENS = 5


@drawn_once
def neurons_chart(result: NeuronsResult, run: RunShown, theme: Theme = "light") -> alt.LayerChart:
    """What the strongest neurons of a run, or of the difference, write to answer minus foil, in logits."""
    table, strongest = result.table(run, MOST_NEURONS), result.strongest(run)[:MOST_NEURONS].tolist()
    promoted = [tuple(map(_in_a_row, result.promoted(neuron))) for neuron in strongest]
    rows = table[["neuron"]].assign(
        attribution=rounded(told_from_zero(result, table[run].to_numpy())),
        **{
            f"activation, {called}": [number(value, "+.3f") for value in table[f"activation_{called}"]]
            for called in ("clean", "corrupted")
        },
        promotes=[promotes for promotes, _ in promoted],
        suppresses=[suppresses for _, suppresses in promoted],
    )
    told = ("activation, clean", "activation, corrupted", "promotes", "suppresses")
    layers, height = attribution_bars(rows, "neuron", PALETTES[theme], result.provenance.resolution, *told)
    return drawn(layers, theme, height, _description(result, run))


def _in_a_row(tokens: tuple[str, ...]) -> str:
    return " ".join(map(shown_token, tokens[:_TOKENS]))


def _description(result: NeuronsResult, run: RunShown) -> str:
    table = result.table(run, 1)
    told = "It has none."
    if len(table):
        first = table.iloc[0]
        logits = f"with {number(first[run], '+.3g')}"
        told = f"Largest: {first['neuron']} {BELOW_RESOLUTION if first['below_resolution'] else logits}."
    return (
        f"Direct logit attribution of the strongest neurons of {node_name(result.request.node)} at position "
        f"{result.position}, {CALLED[run]}, in logits. {told}"
    )
