"""The head whose paths are patched: picked on a map of every head, or from a list."""

from __future__ import annotations

import re

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from analysis.answers import answer
from analysis.errors import MetricError, UnsupportedModelError
from analysis.labels import head_label
from analysis.requests import Experiment
from analysis.results import (
    EffectScale,
    KnownPaths,
    OverviewResult,
    PathEstimatesRequest,
    PathsResult,
    StrongestPathsRequest,
)
from pages.shared import address
from pages.shared.cards import answer_or_stop
from pages.shared.heights import height_around, kept_place
from pages.shared.keys import SOURCE_KEYS, Key
from pages.shared.listed import listed
from pages.shared.patching import PatchingChoices
from pages.shared.theme import current_theme


def source_list(overview: OverviewResult) -> tuple[int, int]:
    """Layer and head of the source, within what the model has, and the list to choose it from."""
    shape = overview.n_layers, overview.n_heads
    sizes = dict(zip(SOURCE_KEYS, shape, strict=True))
    asked = {key: int(st.session_state[key]) for key in SOURCE_KEYS}
    beyond = [
        f"The model has no {key.replace('_', ' ')} {asked[key]}; the last one, {size - 1}, is shown."
        for key, size in sizes.items()
        if asked[key] >= size
    ]
    within = {key: min(asked[key], size - 1) for key, size in sizes.items()}
    address.correct(within, " ".join(beyond) or None)
    layer, head = (int(st.session_state[key]) for key in SOURCE_KEYS)
    labels = [head_label(*place) for place in np.ndindex(*shape)]
    listed(
        Key.SOURCE,
        "Source head",
        dict(zip(labels, labels, strict=True)),
        head_label(layer, head),
        _take,
        help="The head whose clean output is patched. Choose it here, or click it on the map.",
    )
    return layer, head


def source_place(overview: OverviewResult) -> DeltaGenerator:
    """Where the map of every head will stand, as high as it will be, and what it shows."""
    from analysis.charts import source_map_height

    place = kept_place("sources", height_around(source_map_height(overview.n_layers)))
    place.caption(
        "Each head by its strongest path into a later query, key or value: the strongest are measured, the "
        "others estimated. Click a head to make it the source. Grey heads have none after them."
    )
    return place


def source_map(
    experiment: Experiment,
    choices: PatchingChoices,
    scale: EffectScale,
    selected: str,
) -> None:
    """Every head by the strongest path out of it; a click makes it the source."""
    from analysis.charts import source_map_chart

    try:
        known, _ = known_paths(experiment, choices)
    except (MetricError, UnsupportedModelError) as error:
        st.text(str(error))
        return
    # For each source another chart: one that remembered its click would not hear the same again after Back.
    key = f"{Key.SOURCE_MAP}_{selected}"
    st.altair_chart(
        source_map_chart(known, scale, current_theme(), selected),
        width="stretch",
        key=key,
        on_select=lambda: _take_click(key),
        selection_mode="head",
    )


def known_paths(experiment: Experiment, choices: PatchingChoices) -> tuple[KnownPaths, bool]:
    """Every path estimated, and the strongest measured, in the mode and metric that are chosen.

    Besides, whether the estimates were read from the store.
    Raises `UnsupportedModelError` or `MetricError` where there is no estimate.
    """
    asked = choices["layer_norm"], choices["metric"]
    kept = (MetricError, UnsupportedModelError)
    estimates = answer_or_stop(
        lambda: answer(PathEstimatesRequest(experiment, *asked)), "Estimating every path at once", kept
    )
    strongest: PathsResult = answer_or_stop(
        lambda: answer(StrongestPathsRequest(experiment, *asked)), "Looking for the strongest paths", kept
    ).result
    return KnownPaths.of(estimates.result, strongest), estimates.from_store


def _take(label: str) -> None:
    """Make the head of that label the source."""
    found = re.fullmatch(r"L(\d+)H(\d+)", label)
    assert found is not None
    for key, place in zip(SOURCE_KEYS, found.groups(), strict=True):
        st.session_state[key] = int(place)


def _take_click(key: str) -> None:
    """Make the head whose cell was clicked the source."""
    picked = st.session_state[key].selection.get("head") or []
    if picked:
        _take(head_label(picked[0]["sl"], picked[0]["sh"]))
