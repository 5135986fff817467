"""What a prompt set says of one node, or of one path, that a page shows of one pair."""

from __future__ import annotations

from functools import partial

import streamlit as st

from analysis.errors import UnsupportedModelError
from analysis.labels import node_name, number
from analysis.requests import METRIC_UNITS, Experiment
from analysis.results import (
    ChosenPathsRequest,
    HeadPathsRequest,
    NodeAttributionRequest,
    PathsResult,
    RunShown,
    StrongestPathsRequest,
)
from analysis.sets import RULE, ItemAgreement, one_node, one_path, paths_left
from pages.shared.heights import draw_chart, grid_height
from pages.shared.keys import Key
from pages.shared.navigation import PROMPT_SET, page_link
from pages.shared.resolution import written
from pages.shared.set_answers import Ask, over_prompts
from pages.shared.set_over import prompts_at_hand, wanted_of
from pages.shared.set_words import item_finding
from pages.shared.theme import current_theme

Path = tuple[str, str]


def node_over_the_set(experiment: Experiment, node: str, run: RunShown) -> None:
    """What `node` writes to the answer at the last token in every prompt of the set at hand."""
    prompts = prompts_at_hand(experiment)
    if prompts is None:
        return
    found = over_prompts(
        prompts,
        experiment.model,
        lambda ask, one: ask(NodeAttributionRequest(one)),
        wanted_of(experiment),
    )
    if found is not None:
        item = one_node(found.found, node, run)
        called, n_nodes = f"{node_name(node)} writes", len(found.found[0].labels)
        said = item_finding(item, called, "logits at the last token", "among all nodes", n_nodes)
        _told(item, said, found.numbers, "logits")


def path_over_the_set(asked: StrongestPathsRequest | HeadPathsRequest, path: Path) -> None:
    """The effect of `path` in every prompt of the set at hand, as the page has `asked` for it."""
    experiment = asked.experiment
    prompts = prompts_at_hand(experiment)
    if prompts is None:
        return
    try:
        found = over_prompts(
            prompts,
            experiment.model,
            partial(_one, asked, path),
            wanted_of(experiment),
        )
    except UnsupportedModelError as error:
        st.text(str(error))
        return
    if found is not None:
        strongest, left = zip(*found.found, strict=True)
        item, unit = one_path(strongest, left, path), METRIC_UNITS[asked.metric]
        listed = min(len(result.effect) for result in strongest)
        called = f"{' → '.join(path)} has an effect of"
        said = item_finding(item, called, unit, "among the strongest paths of each prompt", listed)
        _told(item, said, found.numbers, unit)


def _one(
    asked: StrongestPathsRequest | HeadPathsRequest, path: Path, ask: Ask, experiment: Experiment
) -> tuple[PathsResult, PathsResult | None]:
    """The strongest paths of one prompt, and the path where it is not among them."""
    strongest = ask(StrongestPathsRequest(experiment, asked.layer_norm, asked.metric))
    if not paths_left(strongest, (path,)):
        return strongest, None
    return strongest, ask(ChosenPathsRequest(experiment, (path,), asked.layer_norm, asked.metric))


def _told(item: ItemAgreement, said: str, numbers: list[int], unit: str) -> None:
    """The finding, the spread on demand, and the way to all the rest."""
    st.text(said)
    panel = st.expander(
        "Prompt by prompt", icon=":material/scatter_plot:", key=Key.SET_EACH, on_change="rerun"
    )
    if panel.open:
        with panel:
            _each(item, numbers, unit)
    page_link(PROMPT_SET, "All nodes and paths over the set")


def _each(item: ItemAgreement, numbers: list[int], unit: str) -> None:
    from analysis.charts import agreement_chart

    chart = agreement_chart(item.agreement, f"effect ({unit})", current_theme(), numbers)
    draw_chart("set_each_chart", chart)
    table = item.table(numbers)
    st.dataframe(
        written(
            table[["prompt", "effect", "rank"]],
            {"effect": lambda x: number(x, "+.4f")},
            table["below_resolution"],
        ),
        hide_index=True,
        width="stretch",
        height=grid_height(len(table)),
        column_config={"effect": st.column_config.NumberColumn(f"effect ({unit})")},
    )
    st.caption(f"Robust: {RULE}")
