"""Each kind of result as it is shown and leaves: its sentence, how it is known, its table, its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.labels import counted, head_label, number
from analysis.requests import METRIC_UNITS
from analysis.results import (
    AllSourcesResult,
    AttributionResult,
    EffectScale,
    NeuronsResult,
    NodeAttributionResult,
    NodeResult,
    OverviewResult,
    PathResult,
    PathsResult,
    Result,
    RunShown,
    SanityResult,
)
from pages.shared.attribution_parts import largest_first
from pages.shared.choices import COMPONENT, METRIC, UNIT
from pages.shared.findings import largest_nodes, largest_part, strongest_path
from pages.shared.shown import Shown

if TYPE_CHECKING:
    import pandas as pd

_OF_RUNS: dict[RunShown, str] = {
    "clean": "the clean run",
    "corrupted": "the corrupted run",
    "clean_minus_corrupted": "the clean run minus the corrupted one",
}


def of_overview(result: OverviewResult) -> Shown:
    """The metrics and the next tokens of both prompts."""
    from analysis.charts import predictions_chart

    clean, corrupted = (number(value, "+.2f") for value in result.metrics["logit_difference"])
    return Shown.of(
        result,
        name="result",
        title="Most probable next tokens and metrics",
        sentence=f"Answer minus foil: {clean} logits on the clean prompt, {corrupted} on the corrupted one.",
        measured="Read off one forward pass of the model on each prompt, at the last position.",
        table=metrics_table(result),
        draw=lambda theme, _: predictions_chart(result, theme),
        asked=None,
    )


def metrics_table(result: OverviewResult) -> pd.DataFrame:
    """Every metric on both runs, each in its own unit."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"metric": f"{title} ({METRIC_UNITS[name]})", "clean": clean, "corrupted": corrupted}
            for name, title in METRIC.options.items()
            for clean, corrupted in [result.metrics[name]]
        ]
    )


def of_nodes(result: NodeAttributionResult, run: RunShown, position: int | None) -> Shown:
    """Direct logit attribution of every node, at one position or at every one."""
    from analysis.charts import node_map_chart, node_positions_chart

    at = len(result.clean_tokens) - 1 if position is None else position
    return Shown.of(
        result,
        name="attribution_node",
        title=f"What each node writes to answer minus foil, on {_OF_RUNS[run]}",
        sentence=largest_nodes(result, run, at),
        measured="Taken from the model's own run of each prompt, whose logit difference the parts add up to"
        f"{_rounding(result)}.",
        table=largest_first(result.table(run, position)),
        draw=lambda theme, _: (
            node_positions_chart(result, run, theme)
            if position is None
            else node_map_chart(result, run, position, theme)
        ),
        asked=f"table({run!r}, {position!r})",
        run=run,
        position=position,
    )


def of_unit(result: AttributionResult, position: int | None) -> Shown:
    """Direct logit attribution by component, layer or head."""
    from analysis.charts import attribution_chart

    unit, run = result.request.unit, result.request.run
    return Shown.of(
        result,
        name=f"attribution_{unit}",
        title=f"Direct logit attribution by {UNIT.options[unit].lower()}, on {_OF_RUNS[run]}",
        sentence=largest_part(result, len(result.tokens) - 1 if position is None else position),
        measured=f"Taken from the model's own run of the prompt{_rounding(result)}.",
        table=largest_first(result.table(position)),
        draw=lambda theme, _: attribution_chart(result, position, theme),
        asked=f"table({position!r})",
        position=position,
    )


def of_path(result: PathResult, scale: EffectScale) -> Shown:
    """Every path from one head into one input of later heads."""
    from analysis.charts import path_chart

    asked = result.request
    source = head_label(asked.source_layer, asked.source_head)
    read = COMPONENT.options[asked.component].lower()
    return Shown.of(
        result,
        name=f"paths_from_{source}_{asked.component}",
        title=f"Direct paths from {source} into each later head's {read}",
        sentence=strongest_path(result),
        measured=f"Every path is measured, patched alone, LayerNorm {asked.layer_norm}{_rounding(result)}.",
        table=result.table(),
        draw=lambda theme, _: path_chart(result, scale, theme),
    )


def of_all_sources(result: AllSourcesResult, scale: EffectScale) -> Shown:
    """Every path between heads into one of query, key and value."""
    from analysis.charts import all_sources_chart

    asked = result.request
    known = f"All {counted(result.n_total, 'path')} are measured"
    if not result.complete:
        known = (
            f"{result.n_done:,} of {result.n_total:,} paths are measured; the others are estimates, exact at "
            "the destination and linear after it"
        )
    return Shown.of(
        result,
        name=f"all_sources_{asked.component}",
        title=f"Every direct path between heads into the {COMPONENT.options[asked.component].lower()}",
        sentence=strongest_path(result),
        measured=f"{known}, LayerNorm {asked.layer_norm}{_rounding(result)}.",
        table=result.table(),
        draw=lambda theme, _: all_sources_chart(result, scale, theme),
    )


def of_strongest_paths(result: PathsResult) -> Shown:
    """The strongest paths between heads over query, key and value."""
    table = result.table()
    return Shown.of(
        result,
        name="strongest_paths",
        title="The strongest direct paths between heads",
        sentence=strongest_path(result),
        measured=f"Each of these {len(table):,} paths is measured, patched alone, LayerNorm "
        f"{result.request.layer_norm}. They have the largest estimates of all {result.n_paths:,}; that no "
        f"other is stronger is not proved{_rounding(result)}.",
        table=table,
        draw=None,
    )


def of_attention(result: NodeResult) -> Shown | None:
    """The attention of one head on both runs; None for what attends to nothing."""
    from analysis.charts import attention_chart

    if not result.runs:
        return None
    node = result.request.node
    return Shown.of(
        result,
        name=f"attention_{node}",
        title=f"What {node} attends to, clean minus corrupted",
        sentence="",
        measured="Attention probabilities of the model's own runs, no estimates.",
        table=result.attention_table(),
        draw=lambda theme, _: attention_chart(result, "clean_minus_corrupted", theme),
        asked="attention_table()",
    )


def of_neurons(result: NeuronsResult, run: RunShown, sentence: str) -> Shown:
    """What the neurons of an MLP write straight to answer minus foil at one position."""
    from analysis.charts import neurons_chart

    node = result.request.node
    return Shown.of(
        result,
        name=f"neurons_{node}",
        title=f"What the neurons of {node} write to answer minus foil, on {_OF_RUNS[run]}",
        sentence=sentence,
        measured=f"Taken from the model's own run of each prompt{_rounding(result)}.",
        table=result.table(run),
        draw=lambda theme, _: neurons_chart(result, run, theme),
        asked=f"table({run!r})",
    )


def of_sanity(result: SanityResult) -> Shown:
    """What must hold, and by how much it does."""
    holds = sum(measured <= limit for *_, measured, limit in result.checks)
    return Shown.of(
        result,
        name="sanity_checks",
        title="Identities and parity checks",
        sentence=f"{holds} of {len(result.checks)} checks hold.",
        measured="All of them are measured on this experiment.",
        table=checks_table(result),
        draw=None,
    )


def checks_table(result: SanityResult) -> pd.DataFrame:
    """One row per check, with what was measured and what it may be at most."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "passed": measured <= limit,
                "check": name,
                "what must hold": statement,
                "measured": measured,
                "limit": limit,
            }
            for name, statement, measured, limit in result.checks
        ]
    )


def _rounding(result: Result) -> str:
    finest = result.provenance.resolution
    return "" if finest is None else f"; what is smaller than {finest:.1e} is rounding"
